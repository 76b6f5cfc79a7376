package control

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

type projectView struct {
	ID        string    `json:"id"`
	TenantID  string    `json:"tenant_id"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Plan      string    `json:"plan"`
	Status    string    `json:"status" enum:"active,suspended"`
	CreatedAt time.Time `json:"created_at"`
	// RunRetention is what holds, also where the project says nothing.
	RunRetention int           `json:"run_retention_days" doc:"How long runs of asynchronous actions are kept after they have ended."`
	Endpoints    endpointsView `json:"endpoints"`
	Database     *databaseView `json:"database,omitempty" doc:"Not in lists."`
}

type endpointsView struct {
	GraphQL  string `json:"graphql"`
	Metadata string `json:"metadata"`
	Query    string `json:"query"`
}

// databaseView says where a database is, without user and password.
type databaseView struct {
	Managed bool   `json:"managed"`
	Host    string `json:"host"`
	Name    string `json:"name"`
}

func (c *call) viewProject(p tenants.Project) projectView {
	base := c.base + "/p/" + p.Slug
	return projectView{
		ID: p.ID, TenantID: p.TenantID, Slug: p.Slug, Name: p.Name, Plan: p.Plan, Status: string(p.Status), CreatedAt: p.CreatedAt,
		RunRetention: store.KeepsRuns(p, c.mostRetention),
		Endpoints:    endpointsView{GraphQL: base + "/v1/graphql", Metadata: base + "/v1/metadata", Query: base + "/v2/query"},
	}
}

// viewDatabase shows host and database name of a URL and nothing else of it.
func viewDatabase(managed bool, secret vault.Secret) *databaseView {
	v := &databaseView{Managed: managed}
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		return v
	}
	v.Host, v.Name = u.Host, strings.TrimPrefix(u.Path, "/")
	return v
}

type databaseInput struct {
	URL     vault.Secret `json:"url,omitzero" required:"false" format:"password" writeOnly:"true" doc:"postgres://user:password@host:port/database"`
	Managed bool         `json:"managed,omitempty" doc:"The platform makes the database."`
}

// check finds what is wrong with a database without trying it.
func (d databaseInput) check(managed bool) []Mistake {
	switch {
	case d.Managed && !d.URL.IsZero():
		return []Mistake{wrong("/database", "expected either url or managed")}
	case d.Managed && !managed:
		return []Mistake{wrong("/database/managed", "this installation makes no databases; give the url of one")}
	case d.Managed:
		return nil
	case d.URL.IsZero():
		return []Mistake{wrong("/database/url", "expected the url of a database, or managed: true")}
	}
	return checkDatabaseURL(d.URL, "/database/url")
}

func checkDatabaseURL(secret vault.Secret, pointer string) []Mistake {
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return []Mistake{wrong(pointer, "expected postgres://user:password@host:port/database")}
	}
	return nil
}

func (s *service) registerProjects() {
	tag := "Projects"
	register(s, endpoint{id: "createProject", method: http.MethodPost, path: "/tenants/{tenant}/projects", class: authz.ClassAdmin, tag: tag,
		status: http.StatusCreated, summary: "Make a project on a database, which is tried first"}, s.createProject)
	register(s, endpoint{id: "listProjects", method: http.MethodGet, path: "/tenants/{tenant}/projects", class: authz.ClassRead, tag: tag,
		summary: "Projects of a tenant"}, s.listProjects)
	register(s, endpoint{id: "getProject", method: http.MethodGet, path: "/projects/{project}", class: authz.ClassRead, tag: tag,
		summary: "One project"}, s.getProject)
	register(s, endpoint{id: "updateProject", method: http.MethodPatch, path: "/projects/{project}", class: authz.ClassAdmin, tag: tag,
		summary: "Change the name, or how long runs are kept; the operator also the plan"}, s.updateProject)
	register(s, endpoint{id: "deleteProject", method: http.MethodDelete, path: "/projects/{project}", class: authz.ClassAdmin, tag: tag,
		status: http.StatusNoContent, summary: "Delete; can be restored for seven days"}, s.deleteProject)
	register(s, endpoint{id: "suspendProject", method: http.MethodPost, path: "/projects/{project}:suspend", class: authz.ClassAdmin, tag: tag,
		summary: "Stop serving"}, s.setProjectStatus(tenants.Suspended, "project.suspend"))
	register(s, endpoint{id: "resumeProject", method: http.MethodPost, path: "/projects/{project}:resume", class: authz.ClassAdmin, tag: tag,
		summary: "Serve again"}, s.setProjectStatus(tenants.Active, "project.resume"))
	register(s, endpoint{id: "restoreProject", method: http.MethodPost, path: "/projects/{project}:restore", class: authz.ClassAdmin, tag: tag,
		deleted: true, summary: "Bring a deleted project back"}, s.restoreProject)
	register(s, endpoint{id: "moveDatabase", method: http.MethodPut, path: "/projects/{project}/database", class: authz.ClassSecrets, tag: tag,
		summary: "Move to a database at another URL, which is tried first"}, s.moveDatabase)
}

type createProjectInput struct {
	TenantPath
	Body struct {
		Name     string        `json:"name" minLength:"1" maxLength:"100"`
		Slug     string        `json:"slug,omitempty" pattern:"^[a-z][a-z0-9-]{1,38}$" doc:"Derived from the name when absent."`
		Database databaseInput `json:"database"`
		Plan     string        `json:"plan,omitempty" pattern:"^[a-z][a-z0-9_-]{0,38}$" doc:"The tenant's when absent; another one can be set by the operator."`
	}
}

type createProjectOutput struct {
	Body struct {
		Project     projectView `json:"project"`
		AdminSecret string      `json:"admin_secret" doc:"Shown this once."`
	}
}

func (s *service) createProject(ctx context.Context, c *call, in *createProjectInput) (*createProjectOutput, error) {
	b := &in.Body
	mistakes := b.Database.check(s.Managed)
	mistakes = append(mistakes, c.checkPlan(b.Plan)...)
	if mistakes != nil {
		return nil, invalid(mistakes...)
	}
	if b.Plan == "" {
		b.Plan = c.tenant.Plan
	}
	made, err := s.Revisions.Create(ctx, c.author(), store.NewProject{TenantID: c.tenant.ID, Slug: b.Slug, Name: b.Name, Plan: b.Plan},
		revision.Database{URL: b.Database.URL, Managed: b.Database.Managed})
	if err != nil {
		return nil, err
	}
	out := &createProjectOutput{}
	out.Body.Project, out.Body.AdminSecret = c.viewProject(made.Project), made.AdminSecret.Reveal()
	return out, nil
}

// checkPlan refuses plans that the caller can't give away.
func (c *call) checkPlan(plan string) []Mistake {
	if plan == "" || plan == c.tenant.Plan || c.caller.kind == authz.CallerOperator {
		return nil
	}
	return []Mistake{wrong("/plan", "expected the tenant's own plan; another one is the operator's to set")}
}

func (s *service) listProjects(ctx context.Context, c *call, in *ListTenantInput) (*page[projectView], error) {
	items, next, err := s.Store.Projects(ctx, c.tenant.ID, in.page())
	return pageOf(items, next, c.viewProject), err
}

type projectOutput struct{ Body projectView }

func (s *service) showProject(ctx context.Context, c *call, p tenants.Project) (*projectOutput, error) {
	set, _, err := s.Store.Settings(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	v := c.viewProject(p)
	v.Database = viewDatabase(p.Managed, set.Database.URL)
	return &projectOutput{v}, nil
}

func (s *service) getProject(ctx context.Context, c *call, _ *ProjectPath) (*projectOutput, error) {
	return s.showProject(ctx, c, c.project)
}

type updateProjectInput struct {
	ProjectPath
	Body struct {
		Name *string `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Plan *string `json:"plan,omitempty" pattern:"^[a-z][a-z0-9_-]{0,38}$"`
		// RunRetention is bounded by the operator.
		RunRetention *int `json:"run_retention_days,omitempty" minimum:"0" doc:"How long runs of asynchronous actions are kept after they have ended; 0 is the default, 14 days."`
	}
}

