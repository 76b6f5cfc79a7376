package schema

import (
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/validator"
)

// builtins are the definitions that every schema has.
type builtins struct {
	types         map[string]*ast.Definition
	directives    map[string]*ast.DirectiveDefinition
	introspection ast.FieldList // __schema and __type
}

// directiveNames are the directives that operations and SDL may have.
var directiveNames = []string{"include", "skip", "deprecated", "specifiedBy"}

var builtin = sync.OnceValue(func() builtins {
	doc := validator.PreludeDocument()
	b := builtins{types: map[string]*ast.Definition{}, directives: map[string]*ast.DirectiveDefinition{},
		introspection: validator.QueryIntrospectionFields()}
	for _, d := range doc.Definitions {
		d.BuiltIn = true
		b.types[d.Name] = d
	}
	for _, name := range directiveNames {
		b.directives[name] = doc.Directives.ForName(name)
	}
	b.directives["cached"] = &ast.DirectiveDefinition{
		Name:        "cached",
		Description: "the answer of this query may be cached",
		Locations:   []ast.DirectiveLocation{ast.LocationQuery},
		Position:    &ast.Position{Src: &ast.Source{}},
		Arguments: ast.ArgumentDefinitionList{
			{Name: "refresh", Description: "refresh the cache entry", Type: nonNull("Boolean"), DefaultValue: &ast.Value{Kind: ast.BooleanValue, Raw: "false"}},
			{Name: "ttl", Description: "seconds to keep the answer", Type: nonNull("Int"), DefaultValue: &ast.Value{Kind: ast.IntValue, Raw: "60"}},
		},
	}
	return b
})

// Directives are the directives that an operation may have, by name. Read only.
func Directives() map[string]*ast.DirectiveDefinition { return builtin().directives }

// Full builds the whole schema of the role: all types that its root fields
// reach. The caller owns the schema; the definitions in it are shared. It costs
// about 100 KiB per table, so do not keep it.
func (s *Schema) Full() *ast.Schema {
	full := &ast.Schema{Types: map[string]*ast.Definition{}, Directives: map[string]*ast.DirectiveDefinition{},
		PossibleTypes: map[string][]*ast.Definition{}, Implements: map[string][]*ast.Definition{}}
	for name, d := range builtin().types {
		full.Types[name] = d
	}
	for name, d := range builtin().directives {
		full.Directives[name] = d
	}
	full.Query, full.Mutation, full.Subscription = s.queryRoot(), s.mutationRoot(), s.subscriptionRoot()
	s.reach(full, full.Query)
	s.implement(full)
	s.possible(full)
	if full.Mutation != nil {
		s.reach(full, full.Mutation)
	}
	if full.Subscription != nil {
		s.reach(full, full.Subscription)
	}
	return full
}

// reach adds d and all types that it refers to. It does not fill the memo.
func (s *Schema) reach(full *ast.Schema, d *ast.Definition) {
	full.Types[d.Name] = d
	visit := func(t *ast.Type) {
		name := t.Name()
		if full.Types[name] != nil {
			return
		}
		if next := s.build(name); next != nil {
			s.reach(full, next)
		}
	}
	for _, name := range d.Types {
		visit(named(name))
	}
	for _, f := range d.Fields {
		visit(f.Type)
		for _, a := range f.Arguments {
			visit(a.Type)
		}
	}
}

// SDL is the schema of the role as text, sorted by name.
func (s *Schema) SDL() string {
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchema(s.Full())
	return text.String()
}
