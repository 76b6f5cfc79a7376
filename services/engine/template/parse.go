package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// kind says what a node is.
type kind byte

const (
	literal  kind = iota // value
	text                 // operands, joined to a string
	array                // operands
	object               // keys, operands
	variable             // name
	member               // operands: base, key; optional
	binary               // name is the operator; operands: left, right
	call                 // name; operands: argument
	branch               // operands: condition, then, condition, then, …, else
	loop                 // keys: index and element; operands: list, body
)

// node is a piece of a parsed template; from and to are its place.
type node struct {
	kind     kind
	from, to int
	name     string
	value    any
	keys     []string
	operands []*node
	optional bool
}

func (n *node) reads(name, key string) bool {
	if n.kind == member && n.operands[0].kind == variable && n.operands[0].name == name && n.operands[1].value == any(key) {
		return true
	}
	return slices.ContainsFunc(n.operands, func(o *node) bool { return o.reads(name, key) })
}

// parser reads a template without tokens of its own: strings hold expressions
// that hold strings. It gives up by panicking with an *Error.
type parser struct {
	source string
	at     int
	level  int
	scope  []string
}

func (p *parser) fail(code string, from, to int, format string, args ...any) {
	panic(&Error{Code: code, Message: fmt.Sprintf(format, args...), Position: place(p.source, from, to)})
}

// unexpected gives up at the next character.
func (p *parser) unexpected(wanted string) {
	if p.at >= len(p.source) {
		p.fail(ParseError, p.at, p.at, "unexpected end of the template, expected %s", wanted)
	}
	r, size := utf8.DecodeRuneInString(p.source[p.at:])
	p.fail(ParseError, p.at, p.at+size, "unexpected %q, expected %s", r, wanted)
}

// enter counts a level; leave it with p.level--.
func (p *parser) enter() {
	if p.level++; p.level > MaxLevels {
		p.fail(LimitError, p.at, p.at, "the template nests deeper than %d levels", MaxLevels)
	}
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.at < len(p.source) {
		switch p.source[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		case '#':
			end := strings.IndexByte(p.source[p.at:], '\n')
			if end < 0 {
				p.at = len(p.source)
				return
			}
			p.at += end
		default:
			return
		}
	}
}

// next reports whether the source goes on with s, and does not move.
func (p *parser) next(s string) bool { return strings.HasPrefix(p.source[p.at:], s) }

