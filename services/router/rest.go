package router

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/policy/limits"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/rest"
)

// restPrefix is where saved operations are served.
const restPrefix = "/api/rest/"

// call is one request to a saved operation, copied.
type call struct {
	exchange
	method, path string
	input        rest.Input
}

// rest serves saved operations as REST (contracts §10).
func (r *router) rest(c *fiber.Ctx) error {
	uri := c.Request().URI()
	in := call{
		exchange: r.open(c),
		method:   strings.Clone(c.Method()), path: string(uri.PathOriginal()),
		input: rest.Input{Query: string(uri.QueryString())},
	}
	if body := c.Request().Body(); strings.HasPrefix(c.Get(fiber.HeaderContentType), fiber.MIMEApplicationForm) {
		in.input.Form = string(body)
	} else {
		in.input.Body = bytes.Clone(body)
	}
	ctx, cancel := context.WithCancel(r.Base)
	defer cancel()
	response, rate := r.callEndpoint(ctx, in)
	return presentREST(c, in, response, rate)
}

func (r *router) callEndpoint(ctx context.Context, in call) (graphqlhttp.Response, limits.Decision) {
	g := in.generation
	refuse := func(s session.Session, err error) (graphqlhttp.Response, limits.Decision) {
		return r.refusal(in.exchange, s, errcode.From(err)).responses[0], limits.Decision{}
	}
	if e := checkSize(len(in.input.Body) + len(in.input.Form)); e != nil {
		return refuse(session.Session{IP: in.ip}, e)
	}
	s, err := g.Authn.AuthenticateCall(ctx, in.call(authn.GraphQL, nil))
	if err != nil {
		return refuse(session.Session{IP: in.ip}, err)
	}
	path, err := segments(in.path)
	if err != nil {
		return refuse(s, err)
	}
	endpoint, values, err := g.Instance.Endpoints.Match(in.method, path)
	if err != nil {
		return refuse(s, err)
	}
	if e := g.Instance.CheckBody(s, len(in.input.Body)+len(in.input.Form)); e != nil {
		return refuse(s, e)
	}
	in.input.Path = values
	variables, err := endpoint.Variables(in.input)
	if err != nil {
		return refuse(s, err)
	}
	response, trail := g.Instance.Execute(ctx, s, instance.Request{
		Request: graphqlhttp.Request{Query: endpoint.Query, Variables: variables},
		Saved:   true,
		ID:      in.id, TraceParent: in.traceParent(), ClientHeaders: in.headers,
	})
	r.record(in.exchange, s, trail)
	return response, trail.Rate
}

// segments are the decoded parts of the path behind the prefix: decoded after
// they were split, so that a value may hold an encoded slash.
func segments(path string) ([]string, error) {
	_, rest, _ := strings.Cut(path, restPrefix)
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return nil, errcode.New(errcode.BadRequest, "the path is not well encoded").At("$")
		}
		parts[i] = decoded
	}
	return parts, nil
}

// presentREST writes the data without its envelope, or the error with its
// status. An answer to a GET carries a tag, so that a client that has it already
// is told so.
func presentREST(c *fiber.Ctx, in call, response graphqlhttp.Response, rate limits.Decision) error {
	e := response.Err
	rateHeaders(c, rate, refusedForNow(e))
	for _, h := range response.Headers {
		c.Response().Header.Add(h.Name, h.Value)
	}
	if e != nil {
		if e.Code == errcode.MethodNotAllowed {
			c.Set(fiber.HeaderAllow, strings.TrimPrefix(e.Message, "Allowed methods: "))
		}
		dev := in.generation.Instance.Settings.DevMode
		return sendJSON(c.Status(e.Status()), graphqlhttp.MediaJSON, restError(e, dev))
	}
	body := graphqlhttp.Data(response.Body)
	if !in.get {
		return sendJSON(c, graphqlhttp.MediaJSON, body)
	}
	tag := weakTag(body)
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, "private, no-cache") // ask each time: what a caller may see depends on who they are
	if seen, ok := in.headers.Lookup(fiber.HeaderIfNoneMatch); ok && matchesTag(seen, tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	return sendJSON(c, graphqlhttp.MediaJSON, body)
}

func weakTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
}

// matchesTag compares weakly: with or without W/, one of a list, or any.
func matchesTag(header, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
