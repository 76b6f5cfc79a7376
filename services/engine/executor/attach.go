package executor

import (
	"bytes"
	"context"
	"encoding/json"

	"tenantry/services/engine/plan"
)

// What another source adds to rows can't be in the statement that reads them. That
// statement answers the values to join by in its place; attach finds them in the
// JSON and puts there what they lead to. The plan tells where they are, so that
// nothing else of the JSON is looked into, and an answer without such places is
// never read.

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
