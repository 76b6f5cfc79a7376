package router

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/services/engine/instance"
)

// explainBody asks how a query is answered, for a role and its session variables.
type explainBody struct {
	Query json.RawMessage   `json:"query"`
	User  map[string]string `json:"user"`
}

// explain answers /v1/graphql/explain: admin only.
func (r *router) explain(c *fiber.Ctx) error {
	x := exchange{generation: generation(c), headers: copyHeaders(c), ip: r.ClientIP(c), id: requestID(c)}
	body := bytes.Clone(c.Request().Body())
	ctx, cancel := context.WithTimeout(r.Base, commandTime)
	defer cancel()
	s, err := r.administrator(ctx, x)
	if err != nil {
		return r.refuseAdministrator(c, x, s, errcode.From(err))
	}
	answer, err := explainFor(ctx, x.generation.Instance, s, body)
	if err != nil {
		e := errcode.From(err)
		r.recordCommand(x, s, "v1/graphql/explain", "", e)
		return sendJSON(c.Status(commandStatus(e)), graphqlhttp.MediaJSON, restError(e, true))
	}
	r.recordCommand(x, s, "v1/graphql/explain", "", nil)
	return sendJSON(c, graphqlhttp.MediaJSON, answer)
}

func explainFor(ctx context.Context, i *instance.Instance, s session.Session, body []byte) ([]byte, error) {
	var in explainBody
	if err := json.Unmarshal(body, &in); err != nil || len(in.Query) == 0 {
		return nil, errcode.New(errcode.ParseFailed, "expected {query: {query, operationName, variables}, user: {session variables}}").At("$")
	}
	requests, batch, err := graphqlhttp.Decode(in.Query)
	if err != nil {
		return nil, err
	}
	if batch {
		return nil, errcode.New(errcode.ParseFailed, "expected one operation").At("$.query")
	}
	explained, err := i.Explain(ctx, userSession(s, in.User), requests[0])
	if err != nil {
		return nil, err
	}
	return json.Marshal(explained)
}

// userSession is the session that an admin asks about: user's variables in
// place of their own; no role means admin.
func userSession(s session.Session, user map[string]string) session.Session {
	variables := map[string]string{session.RoleVariable: session.Admin}
	for name, value := range user {
		variables[strings.ToLower(name)] = value
	}
	s.Variables, s.Role = variables, variables[session.RoleVariable]
	return s
}

// administrator authenticates a request to what is for admins only.
func (r *router) administrator(ctx context.Context, x exchange) (session.Session, error) {
	s, err := x.generation.Authn.AuthenticateCall(ctx, authn.Call{Headers: x.headers, RequestID: x.id, IP: x.ip, Surface: authn.Metadata})
	if err == nil && !s.IsAdmin() {
		err = errcode.New(errcode.AccessDenied, "restricted access : admin only").At("$.args")
	}
	return s, err
}

// refuseAdministrator answers who is not an admin: 401 without a credential, 400
// with that of another role.
func (r *router) refuseAdministrator(c *fiber.Ctx, x exchange, s session.Session, e *errcode.Error) error {
	r.recordCommand(x, s, "", strings.Clone(c.Path()), e)
	status := e.Status()
	if e.Path == "$.args" {
		status = fiber.StatusBadRequest
	}
	return sendJSON(c.Status(status), graphqlhttp.MediaJSON, restError(e, false))
}
