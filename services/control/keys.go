package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"tenantry/policy/authz"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// KeyView is a key without its secret.
type KeyView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role,omitempty" doc:"Of a tenant's key."`
	Scopes    []string   `json:"scopes,omitempty" doc:"Of a project's key."`
	Prefix    string     `json:"prefix" doc:"The readable beginning of the key."`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	LastUsed  *time.Time `json:"last_used,omitempty"`
}

type newKeyView struct {
	KeyView
	Secret string `json:"secret" doc:"The key itself: shown this once."`
}

func viewKey(k tenants.Key) KeyView {
	return KeyView{ID: k.ID, Name: k.Name, Role: string(k.Role), Scopes: k.Scopes, Prefix: k.Prefix,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsed: k.LastUsed}
}

type newKeyOutput struct{ Body newKeyView }

// newToken makes a credential: its text, which is shown once, and its readable
// beginning.
func newToken(prefix string) (secret, readable string) {
	made, readable := vault.Token(prefix)
	return made.Reveal(), readable
}

func (s *service) registerKeys() {
	register(s, endpoint{id: "listTenantKeys", method: http.MethodGet, path: "/tenants/{tenant}/keys", class: authz.ClassAdmin, tag: "Keys",
		summary: "Keys of a tenant"}, s.listTenantKeys)
	register(s, endpoint{id: "createTenantKey", method: http.MethodPost, path: "/tenants/{tenant}/keys", class: authz.ClassAdmin, tag: "Keys",
		status: http.StatusCreated, summary: "Make a key of a tenant"}, s.createTenantKey)
	register(s, endpoint{id: "deleteTenantKey", method: http.MethodDelete, path: "/tenants/{tenant}/keys/{key}", class: authz.ClassAdmin, tag: "Keys",
		status: http.StatusNoContent, summary: "Revoke a key of a tenant"}, s.deleteTenantKey)
	register(s, endpoint{id: "listProjectKeys", method: http.MethodGet, path: "/projects/{project}/keys", class: authz.ClassSecrets, tag: "Keys",
		summary: "Keys of a project"}, s.listProjectKeys)
	register(s, endpoint{id: "createProjectKey", method: http.MethodPost, path: "/projects/{project}/keys", class: authz.ClassSecrets, tag: "Keys",
		status: http.StatusCreated, summary: "Make a key of a project"}, s.createProjectKey)
	register(s, endpoint{id: "deleteProjectKey", method: http.MethodDelete, path: "/projects/{project}/keys/{key}", class: authz.ClassSecrets, tag: "Keys",
		status: http.StatusNoContent, summary: "Revoke a key of a project"}, s.deleteProjectKey)
}

// ListTenantInput are the parameters of lists of a tenant.
type ListTenantInput struct {
	TenantPath
	PageInput
}

// ListProjectInput are the parameters of lists of a project.
type ListProjectInput struct {
	ProjectPath
	PageInput
}

func (s *service) listTenantKeys(ctx context.Context, c *call, in *ListTenantInput) (*page[KeyView], error) {
	items, next, err := s.Store.TenantKeys(ctx, c.tenant.ID, in.page())
	return pageOf(items, next, viewKey), err
}

func (s *service) listProjectKeys(ctx context.Context, c *call, in *ListProjectInput) (*page[KeyView], error) {
	items, next, err := s.Store.ProjectKeys(ctx, c.project.ID, in.page())
	return pageOf(items, next, viewKey), err
}

type tenantKeyInput struct {
	TenantPath
	Body struct {
		Name      string     `json:"name,omitempty" maxLength:"100"`
		Role      string     `json:"role" enum:"owner,admin,developer,viewer,billing"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	}
}

func (s *service) createTenantKey(ctx context.Context, c *call, in *tenantKeyInput) (*newKeyOutput, error) {
	role := tenants.Role(in.Body.Role)
	if err := c.requireRank(role); err != nil {
		return nil, err
	}
	k := tenants.Key{TenantID: c.tenant.ID, Name: in.Body.Name, Role: role, ExpiresAt: in.Body.ExpiresAt}
	return s.createKey(ctx, c, "tk_", "tenants/"+c.tenant.Slug+"/keys/", k)
}

type projectKeyInput struct {
	ProjectPath
	Body struct {
		Name      string     `json:"name,omitempty" maxLength:"100"`
		Scopes    []string   `json:"scopes" minItems:"1" maxItems:"50" nullable:"false" doc:"graphql:role=<role>, metadata:read, metadata:write, metrics:read, audit:read; ip=<network> accepts the key from there alone."`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	}
}

var scopeForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(graphql:role=[A-Za-z0-9_.:-]{1,128}|metadata:read|metadata:write|metrics:read|audit:read|ip=[0-9A-Fa-f:.]{2,45}/[0-9]{1,3})$`)
})

