package instance_test

import (
	"slices"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
	"tenantry/tenants/metadata"
)

// tried runs an operation as the role user and returns the body.
func (p *project) tried(t *testing.T, role, name, query string) (string, instance.Trail) {
	t.Helper()
	r, trail := p.Execute(t.Context(), as(role, map[string]string{"x-hasura-user-id": "1"}),
		instance.Request{Request: graphqlhttp.Request{Query: query, OperationName: name}})
	return string(r.Body), trail
}

func every(n int) *metadata.IntLimit { return &metadata.IntLimit{Global: n} }

func TestLimitsOnTrialTellAndRefuseNothing(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.Document.APILimits = &metadata.APILimits{
		DepthLimit: every(0), NodeLimit: every(0), TimeLimit: every(0), BatchLimit: every(1),
		RateLimit: &metadata.RateLimit{
			Global:       metadata.RateRule{MaxRequestsPerMinute: 0},
			PerOperation: map[string]metadata.RateRule{"Names": {MaxRequestsPerMinute: 0}},
		},
	}
	const query = `query Names { authors { id } }`
	body, trail := p.tried(t, "reader", "Names", query)
	if trail.Err == nil || trail.Err.Code != errcode.RateLimitExceeded || len(trail.Exceeded) > 0 {
		t.Fatalf("%s %+v", body, trail)
	}
	p.Document.APILimits.Mode = metadata.LimitsAudit
	body, trail = p.tried(t, "reader", "Names", query)
	want := []errcode.Code{errcode.RateLimitExceeded, errcode.DepthLimitExceeded, errcode.RateLimitExceeded, errcode.TimeLimitExceeded}
	if trail.Err != nil || !strings.HasPrefix(body, `{"data"`) || !slices.Equal(trail.Exceeded, want) {
		t.Errorf("%s %v", body, trail.Exceeded)
	}
	if e := p.CheckBatch(as("reader", nil), 2); e != nil {
		t.Errorf("a batch is refused: %v", e)
	}
	if e := p.CheckBatch(as("reader", nil), 101); e == nil {
		t.Error("what bounds every batch is on trial too")
	}
	if body, trail = p.tried(t, "admin", "", `{ authors { id } }`); trail.Err != nil || len(trail.Exceeded) > 0 {
		t.Errorf("an admin is limited: %s", body)
	}
}

func TestAnOperationWithARuleOfItsOwnIsCountedTwice(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.Document.APILimits = &metadata.APILimits{RateLimit: &metadata.RateLimit{
		Global:       metadata.RateRule{MaxRequestsPerMinute: 5},
		PerOperation: map[string]metadata.RateRule{"Names": {MaxRequestsPerMinute: 1, Algorithm: metadata.TokenBucket}},
	}}
	const named, other = `query Names { authors { id } }`, `{ authors { id } }`
	for i, step := range []struct {
		name, query string
		refused     bool
		remaining   int
	}{{"Names", named, false, 0}, {"Names", named, true, 0}, {"", other, false, 2}, {"", other, false, 1}} {
		body, trail := p.tried(t, "reader", step.name, step.query)
		if refused := trail.Err != nil; refused != step.refused || trail.Rate.Remaining != step.remaining {
			t.Errorf("step %d: %s %+v", i, body, trail.Rate)
		}
	}
}
