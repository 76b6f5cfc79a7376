package openapi

import (
	"strings"
	"unicode"

	"tenantry/tenants/model"
)

// identifier makes a GraphQL name of a text: what can't be in one becomes _.
func identifier(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'):
			out.WriteRune(r)
		case out.Len() > 0 && !strings.HasSuffix(out.String(), "_"):
			out.WriteByte('_')
		}
	}
	name := strings.TrimRight(out.String(), "_")
	for strings.HasPrefix(name, "__") {
		name = name[1:]
	}
	if name == "" || unicode.IsDigit(rune(name[0])) {
		name = "_" + name
	}
	return name
}

// pascal is an identifier as types are called.
func pascal(text string) string {
	var out strings.Builder
	for _, word := range strings.Split(identifier(text), "_") {
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	if name := out.String(); name != "" && !unicode.IsDigit(rune(name[0])) {
		return name
	}
	return "_" + out.String()
}

// usable reports whether a member of JSON can be a field of that very name.
func usable(name string) bool { return model.ValidName(name) && !strings.HasPrefix(name, "__") }
