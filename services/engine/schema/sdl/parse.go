// Package sdl turns the GraphQL text in which people register actions into
// metadata, and metadata back into text.
//
// The control API calls it when an action is registered or shown. What comes out
// is metadata in the usual form; whether its types exist and its relationships
// fit the database is for tenants/model to say.
package sdl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"tenantry/tenants/metadata"
)

// maxTokens bounds the text of one action.
const maxTokens = 20_000

// Action is what a text says of one action.
type Action struct {
	Comment string
	// Definition has the type, the arguments and the output type; how the handler
	// is called is not part of the text.
	Definition metadata.ActionDefinition
	// Types are the custom types that the text declares.
	Types metadata.CustomTypes
}

// Problem is one mistake, with its place in the text; both count from 1.
type Problem struct {
	Line, Column int
	Message      string
}

// Error is all that is wrong with a text; never without problems.
type Error struct{ Problems []Problem }

// Error lists all problems.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message)
	}
	return strings.Join(lines, "\n")
}

// ParseAction reads the text of the action named name: a type Query or Mutation
// with that one field, and the types that it needs. The error is an *Error.
func ParseAction(text, name string) (Action, error) {
	doc, err := parser.ParseSchemaWithLimit(&ast.Source{Input: text}, maxTokens)
	if err != nil {
		return Action{}, &Error{[]Problem{syntax(err)}}
	}
	r := reader{name: name, declared: map[string]*ast.Definition{}}
	r.document(doc)
	if r.root == nil && len(r.problems) == 0 {
		r.problem(nil, "expected type Mutation or type Query with the field '%s'", name)
	}
	r.references()
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return Action{}, &Error{r.problems}
	}
	return r.action, nil
}

func syntax(err error) Problem {
	p := Problem{1, 1, err.Error()}
	if e, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // the parser returns it bare
		p.Message = e.Message
		if len(e.Locations) > 0 {
			p.Line, p.Column = e.Locations[0].Line, e.Locations[0].Column
		}
	}
	return p
}

// reader collects an action and everything that is wrong with its text.
type reader struct {
	name     string
	action   Action
	root     *ast.FieldDefinition
	declared map[string]*ast.Definition
	problems []Problem
}

