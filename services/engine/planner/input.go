package planner

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
)

// input is an argument's value, wherever it stands: a literal of the operation,
// a variable, or a place inside a variable. The planner reads its structure;
// scalars become parameters.
type input struct {
	literal *ast.Value // nil when the value comes from a variable
	vars    map[string]any

	variable string
	path     []any
	value    any
	present  bool
}

// field is one member of an input object.
type field struct {
	name string
	in   input
}

func (p *planner) argument(args ast.ArgumentList, name string) (input, bool) {
	a := args.ForName(name)
	if a == nil { // as a source in camel case writes it
		if a = args.ForName(schema.CamelCase(name)); a == nil {
			return input{}, false
		}
	}
	in := newInput(a.Value, p.vars)
	return in, in.present
}

func newInput(v *ast.Value, vars map[string]any) input {
	if v.Kind == ast.Variable {
		value, ok := vars[v.Raw]
		return input{vars: vars, variable: v.Raw, value: value, present: ok}
	}
	return input{literal: v, vars: vars, present: true}
}

func (in input) child(key, value any) input {
	path := append(slices.Clone(in.path), key)
	return input{vars: in.vars, variable: in.variable, path: path, value: value, present: true}
}

// null reports an explicit null.
func (in input) null() bool {
	if in.literal != nil {
		return in.literal.Kind == ast.NullValue
	}
	return in.value == nil
}

// fields are the members of an object: in the order of the text, or sorted for
// a variable, whose JSON has no order. Members that are absent variables are
// left out.
func (in input) fields() []field {
	var out []field
	if in.literal != nil {
		for _, c := range in.literal.Children {
			if child := newInput(c.Value, in.vars); child.present {
				out = append(out, field{c.Name, child})
			}
		}
		return out
	}
	object, _ := in.value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		out = append(out, field{name, in.child(name, object[name])})
	}
	return out
}

func (in input) field(name string) (input, bool) {
	for _, f := range in.fields() {
		if f.name == name {
			return f.in, true
		}
	}
	for _, f := range in.fields() {
		if schema.Canonical(f.name) == name {
			return f.in, true
		}
	}
	return input{}, false
}

// items are the elements of a list; a single value is a list of one.
func (in input) items() []input {
	if in.literal != nil {
		if in.literal.Kind != ast.ListValue {
			return []input{in}
		}
		var out []input
		for _, c := range in.literal.Children {
			if child := newInput(c.Value, in.vars); child.present {
				out = append(out, child)
			}
		}
		return out
	}
	list, ok := in.value.([]any)
	if !ok {
		return []input{in}
	}
	out := make([]input, len(list))
	for i, v := range list {
		out[i] = in.child(i, v)
	}
	return out
}

// symbol is an enum value (or a string).
func (in input) symbol() string {
	if in.literal != nil {
		return in.literal.Raw
	}
	s, _ := in.value.(string)
	return s
}

// boolean is a Boolean; its value shapes the plan.
func (in input) boolean() bool {
	if in.literal != nil {
		return in.literal.Raw == "true"
	}
	b, _ := in.value.(bool)
	return b
}

// param makes the value a parameter of type t.
func (in input) param(t catalog.TypeRef, path string) (filter.Param, error) {
	if in.null() {
		return filter.Param{From: filter.Null, Type: t}, nil
	}
	if in.literal == nil {
		return filter.Param{From: filter.Variable, Name: in.variable, Path: in.path, Type: t}, nil
	}
	if mentionsVariable(in.literal) {
		if in.literal.Kind == ast.ListValue && t.Array() {
			return in.arrayParam(t, path)
		}
		return document(in.literal, in.vars, t), nil
	}
	text, err := plan.Text(literalValue(in.literal), t)
	if err != nil {
		return filter.Param{}, errcode.New(errcode.ValidationFailed, "the value has the wrong form for type %q", t.Name).At(path).Because(err)
	}
	return filter.Param{From: filter.Literal, Name: text, Type: t}, nil
}

// arrayParam is a list with variables among its elements.
func (in input) arrayParam(t catalog.TypeRef, path string) (filter.Param, error) {
	out := filter.Param{From: filter.Array, Type: t}
	for _, item := range in.items() {
		p, err := item.param(t.Element(), path)
		if err != nil {
			return filter.Param{}, err
		}
		out.Items = append(out.Items, p)
	}
	return out, nil
}

func mentionsVariable(v *ast.Value) bool {
	if v.Kind == ast.Variable {
		return true
	}
	for _, c := range v.Children {
		if mentionsVariable(c.Value) {
			return true
		}
	}
	return false
}

// literalValue decodes a literal without variables to what JSON would have given.
func literalValue(v *ast.Value) any {
	switch v.Kind {
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw)
	case ast.StringValue, ast.BlockValue, ast.EnumValue:
		return v.Raw
	case ast.BooleanValue:
		return v.Raw == "true"
	case ast.ListValue:
		out := make([]any, len(v.Children))
		for i, c := range v.Children {
			out[i] = literalValue(c.Value)
		}
		return out
	case ast.ObjectValue:
		out := make(map[string]any, len(v.Children))
		for _, c := range v.Children {
			out[c.Name] = literalValue(c.Value)
		}
		return out
	}
	return nil
}
