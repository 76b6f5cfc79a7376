package router

import (
	"bytes"
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/policy/authn"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/revision"
)

// commandTime bounds a metadata command; SQL of migrations may take long.
const commandTime = 5 * time.Minute

// metadata serves one of the command endpoints: for admins; commands on data are
// for all roles.
func (r *router) metadata(endpoint metadataapi.Endpoint) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := r.open(c)
		x.body, x.surface = bytes.Clone(c.Request().Body()), string(endpoint)
		ctx, cancel := context.WithTimeout(r.Base, commandTime)
		defer cancel()
		call := x.call(authn.Metadata, nil)
		// What is large is for admins alone, and not looked into for anybody else.
		large := len(x.body) > MaxGraphQLBody
		onData := !large && metadataapi.OnData(endpoint, x.body)
		if onData {
			call.Surface, call.Request = authn.Data, x.body
		}
		s, err := x.generation.Authn.AuthenticateCall(ctx, call)
		if err == nil && !s.IsAdmin() {
			err = allowClient(onData, x.body)
		}
		if err != nil {
			return r.refuseCommand(c, x, s, errcode.From(err))
		}
		if onData || large && metadataapi.OnData(endpoint, x.body) {
			return r.data(c, ctx, x, s, endpoint)
		}
		answer, command, err := r.Metadata.Run(ctx, r.commands(x, s, endpoint, func(t instance.Trail) { r.record(x, s, t) }))
		if err != nil {
			e := errcode.From(err)
			r.recordCommand(x, s, endpoint, command, e)
			return sendJSON(c.Status(commandStatus(e)), graphqlhttp.MediaJSON, restError(e, true))
		}
		r.recordCommand(x, s, endpoint, command, nil)
		return sendJSON(c, graphqlhttp.MediaJSON, answer)
	}
}

// allowClient judges the commands of who is no admin.
func allowClient(onData bool, body []byte) error {
	switch {
	case len(body) > MaxGraphQLBody:
		return errcode.New(errcode.BadRequest, "the body has %d bytes; commands on data may have %d, others are for admins", len(body), MaxGraphQLBody)
	case !onData:
		return errcode.New(errcode.AccessDenied, "restricted access : admin only").At("$.args")
	}
	return nil
}

// refuseCommand answers a caller whose command does not run: 401 without a
// credential, 400 with that of another role.
func (r *router) refuseCommand(c *fiber.Ctx, x exchange, s session.Session, e *errcode.Error) error {
	r.recordCommand(x, s, metadataapi.Endpoint(x.surface), "", e)
	status := e.Status()
	if e.Path == "$.args" {
		status = fiber.StatusBadRequest
	}
	return sendJSON(c.Status(status), graphqlhttp.MediaJSON, restError(e, false))
}

func (r *router) commands(x exchange, s session.Session, endpoint metadataapi.Endpoint, record func(instance.Trail)) metadataapi.Request {
	author := revision.Author{Actor: instance.Actor(s), TenantID: x.generation.Project.TenantID, IP: x.ip, RequestID: x.id}
	return metadataapi.Request{Endpoint: endpoint, Project: x.generation.Project, Author: author, Body: x.body, Data: metadataapi.Data{
		Session: s, Instance: x.generation.Instance, ID: x.id, TraceParent: x.traceParent(), ClientHeaders: x.headers, Record: record,
	}}
}

// data answers commands on data: each is recorded as an operation in GraphQL is.
func (r *router) data(c *fiber.Ctx, ctx context.Context, x exchange, s session.Session, endpoint metadataapi.Endpoint) error {
	var last instance.Trail
	answer, _, err := r.Metadata.Run(ctx, r.commands(x, s, endpoint, func(t instance.Trail) {
		last = t
		r.record(x, s, t)
	}))
	e := errcode.From(err)
	if e != nil && last.Err == nil { // it did not get as far as an instance
		r.record(x, s, instance.Refusal(s, e))
	}
	refused := refusedForNow(e)
	rateHeaders(c, last.Rate, refused)
	if e == nil {
		return sendJSON(c, graphqlhttp.MediaJSON, answer)
	}
	status := commandStatus(e)
	if refused {
		status = e.Status()
	}
	internal := s.IsAdmin() || x.generation.Instance.Settings.DevMode
	return sendJSON(c.Status(status), graphqlhttp.MediaJSON, restError(e, internal))
}

// commandStatus: the command endpoints know 400, 404 of projects, 409 and 500.
func commandStatus(e *errcode.Error) int {
	if own := e.OwnStatus(); own != 0 {
		return own
	}
	switch e.Code {
	case errcode.Conflict:
		return fiber.StatusConflict
	case errcode.Unexpected:
		return fiber.StatusInternalServerError
	case errcode.ConnectionFailed:
		return fiber.StatusServiceUnavailable
	}
	return fiber.StatusBadRequest
}

// recordCommand audits a refused command and every use of an admin secret; what
// a command changed is audited with the change itself.
func (r *router) recordCommand(x exchange, s session.Session, endpoint metadataapi.Endpoint, command string, e *errcode.Error) {
	kind, outcome, code := audit.KindAdmin, audit.OK, ""
	if e != nil {
		code, outcome = string(e.Code), audit.Failed
		if instance.Denied(e) {
			kind, outcome = audit.KindDenial, audit.Denied
		}
	}
	if kind == audit.KindAdmin && !instance.AdminUse(s) {
		return
	}
	r.Recorder.Record(audit.Event{
		Kind: kind, TenantID: x.generation.Project.TenantID, ProjectID: x.generation.Project.ID, Actor: instance.Actor(s), Role: s.Role,
		Action: string(endpoint), Target: command, Outcome: outcome, Code: code, RequestID: x.id, IP: x.ip,
	})
}
