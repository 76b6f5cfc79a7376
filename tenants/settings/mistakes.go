package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with an input. Message says what was
// expected and never repeats a secret.
type Mistake struct {
	Pointer string // JSON pointer into the input; "" is the input as a whole
	Message string
}

// Mistakes are all mistakes of one input, as an error.
type Mistakes []Mistake

// Error lists the mistakes.
func (m Mistakes) Error() string {
	texts := make([]string, len(m))
	for i, one := range m {
		texts[i] = one.Pointer + ": " + one.Message
	}
	return strings.Join(texts, "; ")
}

// err is m as an error, nil when there is none.
func (m Mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (m *Mistakes) add(pointer, message string, args ...any) {
	*m = append(*m, Mistake{pointer, fmt.Sprintf(message, args...)})
}

// fields are the readers of an object's members by their names.
type fields map[string]func(v any, pointer string)

// object reads an object strictly: unknown members are mistakes, null means
// absent.
func (m *Mistakes) object(v any, pointer string, f fields) {
	members, ok := v.(map[string]any)
	if !ok {
		m.add(pointer, "expected an object")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		read, known := f[name]
		switch {
		case !known:
			m.add(below(pointer, name), "unknown; expected one of %s", strings.Join(slices.Sorted(maps.Keys(f)), ", "))
		case members[name] != nil:
			read(members[name], below(pointer, name))
		}
	}
}

// below is the pointer of a member or element.
func below(pointer, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// text makes a reader of a string; an empty one is a mistake.
func (m *Mistakes) text(into *string) func(any, string) {
	return func(v any, pointer string) {
		s, ok := v.(string)
		if !ok || s == "" {
			m.add(pointer, "expected a string that is not empty")
			return
		}
		*into = s
	}
}

// oneOf makes a reader of a string that is one of some words.
func (m *Mistakes) oneOf(into *string, words ...string) func(any, string) {
	return func(v any, pointer string) {
		s, _ := v.(string)
		if !slices.Contains(words, s) {
			m.add(pointer, "expected one of %s", strings.Join(words, ", "))
			return
		}
		*into = s
	}
}

// flag makes a reader of a boolean.
func (m *Mistakes) flag(into *bool) func(any, string) {
	return func(v any, pointer string) {
		b, ok := v.(bool)
		if !ok {
			m.add(pointer, "expected true or false")
			return
		}
		*into = b
	}
}

// seconds makes a reader of a whole number from 0 to limit.
func (m *Mistakes) seconds(into *int, limit int) func(any, string) {
	return func(v any, pointer string) {
		n, ok := v.(json.Number)
		i, err := n.Int64()
		if !ok || err != nil || i < 0 || i > int64(limit) {
			m.add(pointer, "expected a whole number of seconds from 0 to %d", limit)
			return
		}
		*into = int(i)
	}
}

// list makes a reader of a list, element by element.
func (m *Mistakes) list(element func(v any, pointer string)) func(any, string) {
	return func(v any, pointer string) {
		elements, ok := v.([]any)
		if !ok {
			m.add(pointer, "expected a list")
			return
		}
		for i, e := range elements {
			element(e, below(pointer, fmt.Sprint(i)))
		}
	}
}

// texts makes a reader of a list of strings.
func (m *Mistakes) texts(into *[]string) func(any, string) {
	return m.list(func(v any, pointer string) {
		var s string
		if m.text(&s)(v, pointer); s != "" {
			*into = append(*into, s)
		}
	})
}

// decode reads one JSON value and nothing behind it; numbers stay as written.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}
