package policytest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tenantry/services/engine/instance"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

// A change of the policy's data is seen by the next request, and nothing is
// validated, planned or prepared again.
func TestOtherDataOfThePolicyCountsAtOnceWithoutPlanningAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const policy = `package authz
filter if { some org in data.tenant.orgs; input.row.org == org }
filter if input.resource.name != "docs"
allow if not data.tenant.closed
masks.title := data.tenant.title`
	config := func(data string) instance.Config {
		return instance.Config{
			Project: tenants.Project{ID: "p1", Slug: "test"}, Document: document(t, "{}"), Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
			Settings: settings.Settings{Policies: []settings.Policy{{Name: "main", Text: policy}}, PolicyData: json.RawMessage(data)},
		}
	}
	count := func(engine *instance.Instance) string {
		answer, err := ask(t, engine, acme, `{ docs_aggregate { aggregate { count } } docs(limit: 1) { title } }`)
		if err != nil {
			return "refused"
		}
		return fmt.Sprint(answer["docs_aggregate"].(map[string]any)["aggregate"], " ", answer["docs"])
	}
	started := time.Now()
	engine, err := instance.Build(t.Context(), config(`{"orgs": ["acme"], "title": "a"}`), b.outside)
	must(t, err)
	first := count(engine)
	built := time.Since(started)
	before := engine.Work()
	seen := map[string]bool{first: true}
	for n, data := range []string{`{"orgs": ["acme", "globex"], "title": "b"}`, `{"orgs": [], "title": "c"}`, `{"orgs": ["acme"], "closed": true}`} {
		started = time.Now()
		other, err := engine.WithPolicyData(t.Context(), config(data), b.outside)
		must(t, err)
		got := count(other)
		t.Logf("other data: %s; a whole engine: %s", time.Since(started), built)
		if seen[got] || got == "refused" != (n == 2) {
			t.Errorf("with %s: %s", data, got)
		}
		seen[got] = true
		// Equal data gives equal answers, and those of before stay.
		if again := count(engine); again != first {
			t.Errorf("the engine before answers %s, not %s", again, first)
		}
		work := other.Work()
		if work.Validations != before.Validations || work.Plans != before.Plans || work.Preparations != before.Preparations || work.Evaluations == before.Evaluations {
			t.Errorf("with %s: %+v, before %+v", data, work, before)
		}
		before = work
	}
}
