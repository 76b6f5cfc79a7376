package schema

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// A source may put its root fields under one field, its namespace. Namespaced is
// the naming of the source whose field name is; false for every other field.
func (s *Schema) Namespaced(op ast.Operation, name string) (*model.Naming, bool) {
	for _, n := range s.model.Namings {
		if n.Namespace != "" && n.Namespace == name && s.anyOf(op, n) {
			return n, true
		}
	}
	return nil, false
}

// RootOf says what a field of a source's namespace means.
func (s *Schema) RootOf(n *model.Naming, op ast.Operation, name string) (RootField, bool) {
	f, _, ok := s.findTableRoot(op, name, n.Namespace)
	return f, ok
}

// TypeOf is the type that holds the root fields of a source's namespace.
func (s *Schema) TypeOf(n *model.Naming, op ast.Operation) string {
	if op == ast.Mutation {
		return n.Root(model.MutationRoot)
	}
	return n.Root(model.QueryRoot)
}

// rootOf is the definition of that type; nil when the role sees none of it.
func (s *Schema) rootOf(n *model.Naming, op ast.Operation) *ast.Definition {
	d := &ast.Definition{Kind: ast.Object, Name: s.TypeOf(n, op)}
	for _, t := range s.model.Tables {
		if t.Naming.Namespace != n.Namespace {
			continue
		}
		for _, r := range s.rootsOf(op) {
			if r.name(t) != "" && r.visible(s, t) {
				d.Fields = append(d.Fields, r.definition(s, t))
			}
		}
	}
	d.Fields = append(d.Fields, s.otherFields(op, n.Namespace)...)
	if len(d.Fields) == 0 {
		return nil
	}
	sortFields(d.Fields)
	return d
}

// anyOf reports whether the role sees a field of the namespace.
func (s *Schema) anyOf(op ast.Operation, n *model.Naming) bool {
	for _, t := range s.model.Tables {
		if t.Naming.Namespace != n.Namespace {
			continue
		}
		for _, r := range s.rootsOf(op) {
			if r.name(t) != "" && r.visible(s, t) {
				return true
			}
		}
	}
	return s.anyOther(op, n.Namespace)
}

// namespaceFields are the fields of namespaces under the root of op.
func (s *Schema) namespaceFields(op ast.Operation) ast.FieldList {
	var fields ast.FieldList
	for _, n := range s.model.Namings {
		if n.Namespace != "" && s.anyOf(op, n) {
			fields = append(fields, s.namespaceField(op, n))
		}
	}
	return fields
}

// namespaceField is never null: its object has a field for every part.
func (s *Schema) namespaceField(op ast.Operation, n *model.Naming) *ast.FieldDefinition {
	of := named(s.TypeOf(n, op))
	of.NonNull = op == ast.Query
	return &ast.FieldDefinition{Name: n.Namespace, Type: of}
}
