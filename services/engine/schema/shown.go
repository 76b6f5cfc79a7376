package schema

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// ShownRoot is a root field that a role has.
type ShownRoot struct {
	// Operation is query or mutation.
	Operation string
	// Namespace is the field of the source that it is under; usually empty.
	Namespace string
	Name      string
	RootField
}

// Roots are all root fields of the role but the meta fields, by operation,
// namespace and name. It costs what the root types do.
func (s *Schema) Roots() []ShownRoot {
	var all []ShownRoot
	for _, op := range []ast.Operation{ast.Query, ast.Mutation} {
		for _, f := range s.rootFields(op) {
			root, ok := s.Root(op, f.Name)
			switch {
			case !ok:
			case root.Kind != Namespace:
				all = append(all, ShownRoot{string(op), "", f.Name, root})
			default:
				all = append(all, s.rootsUnder(op, root.Naming)...)
			}
		}
	}
	return all
}

func (s *Schema) rootsUnder(op ast.Operation, n *model.Naming) []ShownRoot {
	var all []ShownRoot
	definition := s.rootOf(n, op)
	if definition == nil {
		return nil
	}
	for _, f := range definition.Fields {
		if root, ok := s.RootOf(n, op, f.Name); ok {
			all = append(all, ShownRoot{string(op), n.Namespace, f.Name, root})
		}
	}
	return all
}

// Fields are the names of the fields that the role has of a table's rows, in
// order; none when it can't read them.
func (s *Schema) Fields(t *model.Table) []string {
	if !s.selectable(t) {
		return nil
	}
	var names []string
	for _, f := range s.object(t).Fields {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// Behind is the table that a generated type belongs to, and what the type is of it
// ("_bool_exp", "_insert_input", …; empty for the rows themselves). Nil for other
// types. Whether the role has the type does not matter.
func (s *Schema) Behind(typeName string) (*model.Table, string) {
	if t := s.model.RowType(typeName); t != nil {
		return t, ""
	}
	for _, n := range s.model.Namings {
		inner, ok := n.Inner(typeName)
		if !ok {
			continue
		}
		// The longest part counts: _stddev_pop_fields ends in _fields too.
		var found *model.Table
		part := ""
		for _, g := range generated {
			base, ok := strings.CutSuffix(inner, n.TypePart(g.suffix))
			if t := s.model.RowType(n.TypeOf(base)); ok && t != nil && t.Naming == n && len(g.suffix) > len(part) {
				found, part = t, g.suffix
			}
		}
		if found != nil {
			return found, part
		}
	}
	return nil, ""
}

// Writes are the ways in which the role writes a table: Insert, Update, Delete.
// The root fields may be fewer, as some tables have no name for them.
func (s *Schema) Writes(t *model.Table) []Kind {
	var kinds []Kind
	if _, ok := s.insertable(t); ok {
		kinds = append(kinds, Insert)
	}
	if _, ok := s.updatable(t); ok {
		kinds = append(kinds, Update)
	}
	if s.deletable(t) {
		kinds = append(kinds, Delete)
	}
	return kinds
}
