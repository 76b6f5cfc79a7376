package metadata

import (
	"encoding/json"
	"fmt"
)

// PermissionTest says what an operation of a session must come to. The tests of a
// document run before each change of the project; one that fails refuses it.
type PermissionTest struct {
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
	// Role and SessionVariables make the session; names of variables in any case.
	Role             string            `json:"role"`
	SessionVariables map[string]string `json:"session_variables,omitempty"`
	Query            string            `json:"query"`
	OperationName    string            `json:"operation_name,omitempty"`
	Variables        json.RawMessage   `json:"variables,omitempty"`
	// Dialect is the flavour of the schema that the query is for: graphql, which is
	// meant when it is left out, or relay.
	Dialect string `json:"dialect,omitempty"`
	// Answers stand for those of handlers, by the name of the action: the body of an
	// answer with status 200. With them the actions run, and no handler is called.
	Answers map[string]json.RawMessage `json:"answers,omitempty"`
	Expect  PermissionExpect           `json:"expect" required:"false"`
}

// The dialects of permission tests.
const (
	DialectGraphQL = "graphql"
	DialectRelay   = "relay"
)

// PermissionExpect is what a test expects: that the operation is allowed, unless
// Refused, and of one that reads, what it answers.
type PermissionExpect struct {
	Refused bool `json:"refused,omitempty"`
	// Code of the refusal; empty is any.
	Code string `json:"code,omitempty"`
	// Rows is how many rows a root field answers, by its key in the response.
	Rows map[string]int `json:"rows,omitempty"`
	// Data is the whole answer.
	Data json.RawMessage `json:"data,omitempty"`
}

// MaxPermissionTests bounds the tests of a document: they run before each change.
const MaxPermissionTests = 500

func (d *decoder) permissionTests(list []PermissionTest, at string) {
	names := unique{c: d, what: "permission test"}
	if len(list) > MaxPermissionTests {
		d.fail(at, "expected at most %d tests", MaxPermissionTests)
	}
	for i, t := range list {
		here := fmt.Sprintf("%s[%d]", at, i)
		names.add(here+".name", t.Name)
		if t.Role == "" {
			d.fail(here+".role", "empty string not allowed")
		}
		if t.Query == "" {
			d.fail(here+".query", "empty string not allowed")
		}
		if t.Dialect != "" && t.Dialect != DialectGraphQL && t.Dialect != DialectRelay {
			d.fail(here+".dialect", "expected %s or %s", DialectGraphQL, DialectRelay)
		}
		e := t.Expect
		if e.Refused && (e.Rows != nil || e.Data != nil) {
			d.fail(here+".expect", "an operation that is refused answers neither rows nor data")
		}
		if e.Code != "" && !e.Refused {
			d.fail(here+".expect.code", "expected together with refused")
		}
	}
}

// lostTests names the tests that are gone.
func lostTests(before, doc *Document) []string {
	kept := map[string]bool{}
	for _, t := range doc.PermissionTests {
		kept[t.Name] = true
	}
	var lost []string
	for _, t := range before.PermissionTests {
		if !kept[t.Name] {
			lost = append(lost, fmt.Sprintf("the permission test %q", t.Name))
		}
	}
	return lost
}
