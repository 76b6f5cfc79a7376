package instance_test

import (
	"fmt"
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

func TestACostCountsListsAsOftenAsTheirLimitsAllow(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.Document.APILimits = &metadata.APILimits{CostLimit: every(1_000_000)}
	for query, want := range map[string]int{
		`{ authors_by_pk(id: 1) { id } }`:    1,
		`{ authors { id } }`:                 1000,
		`{ authors(limit: 10) { id name } }`: 10,
		// The role sees two articles at most.
		`{ authors(limit: 10) { articles(limit: 1) { id } } }`:                        20,
		`{ authors(limit: 10) { articles(limit: 5) { id } } }`:                        30,
		`{ authors(limit: 10) { articles(limit: 5) { author { id } } boss { id } } }`: 60,
		`query ($n: Int = 7) { authors(limit: $n) { articles { id } } }`:              21,
		`{ a: authors(limit: 2) { id } b: authors(limit: 3) { id } }`:                 5,
		`{ __typename }`: 0,
	} {
		r, trail := p.Execute(t.Context(), as("reader", nil), instance.Request{Request: graphqlhttp.Request{Query: query}})
		if trail.Err != nil || trail.Cost != want || want > 0 && string(r.Extensions) != fmt.Sprintf(`{"cost":{"requested":%d,"limit":1000000}}`, want) {
			t.Errorf("%s: %d, expected %d; %s %v", query, trail.Cost, want, r.Extensions, trail.Err)
		}
	}
	p.Document.APILimits.CostLimit = every(29)
	body, _ := p.tried(t, "reader", "", `{ authors(limit: 10) { articles(limit: 5) { id } } }`)
	if !strings.Contains(body, "cost limit exceeded: the limit is 29 objects, the operation may touch 30") || !strings.Contains(body, `"cost-limit-exceeded"`) {
		t.Error(body)
	}
}

func TestADocumentIsHeldToTheLimitsOfTheProject(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.Document.APILimits = &metadata.APILimits{TokenLimit: every(21), AliasLimit: every(2), RootFieldLimit: every(3), DirectiveLimit: every(1), BodyLimit: every(100)}
	for query, want := range map[string]string{
		`{ authors { id name } }`: "",
		`{ authors(limit: 1, offset: 2, where: {id: {_eq: 3}}) { id name } }`:      "the limit is 21 tokens, the document has 26",
		`{ a: authors { b: id c: id } }`:                                           "the limit is 2 aliases, the document has 3",
		`{ __typename authors { id } a: __typename b: __typename }`:                "the limit is 3 root fields, the document has 4",
		`{ authors { id @include(if: true) name @skip(if: true) } }`:               "the limit is 1 directives, the document has 2",
		`query { authors { id } } # comments are no tokens # and so on and so on `: "",
	} {
		body, trail := p.tried(t, "reader", "", query)
		if want == "" && trail.Err != nil || want != "" && (!strings.Contains(body, want) || !strings.Contains(body, `"document-limit-exceeded"`)) {
			t.Errorf("%s: %s", query, body)
		}
	}
	if e := p.CheckBody(as("reader", nil), 101); e == nil || e.Message != "document limit exceeded: the limit is 100 bytes, the body has 101" {
		t.Errorf("%v", e)
	}
	if e := p.CheckBody(as("admin", nil), 101); e != nil {
		t.Errorf("%v", e)
	}
}

func TestABudgetBoundsWhatTheOperationsOfAMinuteCost(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.Document.APILimits = &metadata.APILimits{CostBudget: &metadata.CostBudget{
		Global: metadata.CostRule{MaxCostPerMinute: 25}, PerRole: map[string]metadata.CostRule{"other": {MaxCostPerMinute: 1}},
	}}
	ten, big := `{ authors(limit: 10) { id } }`, `{ authors(limit: 26) { id } }`
	for i, step := range []struct {
		query     string
		code      errcode.Code
		remaining int
	}{{ten, "", 15}, {big, errcode.CostLimitExceeded, 15}, {ten, "", 5}, {ten, errcode.RateLimitExceeded, 5}, {`{ authors(limit: 5) { id } }`, "", 0}} {
		r, trail := p.Execute(t.Context(), as("reader", map[string]string{"x-hasura-user-id": "1"}), instance.Request{Request: graphqlhttp.Request{Query: step.query}})
		code := errcode.Code("")
		if trail.Err != nil {
			code = trail.Err.Code
			if !trail.Rate.Applies || trail.Rate.Limit != 25 || trail.Rate.Reset <= 0 {
				t.Errorf("step %d: the client is not told when to come again: %+v", i, trail.Rate)
			}
		} else if want := fmt.Sprintf(`"budget":25,"remaining":%d}}`, step.remaining); !strings.HasSuffix(string(r.Extensions), want) {
			t.Errorf("step %d: extensions %s, expected %s", i, r.Extensions, want)
		}
		if code != step.code || trail.Budget.Remaining != step.remaining {
			t.Errorf("step %d: %q, %d remain", i, code, trail.Budget.Remaining)
		}
	}
	if body, trail := p.tried(t, "admin", "", ten); trail.Err != nil {
		t.Errorf("an admin has a budget: %s", body)
	}
	p.Document.APILimits.Mode = metadata.LimitsAudit
	if body, trail := p.tried(t, "reader", "", ten); trail.Err != nil || !slices.Contains(trail.Exceeded, errcode.RateLimitExceeded) {
		t.Errorf("on trial: %s %v", body, trail.Exceeded)
	}
}
