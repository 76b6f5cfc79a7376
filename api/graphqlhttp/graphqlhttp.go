// Package graphqlhttp holds the documents of GraphQL over HTTP: what the edge
// reads from a request and what it writes back (contracts §1.1).
package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"tenantry/api/errcode"
)

// The media types of answers.
const (
	MediaJSON     = "application/json"
	MediaResponse = "application/graphql-response+json"
)

// Request is one GraphQL operation as a client sent it. The engine does not
// change it.
type Request struct {
	Query         string `json:"query"`
	OperationName string `json:"operationName"`
	// Variables are decoded JSON; numbers are json.Number, so that no digit is lost.
	Variables  map[string]any `json:"variables"`
	Extensions map[string]any `json:"extensions"`
	// DocumentID names a persisted document, in place of Query.
	DocumentID string `json:"documentId"`
}

// IdempotencyKey is the member of a request's extensions with the operation's own
// idempotency key, a string.
const IdempotencyKey = "idempotencyKey"

// Response is what goes out: a body that is complete JSON, and extras.
type Response struct {
	// Body is the JSON document, owned by the receiver.
	Body []byte
	// Err is the refusal that the body tells of, nil for success. Status rules
	// and the audit use it.
	Err *errcode.Error
	// Extensions is a JSON object for the member of that name, nil for none; Body
	// does not have it.
	Extensions []byte
	// Headers are added to the answer (Set-Cookie of an action's handler).
	Headers []Header
}

// Document is Body with the extensions.
func (r Response) Document() []byte {
	if r.Extensions == nil {
		return r.Body
	}
	out := make([]byte, 0, len(r.Body)+len(r.Extensions)+len(`,"extensions":`))
	out = append(append(out, r.Body[:len(r.Body)-1]...), `,"extensions":`...)
	return append(append(out, r.Extensions...), '}')
}

// Header is one header of an answer; a name may occur more than once.
type Header struct{ Name, Value string }

// Decode reads a body: one request, or a batch. The second result says that it
// was a batch. Mistakes are *errcode.Error with invalid-json or parse-failed.
func Decode(body []byte) ([]Request, bool, error) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, false, errcode.New(errcode.InvalidJSON, "the body is empty: expected a JSON object with the key query")
	}
	if trimmed[0] == '[' {
		var batch []Request
		if err := decode(trimmed, &batch); err != nil {
			return nil, true, err
		}
		if len(batch) == 0 {
			return nil, true, errcode.New(errcode.ParseFailed, "the batch is empty: expected at least one operation")
		}
		return batch, true, nil
	}
	one, ok := quick(trimmed)
	if ok {
		return []Request{one}, false, nil
	}
	if err := decode(trimmed, &one); err != nil {
		return nil, false, err
	}
	return []Request{one}, false, nil
}

func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return errcode.New(errcode.InvalidJSON, "the body has text after the JSON document")
	}
	var public *errcode.Error
	if errors.As(err, &public) {
		return public
	}
	return errcode.New(errcode.InvalidJSON, "the body is not valid JSON").Because(err)
}

// UnmarshalJSON reads the members by their exact names, each at most once: whoever
// looks at a request on its way, such as an authentication webhook, must see the
// operation that runs. By itself encoding/json takes names in any case, and the
// last of several.
func (r *Request) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if len(text) == 0 || text[0] != '{' {
		return errcode.New(errcode.ParseFailed, "expected an object with the key query")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil { // the brace
		return err
	}
	left := map[string]any{
		"query": &r.Query, "operationName": &r.OperationName, "documentId": &r.DocumentID, "variables": &r.Variables, "extensions": &r.Extensions,
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		into, known := left[key]
		switch {
		case !known:
			into = new(json.RawMessage)
		case into == nil:
			return errcode.New(errcode.ParseFailed, "key %q is given twice", key)
		default:
			left[key] = nil
		}
		if err := d.Decode(into); err != nil {
			return member(key, err)
		}
	}
	return nil
}

// member tells of a member of another type than it should be.
func member(key string, err error) error {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return err
	}
	expected := "an object"
	if mismatch.Type.Kind() == reflect.String {
		expected = "a string"
	}
	return errcode.New(errcode.ParseFailed, "key %q: expected %s, got %s", key, expected, mismatch.Value).Because(err)
}
