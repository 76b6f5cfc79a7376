package jsonquery

import (
	"fmt"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// orderItem is one key of order_by.
type orderItem struct {
	path       []string
	descending bool
	nullsFirst bool
}

// orderBy plans order_by: "+column", {column, type, nulls}, or a list of them.
// A column may lie behind object relationships, as author.name.
func (p *planning) orderBy(t *model.Table, value any, at place) ([]plan.Order, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var out []plan.Order
	for i, v := range list {
		item, err := readOrder(v, at.form+".order_by")
		if err != nil {
			return nil, err
		}
		key, err := p.orderKey(t, item, fmt.Sprintf("%s.order_by[%d]", at.at, i))
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

func readOrder(value any, path string) (orderItem, error) {
	var item orderItem
	switch v := value.(type) {
	case string:
		name, descending := strings.CutPrefix(v, "-")
		if !descending {
			name = strings.TrimPrefix(v, "+")
		}
		item = orderItem{strings.Split(name, "."), descending, descending}
	case map[string]any:
		switch column := v["column"].(type) {
		case string:
			item.path = strings.Split(column, ".")
		case []any:
			for _, part := range column {
				name, _ := part.(string)
				item.path = append(item.path, name)
			}
		default:
			return item, missing("column")
		}
		switch v["type"] {
		case nil, "asc":
		case "desc":
			item.descending, item.nullsFirst = true, true
		default:
			return item, wrongForm(path+".type", "asc or desc")
		}
		switch v["nulls"] {
		case nil:
		case "first", "last":
			item.nullsFirst = v["nulls"] == "first"
		default:
			return item, wrongForm(path+".nulls", "first or last")
		}
	default:
		return item, wrongForm(path, "a column, {column, type, nulls}, or a list of them")
	}
	if len(item.path) == 0 || strings.Join(item.path, "") == "" {
		return item, wrongForm(path, "the name of a column")
	}
	return item, nil
}

// orderKey follows the relationships to the column. Each of them leads to rows
// that the role may read.
func (p *planning) orderKey(t *model.Table, item orderItem, path string) (plan.Order, error) {
	out := plan.Order{Descending: item.descending, NullsFirst: item.nullsFirst}
	last := len(item.path) - 1
	for _, name := range item.path[:last] {
		r, ok := t.Relationship(name)
		switch {
		case !ok && p.Role.Admin:
			return out, unsortable(t, name, path)
		case !ok || p.Role.Table(r.Target).Select == nil:
			return out, errcode.New(errcode.PermissionDenied, "role %q does not have permission to read relationship %q", p.Role.Name, name).At(path)
		case r.Array:
			return out, errcode.New(errcode.UnexpectedPayload, "%q is an array relationship and can't be used in 'order_by'", name).At(path)
		}
		hop := plan.Hop{Table: r.Target.Name, Where: p.Role.Table(r.Target).Select.Filter}
		for _, pair := range r.Mapping {
			hop.On = append(hop.On, filter.Pair{Outer: pair.Local, Inner: pair.Remote})
		}
		out.Path = append(out.Path, hop)
		t = r.Target
	}
	name := item.path[last]
	c, ok := t.Stored(name)
	switch {
	case ok && p.Role.Reads(t, c):
	case p.Role.Admin:
		return out, unsortable(t, name, path)
	default:
		return out, p.unreadable(name, path)
	}
	if c.Base.Name == "geometry" || c.Base.Name == "geography" {
		return out, errcode.New(errcode.UnexpectedPayload, "%q has type 'geometry' and cannot be used in order_by", name).At(path)
	}
	out.Column = p.read(t, c)
	return out, nil
}

// unsortable tells an admin why a name is none to sort by.
func unsortable(t *model.Table, name, path string) error {
	if _, ok := t.Relationship(name); ok {
		return errcode.New(errcode.UnexpectedPayload, "%q is a relationship and should be expanded", name).At(path)
	}
	if _, ok := t.Stored(name); ok {
		return errcode.New(errcode.UnexpectedPayload, "%q is a Postgres column and cannot be chained further", name).At(path)
	}
	return errcode.New(errcode.NotExists, "%q does not exist", name).At(path)
}
