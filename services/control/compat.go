package control

import (
	"context"
	"net/http"

	"tenantry/policy/authz"
	"tenantry/tenants/settings"
)

func (s *service) registerCompat() {
	register(s, endpoint{id: "getCompat", method: http.MethodGet, path: "/projects/{project}/compat", class: authz.ClassRead, tag: "Projects",
		summary: "Switches of the dialect"}, s.getCompat)
	// infer_function_permissions lets roles call functions that were not theirs.
	register(s, endpoint{id: "putCompat", method: http.MethodPut, path: "/projects/{project}/compat", class: authz.ClassWrite, tag: "Projects",
		summary: "Set the switches of the dialect; what is left out is off"}, s.putCompat)
}

func showCompat(compat settings.Compat, version int64) (*objectOutput, error) {
	body, err := asObject(compat)
	return &objectOutput{ETag: tag(version), Body: body}, err
}

func (s *service) getCompat(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	set, version, err := s.Store.Settings(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showCompat(set.Compat, version)
}

func (s *service) putCompat(ctx context.Context, c *call, in *putObjectInput) (*objectOutput, error) {
	compat, err := settings.DecodeCompat(in.Body)
	if err != nil {
		return nil, settingsProblem(err)
	}
	o, err := s.changeSettings(ctx, c, in.IfMatch, "compat.put", c.in("compat"), func(set *settings.Settings) error {
		set.Compat = compat
		return nil
	})
	if err != nil {
		return nil, err
	}
	return showCompat(o.Settings.Compat, o.SettingsVersion)
}
