// Package rest serves saved operations as REST endpoints: templates of paths,
// the variables that a request brings, and the OpenAPI document of all of them.
//
// The router asks it which operation a path means and with which variables; the
// instance then executes that operation like any other, under the same
// permissions, allow-list and limits.
package rest

import (
	"fmt"
	"strings"
)

// template is an endpoint's path: literal segments, and variables that begin
// with a colon.
type template struct {
	text     string
	segments []string
}

func parseTemplate(text string) (template, error) {
	t := template{text: text, segments: strings.Split(text, "/")}
	seen := map[string]bool{}
	for _, s := range t.segments {
		if s == "" || s == ":" {
			return t, fmt.Errorf("Empty segments or unnamed variables are not allowed: %s", text)
		}
		if isVariable(s) && seen[s] {
			return t, fmt.Errorf("Duplicate variables found in endpoint path: %s", text)
		}
		seen[s] = true
	}
	return t, nil
}

func isVariable(segment string) bool { return segment[0] == ':' }

// variables are the names of the template's variables.
func (t template) variables() []string {
	var names []string
	for _, s := range t.segments {
		if isVariable(s) {
			names = append(names, s[1:])
		}
	}
	return names
}

// match compares a path with the template; values are the variables' texts.
func (t template) match(path []string) (values map[string]string, ok bool) {
	if len(path) != len(t.segments) {
		return nil, false
	}
	values = map[string]string{}
	for i, s := range t.segments {
		switch {
		case isVariable(s):
			values[s[1:]] = path[i]
		case s != path[i]:
			return nil, false
		}
	}
	return values, true
}

// overlaps reports whether some path matches both templates.
func (t template) overlaps(other template) bool {
	if len(t.segments) != len(other.segments) {
		return false
	}
	for i, a := range t.segments {
		if b := other.segments[i]; a != b && !isVariable(a) && !isVariable(b) {
			return false
		}
	}
	return true
}

// openAPI is the template as OpenAPI writes it.
func (t template) openAPI() string {
	out := make([]string, len(t.segments))
	for i, s := range t.segments {
		if out[i] = s; isVariable(s) {
			out[i] = "{" + s[1:] + "}"
		}
	}
	return strings.Join(out, "/")
}
