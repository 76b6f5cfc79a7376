// Package access holds what each role may do: permission documents resolved
// against the model into columns, filters, checks and presets. No OPA here;
// services/engine/schema shows only what access allows, and the planner adds
// the filters to every statement.
package access

import (
	"tenantry/policy/filter"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Access is what all roles may do. Immutable.
type Access struct {
	roles map[string]*Role
	admin *Role
}

// Role is what one role may do.
type Role struct {
	Name string
	// Admin is true for the role without restrictions.
	Admin  bool
	tables map[*model.Table]*Table
}

// Table returns what the role may do with a table; never nil, and empty when
// nothing.
func (r *Role) Table(t *model.Table) *Table {
	if p, ok := r.tables[t]; ok {
		return p
	}
	return &Table{}
}

// Action reports whether the role may call an action.
func (r *Role) Action(a *model.Action) bool {
	if r.Admin {
		return true
	}
	for _, name := range a.Roles {
		if name == r.Name {
			return true
		}
	}
	return false
}

// Table is what a role may do with one table; nil means not at all.
type Table struct {
	Select *Select
	Insert *Insert
	Update *Update
	Delete *Delete
}

// Select is a role's permission to read.
type Select struct {
	Columns ColumnSet
	Filter  filter.Expr
	// Limit on rows at every level; 0 means none.
	Limit        int
	Aggregations bool
	// Roots says which root fields exist.
	Roots RootFields
}

// RootFields says which of the query root fields of a table a role sees.
type RootFields struct{ Select, SelectByPK, SelectAggregate bool }

// Insert is a role's permission to insert.
type Insert struct {
	Columns ColumnSet
	// Check must be true of every resulting row.
	Check filter.Expr
	// Presets are set by the engine and hidden from the input type.
	Presets     []Preset
	BackendOnly bool
	Guard
}

// Update is a role's permission to update.
type Update struct {
	Columns ColumnSet
	Filter  filter.Expr
	// Check must be true of every resulting row.
	Check       filter.Expr
	Presets     []Preset
	BackendOnly bool
	Guard
}

// Delete is a role's permission to delete.
type Delete struct {
	Filter      filter.Expr
	BackendOnly bool
	Guard
}

// Guard is what else stands before a mutation.
type Guard struct {
	// Validation must accept the input first; nil is none.
	Validation *metadata.InputValidationHook
	// MaxAffectedRows of one mutation; 0 is no limit.
	MaxAffectedRows int
}

// Preset is a column's value that the engine sets.
type Preset struct {
	Column *model.Column
	Value  filter.Param
}

// ColumnSet is a set of columns by database name.
type ColumnSet map[string]bool

// Has reports whether c is in the set.
func (s ColumnSet) Has(c *model.Column) bool { return s[c.StoredName()] }
