package operation

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// Field is one field of a response object: all selections of its key, merged.
type Field struct {
	// Key in the response; Name in the schema.
	Key, Name string
	// Arguments as written; variables and defaults are not put in.
	Arguments ast.ArgumentList
	// Selections of the field's own object; ask Fields for its fields.
	Selections ast.SelectionSet
	Definition *ast.FieldDefinition
}

// Root collects the root fields; vars are the result of Coerce.
func (op *Operation) Root(vars map[string]any) []*Field {
	return op.Fields(op.Def.SelectionSet, vars, op.schema.RootType(op.Type))
}

// Fields collects the fields of an object of type typeName in response order:
// fragments expanded, include and skip applied, duplicates merged.
func (op *Operation) Fields(set ast.SelectionSet, vars map[string]any, typeName string) []*Field {
	c := fieldCollector{op: op, vars: vars, typeName: typeName, parent: op.definition(typeName), index: map[string]*Field{}}
	c.add(set)
	return c.fields
}

type fieldCollector struct {
	op   *Operation
	vars map[string]any
	// typeName of the object: fragments on others are not about it.
	typeName string
	parent   *ast.Definition
	fields   []*Field
	index    map[string]*Field
	spread   map[string]bool
	all      bool // include and skip do not count
}

func (c *fieldCollector) add(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if c.included(s.Directives) {
				c.field(s)
			}
		case *ast.InlineFragment:
			if applies(s.TypeCondition, c.typeName) && c.included(s.Directives) {
				c.add(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if c.spread[s.Name] || !c.included(s.Directives) {
				continue
			}
			if c.spread == nil {
				c.spread = map[string]bool{}
			}
			c.spread[s.Name] = true
			if f := c.op.fragments[s.Name]; applies(f.TypeCondition, c.typeName) {
				c.add(f.SelectionSet)
			}
		}
	}
}

func (c *fieldCollector) field(s *ast.Field) {
	if f := c.index[s.Alias]; f != nil {
		f.Selections = slices.Concat(f.Selections, s.SelectionSet) // never appends into the document
		return
	}
	f := &Field{Key: s.Alias, Name: s.Name, Arguments: s.Arguments, Selections: s.SelectionSet, Definition: s.Definition}
	if c.parent != nil {
		f.Definition = fieldDefinition(c.parent, s.Name)
	}
	c.index[s.Alias] = f
	c.fields = append(c.fields, f)
}

// included applies include and skip.
func (c *fieldCollector) included(list ast.DirectiveList) bool {
	if c.all {
		return true
	}
	for _, d := range list {
		if d.Name != "include" && d.Name != "skip" {
			continue
		}
		condition := d.Arguments.ForName("if")
		if condition == nil {
			continue
		}
		if on, _ := plain(condition.Value, c.vars).(bool); on != (d.Name == "include") {
			return false
		}
	}
	return true
}

// Argument is an argument as plain JSON, its variables put in; false when it is
// absent. Enum values are strings.
func (f *Field) Argument(name string, vars map[string]any) (any, bool) {
	a := f.Arguments.ForName(name)
	if a == nil {
		return nil, false
	}
	if a.Value.Kind == ast.Variable {
		v, ok := vars[a.Value.Raw]
		return v, ok
	}
	return plain(a.Value, vars), true
}
