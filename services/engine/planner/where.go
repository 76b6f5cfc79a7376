package planner

import (
	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// where compiles a client's bool_exp over a table. Relationships carry the
// role's own filter on their target, so that a where can't ask about rows that
// the role can't see.
func (p *planner) where(t *model.Table, in input, path string) (filter.Expr, error) {
	if in.null() {
		return filter.True, nil
	}
	var all filter.And
	for _, f := range in.fields() {
		e, err := p.whereField(t, f, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		if !filter.IsTrue(e) {
			all = append(all, e)
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *planner) whereField(t *model.Table, f field, path string) (filter.Expr, error) {
	switch f.name {
	case "_and", "_or":
		if f.in.null() {
			return nil, unexpectedNull(t.Type+"_bool_exp", path)
		}
		items, err := p.whereList(t, f.in, path)
		if f.name == "_and" {
			return filter.And(items), err
		}
		return filter.Or(items), err
	case "_not":
		if f.in.null() {
			return nil, unexpectedNull(t.Type+"_bool_exp", path)
		}
		e, err := p.where(t, f.in, path)
		return filter.Not{Of: e}, err
	}
	if r, ok := t.Relationship(f.name); ok {
		return p.whereRelationship(r, f.in, path)
	}
	c, ok := t.Column(f.name)
	if !ok { // validated before: a schema that offers more than the model has is a bug
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s_bool_exp'", f.name, t.Type).At(path)
	}
	return p.comparisons(c, f.in, path)
}

func (p *planner) whereList(t *model.Table, in input, path string) ([]filter.Expr, error) {
	items := []filter.Expr{}
	for _, item := range in.items() {
		e, err := p.where(t, item, path)
		if err != nil {
			return nil, err
		}
		items = append(items, e)
	}
	return items, nil
}

func (p *planner) whereRelationship(r *model.Relationship, in input, path string) (filter.Expr, error) {
	if in.null() {
		return nil, unexpectedNull(r.Target.Type+"_bool_exp", path)
	}
	inner, err := p.where(r.Target, in, path)
	if err != nil {
		return nil, err
	}
	allowed := p.role.Table(r.Target).Select
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", r.Name).At(path)
	}
	return filter.Exists{Table: r.Target.Name, On: pairs(r.Mapping), Where: filter.Both(allowed.Filter, inner)}, nil
}

// textType is what patterns and keys are read as, whatever the column is.
var textType = catalog.TypeRef{Schema: "pg_catalog", Name: "text"}

// operatorType says how the right side of an operator is read; operators that
// are not listed take the column's own type.
var operatorType = map[filter.Op]func(column catalog.TypeRef) catalog.TypeRef{
	filter.In: listOf, filter.NotIn: listOf,
	filter.Like: textOnly, filter.NotLike: textOnly, filter.ILike: textOnly, filter.NotILike: textOnly,
	filter.Similar: textOnly, filter.NotSimilar: textOnly,
	filter.Regex: textOnly, filter.NotRegex: textOnly, filter.IRegex: textOnly, filter.NotIRegex: textOnly,
	filter.HasKey: textOnly, filter.HasKeysAny: textList, filter.HasKeysAll: textList,
}

func listOf(t catalog.TypeRef) catalog.TypeRef { t.Dimensions++; return t }

func textOnly(catalog.TypeRef) catalog.TypeRef { return textType }

func textList(catalog.TypeRef) catalog.TypeRef { return listOf(textType) }

func (p *planner) comparisons(c *model.Column, in input, path string) (filter.Expr, error) {
	if in.null() {
		return nil, unexpectedNull(c.Scalar+"_comparison_exp", path)
	}
	column := filter.Column{Name: c.StoredName(), Type: c.Type}
	var all filter.And
	for _, f := range in.fields() {
		e, err := p.comparison(c, column, f, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *planner) comparison(c *model.Column, column filter.Column, f field, path string) (filter.Expr, error) {
	if f.in.null() {
		return nil, unexpectedNull(c.Scalar, path)
	}
	if f.name == "_is_null" {
		return filter.IsNull{Of: column, Negated: !f.in.boolean()}, nil
	}
	op := filter.Op(f.name[1:])
	t := c.Type
	if special, ok := operatorType[op]; ok {
		t = special(t)
	}
	if (op == filter.In || op == filter.NotIn) && c.List() {
		return p.memberOfLists(column, op, f.in, path)
	}
	if op == filter.In || op == filter.NotIn {
		for _, item := range f.in.items() {
			if item.null() {
				return nil, unexpectedNull(c.Scalar, path)
			}
		}
	}
	value, err := f.in.param(t, path)
	if err != nil {
		return nil, err
	}
	return filter.Compare{Left: column, Op: op, Right: value}, nil
}

// memberOfLists is _in over an array column: Postgres has no array of arrays of
// different lengths, so each element is a comparison of its own.
func (p *planner) memberOfLists(column filter.Column, op filter.Op, in input, path string) (filter.Expr, error) {
	items := []filter.Expr{}
	each := filter.Eq
	if op == filter.NotIn {
		each = filter.Neq
	}
	for _, item := range in.items() {
		value, err := item.param(column.Type, path)
		if err != nil {
			return nil, err
		}
		items = append(items, filter.Compare{Left: column, Op: each, Right: value})
	}
	if op == filter.NotIn {
		return filter.And(items), nil
	}
	return filter.Or(items), nil
}

func unexpectedNull(typeName, path string) error {
	return errcode.New(errcode.ValidationFailed, "unexpected null value for type '%s'", typeName).At(path)
}

func pairs(mapping []model.Pair) []filter.Pair {
	out := make([]filter.Pair, len(mapping))
	for i, m := range mapping {
		out[i] = filter.Pair{Outer: m.Local, Inner: m.Remote}
	}
	return out
}
