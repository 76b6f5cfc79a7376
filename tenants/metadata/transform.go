package metadata

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// RequestTransform rewrites an outgoing request (contracts §6.4). All texts are
// templates but Method, ContentType and the names of headers. What is absent
// stays as it is.
type RequestTransform struct {
	Version        int               `json:"version,omitempty"`         // 1 (default) or 2
	TemplateEngine string            `json:"template_engine,omitempty"` // "Kriti"
	Method         string            `json:"method,omitempty"`
	URL            string            `json:"url,omitempty"`
	QueryParams    *QueryParams      `json:"query_params,omitempty"`
	RequestHeaders *TransformHeaders `json:"request_headers,omitempty"`
	Body           *TransformBody    `json:"body,omitempty"`
	ContentType    string            `json:"content_type,omitempty"` // of version 1
}

// ResponseTransform rewrites an answer's body; its status stays.
type ResponseTransform struct {
	Version        int            `json:"version,omitempty"`
	TemplateEngine string         `json:"template_engine,omitempty"`
	Body           *TransformBody `json:"body,omitempty"`
	// ErrorWhen is an expression; when it is true, a successful answer is taken
	// as an error {message, extensions?}.
	ErrorWhen string `json:"error_when,omitempty"`
}

// QueryParams are a template for the whole query, or one for each parameter; a
// parameter that is null is left out.
type QueryParams struct {
	Text string
	Map  map[string]*string // nil when Text holds
}

// TransformHeaders are removed first, then set.
type TransformHeaders struct {
	AddHeaders    map[string]string `json:"add_headers,omitempty"`
	RemoveHeaders []string          `json:"remove_headers,omitempty"`
}

// TransformBody is what becomes of a body: a template of version 1, or an object
// of version 2.
type TransformBody struct {
	// Bare is true for the form of version 1, which has a Template alone.
	Bare         bool              `json:"-"`
	Action       string            `json:"action"` // remove, transform, x_www_form_urlencoded
	Template     string            `json:"template,omitempty"`
	FormTemplate map[string]string `json:"form_template,omitempty"`
}

// The actions of a TransformBody.
const (
	BodyRemove    = "remove"
	BodyTransform = "transform"
	BodyForm      = "x_www_form_urlencoded"
)

// MarshalJSON writes the form that holds.
func (q QueryParams) MarshalJSON() ([]byte, error) {
	if q.Map == nil {
		return verbatim(q.Text)
	}
	return verbatim(q.Map)
}

// UnmarshalJSON reads a template or an object of them.
func (q *QueryParams) UnmarshalJSON(data []byte) error { return unmarshal(q, data) }

func (q *QueryParams) decode(d *decoder, n node, path string) {
	*q = QueryParams{}
	switch n.kind() {
	case '"':
		d.value(n, reflect.ValueOf(&q.Text).Elem(), path)
	case '{':
		d.value(n, reflect.ValueOf(&q.Map).Elem(), path)
	default:
		d.fail(path, "expected a template or an object of templates, but got %s", n.what())
	}
}

// MarshalJSON writes the form of the version.
func (b TransformBody) MarshalJSON() ([]byte, error) {
	if b.Bare {
		return verbatim(b.Template)
	}
	type object TransformBody
	return verbatim(object(b))
}

// UnmarshalJSON reads a template, or {action, …}.
func (b *TransformBody) UnmarshalJSON(data []byte) error { return unmarshal(b, data) }

func (b *TransformBody) decode(d *decoder, n node, path string) {
	type object TransformBody
	*b = TransformBody{}
	switch n.kind() {
	case '"':
		b.Bare, b.Action = true, BodyTransform
		d.value(n, reflect.ValueOf(&b.Template).Elem(), path)
	case '{':
		var read object
		d.object(n, reflect.ValueOf(&read).Elem(), path)
		*b = TransformBody(read)
	default:
		d.fail(path, "expected a template or an object with the key \"action\", but got %s", n.what())
	}
}

// verbatim encodes without escapes for HTML, which templates are full of.
func verbatim(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
