package control

import (
	"context"
	"net/http"
	"time"

	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

type tenantView struct {
	ID        string    `json:"id"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	Plan      string    `json:"plan"`
	Status    string    `json:"status" enum:"active,suspended"`
	CreatedAt time.Time `json:"created_at"`
}

func viewTenant(t tenants.Tenant) tenantView {
	return tenantView{ID: t.ID, Slug: t.Slug, Name: t.Name, Email: t.Email, Plan: t.Plan, Status: string(t.Status), CreatedAt: t.CreatedAt}
}

type tenantOutput struct{ Body tenantView }

type signupInput struct {
	Body struct {
		Name  string `json:"name" minLength:"1" maxLength:"100"`
		Slug  string `json:"slug,omitempty" pattern:"^[a-z][a-z0-9-]{1,38}$" doc:"Derived from the name when absent."`
		Email string `json:"email" maxLength:"254" pattern:"^[^@\\s]+@[^@\\s]+$"`
	}
}

type signupOutput struct {
	Body struct {
		Tenant tenantView `json:"tenant"`
		Key    newKeyView `json:"key"`
	}
}

func (s *service) registerTenants() {
	class := authz.ClassOperator
	if s.Signup == SignupOpen {
		class = authz.ClassPublic
	}
	tag := "Tenants"
	register(s, endpoint{id: "createTenant", method: http.MethodPost, path: "/tenants", class: class, tag: tag, status: http.StatusCreated,
		summary: "Sign up: a tenant and its first key"}, s.createTenant)
	register(s, endpoint{id: "listTenants", method: http.MethodGet, path: "/tenants", class: authz.ClassOperator, tag: tag,
		summary: "All tenants of the installation"}, s.listTenants)
	register(s, endpoint{id: "getTenant", method: http.MethodGet, path: "/tenants/{tenant}", class: authz.ClassRead, tag: tag,
		summary: "One tenant"}, s.getTenant)
	register(s, endpoint{id: "updateTenant", method: http.MethodPatch, path: "/tenants/{tenant}", class: authz.ClassOwner, tag: tag,
		summary: "Change name or e-mail address"}, s.updateTenant)
	register(s, endpoint{id: "deleteTenant", method: http.MethodDelete, path: "/tenants/{tenant}", class: authz.ClassOwner, tag: tag,
		status: http.StatusNoContent, summary: "Delete; can be restored for seven days"}, s.deleteTenant)
	register(s, endpoint{id: "suspendTenant", method: http.MethodPost, path: "/tenants/{tenant}:suspend", class: authz.ClassOperator, tag: tag,
		summary: "Stop serving all projects of a tenant"}, s.setTenantStatus(tenants.Suspended, "tenant.suspend"))
	register(s, endpoint{id: "resumeTenant", method: http.MethodPost, path: "/tenants/{tenant}:resume", class: authz.ClassOperator, tag: tag,
		summary: "Serve again"}, s.setTenantStatus(tenants.Active, "tenant.resume"))
	register(s, endpoint{id: "restoreTenant", method: http.MethodPost, path: "/tenants/{tenant}:restore", class: authz.ClassOperator, tag: tag,
		deleted: true, summary: "Bring a deleted tenant back"}, s.restoreTenant)
}

func (s *service) createTenant(ctx context.Context, c *call, in *signupInput) (*signupOutput, error) {
	if c.caller.kind != authz.CallerOperator {
		if wait := s.signups.take(c.ip, s.Now()); wait > 0 {
			return nil, tooManySignups(wait)
		}
	}
	out := &signupOutput{}
	err := s.Store.Change(ctx, nil, func(ctx context.Context, tx *store.Tx) error {
		t, err := tx.CreateTenant(ctx, store.NewTenant{Slug: in.Body.Slug, Name: in.Body.Name, Email: in.Body.Email, Plan: s.Plan})
		if err != nil {
			return err
		}
		secret, readable := newToken("tk_")
		k, err := tx.CreateKey(ctx, tenants.Key{TenantID: t.ID, Name: "first", Role: tenants.Owner, Prefix: readable}, vault.Hash(secret))
		if err != nil {
			return err
		}
		out.Body.Tenant, out.Body.Key = viewTenant(t), newKeyView{KeyView: viewKey(k), Secret: secret}
		e := c.event("tenant.create", "tenants/"+t.Slug, map[string]any{"key": k.ID})
		if e.TenantID = t.ID; c.caller.kind != authz.CallerOperator {
			e.Actor = audit.Actor{Kind: audit.ActorTenantKey, ID: k.ID}
		}
		tx.Record(e)
		return nil
	})
	return out, err
}

func (s *service) listTenants(ctx context.Context, _ *call, in *PageInput) (*page[tenantView], error) {
	items, next, err := s.Store.Tenants(ctx, in.page())
	return pageOf(items, next, viewTenant), err
}

func (s *service) getTenant(_ context.Context, c *call, _ *TenantPath) (*tenantOutput, error) {
	return &tenantOutput{viewTenant(c.tenant)}, nil
}

type updateTenantInput struct {
	TenantPath
	Body struct {
		Name  *string `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Email *string `json:"email,omitempty" maxLength:"254" pattern:"^[^@\\s]+@[^@\\s]+$"`
	}
}

func (s *service) updateTenant(ctx context.Context, c *call, in *updateTenantInput) (*tenantOutput, error) {
	return s.changeTenant(ctx, c, "tenant.update", nil, func(ctx context.Context, tx *store.Tx) (tenants.Tenant, error) {
		return tx.UpdateTenant(ctx, c.tenant.ID, store.TenantEdit{Name: in.Body.Name, Email: in.Body.Email})
	})
}

func (s *service) deleteTenant(ctx context.Context, c *call, _ *TenantPath) (*empty, error) {
	_, err := s.changeTenant(ctx, c, "tenant.delete", nil, func(ctx context.Context, tx *store.Tx) (tenants.Tenant, error) {
		return tx.SetTenantStatus(ctx, c.tenant.ID, tenants.Deleted)
	})
	return nil, err
}

func (s *service) setTenantStatus(status tenants.Status, action string) func(context.Context, *call, *TenantPath) (*tenantOutput, error) {
	return func(ctx context.Context, c *call, _ *TenantPath) (*tenantOutput, error) {
		return s.changeTenant(ctx, c, action, nil, func(ctx context.Context, tx *store.Tx) (tenants.Tenant, error) {
			return tx.SetTenantStatus(ctx, c.tenant.ID, status)
		})
	}
}

func (s *service) restoreTenant(ctx context.Context, c *call, in *TenantPath) (*tenantOutput, error) {
	return s.changeTenant(ctx, c, "tenant.restore", nil, func(ctx context.Context, tx *store.Tx) (tenants.Tenant, error) {
		return tx.RestoreTenant(ctx, in.Tenant)
	})
}

// changeTenant runs a change of a tenant with its event.
func (s *service) changeTenant(ctx context.Context, c *call, action string, detail map[string]any,
	change func(context.Context, *store.Tx) (tenants.Tenant, error),
) (*tenantOutput, error) {
	out := &tenantOutput{}
	err := s.changeWithin(ctx, c, func(ctx context.Context, tx *store.Tx) error {
		t, err := change(ctx, tx)
		if err != nil {
			return err
		}
		out.Body = viewTenant(t)
		e := c.event(action, "tenants/"+t.Slug, detail)
		e.TenantID = t.ID
		tx.Record(e)
		return nil
	})
	return out, err
}