func (s *service) updateProject(ctx context.Context, c *call, in *updateProjectInput) (*projectOutput, error) {
	if in.Body.Plan != nil {
		if mistakes := c.checkPlan(*in.Body.Plan); mistakes != nil {
			return nil, invalid(mistakes...)
		}
	}
	if days := in.Body.RunRetention; days != nil && *days > s.MostRunRetention {
		return nil, invalid(wrong("/run_retention_days", "expected at most %d days, which the operator allows, got %d", s.MostRunRetention, *days))
	}
	return s.changeProject(ctx, c, "project.update", func(ctx context.Context, tx *store.Tx) (tenants.Project, error) {
		return tx.UpdateProject(ctx, c.project.ID, store.ProjectEdit{Name: in.Body.Name, Plan: in.Body.Plan, RunRetention: in.Body.RunRetention})
	})
}

func (s *service) deleteProject(ctx context.Context, c *call, _ *ProjectPath) (*empty, error) {
	return nil, s.change(ctx, c, c.event("project.delete", c.project.Slug, nil), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetProjectStatus(ctx, c.project.ID, tenants.Deleted)
		return err
	})
}

func (s *service) setProjectStatus(status tenants.Status, action string) func(context.Context, *call, *ProjectPath) (*projectOutput, error) {
	return func(ctx context.Context, c *call, _ *ProjectPath) (*projectOutput, error) {
		return s.changeProject(ctx, c, action, func(ctx context.Context, tx *store.Tx) (tenants.Project, error) {
			return tx.SetProjectStatus(ctx, c.project.ID, status)
		})
	}
}

func (s *service) restoreProject(ctx context.Context, c *call, _ *ProjectPath) (*projectOutput, error) {
	return s.changeProject(ctx, c, "project.restore", func(ctx context.Context, tx *store.Tx) (tenants.Project, error) {
		return tx.RestoreProject(ctx, c.project.ID)
	})
}

func (s *service) changeProject(ctx context.Context, c *call, action string,
	change func(context.Context, *store.Tx) (tenants.Project, error),
) (*projectOutput, error) {
	var changed tenants.Project
	err := s.change(ctx, c, c.event(action, c.project.Slug, nil), func(ctx context.Context, tx *store.Tx) (err error) {
		changed, err = change(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.showProject(ctx, c, changed)
}

type moveDatabaseInput struct {
	ProjectPath
	Body struct {
		URL vault.Secret `json:"url" format:"password" writeOnly:"true" doc:"postgres://user:password@host:port/database"`
	}
}

type databaseOutput struct{ Body databaseView }

func (s *service) moveDatabase(ctx context.Context, c *call, in *moveDatabaseInput) (*databaseOutput, error) {
	if mistakes := checkDatabaseURL(in.Body.URL, "/url"); mistakes != nil {
		return nil, invalid(mistakes...)
	}
	if _, err := s.Revisions.MoveDatabase(ctx, c.author(), c.project.ID, in.Body.URL); err != nil {
		return nil, moved(problemOf(err))
	}
	return &databaseOutput{*viewDatabase(false, in.Body.URL)}, nil
}

// moved puts mistakes in a new project's database to their place in this body.
func moved(p *Problem) *Problem {
	for i := range p.Errors {
		p.Errors[i].Pointer = strings.TrimPrefix(p.Errors[i].Pointer, "/database")
	}
	return p
}
