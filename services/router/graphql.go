package router

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/services/engine/instance"
	"tenantry/services/live"
)

// exchange is one GraphQL request on its way: what was read at the door. Only the
// body is still fiber's.
type exchange struct {
	generation *live.Generation
	headers    headers
	ip         string
	id         string
	get        bool
	body       []byte
	query      url.Values // of a GET
	statuses   bool
	relay      bool // the Relay flavour of the schema
	// surface is what the audit calls the API; empty is graphql.
	surface string
	// originChecked says that the page which sent the request is one of the
	// project's own, or that no page did.
	originChecked bool
	// setCookie adds a cookie to the answer; nil where that can't be done any more.
	setCookie func(value string)
}

// open reads what a request brings besides its body.
func (r *router) open(c *fiber.Ctx) exchange {
	x := exchange{generation: generation(c), headers: copyHeaders(c), ip: r.ClientIP(c), id: requestID(c), get: c.Method() == fiber.MethodGet}
	if origin, _ := x.headers.Lookup(fiber.HeaderOrigin); origin != "" {
		_, x.originChecked = socketOrigin(x.generation.Instance.Settings.Auth.CORS.Origins, origin, string(c.Context().Host()))
	}
	x.setCookie = func(value string) { c.Response().Header.Add(fiber.HeaderSetCookie, value) }
	return x
}

// call is what authentication looks at.
func (x exchange) call(surface authn.Surface, request []byte) authn.Call {
	return authn.Call{Headers: x.headers, RequestID: x.id, IP: x.ip, Surface: surface, Request: request, OriginChecked: x.originChecked, SetCookie: x.setCookie}
}

// graphql serves GraphQL; statuses says that errors use their HTTP status
// whatever the client asks for (/v1alpha1).
func (r *router) graphql(statuses bool) fiber.Handler {
	return r.graphqlFlavour(statuses, false)
}

// graphqlFlavour is graphql with the Relay flavour of the schema or the usual one.
func (r *router) graphqlFlavour(statuses, relay bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := r.open(c)
		x.statuses, x.relay = statuses || wantsStatuses(x.headers), relay
		if x.get {
			x.query, _ = url.ParseQuery(string(c.Request().URI().QueryString()))
		} else {
			x.body = c.Request().Body() // read before the handler ends; what is decoded from it is copied
		}
		return r.present(c, x, r.serve(r.Base, x))
	}
}

// serve authenticates and executes; the result has one answer per operation.
func (r *router) serve(ctx context.Context, x exchange) answers {
	if e := checkSize(len(x.body)); e != nil { // before an authentication webhook is sent all of it
		return r.refusal(x, session.Session{IP: x.ip}, e)
	}
	s, err := x.generation.Authn.AuthenticateCall(ctx, x.call(authn.GraphQL, x.body))
	if err != nil {
		return r.refusal(x, session.Session{IP: x.ip}, errcode.From(err))
	}
	if e := x.generation.Instance.CheckBody(s, len(x.body)); e != nil {
		return r.refusal(x, s, e)
	}
	requests, batch, err := x.decode()
	if err != nil {
		return r.refusal(x, s, errcode.From(err))
	}
	if batch {
		if e := x.generation.Instance.CheckBatch(s, len(requests)); e != nil {
			return r.refusal(x, s, e)
		}
	}
	out := answers{batch: batch}
	for _, one := range requests {
		response, trail := r.execute(ctx, x, s, one)
		out.responses = append(out.responses, response)
		out.rate = trail.Rate
	}
	return out
}

// execute runs one operation and records it.
func (r *router) execute(ctx context.Context, x exchange, s session.Session, one graphqlhttp.Request) (graphqlhttp.Response, instance.Trail) {
	response, trail := x.generation.Instance.Execute(ctx, s, x.request(one))
	r.record(x, s, trail)
	return response, trail
}

// request is an operation with what the exchange knows of it.
func (x exchange) request(one graphqlhttp.Request) instance.Request {
	return instance.Request{Request: one, ID: x.id, TraceParent: x.traceParent(), ClientHeaders: x.headers, ReadOnly: x.get, Relay: x.relay}
}

// refusal is an answer to a request that did not reach the engine.
func (r *router) refusal(x exchange, s session.Session, e *errcode.Error) answers {
	trail := instance.Refusal(s, e)
	r.record(x, s, trail)
	return answers{responses: []graphqlhttp.Response{{Body: graphqlhttp.ErrorBody(e, x.showsInternal(s)), Err: e}}}
}

// showsInternal reports whether a session sees the internal part of errors.
func (x exchange) showsInternal(s session.Session) bool {
	return s.Role != "" && s.IsAdmin() || x.generation.Instance.Settings.DevMode
}

func (x exchange) traceParent() string {
	value, _ := x.headers.Lookup("traceparent")
	return value
}

// encoded reports whether a body is not as it is. None is decoded: a small one can
// become larger than the memory.
func encoded(encoding string) bool { return encoding != "" && encoding != "identity" }

var errEncoded = errcode.New(errcode.NotSupported, "content-encoding is not supported: send the body as it is")

// checkSize refuses a body of more than MaxGraphQLBody bytes.
func checkSize(bytes int) *errcode.Error {
	if bytes > MaxGraphQLBody {
		return errcode.New(errcode.BadRequest, "the body has %d bytes; a GraphQL request may have %d", bytes, MaxGraphQLBody)
	}
	return nil
}

func (x exchange) decode() ([]graphqlhttp.Request, bool, error) {
	if x.get {
		one, err := x.decodeQuery()
		return []graphqlhttp.Request{one}, false, err
	}
	if encoding, _ := x.headers.Lookup(fiber.HeaderContentEncoding); encoded(encoding) {
		return nil, false, errEncoded
	}
	return graphqlhttp.Decode(x.body)
}

// decodeQuery reads a GET: query, operationName, and JSON in variables and
// extensions.
func (x exchange) decodeQuery() (graphqlhttp.Request, error) {
	doc := map[string]json.RawMessage{}
	for _, key := range []string{"query", "operationName", "documentId"} {
		if x.query.Has(key) {
			text, err := json.Marshal(x.query.Get(key))
			if err != nil {
				return graphqlhttp.Request{}, err
			}
			doc[key] = text
		}
	}
	for _, key := range []string{"variables", "extensions"} {
		if text := x.query.Get(key); text != "" {
			if !json.Valid([]byte(text)) {
				return graphqlhttp.Request{}, errcode.New(errcode.InvalidJSON, "the query parameter %q is not valid JSON", key)
			}
			doc[key] = json.RawMessage(text)
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return graphqlhttp.Request{}, err
	}
	one, _, err := graphqlhttp.Decode(text)
	if err != nil {
		return graphqlhttp.Request{}, err
	}
	return one[0], nil
}
