package revision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"tenantry/policy/authz"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/impact"
	"tenantry/services/engine/instance"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

// TestPolicies runs the test_ rules of a project's modules as edit leaves them.
// Nothing is stored.
func (s *Service) TestPolicies(ctx context.Context, project string, edit func(*settings.Settings) error) (authz.TestRun, error) {
	set, _, err := s.Store.Settings(ctx, project)
	if err != nil {
		return authz.TestRun{}, err
	}
	if err := candidate(&set, edit); err != nil {
		return authz.TestRun{}, err
	}
	return authz.Test(ctx, instance.Modules(set.Policies), set.PolicyData)
}

// TryPolicies is a project as it is stored, under the policy that edit leaves: to
// be asked, not to serve. What could not be saved is refused as it would be then.
func (s *Service) TryPolicies(ctx context.Context, project string, edit func(*settings.Settings) error) (accessview.Project, error) {
	state, err := s.Store.LoadProject(ctx, project)
	if err != nil {
		return accessview.Project{}, err
	}
	if err := candidate(&state.Settings, edit); err != nil {
		return accessview.Project{}, err
	}
	made, err := asked(ctx, state)
	if err != nil {
		return accessview.Project{}, err
	}
	_, err = made.CheckPolicy(ctx)
	return accessview.Project{Instance: made}, err
}

// asked is an instance of a project that is asked, and never serves.
func asked(ctx context.Context, state store.ProjectState) (*instance.Instance, error) {
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	made, err := instance.Build(ctx, instance.Config{
		Project: state.Project, ResourceVersion: state.ResourceVersion, SettingsVersion: state.SettingsVersion,
		Document: doc, Catalogs: state.Catalogs, Settings: state.Settings,
	}, instance.Outside{Client: &http.Client{Transport: nowhere{}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, publicBuildError(err)
	}
	return made, nil
}

// breaksTime bounds looking for saved operations that a change of the policy breaks:
// what is found until then is told.
const breaksTime = 5 * time.Second

// policyBreaks tells which saved operations roles can no longer run, whatever they
// send, because the policy changed.
func (d *draft) policyBreaks(ctx context.Context) (impact.Broken, error) {
	if slices.Equal(d.before.Settings.Policies, d.state.Settings.Policies) || len(d.out.Document.Allowlist)+len(d.out.Document.RESTEndpoints) == 0 {
		return impact.Broken{}, nil
	}
	before := d.state
	before.Settings = d.state.Settings.Clone()
	before.Settings.Policies, before.Settings.PolicyData = d.before.Settings.Policies, d.before.Settings.PolicyData
	was, err := asked(ctx, before)
	if err != nil {
		return impact.Broken{}, err
	}
	is, err := asked(ctx, d.state)
	if err != nil {
		return impact.Broken{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, breaksTime)
	defer cancel()
	return impact.BreaksUnder(d.out.Document, is.Access.Roles(), func(after bool, role, text string) string {
		if ctx.Err() != nil {
			return ""
		}
		if after {
			return is.Refused(ctx, role, text)
		}
		return was.Refused(ctx, role, text)
	}), nil
}

// nowhere is where an instance that is only asked sends its calls.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("an instance that is only asked calls nobody")
}

// candidate are settings with another policy, none on trial, and nothing to log.
func candidate(set *settings.Settings, edit func(*settings.Settings) error) error {
	*set = set.Clone()
	if err := edit(set); err != nil {
		return err
	}
	set.ShadowPolicies, set.DecisionLog = nil, settings.DecisionLog{Sample: new(float64)}
	return set.Validate()
}
