package action

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tenantry/api/webhook"
)

// detailBytes is the most that admins see of a body.
const detailBytes = 4096

// masked stands where a secret was.
const masked = "***"

// detail is the account of a failed exchange that admins get: no value of a
// variable, of a configured or forwarded header, or of a cookie is in it, also
// where the handler echoes one.
type detail struct {
	Error string `json:"error"`
	// Reason says what is wrong with a transform, and where.
	Reason   string          `json:"reason,omitempty"`
	Request  *detailRequest  `json:"request,omitempty"`
	Response *detailResponse `json:"response,omitempty"`
}

type detailRequest struct {
	// URL is the template as configured.
	URL     string         `json:"url"`
	Headers []detailHeader `json:"headers"`
	Body    any            `json:"body"`
	// Transformed is what was sent instead.
	Transformed *detailTransformed `json:"transformed_request,omitempty"`
}

type detailTransformed struct {
	Method string `json:"method"`
	// URL is the transform's template, or else the handler's.
	URL     string         `json:"url"`
	Headers []detailHeader `json:"headers"`
	Body    any            `json:"body"`
}

type detailResponse struct {
	Status  int            `json:"status"`
	Headers []detailHeader `json:"headers"`
	Body    any            `json:"body"`
}

type detailHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// detail tells of the exchange as far as it got.
func (x *exchange) detail(reason string) *detail {
	hidden := x.secrets()
	def := &x.call.Action.Metadata.Definition
	first := x
	if x.before != nil {
		first = x.before
	}
	d := &detail{Error: reason, Request: &detailRequest{
		URL:     hidden.mask(def.Handler, detailBytes),
		Headers: shown(first.sent, x.ours, hidden),
		Body:    hidden.body(first.body, true),
	}}
	if x.before != nil {
		d.Request.Transformed = &detailTransformed{
			Method: x.method, URL: hidden.mask(cmp.Or(def.RequestTransform.URL, def.Handler), detailBytes),
			Headers: shown(x.sent, x.ours, hidden), Body: hidden.body(x.body, true),
		}
	}
	if x.status != 0 {
		d.Response = &detailResponse{
			Status:  x.status,
			Headers: shown(x.header, harmless, hidden),
			Body:    hidden.body(x.answer, x.complete),
		}
	}
	return d
}

// ours says whether a header of the request is the engine's and tells nothing.
func (x *exchange) ours(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case webhook.HeaderID, webhook.HeaderTimestamp:
		return true
	case "Content-Type", "User-Agent", webhook.HeaderRequestID, webhook.HeaderTrace, webhook.HeaderTraceState:
		for _, h := range x.call.Action.Metadata.Definition.Headers {
			if strings.EqualFold(h.Name, name) {
				return false
			}
		}
		return !x.transformSets(name)
	}
	return false
}

// transformSets says whether the request transform gives a header a value.
func (x *exchange) transformSets(name string) bool {
	t := x.call.Action.Metadata.Definition.RequestTransform
	if t == nil || t.RequestHeaders == nil {
		return false
	}
	for added := range t.RequestHeaders.AddHeaders {
		if strings.EqualFold(added, name) && !strings.EqualFold(name, "Content-Type") {
			return true
		}
	}
	return false
}

// harmless are the headers of an answer that are shown; all others may be
// credentials.
func harmless(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Date", "Server", "Retry-After", "Allow", "X-Request-Id", "Traceparent":
		return true
	}
	return false
}

func shown(headers http.Header, show func(string) bool, hidden secrets) []detailHeader {
	out := []detailHeader{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			if !show(name) {
				value = masked
			}
			out = append(out, detailHeader{hidden.mask(name, 256), hidden.mask(value, 256)})
		}
	}
	return out
}

// secrets are texts that must not be shown, longest first.
type secrets []string

var template = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

// templateNames are the variables that a text names.
func templateNames(text string) []string {
	var names []string
	for _, found := range template.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	return names
}

