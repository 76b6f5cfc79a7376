package plan

import (
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// Tree is an insert whose objects bring rows of related tables. Rows of one
// form are written together, level by level: an object's row needs the keys of
// the rows that stand Before it, and gives its own to those that come After.
type Tree struct {
	// Forms are all statements that the tree needs.
	Forms []*Form
	// Rows of the root field, in order.
	Rows []Row
}

// Form is one INSERT into one table that writes the same columns in every row,
// however many rows come.
type Form struct {
	Table catalog.Name
	// Columns that each row brings, then those that Presets fill.
	Columns  []Column
	Presets  []filter.Param
	Conflict *Conflict
	Check    filter.Expr
	// Keys are the columns that other rows wait for.
	Keys []string
	// Most rows that the role may write into the table at once; 0 is no limit.
	Most int
}

// Row is one row to be written.
type Row struct {
	Form int // index in Tree.Forms
	// Path is where an error of the row is said to be.
	Path string
	// Values of the Form's leading columns; Links fill the others.
	Values        []filter.Param
	Before, After []Branch
}

// Branch is the rows of one relationship that an object brings.
type Branch struct {
	Name string
	// Path is where the relationship stands in the operation.
	Path string
	// On ties the object's row (Outer) to the related rows (Inner).
	On   []filter.Pair
	Rows []Row
	// Records stand for Rows when a variable brings rows of the same keys; the
	// columns of their Form begin with one for each key.
	Records *Records
	Form    int
	// RecordsPath is where errors of Records are said to be.
	RecordsPath string
}
