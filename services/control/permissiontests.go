package control

import (
	"context"
	"net/http"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
)

func (s *service) registerPermissionTests() {
	tag, path := "Access", "/projects/{project}/permission-tests"
	register(s, endpoint{id: "getPermissionTests", method: http.MethodGet, path: path, class: authz.ClassRead, tag: tag,
		summary: "Tests of permissions that are kept with the metadata"}, s.getPermissionTests)
	register(s, endpoint{id: "putPermissionTests", method: http.MethodPut, path: path, class: authz.ClassWrite, tag: tag,
		summary: "Set the tests of permissions; they run before each change, and one that fails refuses it"}, s.putPermissionTests)
	// What differed may tell of rows, so that reading metadata is not enough.
	register(s, endpoint{id: "runPermissionTests", method: http.MethodPost, path: path + ":run", class: authz.ClassWrite, tag: tag,
		summary: "Run the tests of permissions; nothing is written"}, s.runPermissionTests)
}

// permissionTests is the view of the metadata's tests.
type permissionTests struct {
	PermissionTests []metadata.PermissionTest `json:"permission_tests"`
}

func showPermissionTests(o revision.Outcome) (*objectOutput, error) {
	body, err := asObject(permissionTests{append([]metadata.PermissionTest{}, o.Document.PermissionTests...)})
	return &objectOutput{ETag: tag(o.ResourceVersion), Body: body}, err
}

func (s *service) getPermissionTests(ctx context.Context, c *call, _ *ProjectPath) (*objectOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showPermissionTests(current)
}

func (s *service) putPermissionTests(ctx context.Context, c *call, in *putObjectInput) (*objectOutput, error) {
	var tests permissionTests
	if err := metadata.DecodeInto(in.Body, &tests); err != nil {
		return nil, err
	}
	expect, err := precondition(in.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, revision.Change{
		Author: c.author(), Action: "permission_tests.put", Target: c.in("permission-tests"), ExpectVersion: expect,
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			doc = doc.Clone()
			doc.PermissionTests = tests.PermissionTests
			return doc, validated(doc, "$.permission_tests")
		},
	})
	if err != nil {
		return nil, matched(in.IfMatch, err)
	}
	return showPermissionTests(o)
}

type testResultsOutput struct {
	Body struct {
		Passed  bool                  `json:"passed"`
		Results []instance.TestResult `json:"results" nullable:"false"`
	}
}

func (s *service) runPermissionTests(ctx context.Context, c *call, _ *ProjectPath) (*testResultsOutput, error) {
	results, err := s.Revisions.TestPermissions(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	out := &testResultsOutput{}
	out.Body.Passed, out.Body.Results = true, results
	for _, r := range results {
		out.Body.Passed = out.Body.Passed && r.Passed
	}
	return out, nil
}

// testsProblem names every test that fails.
func testsProblem(e *revision.FailedTests) *Problem {
	p := invalid()
	p.Code, p.Detail = string(errcode.PermissionTestFailed), "permission tests fail"
	for _, r := range e.Results {
		if !r.Passed {
			p.Errors = append(p.Errors, wrong("/permission_tests", "%s: %s", r.Name, r.Differed))
		}
	}
	return p
}
