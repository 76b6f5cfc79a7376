package executor

import (
	"errors"

	"tenantry/services/engine/plan"
)

// finder finds the spots of documents, in order.
type finder struct {
	levels map[*plan.Join]*joinLevel
	order  []*joinLevel // as first met
	spots  []spot

	number int // of the document
	text   []byte
	at     int
}

// errUnexpected says that JSON doesn't have the form of its plan.
var errUnexpected = errors.New("attach: the answer is not of the planned form")

func (f *finder) document(number int, text []byte, p *places) error {
	if text == nil {
		return nil // nothing was found there
	}
	f.number, f.text, f.at = number, text, 0
	return f.value(p)
}

// value passes over a value; p are the places in it, nil for none.
func (f *finder) value(p *places) error {
	f.space()
	start := f.at
	if p == nil || p.join != nil {
		if !f.skip() {
			return errUnexpected
		}
		if p == nil {
			return nil
		}
		return f.spot(p.join, start)
	}
	switch f.byte() {
	case '{':
		return f.items('}', func() error {
			key, ok := f.key()
			if !ok {
				return errUnexpected
			}
			return f.value(p.member(key))
		})
	case '[':
		return f.items(']', func() error { return f.value(p) })
	}
	if !f.skip() {
		return errUnexpected
	}
	return nil
}

func (f *finder) spot(j *plan.Join, start int) error {
	l := f.levels[j]
	if l == nil {
		l = &joinLevel{keys: newKeys(j), positions: map[string]int{}}
		f.levels[j] = l
		f.order = append(f.order, l)
	}
	position, err := l.position(f.text[start:f.at])
	f.spots = append(f.spots, spot{l, f.number, start, f.at, position})
	return err
}

// items passes over an object or a list, whose end is given.
func (f *finder) items(end byte, item func() error) error {
	f.at++
	f.space()
	if f.byte() == end {
		f.at++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		f.space()
		switch f.byte() {
		case ',':
			f.at++
		case end:
			f.at++
			return nil
		default:
			return errUnexpected
		}
	}
}

// key passes over a member's key and its colon. Keys of places are GraphQL names,
// which have nothing to be unescaped.
func (f *finder) key() ([]byte, bool) {
	f.space()
	start := f.at
	if f.byte() != '"' || !f.skip() {
		return nil, false
	}
	key := f.text[start+1 : f.at-1]
	f.space()
	if f.byte() != ':' {
		return nil, false
	}
	f.at++
	return key, true
}

// byte is the next one; 0 at the end.
func (f *finder) byte() byte {
	if f.at < len(f.text) {
		return f.text[f.at]
	}
	return 0
}

func (f *finder) space() {
	for f.at < len(f.text) {
		switch f.text[f.at] {
		case ' ', '\n', '\t', '\r':
			f.at++
		default:
			return
		}
	}
}

// skip passes over a whole value, of any depth; false when the text ends in it.
func (f *finder) skip() bool {
	depth := 0
	for f.at < len(f.text) {
		switch f.text[f.at] {
		case '"':
			if !f.skipString() {
				return false
			}
			if depth == 0 {
				return true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true // of what is around a number or word
			}
			depth--
			if depth == 0 {
				f.at++
				return true
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return true
			}
		}
		f.at++
	}
	return depth == 0
}

func (f *finder) skipString() bool {
	for f.at++; f.at < len(f.text); f.at++ {
		switch f.text[f.at] {
		case '\\':
			f.at++
		case '"':
			f.at++
			return true
		}
	}
	return false
}
