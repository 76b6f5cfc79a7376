package control

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/tenants"
	"tenantry/tenants/store"
)

var (
	errNotFound  = problem(http.StatusNotFound, errcode.NotFound, "not found")
	errForbidden = problem(http.StatusForbidden, errcode.PermissionDenied, "the key's role or scopes do not allow this")
)

// guard lets a request through to its handler if its key may do what it asks,
// to the thing that the path names. Every refusal is audited.
func (s *service) guard(ctx huma.Context, next func(huma.Context)) {
	o := ctx.(owned)
	c := &call{
		endpoint:  ctx.Operation().Metadata[endpointKey].(*endpoint),
		requestID: o.requestID(),
		ip:        cloned(s.Address(o.fiber())),
		base:      cloned(s.BaseURL(o.fiber())),

		mostRetention: s.MostRunRetention,
	}
	o.fiber().Locals(endpointKey, c.endpoint.id)
	if err := s.admit(ctx.Context(), c, o); err != nil {
		p := problemOf(err)
		s.log(c, err, p)
		o.fail(p)
		return
	}
	next(o.with(callKey{}, c))
}

func (s *service) admit(ctx context.Context, c *call, o owned) (err error) {
	if c.caller, err = s.authenticate(ctx, o, c.ip); err != nil {
		if errors.Is(err, errBadKey) {
			s.denied(c, errBadKey)
		}
		return err
	}
	public := c.endpoint.class == authz.ClassPublic
	if c.caller.kind == authz.CallerAnonymous && !public {
		s.denied(c, errNoKey)
		return errNoKey
	}
	if err := s.locate(ctx, c, o); err != nil {
		return err
	}
	allowed, err := s.may(ctx, c, c.endpoint.class)
	if err != nil {
		return err
	}
	if !allowed {
		refusal := errForbidden
		if c.foreign() {
			refusal = errNotFound
		}
		s.denied(c, refusal)
		return refusal
	}
	return nil
}

// locate finds the tenant or project that the path names.
func (s *service) locate(ctx context.Context, c *call, o owned) (err error) {
	switch {
	case o.Operation().Metadata[projectKey] == true:
		find := s.Store.Project
		if c.endpoint.deleted {
			find = s.Store.DeletedProject
		}
		if c.project, err = find(ctx, o.Param("project")); err != nil {
			return err
		}
		c.tenant, err = s.Store.Tenant(ctx, c.project.TenantID)
	case o.Operation().Metadata[tenantKey] == true && !c.endpoint.deleted:
		c.tenant, err = s.Store.Tenant(ctx, o.Param("tenant"))
	}
	return err
}

// foreign reports whether the target is none of the caller's: its existence is
// not told.
func (c *call) foreign() bool {
	switch c.caller.kind {
	case authz.CallerOperator:
		return false
	case authz.CallerProjectKey:
		if c.project.ID != "" && c.project.ID != c.caller.projectID() {
			return true
		}
	}
	return c.endpoint.deleted && c.project.ID == "" || c.tenant.ID != "" && c.tenant.ID != c.caller.key.TenantID
}

// may asks our own Rego whether the caller has a class on the call's target.
func (s *service) may(ctx context.Context, c *call, class string) (bool, error) {
	return s.Control.Allow(ctx, authz.ControlRequest{
		CallerKind: c.caller.kind, Role: string(c.caller.key.Role), Scopes: c.caller.key.Scopes,
		CallerTenant: c.caller.key.TenantID, CallerProject: c.caller.projectID(),
		OperationID: c.endpoint.id, OperationClass: class,
		TargetTenant: c.tenant.ID, TargetProject: c.project.ID,
	})
}

// denied records a refusal. One about another tenant's thing belongs to the
// audit of who asked, not of the one who was asked about.
func (s *service) denied(c *call, p *Problem) {
	e := c.event(c.endpoint.id, c.endpoint.method+" "+c.endpoint.path, map[string]any{"status": p.Status})
	if c.foreign() {
		e.TenantID, e.ProjectID = c.caller.key.TenantID, c.caller.projectID()
	}
	e.Kind, e.Outcome, e.Code = audit.KindDenial, audit.Denied, p.Code
	s.Recorder.Record(e)
}

// log tells the operator of failures that are ours.
func (s *service) log(c *call, err error, p *Problem) {
	if p.Status < http.StatusInternalServerError {
		return
	}
	cause := err
	var public *errcode.Error
	if errors.As(err, &public) && errors.Unwrap(public) != nil {
		cause = errors.Unwrap(public)
	}
	s.Logger.Error("control API request failed", "type", "http-log", "request_id", c.requestID, "operation", c.endpoint.id,
		"project", c.project.Slug, "status", p.Status, "error", cause)
}

// requireRank refuses a caller who would handle a key of a higher role than
// their own.
func (c *call) requireRank(role tenants.Role) error {
	if c.caller.kind == authz.CallerOperator {
		return nil
	}
	if rank[role] > rank[c.caller.key.Role] {
		return errForbidden
	}
	return nil
}

// rank of the roles of keys: owner is above admin; the others are below both.
var rank = map[tenants.Role]int{tenants.Owner: 2, tenants.Admin: 1}

// notFound reports whether err is the store's word for a thing that is not there.
func notFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