func (r *reader) problem(at *ast.Position, format string, args ...any) {
	p := Problem{1, 1, fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	r.problems = append(r.problems, p)
}

// builtIn are the scalars of GraphQL itself.
var builtIn = map[string]bool{"Int": true, "Float": true, "String": true, "Boolean": true, "ID": true}

func isRoot(name string) bool { return name == "Query" || name == "Mutation" }

func (r *reader) document(doc *ast.SchemaDocument) {
	for _, d := range slices.Concat(doc.Schema, doc.SchemaExtension) {
		r.problem(d.Position, "a schema definition has no place in an action")
	}
	for _, d := range slices.Concat(doc.Directives, doc.DirectiveExtensions) {
		r.problem(d.Position, "directives can't be defined for an action")
	}
	for _, d := range doc.Definitions {
		if isRoot(d.Name) {
			r.rootType(d)
		} else {
			r.customType(d)
		}
	}
	for _, d := range doc.Extensions {
		if isRoot(d.Name) {
			r.rootType(d)
		} else {
			r.problem(d.Position, "type '%s' can't be extended here: declare it whole", d.Name)
		}
	}
}

// rootType reads type Query or Mutation: it holds the action's field alone.
func (r *reader) rootType(d *ast.Definition) {
	if d.Kind != ast.Object {
		r.problem(d.Position, "'%s' must be an object type", d.Name)
		return
	}
	r.noDirectives(d.Directives)
	if len(d.Interfaces) > 0 {
		r.problem(d.Position, "'%s' can't implement interfaces", d.Name)
	}
	if len(d.Fields) == 0 {
		r.problem(d.Position, "type '%s' needs the field '%s'", d.Name, r.name)
	}
	for _, f := range d.Fields {
		switch {
		case f.Name != r.name:
			r.problem(f.Position, "expected only the field '%s', found '%s'", r.name, f.Name)
		case r.root != nil:
			r.problem(f.Position, "the field '%s' is defined twice", f.Name)
		default:
			r.root = f
			r.noDirectives(f.Directives)
			r.action.Comment = f.Description
			r.action.Definition = metadata.ActionDefinition{
				Type: strings.ToLower(d.Name), Arguments: r.arguments(f.Arguments), OutputType: f.Type.String(),
			}
		}
	}
}

func (r *reader) arguments(list ast.ArgumentDefinitionList) []metadata.Argument {
	var args []metadata.Argument
	seen := map[string]bool{}
	for _, a := range list {
		if seen[a.Name] {
			r.problem(a.Position, "the argument '%s' is defined twice", a.Name)
		}
		seen[a.Name] = true
		r.plain(a.Position, a.Name, a.DefaultValue, a.Directives)
		args = append(args, metadata.Argument{Name: a.Name, Type: a.Type.String(), Description: a.Description})
	}
	return args
}

// plain refuses what metadata can't hold.
func (r *reader) plain(at *ast.Position, name string, value *ast.Value, directives ast.DirectiveList) {
	if strings.HasPrefix(name, "__") {
		r.problem(at, "the name '%s' is reserved: names must not begin with two underscores", name)
	}
	if value != nil {
		r.problem(at, "'%s' has a default value, which actions do not support", name)
	}
	r.noDirectives(directives)
}

func (r *reader) noDirectives(list ast.DirectiveList) {
	for _, d := range list {
		r.problem(d.Position, "the directive @%s is not supported here", d.Name)
	}
}

func (r *reader) customType(d *ast.Definition) {
	switch {
	case builtIn[d.Name]:
		r.problem(d.Position, "the scalar '%s' is built in and can't be declared", d.Name)
		return
	case d.Name == "Subscription":
		r.problem(d.Position, "an action is a field of Mutation or Query, not of Subscription")
		return
	case r.declared[d.Name] != nil:
		r.problem(d.Position, "the type '%s' is declared twice", d.Name)
		return
	}
	r.declared[d.Name] = d
	r.plain(d.Position, d.Name, nil, d.Directives)
	if len(d.Interfaces) > 0 {
		r.problem(d.Position, "type '%s' can't implement interfaces", d.Name)
	}
	types := &r.action.Types
	switch d.Kind {
	case ast.Scalar:
		types.Scalars = append(types.Scalars, metadata.ScalarType{Name: d.Name, Description: d.Description})
	case ast.Enum:
		types.Enums = append(types.Enums, metadata.EnumType{Name: d.Name, Description: d.Description, Values: r.values(d)})
	case ast.InputObject:
		types.InputObjects = append(types.InputObjects, metadata.InputType{Name: d.Name, Description: d.Description, Fields: r.fields(d)})
	case ast.Object:
		types.Objects = append(types.Objects, metadata.ObjectType{Name: d.Name, Description: d.Description, Fields: r.fields(d)})
	default:
		r.problem(d.Position, "'%s': interfaces and unions are not supported", d.Name)
	}
}

func (r *reader) values(d *ast.Definition) []metadata.EnumValue {
	if len(d.EnumValues) == 0 {
		r.problem(d.Position, "the enum '%s' has no values", d.Name)
	}
	var values []metadata.EnumValue
	seen := map[string]bool{}
	for _, v := range d.EnumValues {
		if seen[v.Name] {
			r.problem(v.Position, "the value '%s' occurs twice", v.Name)
		}
		seen[v.Name] = true
		value := metadata.EnumValue{Value: v.Name, Description: v.Description}
		for _, x := range v.Directives {
			switch {
			case x.Name != "deprecated":
				r.problem(x.Position, "the directive @%s is not supported here", x.Name)
			case len(x.Arguments) > 0:
				r.problem(x.Position, "@deprecated can't have a reason here: write it into the description")
			default:
				value.IsDeprecated = true
			}
		}
		values = append(values, value)
	}
	return values
}

func (r *reader) fields(d *ast.Definition) []metadata.Argument {
	if len(d.Fields) == 0 {
		r.problem(d.Position, "type '%s' has no fields", d.Name)
	}
	var fields []metadata.Argument
	seen := map[string]bool{}
	for _, f := range d.Fields {
		if seen[f.Name] {
			r.problem(f.Position, "the field '%s' is defined twice", f.Name)
		}
		seen[f.Name] = true
		r.plain(f.Position, f.Name, f.DefaultValue, f.Directives)
		if len(f.Arguments) > 0 {
			r.problem(f.Position, "the field '%s' has arguments: only the action's own field may have them", f.Name)
		}
		fields = append(fields, metadata.Argument{Name: f.Name, Type: f.Type.String(), Description: f.Description})
	}
	return fields
}

// references checks that declared types stand where their kind may stand.
func (r *reader) references() {
	if r.root != nil {
		for _, a := range r.root.Arguments {
			r.reference(a.Position, a.Type.Name(), ast.InputObject)
		}
		r.reference(r.root.Position, r.root.Type.Name(), ast.Object)
	}
	for _, d := range r.declared {
		if d.Kind == ast.InputObject || d.Kind == ast.Object {
			for _, f := range d.Fields {
				r.reference(f.Position, f.Type.Name(), d.Kind)
			}
		}
	}
}

// reference checks one use of a type on the input or output side.
func (r *reader) reference(at *ast.Position, name string, side ast.DefinitionKind) {
	d := r.declared[name]
	switch {
	case isRoot(name):
		r.problem(at, "the type '%s' can't be used here", name)
	case d == nil: // declared elsewhere, or a scalar of Postgres
	case side == ast.InputObject && d.Kind == ast.Object:
		r.problem(at, "'%s' is an object type and can't be used as input: declare an input", name)
	case side == ast.Object && d.Kind == ast.InputObject:
		r.problem(at, "'%s' is an input type and can't be used as output: declare a type", name)
	}
}
