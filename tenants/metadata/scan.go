package metadata

import (
	"bytes"
	"encoding/json"
)

// node is a piece of valid JSON, cut into its members or items but not yet read.
type node struct {
	raw   []byte
	keys  []string // of an object, parallel to items
	items []node   // of an object or array
}

// kind is the first byte: { [ " t f n, or - and digits.
func (n node) kind() byte { return n.raw[0] }

func (n node) isNull() bool { return n.kind() == 'n' }

// what names the kind of a value, for messages.
func (n node) what() string {
	switch n.kind() {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// scan cuts data. The error is that of encoding/json, with an offset. Nothing is
// copied: the nodes share data.
func scan(data []byte) (node, error) {
	var probe json.RawMessage
	if err := json.Unmarshal(data, &probe); err != nil {
		return node{}, err
	}
	s := scanner{data: data}
	return s.value(), nil
}

// scanner walks JSON that is known to be valid, so it never looks for mistakes.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for bytes.IndexByte([]byte(" \t\r\n"), s.data[s.at]) >= 0 {
		s.at++
	}
}

func (s *scanner) value() node {
	s.space()
	start := s.at
	var n node
	switch s.data[s.at] {
	case '{':
		s.members(&n, '}')
	case '[':
		s.members(&n, ']')
	case '"':
		s.text()
	default:
		for s.at < len(s.data) && bytes.IndexByte([]byte(",]} \t\r\n"), s.data[s.at]) < 0 {
			s.at++
		}
	}
	n.raw = s.data[start:s.at]
	return n
}

// members reads an object's or array's inside and its end.
func (s *scanner) members(n *node, end byte) {
	s.at++
	for {
		s.space()
		switch s.data[s.at] {
		case end:
			s.at++
			return
		case ',':
			s.at++
			continue
		}
		if end == '}' {
			n.keys = append(n.keys, unquote(s.text()))
			s.space()
			s.at++ // the colon
		}
		n.items = append(n.items, s.value())
	}
}

// text passes a string and returns it with its quotes.
func (s *scanner) text() []byte {
	start := s.at
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	return s.data[start:s.at]
}

func unquote(raw []byte) string {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil { // it was checked
		panic(err)
	}
	return text
}
