package planner

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
)

// Shape describes the structure of the variables that Plan reads: two requests
// with the same operation and shape have the same plan. Scalars are not in it,
// so it stays the same for other ids, dates and texts; Booleans and enums are.
func Shape(op *operation.Operation, s *schema.Schema, vars map[string]any) string {
	if len(op.Def.VariableDefinitions) == 0 {
		return ""
	}
	var out shape
	for _, d := range op.Def.VariableDefinitions {
		value, present := vars[d.Variable]
		if !present {
			out.WriteString("-;")
			continue
		}
		out.value(s, d.Type, value)
		out.WriteByte(';')
	}
	return out.String()
}

type shape struct{ strings.Builder }

func (out *shape) value(s *schema.Schema, t *ast.Type, value any) {
	if value == nil {
		out.WriteByte('n')
		return
	}
	if t.Elem != nil {
		out.list(s, t, value)
		return
	}
	definition := s.Definition(t.NamedType)
	switch {
	case t.NamedType == "Boolean":
		if b, _ := value.(bool); b {
			out.WriteByte('t')
		} else {
			out.WriteByte('f')
		}
	case t.NamedType == "ID" && s.Relay():
		out.WriteString(nodeShape(s, value)) // which table the id is of
	case definition == nil || definition.Kind == ast.Scalar:
		out.WriteByte('s')
	case definition.Kind == ast.Enum:
		symbol, _ := value.(string)
		out.WriteString(symbol)
	case s.CustomInput(t.NamedType):
		out.WriteByte('s') // an action's input goes to its handler as it is
	default:
		out.object(s, definition, value)
	}
}

func (out *shape) object(s *schema.Schema, definition *ast.Definition, value any) {
	object, _ := value.(map[string]any)
	out.WriteByte('{')
	for _, name := range slices.Sorted(maps.Keys(object)) {
		out.WriteString(name)
		out.WriteByte(':')
		if f := definition.Fields.ForName(name); f != nil {
			out.value(s, f.Type, object[name])
		}
		out.WriteByte(',')
	}
	out.WriteByte('}')
}

func (out *shape) list(s *schema.Schema, t *ast.Type, value any) {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	out.WriteByte('[')
	defer out.WriteByte(']')
	if s.InsertInput(t.Elem.NamedType) {
		if keys := uniformKeys(items); keys != nil && onlyColumns(s, s.Definition(t.Elem.NamedType), keys) {
			out.WriteString(strings.Join(keys, ",") + "*") // rows of the same keys are one JSON parameter
			return
		}
	}
	var parts []string
	for _, item := range items {
		var part shape
		part.value(s, t.Elem, item)
		parts = append(parts, part.String())
	}
	switch {
	case len(parts) == 0:
	case t.Elem.Elem == nil && s.IsScalar(t.Elem.NamedType):
		out.WriteByte('*') // a list of scalars is one array parameter
	default:
		out.WriteString(strconv.Itoa(len(parts)) + "#" + strings.Join(parts, "|"))
	}
}

// onlyColumns reports whether no key is a relationship: what those bring shapes
// the plan.
func onlyColumns(s *schema.Schema, rows *ast.Definition, keys []string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool {
		f := rows.Fields.ForName(key)
		if f == nil {
			return true
		}
		d := s.Definition(f.Type.Name())
		return d != nil && d.Kind == ast.InputObject
	})
}
