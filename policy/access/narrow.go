package access

import (
	"maps"
	"sync"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// Narrow is the role as a policy leaves it: by is asked once for each table, with
// what the permissions grant, and returns less. When keep is false, the answer is
// asked for again next time.
func (r *Role) Narrow(by func(t *model.Table, granted *Table) (left *Table, keep bool)) *Role {
	if r.Admin {
		return r
	}
	return &Role{Name: r.Name, tables: r.tables, members: r.members, narrow: by, narrowed: &sync.Map{}}
}

func (r *Role) narrowedTable(t *model.Table, granted *Table) *Table {
	if found, ok := r.narrowed.Load(t); ok {
		return found.(*Table)
	}
	left, keep := r.narrow(t, granted)
	if keep {
		r.narrowed.Store(t, left)
	}
	return left
}

// Without takes columns away, and the root fields that need them.
func (s *Select) Without(t *model.Table, columns ColumnSet) *Select {
	left := *s
	left.Columns = without(s.Columns, columns)
	left.roots(t)
	return &left
}

// Without takes columns away that a client may write; presets stay.
func (i *Insert) Without(columns ColumnSet) *Insert {
	left := *i
	left.Columns = without(i.Columns, columns)
	return &left
}

// Without takes columns away that a client may write; presets stay.
func (u *Update) Without(columns ColumnSet) *Update {
	left := *u
	left.Columns = without(u.Columns, columns)
	return &left
}

func without(all, less ColumnSet) ColumnSet {
	left := maps.Clone(all)
	for name := range less {
		delete(left, name)
	}
	return left
}

// Veiled shows a column only in the rows where when is true, and there what the
// first of instead shows whose condition is true. Where the permission shows less
// than the value itself, that stays.
func (s *Select) Veiled(column string, when filter.Expr, instead []filter.Case) *Select {
	before := s.cells[column]
	if before == nil {
		before = []filter.Case{{When: filter.True, Mask: filter.Plain}}
	}
	var cases []filter.Case
	for _, one := range before {
		one.When = filter.Both(when, one.When)
		if one.Mask == filter.Plain && one.Shows == nil {
			for _, other := range instead {
				cases = append(cases, filter.Case{When: filter.Both(one.When, other.When), Mask: other.Mask, Shows: other.Shows})
			}
		}
		cases = append(cases, one)
	}
	left := *s
	left.cells = maps.Clone(s.cells)
	if left.cells == nil {
		left.cells = map[string][]filter.Case{}
	}
	left.cells[column] = cases
	return &left
}
