// Package transform rewrites webhook calls as request_transform and
// response_transform of the metadata say. action applies it between the payload
// and the signature, and between the answer and its check; metadataapi tries it
// out without a call.
//
// Nothing here sends anything: a URL that a template makes goes through the
// guarded client like every other.
package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"tenantry/services/engine/template"
)

// Public messages of a transform that failed. The details are for admins.
const (
	RequestFailed  = "Request Transformation Failed"
	ResponseFailed = "Response Transformation Failed"
)

// Mistake is what is wrong with one part of a transform.
type Mistake struct {
	// Key is the part, as .url or .request_headers.add_headers.
	Key string `json:"key,omitempty"`
	template.Error
}

// Mistakes are the errors of a transform; never empty as an error.
type Mistakes []Mistake

// Error tells the first mistake.
func (m Mistakes) Error() string {
	if m[0].Key == "" {
		return m[0].Error.Error()
	}
	return m[0].Key[1:] + ": " + m[0].Error.Error()
}

func (m *Mistakes) add(key string, err *template.Error) {
	if err != nil {
		*m = append(*m, Mistake{key, *err})
	}
}

func (m *Mistakes) wrong(key, message string) {
	m.add(key, &template.Error{Code: template.TypeError, Message: message, Position: template.Span{StartColumn: 1, EndColumn: 1}})
}

// Outgoing is a request as it would be sent, before it is signed.
type Outgoing struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte // empty means no body
}

// Context is what templates of a request read, and those of an answer beside it.
type Context struct {
	Body    any    // $body, decoded JSON with json.Number
	BaseURL string // $base_url
	// Session are the session variables, names in lower case.
	Session map[string]string
	// Text is $response.text, an answer as it came; only where TakesText.
	Text string
}

func (c Context) data() template.Data {
	session := make(map[string]any, len(c.Session))
	for name, value := range c.Session {
		session[name] = value
	}
	return template.Data{Session: c.Session, Variables: map[string]any{
		"$body": c.Body, "$base_url": c.BaseURL, "$session_variables": session,
	}}
}

var (
	requestVariables  = []string{"$body", "$base_url", "$session_variables"}
	responseVariables = []string{"$body", "$response", "$session_variables", "$request"}
)

// Decode reads exactly one JSON document as templates take it.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the JSON document")
	}
	return value, nil
}
