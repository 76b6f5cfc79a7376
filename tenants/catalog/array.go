package catalog

import "strings"

// Array writes the literal of an array as Postgres reads it, element by element.
// The zero Array is empty. Arrays of arrays nest: the text of one is an element
// of another.
type Array struct{ text strings.Builder }

// Null adds NULL.
func (a *Array) Null() { a.Nested("NULL") }

// Nested adds the literal of another array as it is.
func (a *Array) Nested(literal string) {
	a.next()
	a.text.WriteString(literal)
}

// Add adds an element by its text. It is always quoted, so that none is read as
// NULL or a brace.
func (a *Array) Add(text string) {
	a.next()
	a.text.Grow(len(text) + 2)
	a.text.WriteByte('"')
	for i := 0; i < len(text); i++ {
		if text[i] == '"' || text[i] == '\\' {
			a.text.WriteByte('\\')
		}
		a.text.WriteByte(text[i])
	}
	a.text.WriteByte('"')
}

// AddShort is Add without quotes where the text can't be taken for anything else,
// which is how Postgres itself writes arrays.
func (a *Array) AddShort(text string) {
	if text == "" || strings.EqualFold(text, "null") || strings.ContainsAny(text, "{}\",\\ \t\n\r\v\f") {
		a.Add(text)
		return
	}
	a.Nested(text)
}

func (a *Array) next() {
	if a.text.Len() == 0 {
		a.text.WriteByte('{')
		return
	}
	a.text.WriteByte(',')
}

// String is the literal.
func (a *Array) String() string {
	if a.text.Len() == 0 {
		return "{}"
	}
	return a.text.String() + "}"
}

// ArrayOf is the literal of elements that are already text; nil is NULL.
func ArrayOf(elements []*string) string {
	var a Array
	for _, e := range elements {
		if e == nil {
			a.Null()
			continue
		}
		a.Add(*e)
	}
	return a.String()
}
