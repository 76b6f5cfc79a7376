// Package plainjson reads JSON of the plainest kind in one pass: UTF-8 without \u
// escapes, keys without any escapes, and nested no deeper than MaxDepth.
//
// It reports false for everything else, mistakes among it, and encoding/json decides
// then: whatever is taken here, that takes for the same, with UseNumber. Requests of
// clients and answers of handlers come this way, most of which are of that kind.
package plainjson

import (
	"encoding/json"
	"unicode/utf8"
)

// MaxDepth is how deep lists and objects may lie within each other.
const MaxDepth = 16

// Value reads a text that is one JSON value: nil, bool, string, json.Number, []any or
// map[string]any. Of members with the same key it has the last. Nothing of text is
// kept.
func Value(text []byte) (value any, ok bool) {
	p := Parser{text: text}
	if value, ok = p.value(MaxDepth); !ok || !p.End() {
		return nil, false
	}
	return value, true
}

// Parser reads a text from its beginning. Its methods report false for what is not
// there, or not plain; the parser is of no use then.
type Parser struct {
	text []byte
	at   int
}

// New returns a parser of text, which it only reads.
func New(text []byte) Parser { return Parser{text: text} }

// End reports whether nothing but white space is left.
func (p *Parser) End() bool {
	p.space()
	return p.at == len(p.text)
}

// Members reads an object: each is called with every key, which is part of
// the text, and reads the value.
func (p *Parser) Members(each func(key []byte) bool) bool {
	if !p.take('{') {
		return false
	}
	if p.take('}') {
		return true
	}
	for {
		p.space()
		key, escaped, ok := p.raw()
		if !ok || escaped || !p.take(':') || !each(key) {
			return false
		}
		if p.take('}') {
			return true
		}
		if !p.take(',') {
			return false
		}
	}
}

// ObjectOrNull reads an object, or null as nil.
func (p *Parser) ObjectOrNull() (map[string]any, bool) {
	if p.word("null") {
		return nil, true
	}
	return p.object(MaxDepth)
}

// TextOrNull reads a string, or null as the empty one.
func (p *Parser) TextOrNull() (string, bool) {
	if p.word("null") {
		return "", true
	}
	return p.Text()
}

func (p *Parser) object(depth int) (map[string]any, bool) {
	out := map[string]any{}
	ok := p.Members(func(key []byte) bool {
		name := string(key)
		value, ok := p.value(depth - 1)
		out[name] = value
		return ok
	})
	return out, ok
}

func (p *Parser) list(depth int) ([]any, bool) {
	p.at++ // the bracket
	out := []any{}
	if p.take(']') {
		return out, true
	}
	for {
		value, ok := p.value(depth - 1)
		if !ok {
			return nil, false
		}
		out = append(out, value)
		if p.take(']') {
			return out, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

func (p *Parser) value(depth int) (any, bool) {
	p.space()
	if p.at == len(p.text) || depth < 0 {
		return nil, false
	}
	switch c := p.text[p.at]; {
	case c == '"':
		return p.Text()
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '-' || digit(c):
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	default:
		return nil, p.word("null")
	}
}

// number reads -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? and keeps its text.
func (p *Parser) number() (json.Number, bool) {
	begin := p.at
	p.skip('-')
	if !p.skip('0') && p.digits() == 0 {
		return "", false
	}
	if p.skip('.') && p.digits() == 0 {
		return "", false
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		if p.digits() == 0 {
			return "", false
		}
	}
	return json.Number(p.text[begin:p.at]), true
}

func (p *Parser) digits() int {
	begin := p.at
	for p.at < len(p.text) && digit(p.text[p.at]) {
		p.at++
	}
	return p.at - begin
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// Text reads a string.
func (p *Parser) Text() (string, bool) {
	p.space()
	raw, escaped, ok := p.raw()
	if !ok || !escaped {
		return string(raw), ok
	}
	return unescape(raw)
}

// raw reads a string and returns what stands between its quotes. A control
// character, or bytes that are no UTF-8, are not for quick.
func (p *Parser) raw() (text []byte, escaped, ok bool) {
	if p.at == len(p.text) || p.text[p.at] != '"' {
		return nil, false, false
	}
	p.at++
	begin, plain := p.at, true
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			text = p.text[begin:p.at]
			p.at++
			return text, escaped, plain || utf8.Valid(text)
		case c == '\\':
			escaped = true
			p.at++ // what follows is no end of the string
		case c < ' ':
			return nil, false, false
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, false, false
}

// unescape knows the escapes of one character.
func unescape(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' {
			i++
			switch raw[i] { // there is one: raw does not end within an escape
			case '"', '\\', '/':
				c = raw[i]
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			default:
				return "", false
			}
		}
		out = append(out, c)
	}
	return string(out), true
}

func (p *Parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\n' || p.text[p.at] == '\t' || p.text[p.at] == '\r') {
		p.at++
	}
}

// take reads a character after any space.
func (p *Parser) take(c byte) bool {
	p.space()
	return p.skip(c)
}

func (p *Parser) skip(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *Parser) word(w string) bool {
	p.space()
	if len(p.text)-p.at < len(w) || string(p.text[p.at:p.at+len(w)]) != w {
		return false
	}
	p.at += len(w)
	return true
}
