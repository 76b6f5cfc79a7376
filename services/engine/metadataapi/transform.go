package metadataapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/transform"
	"tenantry/tenants/metadata"
)

// transformArgs are a call to try a transform on.
type transformArgs struct {
	// WebhookURL is a text, which may hold {{NAME}}, or {from_env}.
	WebhookURL json.RawMessage   `json:"webhook_url"`
	Body       json.RawMessage   `json:"body" required:"false"`
	Env        map[string]string `json:"env,omitempty"`
	Session    map[string]string `json:"session_variables,omitempty"`
	// Headers are those of an action: a list of {name, value | value_from_env}, or
	// of [name, value].
	Headers  json.RawMessage             `json:"request_headers,omitempty"`
	Request  metadata.RequestTransform   `json:"request_transform"`
	Response *metadata.ResponseTransform `json:"response_transform,omitempty"`
}

// testTransform answers with the request that a transform makes. It calls
// nobody, and of variables it knows those of the arguments alone: the project's
// are secrets, which an answer must not show.
func testTransform(_ context.Context, c call) (any, error) {
	args, err := decodeArgs[transformArgs](c)
	if err != nil {
		return nil, err
	}
	request, mistakes := transform.CompileRequest(&args.Request)
	if len(mistakes) > 0 {
		return nil, invalidTransform("request", mistakes)
	}
	if _, mistakes := transform.CompileResponse(args.Response); len(mistakes) > 0 {
		return nil, invalidTransform("response", mistakes)
	}
	out, in, err := args.outgoing()
	if err != nil {
		return nil, err
	}
	out, err = request.Apply(out, in)
	var refused transform.Mistakes
	if errors.As(err, &refused) {
		return nil, invalidTransform("request", refused)
	}
	return trial(out), err
}

func invalidTransform(which string, mistakes transform.Mistakes) error {
	return errcode.New(errcode.ValidationFailed, "%s transform validation failed", which).
		At("$.args").WithInternal(mistakes).WithStatus(http.StatusBadRequest)
}

// outgoing is the call before its transform. A trial begins with GET and without
// headers, as the dialect's does.
func (a *transformArgs) outgoing() (out transform.Outgoing, in transform.Context, err error) {
	address, err := a.address()
	if err != nil {
		return out, in, err
	}
	if len(a.Body) == 0 {
		a.Body = json.RawMessage("null")
	}
	in = transform.Context{BaseURL: address, Session: map[string]string{}}
	if in.Body, err = transform.Decode(a.Body); err != nil {
		return out, in, err
	}
	for name, value := range a.Session {
		in.Session[strings.ToLower(name)] = value
	}
	out = transform.Outgoing{Method: http.MethodGet, URL: address, Body: a.Body}
	if u, err := url.Parse(address); err == nil && u.Path == "" && a.Request.URL == "" {
		u.Path = "/"
		out.URL = u.String()
	}
	out.Header, err = a.headers()
	return out, in, err
}

// address is the webhook's, with the given variables filled in.
func (a *transformArgs) address() (string, error) {
	const at = "$.args.webhook_url"
	var text string
	if json.Unmarshal(a.WebhookURL, &text) != nil {
		var from struct {
			Name string `json:"from_env"`
		}
		if err := metadata.DecodeInto(a.WebhookURL, &from); err != nil {
			return "", errcode.New(errcode.ParseFailed, "expected a URL or {from_env}").At(at)
		}
		text = "{{" + from.Name + "}}"
	}
	text, err := a.expand(text, at)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errcode.New(errcode.ParseFailed, "expected an http or https URL").At(at)
	}
	return text, nil
}

var variable = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

func (a *transformArgs) expand(text, at string) (string, error) {
	var missing []string
	text = variable.ReplaceAllStringFunc(text, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		value, ok := a.Env[name]
		if !ok {
			missing = append(missing, name)
		}
		return value
	})
	if len(missing) > 0 {
		return "", errcode.New(errcode.ParseFailed,
			"these variables are not in \"env\": %s", strings.Join(missing, ", ")).At(at)
	}
	return text, nil
}

func (a *transformArgs) headers() (http.Header, error) {
	const at = "$.args.request_headers"
	out := http.Header{}
	if len(a.Headers) == 0 {
		return out, nil
	}
	var pairs [][2]string
	if json.Unmarshal(a.Headers, &pairs) == nil {
		for _, pair := range pairs {
			out.Add(pair[0], pair[1])
		}
		return out, nil
	}
	var list []metadata.Header
	if err := metadata.DecodeInto(a.Headers, &list); err != nil {
		return nil, placed(err, at)
	}
	for _, h := range list {
		value := h.Value
		if h.ValueFromEnv != "" {
			value = "{{" + h.ValueFromEnv + "}}"
		}
		value, err := a.expand(value, at)
		if err != nil {
			return nil, err
		}
		out.Add(h.Name, value)
	}
	return out, nil
}

// trial is the answer: the request as it would be sent, without the signature.
func trial(out transform.Outgoing) map[string]any {
	headers := [][2]string{}
	for name, values := range out.Header {
		for _, value := range values {
			headers = append(headers, [2]string{strings.ToLower(name), value})
		}
	}
	slices.SortFunc(headers, func(a, b [2]string) int { return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1]) })
	var body any = string(out.Body) // a form, or nothing
	if json.Valid(out.Body) && len(bytes.TrimSpace(out.Body)) > 0 && !isForm(out.Header) {
		body = json.RawMessage(out.Body)
	}
	return map[string]any{"webhook_url": out.URL, "method": out.Method, "headers": headers, "body": body}
}

func isForm(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "application/x-www-form-urlencoded")
}
