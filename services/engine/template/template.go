// Package template is the template language of webhook transforms (the Kriti
// style): JSON in which any value may be {{ expression }} and strings may hold
// some. transform compiles templates when metadata is resolved and evaluates
// them for every call.
//
// A template is written by a tenant and reads what others send, so neither may
// hang or bloat a worker: nesting is bounded when it is parsed, steps and output
// when it is evaluated. A template has no side effects; the same data give the
// same output.
package template

import (
	"fmt"
	"slices"
)

// The limits of a template.
const (
	// MaxSteps bounds an evaluation: nodes, elements, and each 64 bytes of text.
	MaxSteps = 100_000
	// MaxOutput bounds the output and every text on the way to it, in bytes.
	MaxOutput = 1 << 20
	// MaxLevels bounds how deep a template nests.
	MaxLevels = 64
	// MaxSource bounds a template's own text, in bytes.
	MaxSource = 1 << 20
)

// Kinds of errors, as tools show them.
const (
	ParseError    = "Parse Error"
	NameError     = "Name Error"
	TypeError     = "Type Error"
	PathError     = "Invalid Path"
	RangeError    = "Range Error"
	FunctionError = "Function Error"
	LimitError    = "Limit Error"
)

// Span is a piece of a template. Lines count from 0, columns from 1 and in
// characters; the end is the column behind the last character.
type Span struct {
	StartLine   int `json:"start_line"`
	StartColumn int `json:"start_column"`
	EndLine     int `json:"end_line"`
	EndColumn   int `json:"end_column"`
}

// Error is what is wrong with a template, or with the data that it was given.
// The message may quote the data's keys.
type Error struct {
	Code     string `json:"error_code"`
	Message  string `json:"message"`
	Position Span   `json:"source_position"`
}

// Error tells kind, message and place, for people: lines count from 1 here.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (line %d, column %d)", e.Code, e.Message, e.Position.StartLine+1, e.Position.StartColumn)
}

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	source string
	root   *node
}

// Parse reads a template of a JSON value. Variables are the names that the data
// will have; the use of any other is an error.
func Parse(source string, variables ...string) (*Template, *Error) {
	return parse(source, variables, (*parser).document)
}

// ParseText reads a template that is the inside of a string without its quotes:
// verbatim text with expressions in it.
func ParseText(source string, variables ...string) (*Template, *Error) {
	return parse(source, variables, (*parser).text)
}

// ParseExpression reads an expression without its braces, or with.
func ParseExpression(source string, variables ...string) (*Template, *Error) {
	return parse(source, variables, (*parser).whole)
}

func parse(source string, variables []string, read func(*parser) *node) (t *Template, err *Error) {
	p := &parser{source: source, scope: slices.Clone(variables)}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *Error: // how the parser gives up
			t, err = nil, failure
		default:
			panic(failure)
		}
	}()
	if len(source) > MaxSource {
		return nil, &Error{Code: LimitError, Message: "the template is too long", Position: place(source, 0, 0)}
	}
	return &Template{source: source, root: read(p)}, nil
}

// Data are what a template reads.
type Data struct {
	// Variables by name, with the $; values are decoded JSON with json.Number.
	// They are read and never changed.
	Variables map[string]any
	// Session holds the session variables for getSessionVariable, names in lower
	// case.
	Session map[string]string
}

// Reads reports whether the template reads a member of a variable by that name.
func (t *Template) Reads(variable, key string) bool { return t.root.reads(variable, key) }

// place finds the span of source[from:to].
func place(source string, from, to int) Span {
	var s Span
	s.StartLine, s.StartColumn = position(source, from)
	s.EndLine, s.EndColumn = position(source, to)
	return s
}

func position(source string, offset int) (line, column int) {
	column = 1
	for i, r := range source {
		if i >= offset {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}
