// Package openapi is the way between actions and OpenAPI documents, in both
// directions: Import makes definitions of actions of the operations of a REST API,
// Describe tells how the handler of an action is called.
//
// It is pure: documents come in as text and nothing that they refer to is fetched.
// They may be hostile, so that size, depth, aliases and the work that references
// make are bounded.
package openapi

import (
	"fmt"
	"strings"

	"tenantry/tenants/metadata"
)

// The limits of documents.
const (
	MaxDocument   = 4 << 20 // bytes of text
	MaxNodes      = 200_000 // values, with what aliases stand for
	MaxLevels     = 100     // of values within one another
	MaxOperations = 200     // that are imported at once
	maxSchemas    = 20_000  // schemas that are looked at, each as often as it is referred to
)

// Note is something of a document that is not in the definitions, or is not as
// exact in them.
type Note struct {
	Pointer string `json:"pointer" doc:"Place in the document, as a JSON pointer."`
	Message string `json:"message"`
}

// Error is a document that can't be read; the notes say what is wrong and where.
type Error struct{ Notes []Note }

// Error tells all notes.
func (e *Error) Error() string {
	lines := make([]string, len(e.Notes))
	for i, n := range e.Notes {
		lines[i] = strings.TrimPrefix(n.Pointer+": "+n.Message, ": ")
	}
	return strings.Join(lines, "\n")
}

func refused(pointer, format string, args ...any) *Error {
	return &Error{Notes: []Note{{pointer, fmt.Sprintf(format, args...)}}}
}

// Options of an import.
type Options struct {
	// Operations are the ids of those that are wanted; all when empty. An operation
	// without an id has one of its method and path: get_pets_petId.
	Operations []string
	// Handler is the URL that paths are appended to; the document's first server
	// when empty. It may hold {{VARIABLE}}.
	Handler string
	// Prefix begins the names of all types.
	Prefix string
	// Roles that may call the actions.
	Roles []string
}

// Definition is an operation as an action, with the custom types that it uses.
type Definition struct {
	Operation string // its id
	Pointer   string // its place in the document
	Action    metadata.Action
	Types     metadata.CustomTypes
}

// Unmapped is an operation that can't be an action, and why.
type Unmapped struct {
	Operation string `json:"operation" doc:"Id of the operation."`
	Pointer   string `json:"pointer" doc:"Place in the document of what can't be mapped."`
	Reason    string `json:"reason"`
}

// Imported is what an import makes, in the order of paths and methods.
type Imported struct {
	Definitions []Definition
	Unmapped    []Unmapped
	Notes       []Note
}

// How the steps of JSON pointers are written (RFC 6901).
var escaped, unescaped = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

// at appends steps to a JSON pointer.
func at(pointer string, steps ...string) string {
	for _, s := range steps {
		pointer += "/" + escaped.Replace(s)
	}
	return pointer
}
