package planner

import (
	"maps"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
)

// Samples are values for the variables that an operation requires. Plans read what
// structure values have, and no scalars but Booleans.
func Samples(op *operation.Operation, view *schema.Schema) map[string]any {
	out := map[string]any{}
	for _, v := range op.Def.VariableDefinitions {
		if v.Type.NonNull && v.DefaultValue == nil {
			out[v.Variable] = sample(v.Type, view, map[string]bool{})
		}
	}
	return out
}

// sample is a value of a type; within are the input objects around it.
func sample(t *ast.Type, view *schema.Schema, within map[string]bool) any {
	if t.Elem != nil {
		return []any{}
	}
	d := view.Definition(t.NamedType)
	switch {
	case t.NamedType == "Boolean":
		return true
	case d == nil || within[d.Name]:
		return "1"
	case d.Kind == ast.Enum && len(d.EnumValues) > 0:
		return d.EnumValues[0].Name
	case d.Kind != ast.InputObject:
		return "1"
	}
	inner := maps.Clone(within)
	inner[d.Name] = true
	object := map[string]any{}
	for _, f := range d.Fields {
		if f.Type.NonNull && f.DefaultValue == nil {
			object[f.Name] = sample(f.Type, view, inner)
		}
	}
	return object
}
