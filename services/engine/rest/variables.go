package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/operation"
)

// Input is what a request brings. Of a name that occurs twice the first of
// these counts.
type Input struct {
	Path map[string]string
	// Query is the raw query string: a name without "=" is not one with an empty
	// value. Form is a body of the same form.
	Query, Form string
	// Body is a JSON object, or empty.
	Body []byte
}

// Variables are the values for the endpoint's operation, as JSON would have
// given them. Errors are bad-request.
func (e *Endpoint) Variables(in Input) (map[string]any, error) {
	out := map[string]any{}
	if err := e.fromBody(in.Body, out); err != nil {
		return nil, err
	}
	for _, text := range []string{in.Form, in.Query} {
		if err := e.fromQuery(text, out); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Path)) {
		if err := e.fromText(name, in.Path[name], true, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *Endpoint) declaration(name string) (operation.Declaration, error) {
	for _, d := range e.declared.Variables {
		if d.Name == name {
			return d, nil
		}
	}
	return operation.Declaration{}, bad("Unexpected variable %s", name)
}

func bad(format string, args ...any) error {
	return errcode.New(errcode.BadRequest, format, args...).At("$")
}

// fromBody takes the members of a JSON object as they are.
func (e *Endpoint) fromBody(body []byte, out map[string]any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := d.Decode(&object)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("text after the object")
		}
	}
	if err != nil {
		return errcode.New(errcode.InvalidJSON, "the body is not a JSON object").At("$").Because(err)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, err := e.declaration(name); err != nil {
			return err
		}
		out[name] = object[name]
	}
	return nil
}

func (e *Endpoint) fromQuery(text string, out map[string]any) error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, assigned := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return bad("the query string is not well encoded")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return bad("the query string is not well encoded")
		}
		if err := e.fromText(name, value, assigned, out); err != nil {
			return err
		}
	}
	return nil
}

// fromText reads a value by the declared type of its variable.
func (e *Endpoint) fromText(name, text string, assigned bool, out map[string]any) error {
	d, err := e.declaration(name)
	if err != nil {
		return err
	}
	if d.List {
		return bad("Variable %s is a list: send it in the body", name)
	}
	value, ok := scalar(d, text, assigned)
	if !ok {
		return bad("Variable %s: %q is no value of type %s", name, shorten(text), d.Type)
	}
	out[name] = value
	return nil
}

// scalar coerces a text: Boolean, JSON numbers, or the text itself.
func scalar(d operation.Declaration, text string, assigned bool) (any, bool) {
	if d.Type == "Boolean" {
		switch {
		case text == "true" || text == "" && !assigned:
			return true, true
		case text == "false":
			return false, true
		}
		return nil, text == "" && !d.NonNull
	}
	if text == "" && !d.NonNull {
		return nil, true
	}
	switch d.Type {
	case "Int", "Float", "numeric", "bigint", "smallint", "real", "float8":
		if !isNumber(text) {
			return nil, false
		}
		return json.Number(text), true
	}
	return text, true
}

// isNumber reports whether text is a number as JSON has them.
func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Valid([]byte(text))
}

// shorten keeps a client's text in messages to a readable length.
func shorten(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