// secrets collects every value that this exchange may have carried out: of
// variables, configured headers and the forwarded headers that hold credentials.
// It is only worked out when a failure is told.
func (x *exchange) secrets() secrets {
	found := map[string]bool{}
	def := &x.call.Action.Metadata.Definition
	addPassword(found, x.url)
	if x.before != nil {
		addPassword(found, x.before.url)
	}
	names := templateNames(def.Handler)
	if len(names) > 0 {
		addURL(found, x.url)
		if x.before != nil {
			addURL(found, x.before.url)
		}
	}
	for _, h := range def.Headers {
		names = append(names, templateNames(h.Value)...)
		if h.ValueFromEnv != "" {
			names = append(names, h.ValueFromEnv)
		}
		if value, mistake := x.value(h); mistake == "" {
			add(found, value)
		}
	}
	for _, name := range names {
		if value, ok := x.caller.Variables(name); ok {
			add(found, value)
		}
	}
	for name, values := range x.sent {
		if !x.ours(name) && credential.MatchString(name) {
			for _, value := range values {
				add(found, value)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b string) int { return len(b) - len(a) })
}

// credential matches names of headers that usually carry one.
var credential = regexp.MustCompile(`(?i)auth|cookie|token|secret|key|password|signature`)

// add remembers a text and, for "Bearer x", the x alone; both also as JSON
// prints them. Texts of fewer than four bytes are no secrets, and masking them
// would only garble.
func add(found map[string]bool, text string) {
	_, rest, _ := strings.Cut(text, " ")
	for _, s := range []string{text, rest} {
		if len(s) < 4 {
			continue
		}
		found[s] = true
		if quoted, err := json.Marshal(s); err == nil {
			found[string(quoted[1:len(quoted)-1])] = true
		}
	}
}

// addPassword remembers the password of a URL, as it is written there and as it is
// sent.
func addPassword(found map[string]bool, text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok {
		add(found, password)
		add(found, strings.TrimPrefix(u.User.String(), url.User(u.User.Username()).String()+":"))
		add(found, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
}

// addURL remembers what a handler could echo of a URL that variables made.
func addURL(found map[string]bool, text string) {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return
	}
	// A token in the path is echoed as part of a path or alone.
	for _, part := range strings.Split(u.EscapedPath(), "/") {
		if len(part) >= 16 {
			add(found, part)
		}
	}
	for _, values := range u.Query() {
		for _, value := range values {
			add(found, value)
			add(found, url.QueryEscape(value))
		}
	}
}

// body shows a body: as JSON when it is small JSON, else its beginning as text.
func (hidden secrets) body(text []byte, complete bool) any {
	if !complete {
		return nil
	}
	value, err := decode(text)
	if err != nil {
		return hidden.mask(string(text), detailBytes)
	}
	// Masking the decoded texts also finds secrets that the handler wrote with
	// other escapes than ours.
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(hidden.walk(value)); err != nil {
		return nil
	}
	shown := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if len(shown) <= detailBytes {
		return json.RawMessage(shown)
	}
	return strings.ToValidUTF8(string(shown[:detailBytes]), "")
}

// walk returns a copy of decoded JSON with the secrets masked.
func (hidden secrets) walk(value any) any {
	switch v := value.(type) {
	case string:
		return hidden.mask(v, len(v)+len(masked))
	case json.Number:
		if text := hidden.mask(string(v), len(v)+len(masked)); text != string(v) {
			return text
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hidden.walk(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[hidden.mask(key, len(key)+len(masked))] = hidden.walk(member)
		}
		return out
	}
	return value
}

// mask copies text until the copy has limit bytes, with each secret replaced. As
// it masks before it cuts, no part of a secret is left at the end.
func (hidden secrets) mask(text string, limit int) string {
	var out strings.Builder
next:
	for i := 0; i < len(text) && out.Len() < limit; {
		for _, secret := range hidden {
			if strings.HasPrefix(text[i:], secret) {
				out.WriteString(masked)
				i += len(secret)
				continue next
			}
		}
		out.WriteByte(text[i])
		i++
	}
	return strings.ToValidUTF8(out.String(), "")
}
