package operation

import (
	"maps"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// Missing is a part of an operation that one schema has and another lacks.
type Missing struct {
	// Path is the place in the operation, as in errors.
	Path string
	// Operation is query or mutation; Root says that the field is one of its root
	// fields, or of those under the namespace of a source.
	Operation string
	Root      bool
	// Type is the object or input type, and Field what it lacks; Argument is set
	// when the field is there without it.
	Type, Field, Argument string
	// Input says that Type is an input type or an enum.
	Input bool
}

// maxMissing bounds what is told of one operation.
const maxMissing = 100

// Missing compares an operation with the schema of another role: it lists what
// the operation names and that schema lacks, in the order of the operation. What
// is inside something that is missing is not listed. Values of variables are
// compared as well.
func (op *Operation) Missing(s *schema.Schema, variables map[string]any) []Missing {
	c := &comparison{op: op, other: s, seen: map[string]bool{}, walked: map[walkedSet]bool{}}
	c.selections(op.Def.SelectionSet, op.schema.RootType(op.Type), nil, true)
	for _, d := range op.Def.VariableDefinitions {
		if value, ok := variables[d.Variable]; ok {
			c.given(value, d.Type, (&path{}).key("variables").key(d.Variable))
		}
	}
	return c.missing
}

type comparison struct {
	op      *Operation
	other   *schema.Schema
	missing []Missing
	seen    map[string]bool // paths
	// walked are the fragments that were looked into, by the type they stand on.
	walked map[walkedSet]bool
}

type walkedSet struct{ fragment, typeName string }

func (c *comparison) add(m Missing, at *path) {
	m.Path, m.Operation = at.String(), string(c.op.Type)
	if !c.seen[m.Path] && len(c.missing) < maxMissing {
		c.seen[m.Path] = true
		c.missing = append(c.missing, m)
	}
}

// definition is a type as the other schema has it; of a root type, the fields
// that the operation names.
func (c *comparison) definition(typeName string, set ast.SelectionSet) *ast.Definition {
	if typeName != c.other.RootType(c.op.Type) {
		return c.other.Definition(typeName)
	}
	return c.other.RootDefinition(c.op.Type, c.names(set, map[string]bool{}))
}

// names are those of the fields in a selection set.
func (c *comparison) names(set ast.SelectionSet, spread map[string]bool) []string {
	var names []string
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			names = append(names, s.Name)
		case *ast.InlineFragment:
			names = append(names, c.names(s.SelectionSet, spread)...)
		case *ast.FragmentSpread:
			if !spread[s.Name] {
				spread[s.Name] = true
				names = append(names, c.names(c.op.fragments[s.Name].SelectionSet, spread)...)
			}
		}
	}
	return names
}

func (c *comparison) selections(set ast.SelectionSet, typeName string, at *path, root bool) {
	own := c.definition(typeName, set)
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			c.field(s, own, typeName, at, root)
		case *ast.InlineFragment:
			c.selections(s.SelectionSet, orElse(s.TypeCondition, typeName), at, root)
		case *ast.FragmentSpread:
			f := c.op.fragments[s.Name]
			on := orElse(f.TypeCondition, typeName)
			if key := (walkedSet{s.Name, on}); !c.walked[key] {
				c.walked[key] = true
				c.selections(f.SelectionSet, on, at, root)
			}
		}
	}
}

func orElse(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

func (c *comparison) field(f *ast.Field, own *ast.Definition, typeName string, at *path, root bool) {
	at = at.selection(f.Name)
	if f.Name == typename.Name {
		return
	}
	var has *ast.FieldDefinition
	if own != nil {
		has = own.Fields.ForName(f.Name)
	}
	if has == nil {
		c.add(Missing{Type: typeName, Field: f.Name, Root: root}, at)
		return
	}
	for _, a := range f.Arguments {
		place := at.key("args").key(a.Name)
		argument := has.Arguments.ForName(a.Name)
		if argument == nil {
			c.add(Missing{Type: typeName, Field: f.Name, Argument: a.Name, Root: root}, place)
			continue
		}
		c.value(a.Value, argument.Type, place)
	}
	if len(f.SelectionSet) > 0 {
		_, namespace := c.other.Namespaced(c.op.Type, f.Name)
		c.selections(f.SelectionSet, has.Type.Name(), at, root && namespace)
	}
}

// value compares what a literal names with the fields of its input type.
func (c *comparison) value(v *ast.Value, t *ast.Type, at *path) {
	if v.Kind == ast.ListValue && t.Elem != nil {
		for i, child := range v.Children {
			c.value(child.Value, t.Elem, index(at, i))
		}
		return
	}
	definition := c.other.Definition(t.Name())
	switch {
	case definition == nil:
	case v.Kind == ast.ObjectValue && definition.Kind == ast.InputObject:
		for _, child := range v.Children {
			if has := definition.Fields.ForName(child.Name); has == nil {
				c.add(Missing{Type: definition.Name, Field: child.Name, Input: true}, at.key(child.Name))
			} else {
				c.value(child.Value, has.Type, at.key(child.Name))
			}
		}
	case v.Kind == ast.EnumValue && definition.Kind == ast.Enum && definition.EnumValues.ForName(v.Raw) == nil:
		c.add(Missing{Type: definition.Name, Field: v.Raw, Input: true}, at)
	}
}

// given is value for what a client sends as a variable.
func (c *comparison) given(v any, t *ast.Type, at *path) {
	if list, ok := v.([]any); ok && t.Elem != nil {
		for i, item := range list {
			c.given(item, t.Elem, index(at, i))
		}
		return
	}
	definition := c.other.Definition(t.Name())
	if definition == nil {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if has := definition.Fields.ForName(name); definition.Kind == ast.InputObject && has == nil {
				c.add(Missing{Type: definition.Name, Field: name, Input: true}, at.key(name))
			} else if has != nil {
				c.given(v[name], has.Type, at.key(name))
			}
		}
	case string:
		if definition.Kind == ast.Enum && definition.EnumValues.ForName(v) == nil {
			c.add(Missing{Type: definition.Name, Field: v, Input: true}, at)
		}
	}
}
