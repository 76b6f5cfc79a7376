package planner

import (
	"tenantry/api/errcode"
	"tenantry/policy/filter"
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
			return p.nullCondition(t.TypeName("_bool_exp"), path)
		}
		items, err := p.whereList(t, f.in, path)
		if f.name == "_and" {
			return filter.And(items), err
		}
		return filter.Or(items), err
	case "_not":
		if f.in.null() {
			return p.nullCondition(t.TypeName("_bool_exp"), path)
		}
		e, err := p.where(t, f.in, path)
		return filter.Not{Of: e}, err
	}
	if r, ok := t.Relationship(f.name); ok {
		return p.whereRelationship(r, f.in, path)
	}
	if r, ok := t.Aggregated(f.name); ok {
		return p.whereAggregate(r, f.in, path)
	}
	if e, ok, err := p.whereComputed(t, f, path); ok {
		return e, err
	}
	c, ok := t.Column(f.name)
	if !ok { // validated before: a schema that offers more than the model has is a bug
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s_bool_exp'", f.name, t.Type).At(path)
	}
	return p.comparisons(c, p.operand(t, c), f.in, path)
}

func (p *planner) whereList(t *model.Table, in input, path string) ([]filter.Expr, error) {
	items := []filter.Expr{}
	for _, item := range in.items() {
		if err := p.piece(path); err != nil {
			return nil, err
		}
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
		return p.nullCondition(r.Target.TypeName("_bool_exp"), path)
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

func pairs(mapping []model.Pair) []filter.Pair {
	out := make([]filter.Pair, len(mapping))
	for i, m := range mapping {
		out[i] = filter.Pair{Outer: m.Local, Inner: m.Remote}
	}
	return out
}
