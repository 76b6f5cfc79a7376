package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"tenantry/services/engine/plan"
)

// What another source adds to rows can't be in the statement that reads them. That
// statement answers the values to join by in its place; attach finds them in the
// JSON and puts there what they lead to. The plan tells where they are, so that
// nothing else of the JSON is looked into, and an answer without such places is
// never read.

// places say where in a piece of JSON the values of joins are. Lists between are
// passed through.
type places struct {
	join    *plan.Join // the value itself
	members []place    // of an object, in the order of the answer
}

// place is a member of an object with places inside.
type place struct {
	key   string
	inner *places
}

// within are places inside a member of an object; p may be nil and so may be what
// is returned: no places.
func (p *places) within(key string, inner *places) *places {
	if inner == nil {
		return p
	}
	if p == nil {
		p = &places{}
	}
	p.members = append(p.members, place{key, inner})
	return p
}

// member are the places inside of a member; nil for none.
func (p *places) member(key []byte) *places {
	for i := range p.members {
		if p.members[i].key == string(key) {
			return p.members[i].inner
		}
	}
	return nil
}

// placesOf are the places in what a selection answers.
func placesOf(s *plan.Select) (p *places) {
	switch {
	case s.Connection != nil:
		for _, m := range s.Connection.Members {
			var edges *places
			for _, e := range m.Edges {
				edges = edges.within(e.Key, placesOfRows(e.Node))
			}
			p = p.within(m.Key, edges)
		}
		return p
	case s.Shape == plan.Aggregated:
		for _, m := range s.Aggregate.Members {
			if m.Nodes != nil {
				p = p.within(m.Key, placesOf(m.Nodes))
			}
		}
		return p
	}
	return placesOfRows(s.Output)
}

func placesOfRows(output []plan.Output) (p *places) {
	for _, o := range output {
		switch {
		case o.Join != nil:
			p = p.within(o.Key, &places{join: o.Join})
		case o.Nested != nil:
			p = p.within(o.Key, placesOf(o.Nested))
		}
	}
	return p
}

// placesOfReturning are the places in what a mutation answers.
func placesOfReturning(r plan.Returning) (p *places) {
	if r.One {
		return placesOfRows(r.Members[0].Rows)
	}
	for _, m := range r.Members {
		p = p.within(m.Key, placesOfRows(m.Rows))
	}
	return p
}

// placesOfField are the places in what a root field answers; none for an action,
// which joins by itself.
func placesOfField(f plan.Field) *places {
	switch {
	case f.Select != nil:
		return placesOf(f.Select)
	case f.Call != nil:
		return placesOf(f.Call)
	case f.Insert != nil:
		return placesOfReturning(f.Insert.Returning)
	case f.Update != nil:
		return placesOfReturning(f.Update.Returning)
	case len(f.Updates) > 0:
		return placesOfReturning(f.Updates[0].Returning) // all of them answer alike
	case f.Delete != nil:
		return placesOfReturning(f.Delete.Returning)
	}
	return nil
}

// each calls f for every join of the places, with the path of keys to it, in the
// order of the answer.
func (p *places) each(path string, f func(path string, j *plan.Join)) {
	if p == nil {
		return
	}
	if p.join != nil {
		f(path, p.join)
	}
	for _, m := range p.members {
		m.inner.each(path+"."+m.key, f)
	}
}

// attachAll completes the parts of the response. It comes last: a mutation has
// committed by then, so that a source that it wrote to is read as it left it.
func (r *run) attachAll(ctx context.Context) error {
	for i := range r.program.steps {
		p := r.program.steps[i].places
		if p == nil {
			continue
		}
		out, err := r.attach(ctx, p, r.parts[i:i+1])
		if err != nil {
			return err
		}
		r.parts[i] = out[0]
	}
	return nil
}

// attach puts into documents of one form what their joins lead to: one statement
// per join, however many documents and values there are.
func (r *run) attach(ctx context.Context, p *places, documents [][]byte) ([][]byte, error) {
	if p == nil {
		return documents, nil
	}
	f := &finder{levels: map[*plan.Join]*joinLevel{}}
	for i, text := range documents {
		if err := f.document(i, text, p); err != nil {
			return nil, err
		}
	}
	for _, l := range f.order {
		var err error
		if l.found, err = r.joined(ctx, l.keys); err != nil {
			return nil, err
		}
	}
	out := make([][]byte, len(documents))
	copy(out, documents)
	for rest := f.spots; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].document == rest[0].document {
			n++
		}
		out[rest[0].document] = splice(documents[rest[0].document], rest[:n])
		rest = rest[n:]
	}
	return out, nil
}

// joinLevel is one join at one place of the documents.
type joinLevel struct {
	keys *keys
	// positions of values by their JSON: equal values are decoded once.
	positions map[string]int
	found     [][]byte
}

// position is where the values at a spot are found.
func (l *joinLevel) position(text []byte) (int, error) {
	if position, ok := l.positions[string(text)]; ok {
		return position, nil
	}
	var values []any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return absent, err
	}
	if len(values) != len(l.keys.columns) {
		return absent, errUnexpected
	}
	position, err := l.keys.add(values)
	l.positions[string(text)] = position
	return position, err
}

// spot is where a value stands that is to be replaced.
type spot struct {
	level                *joinLevel
	document, start, end int
	position             int
}

// splice writes a document with what belongs at its spots.
func splice(text []byte, spots []spot) []byte {
	size := len(text)
	for _, s := range spots {
		size += len(s.level.keys.value(s.level.found, s.position)) - (s.end - s.start)
	}
	out := make([]byte, 0, size)
	from := 0
	for _, s := range spots {
		out = append(out, text[from:s.start]...)
		out = append(out, s.level.keys.value(s.level.found, s.position)...)
		from = s.end
	}
	return append(out, text[from:]...)
}

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
