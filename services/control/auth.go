package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

func (s *service) registerAuth() {
	register(s, endpoint{id: "getAuth", method: http.MethodGet, path: "/projects/{project}/auth", class: authz.ClassRead, tag: "Authentication",
		summary: "Who may come in; keys are masked"}, s.getAuth)
	// Whoever sets a key can sign tokens of any role.
	register(s, endpoint{id: "putAuth", method: http.MethodPut, path: "/projects/{project}/auth", class: authz.ClassSecrets, tag: "Authentication",
		summary: "Set who may come in; a key given as *** stays as it is"}, s.putAuth)
}

func showAuth(auth settings.Auth, version int64) (*objectOutput, error) {
	body, err := asObject(auth) // masks every secret
	return &objectOutput{ETag: tag(version), Body: body}, err
}

func (s *service) getAuth(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showAuth(set.Auth, version)
}

func (s *service) putAuth(ctx context.Context, c *call, in *putObjectInput) (*objectOutput, error) {
	o, err := s.changeSettings(ctx, c, in.IfMatch, "auth.put", c.in("auth"), func(set *settings.Settings) error {
		text, err := unmasked(in.Body, set.Auth)
		if err != nil {
			return err
		}
		auth, err := settings.DecodeAuth(text)
		if err != nil {
			return settingsProblem(err)
		}
		if mistakes := s.checkAuthURLs(auth); mistakes != nil {
			return invalid(mistakes...)
		}
		set.Auth = auth
		return nil
	})
	if err != nil {
		return nil, err
	}
	return showAuth(o.Settings.Auth, o.SettingsVersion)
}

// unmasked puts the present keys where the body has their mask, so that what
// GET gave can be changed and put again.
func unmasked(body jsonObject, present settings.Auth) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil {
		return nil, invalid(wrong("", "expected one JSON object"))
	}
	list, _ := members["jwt"].([]any)
	for i, item := range list {
		jwt, _ := item.(map[string]any)
		if jwt["key"] != vault.Masked {
			continue
		}
		if i >= len(present.JWT) || present.JWT[i].Key.IsZero() {
			return nil, invalid(wrong(fmt.Sprintf("/jwt/%d/key", i), "a masked key stands for the present one at the same place, and there is none"))
		}
		if jwt["type"] != present.JWT[i].Type {
			return nil, invalid(wrong(fmt.Sprintf("/jwt/%d/key", i), "a masked key stands for the present one, which is of type %s", present.JWT[i].Type))
		}
		jwt["key"] = present.JWT[i].Key.Reveal()
	}
	return json.Marshal(members)
}

func (s *service) checkAuthURLs(auth settings.Auth) (mistakes []Mistake) {
	check := func(url, pointer string) {
		if url == "" {
			return
		}
		if err := s.CheckEgress(url); err != nil {
			mistakes = append(mistakes, wrong(pointer, "%s", errcode.From(err).Message))
		}
	}
	for i, jwt := range auth.JWT {
		check(jwt.JWKURL, fmt.Sprintf("/jwt/%d/jwk_url", i))
	}
	if auth.Webhook != nil {
		check(auth.Webhook.URL, "/webhook/url")
	}
	return mistakes
}

// settingsProblem presents mistakes that tenants/settings found.
func settingsProblem(err error) error {
	var found settings.Mistakes
	if !asError(err, &found) {
		return err
	}
	p := invalid()
	for _, m := range found {
		p.Errors = append(p.Errors, wrong(m.Pointer, "%s", m.Message))
	}
	return p
}
