package graphqlhttp

import (
	"encoding/json"
	"unicode/utf8"
)

// quick reads one request of the plainest kind, in one pass: the members that
// Request has, each once, in UTF-8, without \u escapes, and nested no deeper than
// quickDepth. It reports false for everything else, mistakes among it, and
// encoding/json decides then: whatever quick takes, that takes for the same.
func quick(body []byte) (Request, bool) {
	p := quickParser{text: body}
	var r Request
	if !p.request(&r) {
		return Request{}, false
	}
	p.space()
	return r, p.at == len(body)
}

const quickDepth = 16

type quickParser struct {
	text []byte
	at   int
}

// The members of a request, as bits of those that were seen.
const (
	memberQuery = 1 << iota
	memberOperationName
	memberVariables
	memberExtensions
	memberDocumentID
)

func (p *quickParser) request(r *Request) bool {
	seen := 0
	return p.members(func(key []byte) bool {
		member, ok := 0, false
		switch string(key) {
		case "query":
			member = memberQuery
			r.Query, ok = p.string()
		case "operationName":
			member = memberOperationName
			r.OperationName, ok = p.stringOrNull()
		case "variables":
			member = memberVariables
			r.Variables, ok = p.objectOrNull()
		case "extensions":
			member = memberExtensions
			r.Extensions, ok = p.objectOrNull()
		case "documentId":
			member = memberDocumentID
			r.DocumentID, ok = p.stringOrNull()
		}
		if seen&member != 0 {
			return false
		}
		seen |= member
		return ok
	})
}

// members reads an object; each is called with a key and reads its value.
func (p *quickParser) members(each func(key []byte) bool) bool {
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

func (p *quickParser) objectOrNull() (map[string]any, bool) {
	if p.word("null") {
		return nil, true
	}
	return p.object(quickDepth)
}

func (p *quickParser) stringOrNull() (string, bool) {
	if p.word("null") {
		return "", true
	}
	return p.string()
}

func (p *quickParser) object(depth int) (map[string]any, bool) {
	out := map[string]any{}
	ok := p.members(func(key []byte) bool {
		name := string(key)
		value, ok := p.value(depth - 1)
		out[name] = value
		return ok
	})
	return out, ok
}

func (p *quickParser) list(depth int) ([]any, bool) {
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

func (p *quickParser) value(depth int) (any, bool) {
	p.space()
	if p.at == len(p.text) || depth < 0 {
		return nil, false
	}
	switch c := p.text[p.at]; {
	case c == '"':
		return p.string()
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
func (p *quickParser) number() (json.Number, bool) {
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

func (p *quickParser) digits() int {
	begin := p.at
	for p.at < len(p.text) && digit(p.text[p.at]) {
		p.at++
	}
	return p.at - begin
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func (p *quickParser) string() (string, bool) {
	p.space()
	raw, escaped, ok := p.raw()
	if !ok || !escaped {
		return string(raw), ok
	}
	return unescape(raw)
}

// raw reads a string and returns what stands between its quotes. A control
// character, or bytes that are no UTF-8, are not for quick.
func (p *quickParser) raw() (text []byte, escaped, ok bool) {
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

func (p *quickParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\n' || p.text[p.at] == '\t' || p.text[p.at] == '\r') {
		p.at++
	}
}

// take reads a character after any space.
func (p *quickParser) take(c byte) bool {
	p.space()
	return p.skip(c)
}

func (p *quickParser) skip(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *quickParser) word(w string) bool {
	p.space()
	if len(p.text)-p.at < len(w) || string(p.text[p.at:p.at+len(w)]) != w {
		return false
	}
	p.at += len(w)
	return true
}
