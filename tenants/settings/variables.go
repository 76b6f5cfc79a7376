package settings

import (
	"regexp"
	"slices"
	"strings"
)

// reservedPrefix begins names that belong to the engine of the dialect:
// value_from_env refuses them, so no variable may have one.
const reservedPrefix = "HASURA_GRAPHQL_"

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// template is {{NAME}}. What else stands in double braces belongs to the
	// template language of transforms.
	template = regexp.MustCompile(`\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)
)

// maxName is the longest name of a variable.
const maxName = 128

// Reserved reports whether a name may neither be defined nor be used in
// value_from_env.
func Reserved(name string) bool { return strings.HasPrefix(strings.ToUpper(name), reservedPrefix) }

// CheckVariableName says what is wrong with the name of a variable; "" when
// nothing is.
func CheckVariableName(name string) string {
	switch {
	case !variableName.MatchString(name) || len(name) > maxName:
		return "expected a letter or underscore, then letters, digits and underscores, at most 128"
	case Reserved(name):
		return "names that begin with " + reservedPrefix + " are reserved"
	}
	return ""
}

// Lookup returns the value of a variable. Only the project's own variables are
// known, never the environment of the program.
func (s Settings) Lookup(name string) (value string, ok bool) {
	for i := range s.Variables {
		if s.Variables[i].Name == name {
			return s.Variables[i].Value.Reveal(), true
		}
	}
	return "", false
}

// Expand replaces every {{NAME}} in text by the variable's value, once: values
// are not expanded themselves. missing names the variables that are not
// defined, in order and once each; their templates stay as they are.
func (s Settings) Expand(text string) (expanded string, missing []string) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	expanded = template.ReplaceAllStringFunc(text, func(found string) string {
		name := template.FindStringSubmatch(found)[1]
		value, ok := s.Lookup(name)
		if !ok {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			return found
		}
		return value
	})
	return expanded, missing
}

// Names are the names of the variables that text refers to, in order and once
// each.
func Names(text string) []string {
	var names []string
	for _, found := range template.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, found[1]) {
			names = append(names, found[1])
		}
	}
	return names
}

// WithVariable returns a copy of s in which v is defined, in order of names.
func (s Settings) WithVariable(v Variable) Settings {
	s.Variables = slices.Clone(s.Variables)
	at, found := slices.BinarySearchFunc(s.Variables, v.Name, func(v Variable, name string) int { return strings.Compare(v.Name, name) })
	if found {
		s.Variables[at] = v
		return s
	}
	s.Variables = slices.Insert(s.Variables, at, v)
	return s
}

// WithoutVariable returns a copy of s without a variable, and whether it was
// there.
func (s Settings) WithoutVariable(name string) (Settings, bool) {
	before := len(s.Variables)
	s.Variables = slices.DeleteFunc(slices.Clone(s.Variables), func(v Variable) bool { return v.Name == name })
	return s, len(s.Variables) < before
}
