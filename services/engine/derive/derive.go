// Package derive makes an action of an operation: its variables become the
// arguments, what it selects becomes the output type, and the handler runs it as the
// caller. It is pure; services/engine/codegen writes the handler.
package derive

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// The limits of operations.
const (
	maxTokens = 2000
	maxTypes  = 100  // that are made of one operation
	maxDepth  = 20   // of selections
	maxFields = 5000 // each as often as a fragment brings it
	maxInputs = 20   // input types behind one variable; with more it is any JSON
)

// Options of a derivation.
type Options struct {
	Operation string // name of the wanted one; may be empty when there is one
	Name      string // of the action; that of the operation when empty
	Handler   string
	Roles     []string
}

// Derived is an action that does what an operation does.
type Derived struct {
	Action metadata.Action
	Types  metadata.CustomTypes
	// Operation is the text that the handler runs, with one operation. Field is the
	// member of its data that the action answers; empty for the data as a whole.
	Operation, Field string
	// Notes tell where a type of the action says less than the operation's.
	Notes []string
}

// Error is an operation that can't be an action; line and column count from 1, 0 is
// no place.
type Error struct {
	Message      string
	Line, Column int
}

func (e *Error) Error() string { return e.Message }

func wrong(at *ast.Position, format string, args ...any) *Error {
	e := &Error{Message: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Line, e.Column = at.Line, at.Column
	}
	return e
}

// Derive makes an action of the text of an operation, which is checked against a
// schema as SDL. The error is an *Error.
func Derive(schema, text string, o Options) (out *Derived, err error) {
	if _, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxTokens); err != nil {
		return nil, mistake(err)
	}
	loaded, err := gqlparser.LoadSchema(&ast.Source{Input: schema})
	if err != nil {
		return nil, wrong(nil, "the schema can't be read")
	}
	doc, mistakes := gqlparser.LoadQueryWithRules(loaded, text, rules.NewDefaultRules())
	if len(mistakes) > 0 {
		return nil, mistake(mistakes[0])
	}
	op, err := chosen(doc, o.Operation)
	if err != nil {
		return nil, err
	}
	defer func() {
		switch end := recover().(type) {
		case nil:
		case *Error:
			out, err = nil, end
		default:
			panic(end)
		}
	}()
	d := &deriver{schema: loaded, doc: doc, out: &Derived{}, taken: map[string]bool{}, inputs: map[string]string{}}
	d.action(op, o)
	return d.out, nil
}

func mistake(err error) *Error {
	e := &Error{Message: err.Error()}
	if at, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // the parser returns it bare
		e.Message = at.Message
		if len(at.Locations) > 0 {
			e.Line, e.Column = at.Locations[0].Line, at.Locations[0].Column
		}
	}
	return e
}

func chosen(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, error) {
	switch {
	case len(doc.Operations) == 0:
		return nil, wrong(nil, "expected a query or mutation")
	case name == "" && len(doc.Operations) > 1:
		return nil, wrong(doc.Operations[1].Position, "there are several operations: say which one is wanted")
	case name == "":
		return doc.Operations[0], nil
	}
	if op := doc.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, wrong(nil, "there is no operation %q", name)
}

// deriver gives up by panicking with an *Error.
type deriver struct {
	schema *ast.Schema
	doc    *ast.QueryDocument
	out    *Derived
	prefix string
	taken  map[string]bool
	fields int
	inputs map[string]string // type of the schema → its name among the custom types
}

func (d *deriver) action(op *ast.OperationDefinition, o Options) {
	name := o.Name
	if name == "" {
		name = op.Name
	}
	if !model.ValidName(name) || strings.HasPrefix(name, "__") {
		panic(wrong(op.Position, "expected a name for the action: of the operation, or given"))
	}
	definition := metadata.ActionDefinition{Type: "query", Handler: o.Handler}
	switch op.Operation {
	case ast.Mutation:
		definition.Type = "mutation"
	case ast.Subscription:
		panic(wrong(op.Position, "a subscription can't be an action"))
	}
	d.prefix = strings.ToUpper(name[:1]) + name[1:]
	for _, v := range op.VariableDefinitions {
		ref := *v.Type
		if v.DefaultValue != nil {
			ref.NonNull = false
		}
		definition.Arguments = append(definition.Arguments, metadata.Argument{Name: v.Variable, Type: d.input(&ref)})
	}
	fields := d.collect(op.SelectionSet, 0)
	if len(fields) == 1 {
		d.out.Field = fields[0].Alias
		definition.OutputType = d.output(fields[0], fields[0].Definition.Type, d.prefix+"Output", 0)
	} else {
		definition.OutputType = d.object(fields, d.prefix+"Output", 0) + "!"
	}
	d.out.Operation = d.text(op)
	d.out.Action = metadata.Action{Name: name, Definition: definition}
	for _, role := range o.Roles {
		d.out.Action.Permissions = append(d.out.Action.Permissions, metadata.ActionPermission{Role: role})
	}
}

// text is the operation with the fragments that it uses, as it is written anew: no
// comment of its author gets into code.
func (d *deriver) text(op *ast.OperationDefinition) string {
	alone := &ast.QueryDocument{Operations: ast.OperationList{op}}
	used := map[string]bool{}
	d.fragments(op.SelectionSet, used)
	for _, f := range d.doc.Fragments {
		if used[f.Name] {
			alone.Fragments = append(alone.Fragments, f)
		}
	}
	var out strings.Builder
	formatter.NewFormatter(&out, formatter.WithIndent("  ")).FormatQueryDocument(alone)
	text := strings.TrimSpace(out.String())
	if _, err := parser.ParseQuery(&ast.Source{Input: text}); err != nil {
		panic(wrong(op.Position, "the operation has a text that can't be written into code"))
	}
	return text
}

func (d *deriver) fragments(set ast.SelectionSet, used map[string]bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			d.fragments(s.SelectionSet, used)
		case *ast.InlineFragment:
			d.fragments(s.SelectionSet, used)
		case *ast.FragmentSpread:
			if !used[s.Name] {
				used[s.Name] = true
				d.fragments(s.Definition.SelectionSet, used)
			}
		}
	}
}

// collect are the fields of a selection by the names that they answer with, those
// of fragments with them.
func (d *deriver) collect(set ast.SelectionSet, depth int) (fields []*ast.Field) {
	if depth > maxDepth {
		panic(wrong(nil, "the selection is deeper than %d levels", maxDepth))
	}
	at := map[string]int{}
	add := func(f *ast.Field) {
		n, there := at[f.Alias]
		if !there {
			at[f.Alias] = len(fields)
			fields = append(fields, f)
			return
		}
		merged := *fields[n]
		merged.SelectionSet = append(append(ast.SelectionSet{}, merged.SelectionSet...), f.SelectionSet...)
		fields[n] = &merged
	}
	for _, s := range set {
		if d.fields++; d.fields > maxFields {
			panic(wrong(nil, "the operation selects more than %d fields", maxFields))
		}
		switch s := s.(type) {
		case *ast.Field:
			if strings.HasPrefix(s.Alias, "__") {
				panic(wrong(s.Position, "the field %s needs an alias: an action can't answer a name with __", s.Alias))
			}
			add(s)
		case *ast.InlineFragment:
			for _, f := range d.collect(s.SelectionSet, depth+1) {
				add(f)
			}
		case *ast.FragmentSpread:
			for _, f := range d.collect(s.Definition.SelectionSet, depth+1) {
				add(f)
			}
		}
	}
	return fields
}
