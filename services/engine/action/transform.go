package action

import (
	"net/http"
	"net/url"
	"strings"

	"tenantry/api/errcode"
	"tenantry/services/engine/transform"
	"tenantry/tenants/model"
)

// transforms are those of an action, compiled once for a Caller.
type transforms struct {
	request  *transform.Request
	response *transform.Response
	mistakes transform.Mistakes
	message  string // which of the two has the mistakes
}

// transforms compiles those of an action; nil when it has none.
func (c *Caller) transforms(a *model.Action) *transforms {
	def := &a.Metadata.Definition
	if def.RequestTransform == nil && def.ResponseTransform == nil {
		return nil
	}
	if known, ok := c.compiled.Load(a); ok {
		return known.(*transforms)
	}
	t := &transforms{message: transform.RequestFailed}
	t.request, t.mistakes = transform.CompileRequest(def.RequestTransform)
	if t.mistakes == nil {
		t.message = transform.ResponseFailed
		t.response, t.mistakes = transform.CompileResponse(def.ResponseTransform)
	}
	c.compiled.Store(a, t)
	return t
}

// prepare finds the transforms of the action and what they read. Neither of them
// is left out when the other is wrong: then the handler is not called.
func (x *exchange) prepare() *errcode.Error {
	x.transforms = x.caller.transforms(x.call.Action)
	if x.transforms == nil {
		return nil
	}
	if x.transforms.mistakes != nil {
		return x.untransformed(x.transforms.message, x.transforms.mistakes)
	}
	body, err := transform.Decode(x.body)
	if err != nil {
		return internal(err)
	}
	x.context = transform.Context{Body: body, BaseURL: x.url, Session: variables(x.call.Session)}
	return nil
}

// rewritten is the request that the transform makes of the payload. It keeps
// what was there for the account of failures.
func (x *exchange) rewritten(address *url.URL, headers http.Header) (method string, to *url.URL, out http.Header, err *errcode.Error) {
	if x.transforms == nil || x.transforms.request == nil {
		return http.MethodPost, address, headers, nil
	}
	made, failure := x.transforms.request.Apply(transform.Outgoing{
		Method: http.MethodPost, URL: x.url, Header: headers, Body: x.body,
	}, x.context)
	if failure != nil {
		return "", nil, nil, x.untransformed(transform.RequestFailed, failure)
	}
	before := *x
	before.sent = headers
	for name := range made.Header {
		if identityHeaders[name] || transportHeaders[name] {
			delete(made.Header, name)
		}
	}
	if _, there := made.Header["User-Agent"]; !there {
		made.Header["User-Agent"] = nil // or net/http would add its own
	}
	x.before, x.body, x.url, x.method = &before, made.Body, made.URL, made.Method
	to, parsing := url.Parse(made.URL)
	if parsing != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		x.sent = made.Header
		return "", nil, nil, x.untransformedBecause(transform.RequestFailed, "the transformed URL is not an http or https URL")
	}
	return made.Method, to, made.Header, nil
}

// answered is the handler's answer as the transform leaves it.
func (x *exchange) answered(value any) (out any, refusal bool, err *errcode.Error) {
	if x.transforms == nil || x.transforms.response == nil {
		return value, false, nil
	}
	if x.transforms.response.TakesText() {
		x.context.Text = strings.ToValidUTF8(string(x.answer), "\ufffd")
	}
	out, refusal, failure := x.transforms.response.Apply(x.status, value, x.context)
	if failure != nil {
		return nil, false, x.untransformed(transform.ResponseFailed, failure)
	}
	return out, refusal, nil
}

// untransformed is the public error of a transform that failed; admins are told
// what and where.
func (x *exchange) untransformed(message string, failure error) *errcode.Error {
	return x.untransformedBecause(message, failure.Error())
}

func (x *exchange) untransformedBecause(message, reason string) *errcode.Error {
	d := x.detail(message)
	d.Reason = x.secrets().mask(reason, detailBytes)
	return errcode.New(errcode.Unexpected, "%s", message).WithInternal(d)
}
