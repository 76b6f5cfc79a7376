package planner

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// aggregate plans B_aggregate: a root field, or that of an array relationship.
// The role's row limit bounds its nodes, never its values.
func (p *planner) aggregate(t *model.Table, f *operation.Field, path string) (*plan.Select, error) {
	allowed := p.role.Table(t).Select
	if allowed == nil || !allowed.Aggregations {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	s := &plan.Select{Source: t.Source, Table: t.Name, Shape: plan.Aggregated, Where: allowed.Filter}
	if err := p.selectArguments(s, t, f.Arguments, path+".args"); err != nil {
		return nil, err
	}
	s.Aggregate = &plan.Aggregate{}
	typeName := t.TypeName("_aggregate")
	for _, m := range p.op.Fields(f.Selections, p.vars, typeName) {
		member, err := p.aggregateMember(t, s, m, path+".selectionSet."+m.Name)
		if err != nil {
			return nil, err
		}
		s.Aggregate.Members = append(s.Aggregate.Members, member)
	}
	return s, nil
}

func (p *planner) aggregateMember(t *model.Table, s *plan.Select, m *operation.Field, path string) (plan.AggregateMember, error) {
	out := plan.AggregateMember{Key: m.Key}
	switch m.Name {
	case "__typename":
		name := t.TypeName("_aggregate")
		out.Text = &name
		return out, nil
	case schema.Nodes:
		nodes := *s
		nodes.Shape = plan.List
		var err error
		if nodes.Output, err = p.output(t, m.Selections, path); err != nil {
			return out, err
		}
		if allowed := p.role.Table(t).Select; allowed.Limit > 0 {
			nodes.Limit = append([]plan.Bound{{Number: allowed.Limit}}, s.Limit...)
		}
		out.Nodes = &nodes
		return out, nil
	}
	values, err := p.aggregateValues(t, m.Selections, path)
	out.Values = values
	return out, err
}

// aggregateValues plans the functions of B_aggregate_fields.
func (p *planner) aggregateValues(t *model.Table, set ast.SelectionSet, path string) ([]plan.AggregateValue, error) {
	out := []plan.AggregateValue{}
	typeName := t.TypeName("_aggregate_fields")
	for _, f := range p.op.Fields(set, p.vars, typeName) {
		v := plan.AggregateValue{Key: f.Key}
		var err error
		switch f.Name {
		case "__typename":
			v.Text = &typeName
		case schema.Count:
			err = p.count(t, &v, f, path+".selectionSet.count")
		default:
			err = p.function(t, &v, f, path+".selectionSet."+f.Name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (p *planner) count(t *model.Table, v *plan.AggregateValue, f *operation.Field, path string) error {
	v.Function = schema.Count
	if in, ok := p.argument(f.Arguments, schema.Columns); ok && !in.null() {
		columns, err := p.chosenColumns(t, in, path+".args.columns")
		if err != nil {
			return err
		}
		v.Columns = columns
	}
	if in, ok := p.argument(f.Arguments, schema.Distinct); ok {
		v.Distinct = in.boolean()
	}
	return nil
}

// chosenColumns are the columns of a list of B_select_column.
func (p *planner) chosenColumns(t *model.Table, in input, path string) ([]plan.Column, error) {
	var out []plan.Column
	for _, item := range in.items() {
		c, ok := t.Column(item.symbol())
		if !ok {
			return nil, errcode.New(errcode.ValidationFailed, "column '%s' not found in table '%s'", item.symbol(), t.Type).At(path)
		}
		out = append(out, p.read(t, c))
	}
	return out, nil
}

func (p *planner) function(t *model.Table, v *plan.AggregateValue, f *operation.Field, path string) error {
	function, ok := schema.AggregateFunction(t.Naming, f.Name)
	if !ok {
		return errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", f.Name, t.TypeName("_aggregate_fields")).At(path)
	}
	v.Function = function
	v.Fields = []plan.AggregateField{}
	typeName := t.TypeName("_" + function + "_fields")
	for _, field := range p.op.Fields(f.Selections, p.vars, typeName) {
		if field.Name == "__typename" {
			v.Fields = append(v.Fields, plan.AggregateField{Key: field.Key, Text: &typeName})
			continue
		}
		c, ok := t.Column(field.Name)
		if !ok {
			return errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", field.Name, typeName).At(path)
		}
		column := p.read(t, c)
		column.AsText = p.schema.StringifiesNumbers() && plan.Large(c.Base)
		v.Fields = append(v.Fields, plan.AggregateField{Key: field.Key, Column: &column})
	}
	return nil
}

// orderByAggregate plans the sort keys of B_aggregate_order_by.
func (p *planner) orderByAggregate(r *model.Relationship, hops []plan.Hop, in input, path string) ([]plan.Order, error) {
	allowed := p.role.Table(r.Target).Select
	if allowed == nil || !allowed.Aggregations {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", r.AggregateName).At(path)
	}
	of := plan.Hop{Table: r.Target.Name, On: pairs(r.Mapping), Where: allowed.Filter}
	var out []plan.Order
	for _, f := range in.fields() {
		if f.in.null() {
			continue
		}
		if f.name == schema.Count {
			key := orderKey(hops, plan.Column{}, direction(f.in))
			key.Aggregate = &plan.OrderAggregate{Of: of, Function: schema.Count}
			out = append(out, key)
			continue
		}
		function, ok := schema.AggregateFunction(r.Target.Naming, f.name)
		if !ok {
			return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.name).At(path)
		}
		for _, column := range f.in.fields() {
			c, ok := r.Target.Column(column.name)
			if !ok {
				return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", column.name).At(path)
			}
			if column.in.null() {
				continue
			}
			key := orderKey(hops, p.read(r.Target, c), direction(column.in))
			key.Aggregate = &plan.OrderAggregate{Of: of, Function: function}
			out = append(out, key)
		}
	}
	return out, nil
}

// whereAggregate compiles a condition on the aggregate of related rows.
func (p *planner) whereAggregate(r *model.Relationship, in input, path string) (filter.Expr, error) {
	t := r.Target
	allowed := p.role.Table(t).Select
	if allowed == nil || !allowed.Aggregations {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", r.AggregateName).At(path)
	}
	if in.null() {
		return nil, unexpectedNull(t.TypeName("_aggregate_bool_exp"), path)
	}
	var all filter.And
	for _, f := range in.fields() {
		if f.in.null() {
			return nil, unexpectedNull(t.TypeName("_aggregate_bool_exp_"+f.name), path+"."+f.name)
		}
		e, err := p.aggregateCondition(r, allowed.Filter, f, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) != 1 {
		return nil, errcode.New(errcode.ValidationFailed, "exactly one value should be specified in input fields").At(path)
	}
	return all[0], nil
}

func (p *planner) aggregateCondition(r *model.Relationship, rows filter.Expr, f field, path string) (filter.Expr, error) {
	t := r.Target
	of := filter.Aggregate{Table: t.Name, On: pairs(r.Mapping), Where: rows, Function: schema.Canonical(f.name), Type: integer}
	if of.Function != schema.Count {
		of.Type = truth
	}
	if in, ok := f.in.field(schema.Arguments); ok && !in.null() {
		columns, err := p.chosenColumns(t, in, path+".arguments")
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			of.Columns = append(of.Columns, filter.Column{Name: c.Name, Type: c.Type, Cases: c.Cases})
		}
	}
	if in, ok := f.in.field(schema.Distinct); ok && !in.null() {
		of.Distinct = in.boolean()
	}
	if in, ok := f.in.field(schema.Filter); ok && !in.null() {
		where, err := p.where(t, in, path+".filter")
		if err != nil {
			return nil, err
		}
		of.Where = filter.Both(of.Where, where)
	}
	in, ok := f.in.field(schema.Predicate)
	if !ok || in.null() {
		return nil, unexpectedNull("Int_comparison_exp", path+".predicate")
	}
	return p.compareOperand(of, of.Type, "Int", in, path+".predicate")
}
