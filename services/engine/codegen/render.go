package codegen

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"text/template"
)

//go:embed templates
var embedded embed.FS

// templates are named by their path: go/main.go is templates/go/main.go.tmpl.
var templates = sync.OnceValue(func() *template.Template {
	all := template.New("")
	paths, err := fs.Glob(embedded, "templates/*/*.tmpl")
	for _, path := range paths {
		text, readErr := fs.ReadFile(embedded, path)
		name := strings.TrimSuffix(strings.TrimPrefix(path, "templates/"), ".tmpl")
		err = errors.Join(err, readErr)
		template.Must(all.New(name).Parse(string(text)))
	}
	if err != nil {
		panic(err) // the program was built wrongly
	}
	return all
})

// view is what templates show: names and types as the language writes them.
type view struct {
	Action     string // its GraphQL name
	Function   string // to fill in
	Comment    string
	GraphQLURL string
	// Async actions may be delivered more than once; Transformed ones are not sent
	// as their contract says.
	Async, Transformed bool
	Root               string // the way from the scaffold to the folder of everything
	Module             string // TypeScript, Python: the module of the contract
	Class              string // Java: the class of the contract
	Imports            []string
	Types              []typeView
	Arguments          []fieldView
	Output             string
	Sample             string // empty: there is no finite answer
	Later              bool   // with a sample: the outcome may be reported later
	Operation          string // as a literal of the language; empty: there is none
	Field              string // of the operation's data; empty: all of it
}

type typeView struct {
	Name, Comment string
	Kind          string // scalar, enum, object
	Values        []valueView
	Fields        []fieldView
	Joins         []string
	Input         bool // of the client
	// Functional says that Python can't write it as a class.
	Functional bool
}

type valueView struct {
	Name, Value, Comment string
	Deprecated           bool
}

type fieldView struct {
	Name, JSON, Type, Comment string
	Optional                  bool
	Last                      bool   // of its list
	Omitted                   bool   // of an input: null is left out when it is sent on
	Scalar                    string // the GraphQL type where its name says more than Type
}

// Uses reports whether a type of the contract is written with text.
func (v view) Uses(text string) bool {
	uses := func(f fieldView) bool { return strings.Contains(f.Type, text) }
	for _, t := range v.Types {
		if slices.ContainsFunc(t.Fields, uses) {
			return true
		}
	}
	return slices.ContainsFunc(v.Arguments, uses) || strings.Contains(v.Output, text)
}

// dialect is a language's way to write a contract.
type dialect struct {
	names   map[string]string // of the custom types
	typeOf  func(f field, owner string) string
	fieldAs func(scope namer, name string) string
	valueAs func(t *declared, value string) string
}

// view shows a contract in a language; the caller adds what the framework needs.
func (c *contract) view(d dialect, o Options) view {
	v := view{Action: c.action, Comment: c.comment, GraphQLURL: o.GraphQLURL, Async: c.async, Transformed: c.transformed}
	for _, t := range c.types {
		shown := typeView{Name: d.names[t.name], Comment: t.comment, Joins: t.joins}
		switch t.kind {
		case scalarKind:
			shown.Kind = "scalar"
		case enumKind:
			shown.Kind = "enum"
		default:
			shown.Kind = "object"
			shown.Fields = c.shown(d, t.fields, t.name)
			for i := range shown.Fields {
				shown.Fields[i].Omitted = t.kind == inputKind && shown.Fields[i].Optional
			}
		}
		for _, value := range t.values {
			shown.Values = append(shown.Values, valueView{
				Name: d.valueAs(t, value.Value), Value: value.Value, Comment: plain(value.Description), Deprecated: value.IsDeprecated,
			})
		}
		v.Types = append(v.Types, shown)
	}
	v.Arguments = c.shown(d, c.arguments, "")
	v.Output = d.typeOf(field{ref: c.output}, "")
	return v
}

func (c *contract) shown(d dialect, fields []field, owner string) []fieldView {
	scope := namer{}
	var out []fieldView
	for _, f := range fields {
		shown := fieldView{Name: d.fieldAs(scope, f.name), JSON: f.name, Type: d.typeOf(f, owner), Comment: f.comment, Optional: !f.ref.NonNull}
		if base := f.ref.Base(); c.byName[base] == nil && !builtIn(base) {
			shown.Scalar = f.ref.String()
		}
		out = append(out, shown)
	}
	return out
}

// render fills in one template.
func render(name string, v view) (string, error) {
	var out bytes.Buffer
	if err := templates().ExecuteTemplate(&out, name, v); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return strings.TrimSpace(out.String()) + "\n", nil
}
