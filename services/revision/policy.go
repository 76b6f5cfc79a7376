package revision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"tenantry/policy/authz"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/instance"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
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
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return accessview.Project{}, fmt.Errorf("stored metadata: %w", err)
	}
	made, err := instance.Build(ctx, instance.Config{
		Project: state.Project, ResourceVersion: state.ResourceVersion, SettingsVersion: state.SettingsVersion,
		Document: doc, Catalogs: state.Catalogs, Settings: state.Settings,
	}, instance.Outside{Client: &http.Client{Transport: nowhere{}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return accessview.Project{}, publicBuildError(err)
	}
	_, err = made.CheckPolicy(ctx)
	return accessview.Project{Instance: made}, err
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
