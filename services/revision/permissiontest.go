package revision

import (
	"context"
	"fmt"

	"tenantry/api/errcode"
	"tenantry/services/engine/instance"
	"tenantry/services/live"
)

// FailedTests refuses a change after which permission tests of the metadata fail.
type FailedTests struct {
	// Results are those of all tests, in the order of the metadata.
	Results []instance.TestResult
}

// Error names the first test that fails, and what differed.
func (e *FailedTests) Error() string {
	for _, r := range e.Results {
		if !r.Passed {
			return fmt.Sprintf("permission test %q: %s", r.Name, r.Differed)
		}
	}
	return "permission tests failed"
}

// Unwrap gives the public error.
func (e *FailedTests) Unwrap() error {
	var failed []instance.TestResult
	for _, r := range e.Results {
		if !r.Passed {
			failed = append(failed, r)
		}
	}
	return errcode.New(errcode.PermissionTestFailed, "%s", e.Error()).At("$.permission_tests").WithInternal(failed)
}

// tested runs the permission tests on a generation that does not serve yet. Only a
// change of what decides on access runs them: a project has to be able to follow
// its databases.
func (d *draft) tested(ctx context.Context, g *live.Generation) error {
	if !d.metadataChanged && !d.settingsChanged {
		return nil
	}
	d.out.Tests = g.Instance.TestPermissions(ctx)
	for _, r := range d.out.Tests {
		if !r.Passed {
			return &FailedTests{Results: d.out.Tests}
		}
	}
	return nil
}

// tryTests runs the permission tests of a change that is only tried.
func (s *Service) tryTests(ctx context.Context, d *draft) error {
	if d.out.Document == nil || len(d.out.Document.PermissionTests) == 0 {
		return nil
	}
	g, err := s.Live.Build(ctx, d.state)
	if err != nil {
		return publicBuildError(err)
	}
	defer g.Discard()
	d.out.Tests = g.Instance.TestPermissions(ctx)
	return nil
}

// TestPermissions runs the permission tests of a project as it serves now.
func (s *Service) TestPermissions(ctx context.Context, project string) ([]instance.TestResult, error) {
	e, err := s.Live.Get(ctx, project)
	if err != nil {
		return nil, err
	}
	return e.Current().Instance.TestPermissions(ctx), nil
}

// VerifyHandler tries out the handler of an action of a project as it serves now.
func (s *Service) VerifyHandler(ctx context.Context, project string, v instance.Verification) ([]instance.ProbeResult, error) {
	e, err := s.Live.Get(ctx, project)
	if err != nil {
		return nil, err
	}
	return e.Current().Instance.VerifyHandler(ctx, v)
}
