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

// metadata serves one of the command endpoints: admin only.
func (r *router) metadata(endpoint metadataapi.Endpoint) fiber.Handler {
	return func(c *fiber.Ctx) error {
		g, h, ip, id := generation(c), copyHeaders(c), r.ClientIP(c), requestID(c)
		body := bytes.Clone(c.Request().Body())
		ctx, cancel := context.WithTimeout(r.Base, commandTime)
		defer cancel()
		x := exchange{generation: g, headers: h, ip: ip, id: id}
		s, err := g.Authn.AuthenticateCall(ctx, authn.Call{Headers: h, IP: ip, Surface: authn.Metadata})
		if err == nil && !s.IsAdmin() {
			err = errcode.New(errcode.AccessDenied, "restricted access : admin only").At("$.args")
		}
		if err != nil {
			e := errcode.From(err)
			r.recordCommand(x, s, endpoint, "", e)
			status := e.Status()
			if e.Path == "$.args" {
				status = fiber.StatusBadRequest
			}
			return sendJSON(c.Status(status), graphqlhttp.MediaJSON, restError(e, false))
		}
		author := revision.Author{Actor: instance.Actor(s), TenantID: g.Project.TenantID, IP: ip, RequestID: id}
		answer, command, err := r.Metadata.Run(ctx, endpoint, g.Project, author, body)
		if err != nil {
			e := errcode.From(err)
			r.recordCommand(x, s, endpoint, command, e)
			return sendJSON(c.Status(commandStatus(e)), graphqlhttp.MediaJSON, restError(e, true))
		}
		r.recordCommand(x, s, endpoint, command, nil)
		return sendJSON(c, graphqlhttp.MediaJSON, answer)
	}
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
	if kind == audit.KindAdmin && s.Auth != session.AuthAdminSecret {
		return
	}
	r.Recorder.Record(audit.Event{
		Kind: kind, TenantID: x.generation.Project.TenantID, ProjectID: x.generation.Project.ID, Actor: instance.Actor(s), Role: s.Role,
		Action: string(endpoint), Target: command, Outcome: outcome, Code: code, RequestID: x.id, IP: x.ip,
	})
}
