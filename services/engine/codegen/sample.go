package codegen

import (
	"strings"

	"tenantry/tenants/model"
)

// sample is a small value that fits a type, as a tree that each language prints
// in its own way.
type sample struct {
	text  string   // of a leaf
	open  string   // of an object or list
	close string   // begins with a blank where one stands inside of braces
	keys  []string // of an object, as they are written; empty for a list
	items []sample
	bare  bool // nothing may stand behind the last item
}

// width is where lines of samples end.
const width = 84

// print writes the sample behind code that is indented by depth.
func (s sample) print(unit string, depth int) string {
	line := s.line()
	if s.open == "" || len(s.items) == 0 || len(line)+4*depth < width {
		return line
	}
	var out strings.Builder
	out.WriteString(s.open + "\n")
	for i, item := range s.items {
		out.WriteString(strings.Repeat(unit, depth+1))
		if len(s.keys) > 0 {
			out.WriteString(s.keys[i])
		}
		out.WriteString(item.print(unit, depth+1))
		if !s.bare || i < len(s.items)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString(strings.Repeat(unit, depth) + strings.TrimSpace(s.close))
	return out.String()
}

func (s sample) line() string {
	if s.open == "" {
		return s.text
	}
	parts := make([]string, len(s.items))
	for i, item := range s.items {
		parts[i] = item.line()
		if len(s.keys) > 0 {
			parts[i] = s.keys[i] + parts[i]
		}
	}
	inside := strings.Join(parts, ", ")
	if strings.HasPrefix(s.close, " ") && inside != "" {
		inside = " " + inside + " "
	}
	return s.open + inside + strings.TrimSpace(s.close)
}

// sampleTexts are of scalars that are more than any text.
var sampleTexts = map[string]string{
	"uuid": "00000000-0000-0000-0000-000000000000", "date": "2026-01-01", "time": "12:00:00", "timetz": "12:00:00+00",
	"timestamp": "2026-01-01T12:00:00", "timestamptz": "2026-01-01T12:00:00Z", "interval": "1 day", "inet": "192.0.2.1", "cidr": "192.0.2.0/24",
	"macaddr": "00:00:5e:00:53:01", "money": "0",
}

// literals is how a language writes values.
type literals struct {
	truth, number, object string // number: one of exactForm; object: any JSON
	null                  string // where a scalar that may be null has no literal
	// positional objects have all members, those that may be null as null.
	positional bool
	// leaf writes a scalar in place of the others here; nil where they do.
	leaf  func(name string) string
	quote func(string) string
	// enum writes a value of an enum, objectOf begins and ends an object, key
	// begins a member, list begins and ends a list.
	enum     func(t *declared, value string) string
	objectOf func(t *declared, ref model.TypeRef) (open, close string)
	key      func(t *declared, f field) string
	list     func(ref model.TypeRef) (open, close string)
}

// sample makes a value of a type: what must be there and no more. It reports false
// for types that no finite value has.
func (c *contract) sample(l literals, ref model.TypeRef, within map[string]bool) (sample, bool) {
	if ref.Of != nil {
		open, close := l.list(ref)
		s := sample{open: open, close: close, bare: l.positional}
		if len(within) == 0 { // one element of the answer itself shows how it is done
			element, ok := c.sample(l, *ref.Of, within)
			s.items = append(s.items, element)
			return s, ok
		}
		return s, true
	}
	t := c.byName[ref.Name]
	leaf := t == nil || t.kind != inputKind && t.kind != objectKind
	switch {
	case leaf && !ref.NonNull && l.null != "":
		return sample{text: l.null}, true
	case t == nil || t.kind == scalarKind:
		return sample{text: l.scalar(ref.Name)}, true
	case t.kind == enumKind:
		if len(t.values) == 0 {
			return sample{}, false
		}
		return sample{text: l.enum(t, t.values[0].Value)}, true
	}
	if within[t.name] {
		return sample{}, false
	}
	inner := map[string]bool{t.name: true}
	for name := range within {
		inner[name] = true
	}
	open, close := l.objectOf(t, ref)
	s := sample{open: open, close: close, bare: l.positional}
	for _, f := range t.fields {
		if !f.ref.NonNull {
			if l.positional {
				s.keys, s.items = append(s.keys, ""), append(s.items, sample{text: l.null})
			}
			continue
		}
		value, ok := c.sample(l, f.ref, inner)
		if !ok {
			return s, false
		}
		s.keys, s.items = append(s.keys, l.key(t, f)), append(s.items, value)
	}
	return s, true
}

func (l literals) scalar(name string) string {
	if l.leaf != nil {
		return l.leaf(name)
	}
	switch scalars[name] {
	case textForm:
		return l.quote(sampleTexts[name])
	case integerForm, floatForm:
		return "0"
	case exactForm:
		return l.number
	case booleanForm:
		return l.truth
	}
	return l.object
}
