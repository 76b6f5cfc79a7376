package schema

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"tenantry/tenants/model"
)

// The kinds of root fields that a subgraph of a federation has (contracts §1.10).
const (
	// EntitiesRoot finds rows that a gateway names by their keys.
	EntitiesRoot Kind = "entities"
	// ServiceRoot tells the schema to what composes subgraphs.
	ServiceRoot Kind = "service"
)

// Names of the federation's part of a schema.
const (
	EntitiesField   = "_entities"
	ServiceField    = "_service"
	ServiceSDL      = "sdl"
	Representations = "representations"

	serviceType = "_Service"
	entityUnion = "_Entity"
	anyScalar   = "_Any"
)

// federated reports whether this is the schema of a subgraph.
func (s *Schema) federated() bool { return s.options.Federation && !s.options.Relay }

// Entity reports whether rows of a table are entities: the metadata says so, and
// the role may read the primary key as it is.
func (s *Schema) Entity(t *model.Table) bool {
	if !s.federated() || t.Metadata == nil || t.Metadata.ApolloFederation == nil || !s.keyVisible(t) {
		return false
	}
	for _, c := range t.PrimaryKey {
		if len(s.role.Table(t).Select.Cases(c)) > 0 {
			return false
		}
	}
	return true
}

// Entities are the tables whose rows are entities for the role.
func (s *Schema) Entities() []*model.Table {
	var out []*model.Table
	for _, t := range s.model.Tables {
		if s.Entity(t) {
			out = append(out, t)
		}
	}
	return out
}

// Possible reports whether an object type is one of those that a value of an
// interface or union can have.
func (s *Schema) Possible(abstract, name string) bool {
	t := s.model.RowType(name)
	switch {
	case t == nil:
		return false
	case abstract == NodeInterface:
		return s.Node(t)
	}
	return abstract == entityUnion && s.Entity(t)
}

// Abstract reports whether a name is that of an interface or union.
func Abstract(name string) bool { return name == NodeInterface || name == entityUnion }

// federationRoot is the definition of a root field of the subgraph; nil for other
// names, and for entities where there are none.
func (s *Schema) federationRoot(name string) *ast.FieldDefinition {
	switch {
	case !s.federated():
	case name == ServiceField && s.Introspection():
		return &ast.FieldDefinition{Name: name, Type: nonNull(serviceType), Description: "the schema of this subgraph"}
	case name == EntitiesField && len(s.Entities()) > 0:
		// A list, which the dialect does not say: gateways ask by the specification
		// of federation and never by this type.
		return &ast.FieldDefinition{Name: name, Type: named(entityUnion), Description: "finds entities by their keys; null for one that is not found",
			Arguments: ast.ArgumentDefinitionList{{Name: Representations, Type: nonNullListOf(anyScalar)}}}
	}
	return nil
}

func (s *Schema) federationRoots() ast.FieldList {
	var out ast.FieldList
	for _, name := range []string{EntitiesField, ServiceField} {
		if f := s.federationRoot(name); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// federationKind is the kind of root field that a name is.
func federationKind(name string) Kind {
	if name == ServiceField {
		return ServiceRoot
	}
	return EntitiesRoot
}

// federationType makes the types of a subgraph; nil for other names.
func (s *Schema) federationType(name string) *ast.Definition {
	switch {
	case !s.federated():
	case name == serviceType:
		return &ast.Definition{Kind: ast.Object, Name: name, Fields: ast.FieldList{{Name: ServiceSDL, Type: nonNull("String"), Description: "SDL of the subgraph"}}}
	case name == anyScalar && len(s.Entities()) > 0:
		return &ast.Definition{Kind: ast.Scalar, Name: name}
	case name == entityUnion:
		d := &ast.Definition{Kind: ast.Union, Name: name, Description: "A union of all types that have a key"}
		for _, t := range s.Entities() {
			d.Types = append(d.Types, t.Type)
		}
		if len(d.Types) > 0 {
			return d
		}
	}
	return nil
}

// possible adds to a full schema which types an entity can have.
func (s *Schema) possible(full *ast.Schema) {
	for _, t := range s.Entities() {
		full.AddPossibleType(entityUnion, full.Types[t.Type])
		full.AddImplements(t.Type, full.Types[entityUnion])
	}
}

// Subgraph is the schema of the role as text for what composes subgraphs:
// entities have their keys, and what only gateways use is left out, as the
// specification of federation has it.
func (s *Schema) Subgraph() string {
	full := s.Full()
	for _, name := range []string{serviceType, entityUnion, anyScalar} {
		delete(full.Types, name)
	}
	delete(full.Directives, "cached") // of operations, and not for a gateway
	root := *full.Query
	root.Fields = nil
	for _, f := range full.Query.Fields {
		if s.federationRoot(f.Name) == nil {
			root.Fields = append(root.Fields, f)
		}
	}
	if len(root.Fields) == 0 {
		root.Fields = ast.FieldList{noQueries}
	}
	full.Query = &root
	full.Types[root.Name] = &root
	for _, t := range s.Entities() {
		keyed := *full.Types[t.Type]
		keyed.Directives = ast.DirectiveList{key(t)}
		full.Types[t.Type] = &keyed
	}
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchema(full)
	return text.String()
}

// key is the directive that tells a type's key.
func key(t *model.Table) *ast.Directive {
	var names []string
	for _, c := range t.PrimaryKey {
		names = append(names, c.Name)
	}
	return &ast.Directive{Name: "key", Arguments: ast.ArgumentList{
		{Name: "fields", Value: &ast.Value{Kind: ast.StringValue, Raw: strings.Join(names, " ")}}}}
}
