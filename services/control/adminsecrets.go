package control

import (
	"context"
	"net/http"
	"time"

	"tenantry/policy/authz"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// AdminSecretView is an admin secret without the secret.
type AdminSecretView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix" doc:"The readable beginning of the secret."`
	CreatedAt time.Time  `json:"created_at"`
	LastUsed  *time.Time `json:"last_used,omitempty"`
}

type newAdminSecretView struct {
	AdminSecretView
	Secret string `json:"secret" doc:"Shown this once."`
}

type newAdminSecretOutput struct{ Body newAdminSecretView }

func viewAdminSecret(a tenants.AdminSecret) AdminSecretView {
	return AdminSecretView{ID: a.ID, Name: a.Name, Prefix: a.Prefix, CreatedAt: a.CreatedAt, LastUsed: a.LastUsed}
}

func (s *service) registerAdminSecrets() {
	tag := "Keys"
	register(s, endpoint{id: "listAdminSecrets", method: http.MethodGet, path: "/projects/{project}/admin-secrets", class: authz.ClassSecrets, tag: tag,
		summary: "Admin secrets of a project"}, s.listAdminSecrets)
	register(s, endpoint{id: "createAdminSecret", method: http.MethodPost, path: "/projects/{project}/admin-secrets", class: authz.ClassSecrets, tag: tag,
		status: http.StatusCreated, summary: "Make one more admin secret, for rotation"}, s.createAdminSecret)
	register(s, endpoint{id: "deleteAdminSecret", method: http.MethodDelete, path: "/projects/{project}/admin-secrets/{secret}", class: authz.ClassSecrets,
		tag: tag, status: http.StatusNoContent, summary: "Revoke an admin secret"}, s.deleteAdminSecret)
}

func (s *service) listAdminSecrets(ctx context.Context, c *call, in *ListProjectInput) (*page[AdminSecretView], error) {
	items, next, err := s.Store.AdminSecrets(ctx, c.project.ID, in.page())
	return pageOf(items, next, viewAdminSecret), err
}

type adminSecretInput struct {
	ProjectPath
	Body *struct {
		Name string `json:"name,omitempty" maxLength:"100"`
	} `required:"false"`
}

func (s *service) createAdminSecret(ctx context.Context, c *call, in *adminSecretInput) (*newAdminSecretOutput, error) {
	name := ""
	if in.Body != nil {
		name = in.Body.Name
	}
	out := &newAdminSecretOutput{}
	err := s.changeWithin(ctx, c, func(ctx context.Context, tx *store.Tx) error {
		secret, readable := newToken("as_")
		made, err := tx.CreateAdminSecret(ctx, c.project.ID, name, readable, vault.Hash(secret))
		if err != nil {
			return err
		}
		out.Body = newAdminSecretView{AdminSecretView: viewAdminSecret(made), Secret: secret}
		tx.Record(c.event("admin_secret.create", c.in("admin-secrets", made.ID), nil))
		return nil
	})
	return out, err
}

type deleteAdminSecretInput struct {
	ProjectPath
	Secret string `path:"secret" maxLength:"64" doc:"Id of the admin secret."`
}

func (s *service) deleteAdminSecret(ctx context.Context, c *call, in *deleteAdminSecretInput) (*empty, error) {
	return nil, s.change(ctx, c, c.event("admin_secret.delete", c.in("admin-secrets", in.Secret), nil),
		func(ctx context.Context, tx *store.Tx) error {
			return tx.DeleteAdminSecret(ctx, c.project.ID, in.Secret)
		})
}
