package control

import (
	"context"
	"net/http"
	"time"

	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/tenants/store"
)

type actorView struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

type eventView struct {
	ID        string         `json:"id"`
	Seq       int64          `json:"seq" doc:"Place in the project's chain, from 1."`
	At        time.Time      `json:"at"`
	Kind      string         `json:"kind" doc:"change, denial, admin, action, request or decision."`
	ProjectID string         `json:"project_id,omitempty"`
	Actor     actorView      `json:"actor"`
	Role      string         `json:"role,omitempty"`
	Action    string         `json:"action"`
	Target    string         `json:"target"`
	Outcome   string         `json:"outcome" doc:"ok, denied or error."`
	Code      string         `json:"code,omitempty"`
	RequestID string         `json:"request_id"`
	IP        string         `json:"ip,omitempty"`
	Detail    map[string]any `json:"detail,omitempty"`
	Hash      string         `json:"hash" doc:"Of this event and the one before it."`
}

func viewEvent(e audit.Event) eventView {
	return eventView{
		ID: e.ID, Seq: e.Seq, At: e.At, Kind: e.Kind, ProjectID: e.ProjectID, Actor: actorView{e.Actor.Kind, e.Actor.ID}, Role: e.Role,
		Action: e.Action, Target: e.Target, Outcome: e.Outcome, Code: e.Code, RequestID: e.RequestID, IP: e.IP, Detail: e.Detail, Hash: e.Hash,
	}
}

func (s *service) registerAudit() {
	tag := "Audit"
	register(s, endpoint{id: "listProjectAudit", method: http.MethodGet, path: "/projects/{project}/audit", class: authz.ClassAudit, tag: tag,
		summary: "What was done in a project, newest first"}, s.listProjectAudit)
	register(s, endpoint{id: "verifyProjectAudit", method: http.MethodPost, path: "/projects/{project}/audit:verify", class: authz.ClassAudit, tag: tag,
		summary: "Check that no event of the chain was changed or removed"}, s.verifyAudit)
	register(s, endpoint{id: "listTenantAudit", method: http.MethodGet, path: "/tenants/{tenant}/audit", class: authz.ClassAudit, tag: tag,
		summary: "What was done in a tenant and all its projects, newest first"}, s.listTenantAudit)
}

// AuditFilter are the parameters that narrow a list of events.
type AuditFilter struct {
	Kind    string    `query:"kind" enum:"change,denial,admin,action,request,decision"`
	Outcome string    `query:"outcome" enum:"ok,denied,error"`
	Since   time.Time `query:"since" doc:"Events at this time or later."`
	ID      string    `query:"id" format:"uuid" doc:"The one event of this id, such as the decision_id of a denial."`
}

func (f AuditFilter) filter() store.AuditFilter {
	return store.AuditFilter{Kind: f.Kind, Outcome: f.Outcome, Since: f.Since, ID: f.ID}
}

type projectAuditInput struct {
	ListProjectInput
	AuditFilter
}

type tenantAuditInput struct {
	ListTenantInput
	AuditFilter
}

func (s *service) listProjectAudit(ctx context.Context, c *call, in *projectAuditInput) (*page[eventView], error) {
	items, next, err := s.Store.ProjectAudit(ctx, c.project.ID, in.filter(), in.page())
	return pageOf(items, next, viewEvent), err
}

func (s *service) listTenantAudit(ctx context.Context, c *call, in *tenantAuditInput) (*page[eventView], error) {
	items, next, err := s.Store.TenantAudit(ctx, c.tenant.ID, in.filter(), in.page())
	return pageOf(items, next, viewEvent), err
}

type verifyOutput struct {
	Body struct {
		OK       bool      `json:"ok"`
		Checked  int64     `json:"checked" doc:"Events that fit."`
		FirstBad *brokenAt `json:"first_bad,omitempty"`
	}
}

type brokenAt struct {
	Seq    int64  `json:"seq"`
	Reason string `json:"reason"`
}

func (s *service) verifyAudit(ctx context.Context, c *call, _ *ProjectPath) (*verifyOutput, error) {
	v, err := s.Store.VerifyAudit(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &verifyOutput{}
	out.Body.OK, out.Body.Checked = v.OK, v.Checked
	if v.FirstBad != nil {
		out.Body.FirstBad = &brokenAt{v.FirstBad.Seq, v.FirstBad.Problem}
	}
	return out, nil
}
