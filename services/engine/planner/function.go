package planner

import (
	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// otherRoot plans a root field of a function or native query. A function under
// the mutation root runs in the transaction of its neighbours.
func (p *planner) otherRoot(out *plan.Field, root schema.RootField, f *operation.Field, path string) error {
	if q := root.Native; q != nil {
		out.Resource = plan.Resource{Kind: "native_query", Source: q.Source, Name: q.Metadata.RootField}
		s, err := p.nativeRows(q, true, f, path)
		out.Select = s
		out.Resource.Columns = out.Columns()
		return err
	}
	fn := root.Function
	out.Resource = plan.Resource{Kind: "function", Source: fn.Source, Schema: fn.Name.Schema, Name: fn.Name.Name}
	call, err := p.call(&fn.Callable, f, path)
	if err != nil {
		return err
	}
	var s *plan.Select
	switch {
	case root.Kind == schema.FunctionAggregate:
		s, err = p.aggregate(fn.Target, f, path)
	case root.Kind == schema.FunctionConnection:
		s, err = p.connection(fn.Target, f, path)
	case fn.Set:
		s, err = p.list(fn.Target, f, path)
	default:
		if s, err = p.rows(fn.Target, f, path); err == nil {
			s.Shape = plan.Object
		}
	}
	if err != nil {
		return err
	}
	s.Comes(&plan.From{Function: call, One: !fn.Set})
	out.Select = s
	out.Resource.Columns = out.Columns()
	if fn.Mutation {
		out.Select, out.Call = nil, s
	}
	return nil
}

// call is the call of a function with the arguments that the client gives.
func (p *planner) call(c *model.Callable, f *operation.Field, path string) (*filter.Function, error) {
	own := access.CallOf(c)
	given, err := p.given(f)
	if err != nil {
		return nil, err
	}
	out := &filter.Function{Name: c.Name}
	for i, a := range c.Arguments {
		if a.From != model.Given {
			out.Arguments = append(out.Arguments, own.Arguments[0])
			own.Arguments = own.Arguments[1:]
			continue
		}
		in, ok := given[a.Name]
		switch {
		case !ok && a.Default:
			continue
		case !ok:
			return nil, errcode.New(errcode.NotSupported, "Non default arguments cannot be omitted: '%s'", a.Name).At(path + ".args.args")
		case a.StoredName() == "" && len(out.Arguments) < i:
			return nil, errcode.New(errcode.ValidationFailed, "'%s' can't be given without the arguments before it", a.Name).At(path + ".args.args." + a.Name)
		}
		v, err := in.param(a.Type, path+".args.args."+a.Name)
		if err != nil {
			return nil, err
		}
		out.Arguments = append(out.Arguments, filter.Argument{At: i, Name: a.StoredName(), Value: v})
	}
	return out, nil
}

// given are the members of the argument args.
func (p *planner) given(f *operation.Field) (map[string]input, error) {
	out := map[string]input{}
	in, ok := p.argument(f.Arguments, schema.Args)
	if !ok || in.null() {
		return out, nil
	}
	for _, member := range in.fields() {
		out[member.name] = member.in
	}
	return out, nil
}

// derived plans a field that is neither a column nor a relationship between
// tables; false when there is none of its name.
func (p *planner) derived(t *model.Table, f *operation.Field, path string) (plan.Output, bool, error) {
	out := plan.Output{Key: f.Key}
	var err error
	if c, ok := t.Computed(f.Name); ok {
		if c.Value != nil {
			out.Column, err = p.computed(t, c, f, path)
		} else {
			out.Nested, err = p.computedRows(c, f, path)
		}
		return out, true, err
	}
	if r, ok := t.NativeRelationship(f.Name); ok {
		if out.Nested, err = p.nativeRows(r.Query, r.Array, f, path); err == nil {
			out.Nested.On = pairs(r.Mapping)
		}
		return out, true, err
	}
	if t.Logical == nil {
		return out, false, nil
	}
	m, ok := t.Logical.Member(f.Name)
	if ok {
		out.Nested, err = p.inside(m, f, path)
	}
	return out, ok, err
}

// computed is a scalar computed field as a response has it. Its name is its own
// among the fields of the row: each may have other arguments.
func (p *planner) computed(t *model.Table, c *model.ComputedField, f *operation.Field, path string) (*plan.Column, error) {
	column, err := p.answered(t, c.Value, f, path)
	if err != nil {
		return nil, err
	}
	if column.Of, err = p.call(&c.Callable, f, path); !c.Plain() {
		column.Name += "\x00" + f.Key
	}
	return &column, err
}

func (p *planner) computedRows(c *model.ComputedField, f *operation.Field, path string) (*plan.Select, error) {
	call, err := p.call(&c.Callable, f, path)
	if err != nil {
		return nil, err
	}
	s, err := p.list(c.Target, f, path)
	if err != nil {
		return nil, err
	}
	s.From = &plan.From{Function: call}
	return s, nil
}

// sorted is a scalar computed field to sort by.
func (p *planner) sorted(t *model.Table, name string) (plan.Column, bool) {
	c, ok := t.Computed(name)
	if !ok || c.Value == nil || !c.Plain() {
		return plan.Column{}, false
	}
	column := p.read(t, c.Value)
	column.Of = access.CallOf(&c.Callable)
	return column, true
}

// whereComputed compiles a condition on a computed field; false when there is
// none of its name that can be in a condition.
func (p *planner) whereComputed(t *model.Table, f field, path string) (filter.Expr, bool, error) {
	c, ok := t.Computed(f.name)
	if !ok || !c.Plain() {
		return nil, false, nil
	}
	call := access.CallOf(&c.Callable)
	if c.Value != nil {
		operand := p.operand(t, c.Value)
		operand.Of = call
		e, err := p.comparisons(c.Value, operand, f.in, path)
		return e, true, err
	}
	if f.in.null() {
		e, err := p.nullCondition(c.Target.TypeName("_bool_exp"), path)
		return e, true, err
	}
	allowed := p.role.Table(c.Target).Select
	if allowed == nil {
		return nil, false, nil
	}
	inner, err := p.where(c.Target, f.in, path)
	return filter.Exists{Table: c.Target.Name, From: call, Where: filter.Both(allowed.Filter, inner)}, true, err
}
