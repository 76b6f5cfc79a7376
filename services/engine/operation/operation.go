// Package operation turns the text of a request into an operation that is valid
// for its role: parsed, picked, bounded, checked, hashed and measured; and later
// binds variables to it.
//
// It stands between the router's request and services/engine/planner, which asks
// an Operation for its fields. A client's text is hostile here: every pass is
// bounded by the number of tokens, or by the number of fields that the operation
// expands to. Errors are *errcode.Error with the dialect's texts and paths.
package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"

	"tenantry/api/errcode"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/schema"
)

// The bounds of a document.
const (
	MaxBytes      = 1 << 20
	MaxTokens     = 15_000
	MaxAliases    = 100
	MaxRootFields = 50
	MaxDirectives = 50
	// MaxSelections bounds the selections of an operation after its fragments
	// are expanded: documents of a few lines can expand to billions.
	MaxSelections = 20_000
)

// Operation is one operation, valid for the role of its schema. Immutable and
// safe for concurrent use; Fields and Coerce make new values.
type Operation struct {
	// Doc holds the picked operation and the fragments that it uses.
	Doc  *ast.QueryDocument
	Def  *ast.OperationDefinition
	Type ast.Operation
	// Name is empty for an anonymous operation.
	Name string
	// Text is the normalised operation: without __typename, white space,
	// comments and descriptions, its fragments sorted by name.
	Text string
	// Hash is SHA-256 of Text in hex; what an allow-list compares.
	Hash    string
	Measure Measure
	Size    Size

	introspects bool

	schema    *schema.Schema
	fragments map[string]*ast.FragmentDefinition
	types     map[string]*ast.Definition // the definitions that it touches
	variables map[string]*variable
}

// Measure is the size of an operation as limits count it (contracts §12.2):
// fragments expanded, introspection not counted.
type Measure struct {
	// Depth is the number of nested selection sets below the operation; a root
	// field's own is 1.
	Depth int
	// Nodes is the number of fields that have a selection set.
	Nodes int
}

// Size is that of a document; what fragments hold counts once. The root fields are
// those of the operation.
type Size struct{ RootFields, Aliases, Directives int }

// Prepare reads a document and checks the operation that it picks.
func Prepare(s *schema.Schema, query, operationName string) (*Operation, error) {
	doc, size, err := parse(query)
	if err != nil {
		return nil, err
	}
	def, err := pick(doc, operationName)
	if err != nil {
		return nil, err
	}
	op := &Operation{Def: def, Size: size, Type: def.Operation, Name: def.Name, schema: s,
		types: map[string]*ast.Definition{}, variables: map[string]*variable{}}
	if op.Doc, err = extract(doc, def); err != nil {
		return nil, err
	}
	op.fragments = fragmentsByName(op.Doc)
	if err := validate(op); err != nil {
		return nil, err
	}
	op.Text = normalise(op.Doc)
	op.Hash = hash(op.Text)
	op.storeEnums()
	return op, nil
}

// Introspects reports whether a root field is __schema or __type.
func (op *Operation) Introspects() bool { return op.introspects }

// Tokens is the number of tokens of a text that parses.
func Tokens(query string) int {
	lex := lexer.New(&ast.Source{Input: query})
	for n := 0; ; {
		token, err := lex.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return n
		}
		if token.Kind != lexer.Comment {
			n++
		}
	}
}

// HashText is the hash of a text with exactly one operation, as Prepare would
// give it; it needs no schema. The error is a *errcode.Error.
func HashText(query string) (string, error) {
	shape, err := ShapeOf(query, "", allowlist.Exact)
	return shape.Hash, err
}

// parse bounds and parses a document, and counts what L-10 limits.
func parse(query string) (*ast.QueryDocument, Size, error) {
	var none Size
	if len(query) > MaxBytes {
		return nil, none, invalid("$.query", "the query is longer than %d bytes", MaxBytes)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, MaxTokens)
	if err != nil {
		if strings.Contains(err.Error(), "exceeded token limit") {
			return nil, none, invalid("$.query", "the query has more than %d tokens", MaxTokens)
		}
		return nil, none, invalid("$.query", "not a valid graphql query").WithInternal(syntax(err))
	}
	if len(doc.Operations) == 0 {
		return nil, none, invalid("$.query", "not a valid graphql query").WithInternal("the document has no operation")
	}
	size, err := count(doc)
	return doc, size, err
}

func syntax(err error) string {
	if e, ok := err.(*gqlerror.Error); ok && len(e.Locations) > 0 { //nolint:errorlint // the parser returns it bare
		return e.Locations[0].String() + ": " + e.Message
	}
	return err.Error()
}

// count refuses documents with too many aliases or directives; all operations
// and fragments of the document count.
func count(doc *ast.QueryDocument) (Size, error) {
	aliases, directives := 0, 0
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if s.Alias != s.Name {
					aliases++
				}
				directives += len(s.Directives)
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				directives += len(s.Directives)
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				directives += len(s.Directives)
			}
		}
	}
	for _, op := range doc.Operations {
		directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			directives += len(v.Directives)
		}
		walk(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		directives += len(f.Directives)
		walk(f.SelectionSet)
	}
	if aliases > MaxAliases {
		return Size{}, invalid("$.query", "the query has %d aliases, at most %d are allowed", aliases, MaxAliases)
	}
	if directives > MaxDirectives {
		return Size{}, invalid("$.query", "the query has %d directives, at most %d are allowed", directives, MaxDirectives)
	}
	return Size{Aliases: aliases, Directives: directives}, nil
}

// pick chooses the operation.
func pick(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, error) {
	seen := map[string]bool{}
	for _, op := range doc.Operations {
		switch {
		case op.Name == "" && len(doc.Operations) > 1 && name != "":
			return nil, invalid("$", "operationName cannot be used when an anonymous operation exists in the document")
		case seen[op.Name] && op.Name != "":
			return nil, invalid("$", "there are several operations named '%s'", op.Name)
		}
		seen[op.Name] = true
	}
	if name == "" {
		if len(doc.Operations) != 1 {
			return nil, invalid("$", "exactly one operation has to be present in the document when operationName is not specified")
		}
		return doc.Operations[0], nil
	}
	for _, op := range doc.Operations {
		if op.Name == name {
			return op, nil
		}
	}
	if doc.Operations[0].Name == "" {
		return nil, invalid("$", "operationName cannot be used when an anonymous operation exists in the document")
	}
	return nil, invalid("$", "no such operation found in the document: %q", shorten(name))
}

// invalid is a refusal of the operation at a path.
func invalid(path, format string, args ...any) *errcode.Error {
	return errcode.New(errcode.ValidationFailed, format, args...).At(path)
}

// shorten keeps a client's text in messages to a readable length.
func shorten(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
