package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/tenants/settings"
)

type signingKeyView struct {
	ID            string     `json:"id" doc:"The kid of the tokens that it signs, and of its public part in /.well-known/jwks.json."`
	CreatedAt     time.Time  `json:"created_at,omitzero"`
	SignsFrom     *time.Time `json:"signs_from,omitempty" doc:"When it begins to sign; left out where it is the oldest one."`
	VerifiesUntil *time.Time `json:"verifies_until,omitempty" doc:"Until when its tokens are accepted; left out while no other key takes its place."`
	Signing       bool       `json:"signing" doc:"Whether it signs now."`
}

type signingKeyOutput struct{ Body signingKeyView }

type signingKeysOutput struct {
	Body struct {
		Items []signingKeyView `json:"items" nullable:"false"`
	}
}

func (s *service) registerSigningKeys() {
	tag, path := "Authentication", "/projects/{project}/signing-keys"
	register(s, endpoint{id: "listSigningKeys", method: http.MethodGet, path: path, class: authz.ClassRead, tag: tag,
		summary: "Key pairs that sign the project's delegation tokens"}, s.listSigningKeys)
	register(s, endpoint{id: "createSigningKey", method: http.MethodPost, path: path, class: authz.ClassSecrets, tag: tag,
		status: http.StatusCreated, summary: "Make a new key pair, for rotation: it signs a minute later, and the old one is accepted for ten minutes more"}, s.createSigningKey)
	register(s, endpoint{id: "deleteSigningKey", method: http.MethodDelete, path: path + "/{key}", class: authz.ClassSecrets, tag: tag,
		status: http.StatusNoContent, summary: "Remove a key pair at once; tokens of it are refused from then on"}, s.deleteSigningKey)
}

// viewSigningKey shows key i of the project's keys.
func (s *service) viewSigningKey(set settings.Settings, i int) signingKeyView {
	optional := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		utc := t.UTC()
		return &utc
	}
	now, since := s.Now(), set.SigningSince(i)
	next := i+1 < len(set.SigningKeys) && !now.Before(set.SigningSince(i+1))
	return signingKeyView{
		ID: set.SigningKeys[i].ID, CreatedAt: set.SigningKeys[i].CreatedAt.UTC(), SignsFrom: optional(since),
		VerifiesUntil: optional(set.VerifyingUntil(i)), Signing: !now.Before(since) && !next,
	}
}

func (s *service) listSigningKeys(ctx context.Context, c *call, _ *ProjectPath) (*signingKeysOutput, error) {
	set, _, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &signingKeysOutput{}
	out.Body.Items = []signingKeyView{}
	for i := range set.SigningKeys {
		if until := set.VerifyingUntil(i); until.IsZero() || s.Now().Before(until) {
			out.Body.Items = append(out.Body.Items, s.viewSigningKey(set, i))
		}
	}
	return out, nil
}

func (s *service) createSigningKey(ctx context.Context, c *call, _ *ProjectPath) (*signingKeyOutput, error) {
	made := settings.NewSigningKey(s.Now().UTC())
	o, err := s.changeSettings(ctx, c, "", "signing_key.create", c.in("signing-keys", made.ID), func(set *settings.Settings) error {
		next, ok := set.WithSigningKey(made)
		if !ok {
			return problem(http.StatusConflict, errcode.Conflict, fmt.Sprintf("the project has %d keys whose tokens still count; wait until the oldest has ended, or delete one", settings.MaxSigningKeys))
		}
		*set = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &signingKeyOutput{s.viewSigningKey(o.Settings, len(o.Settings.SigningKeys)-1)}, nil
}

type deleteSigningKeyInput struct {
	ProjectPath
	Key string `path:"key" maxLength:"64" doc:"Id of the key."`
}

func (s *service) deleteSigningKey(ctx context.Context, c *call, in *deleteSigningKeyInput) (*empty, error) {
	_, err := s.changeSettings(ctx, c, "", "signing_key.delete", c.in("signing-keys", in.Key), func(set *settings.Settings) error {
		at := slices.IndexFunc(set.SigningKeys, func(key settings.SigningKey) bool { return key.ID == in.Key })
		switch {
		case at < 0:
			return errNotFound
		case len(set.SigningKeys) == 1:
			return problem(http.StatusConflict, errcode.Conflict, "it is the only signing key; make another one first")
		}
		set.SigningKeys = slices.Delete(set.SigningKeys, at, at+1)
		return nil
	})
	return nil, err
}
