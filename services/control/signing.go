package control

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/tenants/settings"
)

type signingSecretView struct {
	ID        string    `json:"id"`
	Secret    string    `json:"secret,omitempty" doc:"At creation, and with reveal=true."`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero" doc:"When it signs no more; left out while no newer one takes its place."`
}

type signingSecretOutput struct{ Body signingSecretView }

func (s *service) registerSigningSecrets() {
	tag := "Authentication"
	register(s, endpoint{id: "listSigningSecrets", method: http.MethodGet, path: "/projects/{project}/signing-secrets", class: authz.ClassRead, tag: tag,
		summary: "Secrets that sign calls to the project's handlers"}, s.listSigningSecrets)
	register(s, endpoint{id: "createSigningSecret", method: http.MethodPost, path: "/projects/{project}/signing-secrets", class: authz.ClassSecrets, tag: tag,
		status: http.StatusCreated, summary: "Make a new secret, for rotation: both sign every call until the older one expires"}, s.createSigningSecret)
	register(s, endpoint{id: "deleteSigningSecret", method: http.MethodDelete, path: "/projects/{project}/signing-secrets/{secret}", class: authz.ClassSecrets,
		tag: tag, status: http.StatusNoContent, summary: "Stop signing with a secret"}, s.deleteSigningSecret)
}

type listSigningInput struct {
	ListProjectInput
	Reveal bool `query:"reveal" doc:"Show the secrets: for owners and admins, audited."`
}

func (s *service) listSigningSecrets(ctx context.Context, c *call, in *listSigningInput) (*page[signingSecretView], error) {
	if in.Reveal {
		if allowed, err := s.may(ctx, c, authz.ClassSecrets); err != nil || !allowed {
			return nil, orForbidden(err)
		}
	}
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	if in.Reveal {
		// Kept before it is shown: who saw a secret is never unknown.
		e := c.event("signing_secret.reveal", c.in("signing-secrets"), nil)
		e.Kind = audit.KindAdmin
		if err := s.Store.Append(ctx, []audit.Event{e}); err != nil {
			return nil, err
		}
	}
	list := set.ActiveSigningSecrets(s.Now())
	slices.SortFunc(list, func(a, b settings.SigningSecret) int { return strings.Compare(a.ID, b.ID) })
	items, next, err := cut(list, in.PageInput, func(secret settings.SigningSecret) string { return secret.ID })
	return pageOf(items, next, func(secret settings.SigningSecret) signingSecretView {
		v := viewSigningSecret(secret)
		if in.Reveal {
			v.Secret = secret.Secret.Reveal()
		}
		return v
	}), err
}

func viewSigningSecret(secret settings.SigningSecret) signingSecretView {
	return signingSecretView{ID: secret.ID, CreatedAt: secret.CreatedAt.UTC(), ExpiresAt: secret.ExpiresAt.UTC()}
}

func orForbidden(err error) error {
	if err != nil {
		return err
	}
	return errForbidden
}

type createSigningInput struct {
	ProjectPath
	Body *struct {
		OverlapHours *int `json:"overlap_hours,omitempty" minimum:"0" maximum:"720" doc:"For how many hours the older secret goes on signing; 24 by default, 0 ends it now."`
	} `required:"false"`
}

func (s *service) createSigningSecret(ctx context.Context, c *call, in *createSigningInput) (*signingSecretOutput, error) {
	made, overlap := settings.NewSigningSecret(s.Now().UTC()), settings.SigningSecretOverlap
	if in.Body != nil && in.Body.OverlapHours != nil {
		overlap = time.Duration(*in.Body.OverlapHours) * time.Hour
	}
	_, err := s.changeSettings(ctx, c, "", "signing_secret.create", c.in("signing-secrets", made.ID), func(set *settings.Settings) error {
		next, ok := set.WithSigningSecret(made, overlap)
		if !ok {
			return problem(http.StatusConflict, errcode.Conflict, "two signing secrets are active already; delete one first, or wait until it expires")
		}
		*set = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	v := viewSigningSecret(made)
	v.Secret = made.Secret.Reveal()
	return &signingSecretOutput{v}, nil
}

type deleteSigningInput struct {
	ProjectPath
	Secret string `path:"secret" maxLength:"64" doc:"Id of the signing secret."`
}

func (s *service) deleteSigningSecret(ctx context.Context, c *call, in *deleteSigningInput) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "signing_secret.delete", c.in("signing-secrets", in.Secret), func(set *settings.Settings) error {
		now := s.Now()
		if !slices.ContainsFunc(set.ActiveSigningSecrets(now), func(secret settings.SigningSecret) bool { return secret.ID == in.Secret }) {
			return errNotFound
		}
		next, ok := set.WithoutSigningSecret(in.Secret, now)
		if !ok {
			return problem(http.StatusConflict, errcode.Conflict, "it is the only signing secret; make another one first")
		}
		*set = next
		return nil
	})
	return nil, err
}
