package access

import (
	"maps"
	"slices"

	"tenantry/policy/filter"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

var masks = map[metadata.Mask]filter.Mask{
	metadata.MaskPartial: filter.Partial, metadata.MaskHash: filter.Hash, metadata.MaskNull: filter.Hidden,
}

// masks resolves the masks of a permission. One that shows part of a text needs a
// text.
func (c *compiler) masks(list map[string]metadata.Mask, columns ColumnSet) map[string][]filter.Case {
	var cells map[string][]filter.Case
	for _, name := range slices.Sorted(maps.Keys(list)) {
		column, ok := c.table.Stored(name)
		mask := masks[list[name]]
		switch {
		case !ok:
			c.fail("masks", "column %q does not exist in %s", name, c.where())
			continue
		case !columns.Has(column):
			c.fail("masks", "column %q is not among the columns of the permission", name)
			continue
		case mask != filter.Hidden && (column.Category != "S" || column.List()):
			c.fail("masks", "the mask %q does not fit column %q of %s, which is of type %s; expected null", mask, name, c.where(), column.Type.Name)
			continue
		}
		if cells == nil {
			cells = map[string][]filter.Case{}
		}
		cells[name] = []filter.Case{{When: filter.True, Mask: mask}}
	}
	return cells
}

var allRoots = RootFields{Select: true, SelectByPK: true, SelectAggregate: true, SelectStream: true}

// rootFields reads a list of root fields; nil means all.
func rootFields(list *[]string) RootFields {
	if list == nil {
		return allRoots
	}
	has := func(root string) bool { return slices.Contains(*list, root) }
	return RootFields{
		Select: has("select"), SelectByPK: has("select_by_pk"), SelectAggregate: has("select_aggregate"), SelectStream: has("select_stream"),
	}
}

// roots finds which of the granted root fields the role can have: by key only
// when it sees the key, aggregates only when it may aggregate.
func (s *Select) roots(t *model.Table) {
	key := len(t.PrimaryKey) > 0
	for _, column := range t.PrimaryKey {
		key = key && s.Columns.Has(column)
	}
	can := RootFields{Select: true, SelectByPK: key, SelectAggregate: s.Aggregations, SelectStream: true}
	s.Roots, s.SubscriptionRoots = s.granted.and(can), s.grantedSubscription.and(can)
}

func (f RootFields) and(o RootFields) RootFields {
	return RootFields{
		f.Select && o.Select, f.SelectByPK && o.SelectByPK, f.SelectAggregate && o.SelectAggregate, f.SelectStream && o.SelectStream,
	}
}

func (f RootFields) or(o RootFields) RootFields {
	return RootFields{
		f.Select || o.Select, f.SelectByPK || o.SelectByPK, f.SelectAggregate || o.SelectAggregate, f.SelectStream || o.SelectStream,
	}
}
