// Package access holds what each role may do: permission documents resolved
// against the model into columns, filters, checks and presets. No OPA here;
// services/engine/schema shows only what access allows, and the planner adds
// the filters to every statement.
package access

import (
	"slices"
	"sync"

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
	// members are all roles that an inherited role unites, over all levels.
	members map[string]bool
	// narrow, when set, leaves less of what tables has; narrowed remembers it.
	narrow   func(*model.Table, *Table) (*Table, bool)
	narrowed *sync.Map
}

// Includes reports whether what is permitted to the role name is permitted to r:
// r is that role or inherits from it. Admin includes every role.
func (r *Role) Includes(name string) bool {
	return r.Admin || r.Name == name || r.members[name]
}

// Table returns what the role may do with a table; never nil, not to be changed, and empty when
// nothing.
func (r *Role) Table(t *model.Table) *Table {
	p, ok := r.tables[t]
	switch {
	case !ok:
		return nothing
	case r.narrow != nil:
		return r.narrowedTable(t, p)
	}
	return p
}

// Action reports whether the role may call an action.
func (r *Role) Action(a *model.Action) bool {
	return r.Admin || slices.ContainsFunc(a.Roles, r.Includes)
}

// nothing may be done with a table.
var nothing = &Table{}

// Table is what a role may do with one table; nil means not at all.
type Table struct {
	Select *Select
	Insert *Insert
	Update *Update
	Delete *Delete
	// ambiguous are what an inherited role lacks because its members disagree.
	ambiguous struct{ insert, update, delete bool }
}

// Select is a role's permission to read.
type Select struct {
	Columns ColumnSet
	Filter  filter.Expr
	// Limit on rows at every level; 0 means none.
	Limit        int
	Aggregations bool
	// Roots says which root fields of queries exist, SubscriptionRoots which of
	// subscriptions.
	Roots, SubscriptionRoots RootFields
	// cells say what is seen of a column that is not shown as it is in every row.
	cells map[string][]filter.Case
	// granted are the root fields that the permission lists, whether or not the
	// role can have them.
	granted, grantedSubscription RootFields
}

// Cases say what is seen of a column, in the order in which they count; nil when
// it is shown as it is in every row that Filter lets pass.
func (s *Select) Cases(c *model.Column) []filter.Case { return s.cells[c.StoredName()] }

// Nullable reports whether the role can find null in a column.
func (s *Select) Nullable(c *model.Column) bool {
	if c.Nullable {
		return true
	}
	cases := s.Cases(c)
	if len(cases) == 0 {
		return false
	}
	last := cases[len(cases)-1]
	return !filter.IsTrue(last.When) || slices.ContainsFunc(cases, func(one filter.Case) bool { return one.Mask == filter.Hidden || one.Shows != nil })
}

// RootFields says which of the root fields of a table a role sees; only
// subscriptions have SelectStream.
type RootFields struct{ Select, SelectByPK, SelectAggregate, SelectStream bool }

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
