package model

import (
	"fmt"
	"strings"
)

// TypeRef is a reference to a GraphQL type: a name or a list, maybe non-null.
type TypeRef struct {
	Name    string   // empty for a list
	Of      *TypeRef // of a list
	NonNull bool
}

// ParseTypeRef reads a type such as [Int!]!.
func ParseTypeRef(text string) (TypeRef, error) {
	t, rest, err := parseTypeRef(strings.TrimSpace(text))
	if err == nil && rest != "" {
		err = fmt.Errorf("%q stands after the type", rest)
	}
	if err != nil {
		return TypeRef{}, fmt.Errorf("not a GraphQL type: %q: %w", text, err)
	}
	return t, nil
}

func parseTypeRef(s string) (TypeRef, string, error) {
	var t TypeRef
	if strings.HasPrefix(s, "[") {
		of, rest, err := parseTypeRef(strings.TrimSpace(s[1:]))
		if err != nil {
			return t, "", err
		}
		if !strings.HasPrefix(rest, "]") {
			return t, "", fmt.Errorf("expected ] at %q", rest)
		}
		t.Of, s = &of, rest[1:]
	} else {
		n := 0
		for n < len(s) && isNameByte(s[n], n) {
			n++
		}
		if n == 0 {
			return t, "", fmt.Errorf("expected a name at %q", s)
		}
		t.Name, s = s[:n], s[n:]
	}
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "!") {
		t.NonNull, s = true, strings.TrimSpace(s[1:])
	}
	return t, s, nil
}

// ValidName reports whether name can be a GraphQL name.
func ValidName(name string) bool {
	for i := 0; i < len(name); i++ {
		if !isNameByte(name[i], i) {
			return false
		}
	}
	return name != ""
}

func isNameByte(c byte, at int) bool {
	switch {
	case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return true
	}
	return at > 0 && '0' <= c && c <= '9'
}

// Base is the name under all lists.
func (t TypeRef) Base() string {
	for t.Of != nil {
		t = *t.Of
	}
	return t.Name
}

// String is the type as GraphQL writes it.
func (t TypeRef) String() string {
	s := t.Name
	if t.Of != nil {
		s = "[" + t.Of.String() + "]"
	}
	if t.NonNull {
		s += "!"
	}
	return s
}
