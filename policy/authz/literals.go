package authz

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The hash of a number that is no integer is that of its integral part, and that of
// an array is the sum of its members'. So sets of them take the square of their size
// to make, and the parser and most stages of the compiler make each anew. What stands
// in modules is bounded before either of them reads it; data is not hashed.
const (
	maxFractions = 500 // numbers that are no integers of 64 bits, in all modules
	longLiteral  = 30  // of them, one that takes long to be compared counts for
	maxAlike     = 500 // arrays, sets and objects in one set, or keys of one object
)

// checkLiterals refuses modules with values that take too long to be compiled.
func checkLiterals(modules []Module) error {
	var failed []Problem
	l := literals{fractions: maxFractions, alike: maxAlike * maxAlike}
	for _, m := range modules {
		l.text, l.at, l.open = m.Text, 0, nil
		if message := l.scan(); message != "" {
			before := m.Text[:min(l.at, len(m.Text))]
			row := 1 + strings.Count(before, "\n")
			failed = append(failed, Problem{Module: m.Name, Row: row, Col: len(before) - strings.LastIndexByte(before, '\n'), Message: message})
			break
		}
	}
	if failed != nil {
		return &CompileError{failed}
	}
	return nil
}

// literals reads a module as a series of brackets, texts and numbers. What is no
// Rego it reads somehow: the parser refuses that.
type literals struct {
	text string
	at   int
	// open are the brackets around what is read, and last is what stands before it.
	open []bracket
	last byte

	fractions, alike int // how many more there may be
}

// bracket is an open one, or a template's quote.
type bracket struct {
	kind    byte
	members int // brackets directly in it
}

func (l *literals) scan() (refused string) {
	for l.at < len(l.text) && refused == "" {
		if n := len(l.open); n > 0 && (l.open[n-1].kind == '"' || l.open[n-1].kind == '`') {
			l.template(l.open[n-1].kind)
			continue
		}
		c := l.text[l.at]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			l.at++
			continue
		case c == '#':
			l.skip("\n")
			continue
		case c == '$' && l.at+1 < len(l.text) && (l.text[l.at+1] == '"' || l.text[l.at+1] == '`'):
			l.open = append(l.open, bracket{kind: l.text[l.at+1]})
			l.at++
		case c == '"':
			l.quoted()
		case c == '`':
			l.at++
			l.skip("`")
			l.at--
		case c == '{' || c == '[' || c == '(':
			if n := len(l.open); n > 0 && l.open[n-1].kind == '{' && (l.last == '{' || l.last == ',') {
				l.open[n-1].members++
			}
			l.open = append(l.open, bracket{kind: c})
		case c == '}' || c == ']' || c == ')':
			refused = l.closed()
		case word(c):
			refused = l.word()
		}
		l.last = c
		l.at++
	}
	return refused
}

// template reads the text of a template up to an expression or its end.
func (l *literals) template(quote byte) {
	switch c := l.text[l.at]; {
	case c == '\\':
		l.at++
	case c == quote:
		l.open = l.open[:len(l.open)-1]
	case c == '{':
		l.open, l.last = append(l.open, bracket{kind: '$'}), '$'
	}
	l.at++
}

// skip goes behind the next end.
func (l *literals) skip(end string) {
	if i := strings.Index(l.text[l.at:], end); i >= 0 {
		l.at += i + len(end)
		return
	}
	l.at = len(l.text)
}

// quoted goes to the end of a text.
func (l *literals) quoted() {
	for l.at++; l.at < len(l.text) && l.text[l.at] != '"' && l.text[l.at] != '\n'; l.at++ {
		if l.text[l.at] == '\\' {
			l.at++
		}
	}
}

func (l *literals) closed() (refused string) {
	n := len(l.open)
	if n == 0 {
		return ""
	}
	closed := l.open[n-1]
	l.open = l.open[:n-1]
	if l.alike -= closed.members * closed.members; l.alike < 0 {
		return fmt.Sprintf("expected at most %d arrays, sets and objects in one set or as keys of one object; use an array, or policy data", maxAlike)
	}
	return ""
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// word goes to the end of a name or number.
func (l *literals) word() (refused string) {
	start, digit := l.at, l.text[l.at] >= '0' && l.text[l.at] <= '9'
	for l.at+1 < len(l.text) {
		next := l.text[l.at+1]
		sign := (next == '-' || next == '+') && (l.text[l.at] == 'e' || l.text[l.at] == 'E')
		if !word(next) && (!digit || next != '.' && !sign) {
			break
		}
		l.at++
	}
	n := ast.Number(l.text[start : l.at+1])
	switch {
	case !digit || isInt(n):
		return ""
	case outsize(n):
		return fmt.Sprintf("a number has more than %d digits, or an exponent beyond %d", maxDigits, maxExponent)
	case isLong(n):
		l.fractions -= longLiteral
	default:
		l.fractions--
	}
	if l.fractions < 0 {
		return fmt.Sprintf("expected at most %d numbers in all modules that are no integers of 64 bits, and fewer of more than %d digits; use policy data", maxFractions, decimalDigits)
	}
	return ""
}
