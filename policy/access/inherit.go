package access

import (
	"reflect"
	"slices"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// inherit gives inherited roles what their members may do, members first. A
// permission of the role's own stands instead, also when it did not resolve: what
// was to restrict must not widen.
func (b *builder) inherit() {
	for _, role := range b.model.Inherited {
		own := b.access.roles[role.Role]
		own.members = map[string]bool{}
		var members []*Role
		for _, name := range role.Members {
			own.members[name] = true
			member, ok := b.access.roles[name]
			if !ok {
				continue // its own inconsistency says why
			}
			for inner := range member.members {
				own.members[inner] = true
			}
			members = append(members, member)
		}
		for _, t := range b.model.RowTypes() {
			b.inheritTable(role, t, members)
		}
	}
}

func (b *builder) inheritTable(role model.Inherited, t *model.Table, members []*Role) {
	var tables []*Table
	for _, member := range members {
		if p, ok := member.tables[t]; ok {
			tables = append(tables, p)
		}
	}
	if len(tables) == 0 {
		return
	}
	own, doc := b.of(role.Role, t), t.Metadata
	if !defines(doc.SelectPermissions, func(i int) string { return doc.SelectPermissions[i].Role }, role.Role) {
		own.Select = united(t, tables)
	}
	if !defines(doc.InsertPermissions, func(i int) string { return doc.InsertPermissions[i].Role }, role.Role) {
		var ok bool
		own.Insert, ok = alike(tables, func(p *Table) (*Insert, bool) { return p.Insert, p.ambiguous.insert })
		own.ambiguous.insert = !ok
		b.ambiguous(role, t, "insert", tables, !ok, func(p *Table) bool { return p.ambiguous.insert })
	}
	if !defines(doc.UpdatePermissions, func(i int) string { return doc.UpdatePermissions[i].Role }, role.Role) {
		var ok bool
		own.Update, ok = alike(tables, func(p *Table) (*Update, bool) { return p.Update, p.ambiguous.update })
		own.ambiguous.update = !ok
		b.ambiguous(role, t, "update", tables, !ok, func(p *Table) bool { return p.ambiguous.update })
	}
	if !defines(doc.DeletePermissions, func(i int) string { return doc.DeletePermissions[i].Role }, role.Role) {
		var ok bool
		own.Delete, ok = alike(tables, func(p *Table) (*Delete, bool) { return p.Delete, p.ambiguous.delete })
		own.ambiguous.delete = !ok
		b.ambiguous(role, t, "delete", tables, !ok, func(p *Table) bool { return p.ambiguous.delete })
	}
}

// defines reports whether a list of permissions has one of the role.
func defines[P any](list []P, of func(i int) string, role string) bool {
	for i := range list {
		if of(i) == role {
			return true
		}
	}
	return false
}

// ambiguous reports a permission that can't be inherited, once: not again for
// roles that inherit from the role that lacks it.
func (b *builder) ambiguous(role model.Inherited, t *model.Table, kind string, members []*Table, is bool, reported func(*Table) bool) {
	if is && !slices.ContainsFunc(members, reported) {
		b.inconsistencies = append(b.inconsistencies, t.AmbiguousPermission(role, kind))
	}
}

// alike is what the members that have a permission agree on; false when they do
// not, or one of them lacks it because its own members did not.
func alike[P any](members []*Table, of func(*Table) (*P, bool)) (*P, bool) {
	var found *P
	for _, member := range members {
		p, ambiguous := of(member)
		switch {
		case ambiguous:
			return nil, false
		case p == nil:
		case found == nil:
			found = p
		case !reflect.DeepEqual(found, p):
			return nil, false
		}
	}
	return found, true
}

// united is what members may read together: the rows that one of them may, and
// of each row the columns that are granted by one whose filter the row passes.
func united(t *model.Table, members []*Table) *Select {
	var all []*Select
	for _, member := range members {
		if member.Select != nil {
			all = append(all, member.Select)
		}
	}
	if len(all) <= 1 {
		if len(all) == 0 {
			return nil
		}
		return all[0]
	}
	out := &Select{Columns: ColumnSet{}, Limit: all[0].Limit}
	var filters []filter.Expr
	for _, s := range all {
		filters = append(filters, s.Filter)
		for name := range s.Columns {
			out.Columns[name] = true
		}
		if s.Limit == 0 || out.Limit == 0 {
			out.Limit = 0 // no limit is the highest
		} else {
			out.Limit = max(out.Limit, s.Limit)
		}
		out.Aggregations = out.Aggregations || s.Aggregations
		out.granted, out.grantedSubscription = out.granted.or(s.granted), out.grantedSubscription.or(s.grantedSubscription)
	}
	out.Filter = anyOf(filters)
	for name := range out.Columns {
		if cases := unitedCell(name, all); cases != nil {
			if out.cells == nil {
				out.cells = map[string][]filter.Case{}
			}
			out.cells[name] = cases
		}
	}
	out.roots(t)
	return out
}

// unitedCell is what is seen of a column: the most that a member shows whose
// filter the row passes. Nil when every member shows it as it is, or one of them
// in all rows.
func unitedCell(name string, all []*Select) []filter.Case {
	whens := map[filter.Mask][]filter.Expr{}
	grants := 0
	for _, s := range all {
		if !s.Columns[name] {
			continue
		}
		cases := s.cells[name]
		if cases == nil {
			cases = []filter.Case{{When: filter.True, Mask: filter.Plain}}
			grants++
		}
		for _, one := range cases {
			whens[one.Mask] = append(whens[one.Mask], filter.Both(s.Filter, one.When))
		}
	}
	if grants == len(all) {
		return nil // whoever lets the row pass shows the column
	}
	var out []filter.Case
	for _, mask := range []filter.Mask{filter.Plain, filter.Partial, filter.Hash} {
		if len(whens[mask]) == 0 {
			continue
		}
		when := anyOf(whens[mask])
		if mask == filter.Plain && filter.IsTrue(when) {
			return nil
		}
		out = append(out, filter.Case{When: when, Mask: mask})
		if filter.IsTrue(when) {
			return out
		}
	}
	if out == nil {
		out = []filter.Case{{When: filter.True, Mask: filter.Hidden}}
	}
	return out
}

// anyOf is the disjunction of expressions, each once.
func anyOf(all []filter.Expr) filter.Expr {
	var out filter.Or
	for _, e := range all {
		if filter.IsTrue(e) {
			return filter.True
		}
		if !filter.IsFalse(e) && !slices.ContainsFunc(out, func(other filter.Expr) bool { return reflect.DeepEqual(other, e) }) {
			out = append(out, e)
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}
