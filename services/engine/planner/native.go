package planner

import (
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// nativeRows plans a field whose rows a native query yields: a list with the
// select arguments, or one of them.
func (p *planner) nativeRows(q *model.NativeQuery, list bool, f *operation.Field, path string) (*plan.Select, error) {
	given, err := p.given(f)
	if err != nil {
		return nil, err
	}
	from := &plan.From{}
	for _, part := range q.Code {
		value, err := nativeValue(q, part, given, path)
		if err != nil {
			return nil, err
		}
		from.Native = append(from.Native, plan.NativePart{Text: part.Text, Value: value})
	}
	var s *plan.Select
	if list {
		s, err = p.list(q.Target, f, path)
	} else if s, err = p.rows(q.Target, f, path); err == nil {
		s.Shape = plan.Object
	}
	if err != nil {
		return nil, err
	}
	s.From = from
	return s, nil
}

// nativeValue is what stands at a placeholder; nil for text.
func nativeValue(q *model.NativeQuery, part model.CodePart, given map[string]input, path string) (*filter.Param, error) {
	switch {
	case part.Session != "":
		return &filter.Param{From: filter.Session, Name: part.Session, Type: textType}, nil
	case part.Argument == "":
		return nil, nil
	}
	a, _ := q.Argument(part.Argument) // the model has only declared ones
	in, ok := given[a.Name]
	if !ok {
		return &filter.Param{From: filter.Null, Type: a.Type}, nil
	}
	v, err := in.param(a.Type, path+".args.args."+a.Name)
	return &v, err
}

var jsonbType = catalog.TypeRef{Schema: "pg_catalog", Name: "jsonb"}

// inside plans a field of a logical model that holds objects of another one.
func (p *planner) inside(m *model.ModelMember, f *operation.Field, path string) (*plan.Select, error) {
	s, err := p.rows(m.Target, f, path)
	if err != nil {
		return nil, err
	}
	s.Limit = nil
	if !m.Array {
		s.Shape = plan.Object
	}
	s.From = &plan.From{Column: m.Name}
	for _, c := range m.Target.Columns {
		s.From.Members = append(s.From.Members, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	for _, inner := range m.Target.Logical.Members {
		s.From.Members = append(s.From.Members, plan.Column{Name: inner.Name, Type: jsonbType})
	}
	return s, nil
}
