package transform

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tenantry/api/webhook"
	"tenantry/services/engine/template"
	"tenantry/tenants/metadata"
)

// Request is a compiled request_transform. It is safe for concurrent use; nil
// leaves a request as it is.
type Request struct {
	method      string
	url         *template.Template
	query       *template.Template
	params      []named // nil when query holds or neither does
	mapped      bool
	add         []named
	remove      []string
	contentType string
	body        *template.Template
	form        []named
	action      string // "" leaves the body
}

// named is a template for the value of a name.
type named struct {
	name  string
	value *template.Template // nil is null
}

// methods that a transform may choose.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// compiler collects the mistakes of a transform's parts.
type compiler struct {
	mistakes  Mistakes
	variables []string
}

// CompileRequest compiles a transform, or says all that is wrong with it.
func CompileRequest(doc *metadata.RequestTransform) (*Request, Mistakes) {
	if doc == nil {
		return nil, nil
	}
	c := &compiler{variables: requestVariables}
	c.frame(doc.Version, doc.TemplateEngine, doc.Body)
	r := &Request{method: strings.ToUpper(doc.Method), contentType: doc.ContentType}
	if r.method != "" && !slices.Contains(methods, r.method) {
		c.mistakes.wrong(".method", "expected one of "+strings.Join(methods, ", "))
	}
	if doc.URL != "" {
		r.url = c.text(".url", doc.URL)
	}
	if q := doc.QueryParams; q != nil {
		if r.mapped = q.Map != nil; r.mapped {
			r.params = c.templates(".query_params", q.Map)
		} else {
			r.query = c.text(".query_params", q.Text)
		}
	}
	if doc.ContentType != "" && !webhook.ValidHeaderValue(doc.ContentType) {
		c.mistakes.wrong(".content_type", "expected the value of a header")
	}
	c.headers(r, doc.RequestHeaders)
	if doc.Body != nil {
		r.action = doc.Body.Action
		r.body, r.form = c.body(doc.Body)
	}
	if len(c.mistakes) > 0 {
		return nil, c.mistakes
	}
	return r, nil
}

// frame checks what all transforms have.
func (c *compiler) frame(version int, engine string, body *metadata.TransformBody) {
	if version < 0 || version > 2 {
		c.mistakes.wrong(".version", "expected 1 or 2")
	}
	if engine != "" && engine != "Kriti" {
		c.mistakes.wrong(".template_engine", `expected "Kriti"`)
	}
	switch {
	case body == nil:
	case body.Bare && version == 2:
		c.mistakes.wrong(".body", `expected an object with the key "action" in version 2`)
	case !body.Bare && version < 2:
		c.mistakes.wrong(".body", "expected a template in version 1")
	}
}

func (c *compiler) text(key, source string) *template.Template {
	t, err := template.ParseText(source, c.variables...)
	c.mistakes.add(key, err)
	return t
}

// templates compiles values in the order of their names.
func (c *compiler) templates(key string, sources map[string]*string) []named {
	out := make([]named, 0, len(sources))
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		n := named{name: name}
		if source := sources[name]; source != nil {
			n.value = c.text(key+"."+name, *source)
		}
		out = append(out, n)
	}
	return out
}

func pointers(of map[string]string) map[string]*string {
	out := make(map[string]*string, len(of))
	for name, value := range of {
		out[name] = &value
	}
	return out
}

func (c *compiler) headers(r *Request, doc *metadata.TransformHeaders) {
	if doc == nil {
		return
	}
	for name := range doc.AddHeaders {
		if !webhook.ValidHeaderName(name) {
			c.mistakes.wrong(".request_headers.add_headers."+name, "the name is not one that HTTP allows")
		}
	}
	r.add = c.templates(".request_headers.add_headers", pointers(doc.AddHeaders))
	r.remove = doc.RemoveHeaders
}

func (c *compiler) body(doc *metadata.TransformBody) (body *template.Template, form []named) {
	switch doc.Action {
	case metadata.BodyRemove:
	case metadata.BodyTransform:
		key := ".body.template"
		if doc.Bare {
			key = ".body"
		}
		var err *template.Error
		body, err = template.Parse(doc.Template, c.variables...)
		c.mistakes.add(key, err)
	case metadata.BodyForm:
		form = c.templates(".body.form_template", pointers(doc.FormTemplate))
	default:
		c.mistakes.wrong(".body.action", "expected remove, transform or x_www_form_urlencoded")
	}
	return body, form
}

// Apply makes the request that the transform asks for; o is not changed. The
// transform's own headers win over all but those that are set after it.
func (r *Request) Apply(o Outgoing, in Context) (Outgoing, error) {
	if r == nil {
		return o, nil
	}
	a := &application{data: in.data()}
	o.Header = o.Header.Clone()
	if o.Header == nil {
		o.Header = http.Header{}
	}
	if r.method != "" {
		o.Method = r.method
	}
	a.address(r, &o)
	a.headers(r, &o)
	a.body(r, &o)
	if len(a.mistakes) > 0 {
		return Outgoing{}, a.mistakes
	}
	return o, nil
}

// application is one Apply under way; it goes on after a mistake to tell all.
type application struct {
	mistakes Mistakes
	data     template.Data
}

func (a *application) text(key string, t *template.Template) (text string, null bool) {
	if t == nil {
		return "", true
	}
	text, null, err := t.Text(a.data)
	a.mistakes.add(key, err)
	return text, null
}

func (a *application) address(r *Request, o *Outgoing) {
	if r.url != nil {
		o.URL, _ = a.text(".url", r.url)
	}
	if r.query == nil && !r.mapped {
		return
	}
	u, err := url.Parse(o.URL)
	if err != nil { // the error's text quotes the URL
		a.mistakes.wrong(".url", "the result is not a URL")
		return
	}
	if r.query != nil {
		text, _ := a.text(".query_params", r.query)
		u.RawQuery = rawQuery(text)
	} else {
		u.RawQuery = a.pairs(".query_params", r.params)
	}
	o.URL = u.String()
}

// pairs is a form with the names in order; what is null is left out.
func (a *application) pairs(key string, of []named) string {
	values := url.Values{}
	for _, n := range of {
		if text, null := a.text(key+"."+n.name, n.value); !null {
			values.Set(n.name, text)
		}
	}
	return values.Encode()
}

// rawQuery keeps a query as it is written but for what a URL cannot hold.
func rawQuery(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for _, c := range []byte(strings.TrimPrefix(text, "?")) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>\^`+"`{|}", c) >= 0 {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

func (a *application) headers(r *Request, o *Outgoing) {
	if r.contentType != "" {
		o.Header.Set("Content-Type", r.contentType)
	}
	if r.action == metadata.BodyForm && o.Header.Get("Content-Type") != "" {
		o.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, name := range r.remove {
		o.Header.Del(name)
	}
	for _, n := range r.add {
		key := ".request_headers.add_headers." + n.name
		text, null := a.text(key, n.value)
		switch {
		case null:
		case !webhook.ValidHeaderValue(text):
			a.mistakes.wrong(key, "the result is not a value that HTTP allows (a line break or control character)")
		default:
			o.Header.Set(n.name, text)
		}
	}
}

func (a *application) body(r *Request, o *Outgoing) {
	switch r.action {
	case metadata.BodyRemove:
		o.Body = nil
	case metadata.BodyForm:
		o.Body = []byte(a.pairs(".body.form_template", r.form))
	case metadata.BodyTransform:
		key := ".body.template"
		body, err := r.body.JSON(a.data)
		a.mistakes.add(key, err)
		o.Body = body
	}
}
