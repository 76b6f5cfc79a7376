package control

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"sync"

	"tenantry/api/session"
	"tenantry/policy/authz"
)

func (s *service) registerViews() {
	register(s, endpoint{id: "getMe", method: http.MethodGet, path: "/me", class: authz.ClassSelf, tag: "Keys",
		summary: "Who the key is"}, s.getMe)
	register(s, endpoint{id: "getSchema", method: http.MethodGet, path: "/projects/{project}/schema.graphql", class: authz.ClassRead, tag: "Metadata",
		answerType: "text/plain", summary: "The GraphQL schema as a role sees it"}, s.getSchema)
	if s.Metrics != nil {
		register(s, endpoint{id: "getMetrics", method: http.MethodGet, path: "/projects/{project}/metrics", class: authz.ClassMetrics, tag: "Metrics",
			answerType: "text/plain", summary: "Prometheus exposition of this project"}, s.getMetrics)
	}
}

type meOutput struct {
	Body struct {
		Kind    string      `json:"kind" enum:"operator,tenant_key,project_key"`
		Role    string      `json:"role,omitempty"`
		Key     *KeyView    `json:"key,omitempty"`
		Tenant  *tenantView `json:"tenant,omitempty"`
		Project *struct {
			ID   string `json:"id"`
			Slug string `json:"slug"`
			Name string `json:"name"`
		} `json:"project,omitempty"`
	}
}

func (s *service) getMe(_ context.Context, c *call, _ *empty) (*meOutput, error) {
	out := &meOutput{}
	out.Body.Kind, out.Body.Role = c.caller.kind, c.caller.role()
	if c.caller.kind == authz.CallerOperator {
		return out, nil
	}
	out.Body.Key, out.Body.Tenant = ptr(viewKey(c.caller.key)), ptr(viewTenant(c.caller.tenant))
	if p := c.caller.project; p != nil {
		out.Body.Project = &struct {
			ID   string `json:"id"`
			Slug string `json:"slug"`
			Name string `json:"name"`
		}{p.ID, p.Slug, p.Name}
	}
	return out, nil
}

type schemaInput struct {
	ProjectPath
	Role string `query:"role" maxLength:"128" default:"admin"`
}

var roleForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[^\x00-\x1f]{1,128}$`)
})

func (s *service) getSchema(ctx context.Context, c *call, in *schemaInput) (*textOutput, error) {
	if in.Role == "" {
		in.Role = session.Admin
	}
	if !roleForm().MatchString(in.Role) {
		return nil, invalid(Mistake{Parameter: "role", Message: "expected a role"})
	}
	text, err := s.Revisions.SDL(ctx, c.project.ID, in.Role)
	return &textOutput{ContentType: textPlain, Body: []byte(text)}, err
}

func (s *service) getMetrics(_ context.Context, c *call, _ *ProjectPath) (*textOutput, error) {
	var b bytes.Buffer
	err := s.Metrics(&b, c.project.Slug)
	return &textOutput{ContentType: "text/plain; version=0.0.4; charset=utf-8", Body: b.Bytes()}, err
}