func (s *service) createProjectKey(ctx context.Context, c *call, in *projectKeyInput) (*newKeyOutput, error) {
	var mistakes []Mistake
	for i, scope := range in.Body.Scopes {
		network, limits := strings.CutPrefix(scope, "ip=")
		_, err := netip.ParsePrefix(network)
		if !scopeForm().MatchString(scope) || limits && err != nil {
			mistakes = append(mistakes, wrong(fmt.Sprintf("/scopes/%d", i),
				"expected graphql:role=<role>, metadata:read, metadata:write, metrics:read, audit:read or ip=<network>, such as ip=192.0.2.0/24"))
		}
	}
	if mistakes != nil {
		return nil, invalid(mistakes...)
	}
	k := tenants.Key{TenantID: c.tenant.ID, ProjectID: c.project.ID, Name: in.Body.Name, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt}
	return s.createKey(ctx, c, "pk_", c.in("keys")+"/", k)
}

func (s *service) createKey(ctx context.Context, c *call, prefix, target string, k tenants.Key) (*newKeyOutput, error) {
	if k.ExpiresAt != nil && !k.ExpiresAt.After(s.Now()) {
		return nil, invalid(wrong("/expires_at", "expected a time in the future"))
	}
	out := &newKeyOutput{}
	err := s.changeWithin(ctx, c, func(ctx context.Context, tx *store.Tx) error {
		var secret string
		secret, k.Prefix = newToken(prefix)
		made, err := tx.CreateKey(ctx, k, vault.Hash(secret))
		if err != nil {
			return err
		}
		out.Body = newKeyView{KeyView: viewKey(made), Secret: secret}
		tx.Record(c.event("key.create", target+made.ID, map[string]any{"role": string(made.Role), "scopes": made.Scopes}))
		return nil
	})
	return out, err
}

type deleteTenantKeyInput struct {
	TenantPath
	Key string `path:"key" maxLength:"64" doc:"Id of the key."`
}

type deleteProjectKeyInput struct {
	ProjectPath
	Key string `path:"key" maxLength:"64" doc:"Id of the key."`
}

func (s *service) deleteTenantKey(ctx context.Context, c *call, in *deleteTenantKeyInput) (*empty, error) {
	role, err := s.roleOfKey(ctx, c.tenant.ID, in.Key)
	if err != nil {
		return nil, err
	}
	if err := c.requireRank(role); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, c, c.event("key.delete", "tenants/"+c.tenant.Slug+"/keys/"+in.Key, nil),
		func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTenantKey(ctx, c.tenant.ID, in.Key) })
}

// roleOfKey finds the role of one of a tenant's keys.
func (s *service) roleOfKey(ctx context.Context, tenantID, id string) (tenants.Role, error) {
	for p := (store.Page{Limit: 200}); ; {
		keys, next, err := s.Store.TenantKeys(ctx, tenantID, p)
		if err != nil {
			return "", err
		}
		for _, k := range keys {
			if k.ID == id {
				return k.Role, nil
			}
		}
		if next == "" {
			return "", errNotFound
		}
		p.Cursor = next
	}
}

func (s *service) deleteProjectKey(ctx context.Context, c *call, in *deleteProjectKeyInput) (*empty, error) {
	return nil, s.change(ctx, c, c.event("key.delete", c.in("keys", in.Key), nil),
		func(ctx context.Context, tx *store.Tx) error { return tx.DeleteProjectKey(ctx, c.project.ID, in.Key) })
}
