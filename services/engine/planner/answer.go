package planner

import (
	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// answered is a column as a response has it.
func (p *planner) answered(t *model.Table, c *model.Column, f *operation.Field, path string) (plan.Column, error) {
	out := p.read(t, c).Answered(c.Base, p.schema.StringifiesNumbers())
	out.Upper = c.Enum != nil && c.Enum.Renamed
	in, ok := p.argument(f.Arguments, schema.Path)
	if !ok || in.null() {
		return out, nil
	}
	at, err := jsonPath(in, path+".args.path")
	out.Path = at
	return out, err
}

// jsonPath is the argument path of a json column as a parameter.
func jsonPath(in input, path string) (*filter.Param, error) {
	steps := listOf(textType)
	if in.literal == nil {
		return &filter.Param{From: filter.Variable, Name: in.variable, Path: in.path, Type: steps, JSONPath: true}, nil
	}
	text, err := plan.JSONPath(in.symbol())
	if err != nil {
		return nil, errcode.New(errcode.ParseFailed, "parse json path error: %s", err.Error()).At(path)
	}
	return &filter.Param{From: filter.Literal, Name: text, Type: steps}, nil
}
