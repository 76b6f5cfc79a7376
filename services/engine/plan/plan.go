// Package plan is what an operation will do: plain data between the planner,
// which makes it once per role, operation and shape of variables, and the
// dialect and executor, which run it for every request.
//
// A plan holds names of variables, never values, so it can be cached and shared
// by all sessions of a role.
package plan

import (
	"strconv"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// Plan is one operation's plan. Immutable once made.
type Plan struct {
	// Mutation is true when table steps share one transaction and steps run in order.
	Mutation bool
	// Fields are the root fields in the order of the response.
	Fields []Field
}

// Field is one root field: a key of the response and how its value is made.
// Exactly one of the steps is set.
type Field struct {
	Key string
	// Name is the field's name in the schema, for paths of errors and the audit.
	Name string
	// Group is the key of the object that holds the field, with its neighbours of
	// the same group; empty for a field at the top.
	Group string
	// Resource is what the field touches, for policy and audit.
	Resource Resource
	// Validations are asked before the mutation begins.
	Validations []Validation
	// Nested are the other tables that a nested insert writes, or whose rows are
	// entities.
	Nested []Resource
	// Arguments are all arguments that the client gave, for policies and as the
	// input of an action.
	Arguments []Argument

	Constant []byte // __typename and introspection: JSON
	Select   *Select
	Call     *Select // of a function that writes
	Insert   *Insert
	Update   *Update
	// Updates run in order; the value is the list of their answers.
	Updates []*Update
	Delete  *Delete
	Action  *Action
	// Entities finds the rows that a gateway names.
	Entities *Entities
}

// Entities finds rows by their type and key, which the client gives: the value is
// a list with an object or null for each of them.
type Entities struct {
	// Argument of the field that holds the representations.
	Argument string
	Types    []Entity
}

// Entity is one type of rows. The Fields of its Join are the members of a
// representation that are the key.
type Entity struct {
	Name string
	Join *Join
}

// Resource names what a root field touches.
type Resource struct {
	Kind, Source, Schema, Name string
	// Columns that are read or written, sorted; database names.
	Columns []string
}

// Shape of a selection's JSON.
type Shape uint8

// The shapes.
const (
	List       Shape = iota // an array, never null
	Object                  // one object or null
	Aggregated              // one object with Aggregate's members, never null
)

// Select reads rows of one table and, nested, of related tables: one SQL
// statement for the whole tree.
type Select struct {
	Source string
	Table  catalog.Name
	// From, when set, says where the rows come from; they are as those of Table.
	From   *From
	Shape  Shape
	Output []Output
	// Aggregate is what an Aggregated selection answers instead of Output.
	Aggregate *Aggregate
	// Connection, when set, is answered instead of Output: a page of the rows.
	Connection *Connection
	// On correlates a nested selection with the row around it.
	On         []filter.Pair
	Where      filter.Expr
	OrderBy    []Order
	DistinctOn []Column
	Limit      []Bound // the least of them applies
	Offset     *Bound
	// Single says that at most one row can match, by a key of the table, so that an
	// Object needs no limit.
	Single bool
}

// Bound is a limit or offset: a number of the metadata or of the operation's text,
// or a parameter. Postgres plans a statement for each run if it does not know how
// few rows are wanted, so a number that is part of what is cached stays one.
type Bound struct {
	Number int
	Param  *filter.Param
}

// Output is one member of an object. Exactly one of the others is set.
type Output struct {
	Key    string
	Column *Column
	Nested *Select
	// Join reads rows of another source: the statement answers the values to join
	// by, in the member's place.
	Join *Join
	// Text is a constant string (__typename).
	Text *string
	// Node is the global id of the row.
	Node *NodeID
}

// Column is a column that is read.
type Column struct {
	Name string // database name
	Type catalog.TypeRef
	// Cases, when there are any, say what the role sees of the column.
	Cases []filter.Case
	// Of, when set, computes the value: Name is then no column's.
	Of *filter.Function
	// Path leads into a json value; nil reads all of it.
	Path *filter.Param
	// AsText answers a number as a string; GeoJSON a shape as GeoJSON.
	AsText, GeoJSON bool
	// Upper is true for an enum whose names are the stored values in upper case.
	Upper bool
}

// Answered is the column as a response has it: shapes as GeoJSON and, if stringify
// says so, numbers that have more digits than a double as text. base is its type
// with domains looked through.
func (c Column) Answered(base catalog.TypeRef, stringify bool) Column {
	c.AsText = stringify && Large(base)
	c.GeoJSON = base.Name == "geometry" || base.Name == "geography"
	return c
}

// Large reports whether values of the type need more digits than a double has.
func Large(t catalog.TypeRef) bool {
	switch t.Name {
	case "int8", "numeric", "float8":
		return t.Schema == "pg_catalog"
	}
	return false
}

// Order is one key of ORDER BY: a column reached over Path.
type Order struct {
	// Path leads over object relationships; empty for the table's own column.
	Path   []Hop
	Column Column
	// Aggregate, when set, sorts by related rows instead of Column alone.
	Aggregate  *OrderAggregate
	Descending bool
	NullsFirst bool
}

// Hop is one object relationship on the way to a column, with the filter that
// the role has on its target.
type Hop struct {
	Table catalog.Name
	On    []filter.Pair
	Where filter.Expr
}

// Insert writes rows and reads them back.
type Insert struct {
	Source string
	Table  catalog.Name
	// Columns that the statement writes; database names and types.
	Columns []Column
	// Rows hold a value per column; nil means the column's default. Empty when
	// Records is set.
	Rows [][]*filter.Param
	// Records, when set, is one JSON parameter with all rows, each having the
	// same keys: a statement whose text doesn't depend on how many rows come.
	Records   *Records
	Conflict  *Conflict
	Check     filter.Expr
	Returning Returning
	// Tree, when set, stands for Rows and Records: objects that bring rows of
	// related tables. Columns are then only for the audit and policies.
	Tree *Tree
	// Most rows that the role may write at once; 0 is no limit.
	Most int
}

// SpellDefaults names a column of the table where several rows name none: DEFAULT
// VALUES is one row, and a column that all leave to its default is as good. False
// when the table has no column.
func (in *Insert) SpellDefaults(columns []catalog.Column) bool {
	if len(in.Columns) > 0 || len(in.Rows) < 2 {
		return true
	}
	if len(columns) == 0 {
		return false
	}
	in.Columns = []Column{{Name: columns[0].Name, Type: columns[0].Type}}
	for i := range in.Rows {
		in.Rows[i] = []*filter.Param{nil}
	}
	return true
}

// Records is an insert's rows as one parameter.
type Records struct {
	// Variable and Path of the list of objects.
	Variable string
	Path     []any
	// Keys are the members of each object, pairwise with the leading Columns.
	Keys []string
	// Presets are values for the Columns after those, the same in every row.
	Presets []filter.Param
}

// Conflict is ON CONFLICT.
type Conflict struct {
	Constraint string
	// Columns stand for a unique index, which Postgres lets nobody name.
	Columns []string
	// Update are the columns that take the excluded row's values; empty means
	// DO NOTHING.
	Update []string
	// Presets of the update permission.
	Set   []Assignment
	Where filter.Expr
	// Check of the permission to update, for rows that were there before; when it
	// is true, the insert's check is for them too.
	Check filter.Expr
}

// Update changes rows and reads them back.
type Update struct {
	Source    string
	Table     catalog.Name
	Set       []Assignment
	Where     filter.Expr
	Check     filter.Expr
	Returning Returning
	// Most rows that the role may change at once; 0 is no limit.
	Most int
}

// AssignmentOp says how a column's new value is made.
type AssignmentOp uint8

// The ways to assign.
const (
	Set          AssignmentOp = iota // col = value
	Inc                              // col = col + value
	Append                           // col = col || value
	Prepend                          // col = value || col
	DeleteKey                        // col = col - value (text)
	DeleteElem                       // col = col - value (int)
	DeleteAtPath                     // col = col #- value (text[])
	Mul                              // col = col * value
	Default                          // col = its default; there is no value
)

// Assignment is one column of an update.
type Assignment struct {
	Column Column
	Op     AssignmentOp
	Value  filter.Param
}

// Presets are the assignments that a permission makes by itself.
func Presets(list []access.Preset) []Assignment {
	var out []Assignment
	for _, preset := range list {
		out = append(out, Assignment{Column: Column{Name: preset.Column.StoredName(), Type: preset.Column.Type}, Op: Set, Value: preset.Value})
	}
	return out
}

// Delete removes rows and reads what they were.
type Delete struct {
	Source    string
	Table     catalog.Name
	Where     filter.Expr
	Returning Returning
	// Most rows that the role may delete at once; 0 is no limit.
	Most int
}

// Returning is what a mutation answers. The rows that it wrote are in it whatever
// filter the role has on reading: it is the role's own work. Columns and related
// rows are those that the role may read.
type Returning struct {
	// One is true when the field itself is the row (insert_one, by_pk) or null.
	One bool
	// Members of the mutation response, in order; for One, a single member.
	Members []Member
}

// Member is one member of a mutation response: affected_rows, __typename or
// returning.
type Member struct {
	Key          string
	AffectedRows bool
	Text         *string
	Rows         []Output // of returning
}

// Action calls a webhook and joins its answer. Of an asynchronous one, a mutation
// queues a run and a query finds it.
type Action struct {
	Action *model.Action
	// Selection shapes the answer, or the run that is found; nil for a scalar or
	// enum.
	Selection []Part
}

// Argument is a supplied argument of a root field.
type Argument struct {
	Name  string
	Value Value
}

// Value is an input value with variables in it.
type Value struct {
	// Variable names a variable; the other fields are unset then.
	Variable string
	List     []Value
	Object   []Argument
	// Literal is a decoded JSON scalar (string, json.Number, bool, nil).
	Literal any
	Kind    ValueKind
}

// ValueKind says which field of a Value counts.
type ValueKind uint8

// The kinds of values.
const (
	LiteralValue ValueKind = iota
	VariableValue
	ListValue
	ObjectValue
)

// Part is one member of an action's output object. Exactly one of Field, Text
// and Join is set.
type Part struct {
	Key   string
	Field string // member of the handler's object
	// Parts of a nested object (or of the objects in a list).
	Parts []Part
	// Sparse is true when a nested object that is absent is left out; otherwise it
	// is null.
	Sparse bool
	Text   *string
	Join   *Join
}

// Join reads related rows for all objects of one level at once.
type Join struct {
	// Fields of an action's output object or a representation, or Columns of a row,
	// and the Keys of the target, pairwise. The type of a key is that in which the values travel.
	Fields  []string
	Columns []Column
	Keys    []Column
	// Select is correlated with the keys: one statement for all of them.
	Select *Select
}

// JoinKey is the name of key number i of a join; the On pairs of the joined
// selection have it as their outer side.
func JoinKey(i int) string { return "k" + strconv.Itoa(i) }

// RecordKey is the member of column number i in the JSON rows of Records: not
// the client's key, which may be longer than a Postgres name can be.
func RecordKey(i int) string { return "c" + strconv.Itoa(i) }
