package planner

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
)

// arguments keeps the supplied arguments of a root field with their variables,
// which the executor puts in.
func arguments(f *operation.Field) []plan.Argument {
	var out []plan.Argument
	for _, a := range f.Arguments {
		var t *ast.Type
		if f.Definition != nil {
			if d := f.Definition.Arguments.ForName(a.Name); d != nil {
				t = d.Type
			}
		}
		out = append(out, plan.Argument{Name: a.Name, Value: value(a.Value, t)})
	}
	return out
}

// value turns a literal into a plan's value. A single value where a list is
// wanted becomes a list of one, as the specification says.
func value(v *ast.Value, t *ast.Type) plan.Value {
	if v.Kind == ast.Variable {
		return plan.Value{Kind: plan.VariableValue, Variable: v.Raw}
	}
	if t != nil && t.Elem != nil && v.Kind != ast.ListValue && v.Kind != ast.NullValue {
		return plan.Value{Kind: plan.ListValue, List: []plan.Value{value(v, t.Elem)}}
	}
	switch v.Kind {
	case ast.ListValue:
		out := plan.Value{Kind: plan.ListValue}
		for _, c := range v.Children {
			out.List = append(out.List, value(c.Value, element(t)))
		}
		return out
	case ast.ObjectValue:
		out := plan.Value{Kind: plan.ObjectValue}
		for _, c := range v.Children {
			out.Object = append(out.Object, plan.Argument{Name: c.Name, Value: value(c.Value, member(v, c.Name))})
		}
		return out
	case ast.IntValue:
		if t != nil && t.NamedType == "ID" {
			return plan.Value{Literal: v.Raw}
		}
	}
	return plan.Value{Literal: literalValue(v)}
}

func element(t *ast.Type) *ast.Type {
	if t == nil {
		return nil
	}
	return t.Elem
}

// member is the type of an input object's member, where validation noted it.
func member(object *ast.Value, name string) *ast.Type {
	if object.Definition == nil {
		return nil
	}
	if f := object.Definition.Fields.ForName(name); f != nil {
		return f.Type
	}
	return nil
}