func (p *parser) accept(s string) bool {
	if p.next(s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *parser) expect(s string) {
	p.space()
	if !p.accept(s) {
		p.unexpected(`"` + s + `"`)
	}
}

func (p *parser) document() *node {
	n := p.operators(false, 0)
	p.ended()
	return n
}

func (p *parser) ended() {
	if p.space(); p.at < len(p.source) {
		p.unexpected("the end of the template")
	}
}

func (p *parser) whole() *node {
	n := p.operators(true, 0)
	p.ended()
	return n
}

// operatorsByLevel bind looser first. Longer ones stand before their prefixes.
var operatorsByLevel = [][]string{{"||"}, {"&&"}, {"==", "!=", "<=", ">=", "<", ">", "in"}, {"??"}}

// operators reads a value with the operators of a level and those that bind
// tighter. Inside braces bare names are variables; outside there are none.
func (p *parser) operators(inside bool, level int) *node {
	if level == len(operatorsByLevel) {
		return p.postfix(inside)
	}
	left := p.operators(inside, level+1)
	for {
		operator := p.operator(operatorsByLevel[level])
		if operator == "" {
			return left
		}
		right := p.operators(inside, level+1)
		left = &node{kind: binary, from: left.from, to: right.to, name: operator, operands: []*node{left, right}}
		// A chain of operators makes a tree as deep as the chain is long.
		p.enter()
		defer func() { p.level-- }()
	}
}

func (p *parser) operator(of []string) string {
	p.space()
	for _, operator := range of {
		if !p.next(operator) {
			continue
		}
		if operator == "in" && wordAt(p.source, p.at) != "in" {
			continue
		}
		p.at += len(operator)
		return operator
	}
	return ""
}

// postfix reads a value and the path behind it.
func (p *parser) postfix(inside bool) *node {
	p.enter()
	defer func() { p.level-- }()
	n := p.primary(inside)
	if !inside {
		return n
	}
	for steps := 0; ; steps++ {
		optional := p.next("?.") || p.next("?[")
		from := p.at
		if optional {
			p.at++
		}
		var key *node
		switch {
		case p.accept("."):
			start := p.at
			name := wordAt(p.source, p.at)
			if name == "" {
				p.unexpected("a name")
			}
			p.at += len(name)
			key = &node{kind: literal, from: start, to: p.at, value: name}
		case p.accept("["):
			key = p.operators(true, 0)
			p.expect("]")
		default:
			return n
		}
		if steps == MaxLevels {
			p.fail(LimitError, from, p.at, "the path is longer than %d steps", MaxLevels)
		}
		n = &node{kind: member, from: n.from, to: p.at, operands: []*node{n, key}, optional: optional}
	}
}

func (p *parser) primary(inside bool) *node {
	p.space()
	start := p.at
	if p.at == len(p.source) {
		p.unexpected("a value")
	}
	switch c := p.source[p.at]; {
	case p.next("{{"):
		return p.braces()
	case c == '{':
		return p.object(inside)
	case c == '[':
		return p.array(inside)
	case c == '"', c == '\'' && inside:
		return p.quoted(c)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == '(':
		p.at++
		n := p.operators(inside, 0)
		p.expect(")")
		return n
	}
	word := wordAt(p.source, p.at)
	p.at += len(word)
	switch {
	case word == "null":
		return &node{kind: literal, from: start, to: p.at}
	case word == "true", word == "false":
		return &node{kind: literal, from: start, to: p.at, value: word == "true"}
	case word == "" || !inside || reserved[word]:
		p.at = start
		p.unexpected("a value")
	}
	return p.named(word, start)
}

var reserved = map[string]bool{"if": true, "elif": true, "else": true, "end": true, "range": true, "in": true, "_": true}

// named reads a variable, or the call of a function, whose argument needs no
// parentheses.
func (p *parser) named(name string, start int) *node {
	end := p.at
	if slices.Contains(p.scope, name) {
		return &node{kind: variable, from: start, to: end, name: name}
	}
	if !isFunction(name) {
		p.fail(NameError, start, end, "Variable '%s' not in scope", name)
	}
	argument := p.postfix(true)
	return &node{kind: call, from: start, to: p.at, name: name, operands: []*node{argument}}
}

// wordAt is the name at an offset: letters, digits, _ and -, a $ in front.
func wordAt(source string, at int) string {
	end := at
	for ; end < len(source); end++ {
		c := source[end]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (c != '$' || end > at) && (end == at || c != '-' && (c < '0' || c > '9')) {
			break
		}
	}
	return source[at:end]
}

func (p *parser) number() *node {
	start := p.at
	end := start
	for end < len(p.source) && strings.IndexByte("+-.eE0123456789", p.source[end]) >= 0 {
		end++
	}
	if !json.Valid([]byte(p.source[start:end])) || end-start > 400 {
		p.fail(ParseError, start, end, "not a number: %.40q", p.source[start:end])
	}
	p.at = end
	return &node{kind: literal, from: start, to: end, value: json.Number(p.source[start:end])}
}

func (p *parser) array(inside bool) *node {
	n := &node{kind: array, from: p.at}
	p.at++
	if p.space(); p.accept("]") {
		n.to = p.at
		return n
	}
	for {
		n.operands = append(n.operands, p.operators(inside, 0))
		if p.space(); p.accept(",") {
			continue
		}
		if !p.accept("]") {
			p.unexpected(`"," or "]"`)
		}
		n.to = p.at
		return n
	}
}

func (p *parser) object(inside bool) *node {
	n := &node{kind: object, from: p.at}
	p.at++
	if p.space(); p.accept("}") {
		n.to = p.at
		return n
	}
	for {
		if p.space(); !p.next(`"`) {
			p.unexpected("a key in double quotes")
		}
		key := p.quoted('"')
		name, plain := key.value.(string)
		if key.kind != literal || !plain {
			p.fail(ParseError, key.from, key.to, "a key cannot hold expressions")
		}
		p.expect(":")
		n.keys, n.operands = append(n.keys, name), append(n.operands, p.operators(inside, 0))
		if p.space(); p.accept(",") {
			continue
		}
		if !p.accept("}") {
			p.unexpected(`"," or "}"`)
		}
		n.to = p.at
		return n
	}
}

// quoted reads a string with its quotes.
func (p *parser) quoted(quote byte) *node {
	start := p.at
	p.at++
	n := p.pieces(start, func() bool { return p.at < len(p.source) && p.source[p.at] == quote }, true)
	if p.at == len(p.source) {
		p.fail(ParseError, start, p.at, "the string does not end")
	}
	p.at++
	n.from, n.to = start, p.at
	return n
}

// text reads the whole source as the inside of a string.
func (p *parser) text() *node {
	n := p.pieces(0, func() bool { return false }, false)
	if n.kind == text && len(n.operands) == 1 {
		return n.operands[0] // alone, an expression may be null
	}
	return n
}

// pieces reads text and expressions until done or the end: a literal when there
// is no expression.
func (p *parser) pieces(start int, done func() bool, escapes bool) *node {
	n := &node{kind: text, from: start}
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			n.operands = append(n.operands, &node{kind: literal, from: start, to: p.at, value: plain.String()})
			plain.Reset()
		}
	}
	for p.at < len(p.source) && !done() {
		switch {
		case p.next("{{"):
			flush()
			n.operands = append(n.operands, p.braces())
		case escapes && p.source[p.at] == '\\':
			plain.WriteString(p.escape())
		default:
			plain.WriteByte(p.source[p.at])
			p.at++
		}
	}
	if len(n.operands) == 0 {
		return &node{kind: literal, from: start, to: p.at, value: strings.ToValidUTF8(plain.String(), "\uFFFD")}
	}
	flush()
	n.to = p.at
	return n
}

// escape reads what JSON writes with a backslash.
func (p *parser) escape() string {
	start, size := p.at, 2
	if strings.HasPrefix(p.source[start:], `\u`) {
		size = 6
		if strings.HasPrefix(p.source[min(start+6, len(p.source)):], `\u`) && surrogate(p.source[start:]) {
			size = 12
		}
	}
	end := min(start+size, len(p.source))
	raw := p.source[start:end]
	p.at = end
	if raw == `\'` {
		return "'"
	}
	var decoded string
	if json.Unmarshal([]byte(`"`+raw+`"`), &decoded) != nil {
		p.fail(ParseError, start, end, "not an escape: %q", raw)
	}
	return decoded
}

// surrogate reports whether an escape is the first half of a pair.
func surrogate(escape string) bool {
	return len(escape) >= 4 && strings.EqualFold(escape[2:3], "d") && strings.ContainsAny(escape[3:4], "89abAB")
}
