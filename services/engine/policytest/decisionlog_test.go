package policytest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/ops/audit"
	"tenantry/services/engine/instance"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

// kept is a log in memory.
type kept struct {
	mu     sync.Mutex
	events []audit.Event
}

func (k *kept) Append(_ context.Context, events []audit.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, events...)
	return nil
}

// logged is an engine whose decisions are kept as log says, and a function that
// gives what has been.
func (b *bench) logged(t *testing.T, policy string, log settings.DecisionLog) (*instance.Instance, func() []audit.Event) {
	t.Helper()
	events := &kept{}
	outside := b.outside
	outside.Recorder = audit.NewRecorder(events, audit.Options{})
	t.Cleanup(func() { _ = outside.Recorder.Close(context.Background()) })
	engine, err := instance.Build(t.Context(), instance.Config{
		Project: tenants.Project{ID: "p1", Slug: "shop", TenantID: "t1"}, SettingsVersion: 7, Document: document(t, "{}"), Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
		Settings: settings.Settings{Policies: []settings.Policy{{Name: "main", Text: "package authz\n" + policy}}, PolicyData: json.RawMessage(tenant), DecisionLog: log},
	}, outside)
	must(t, err)
	return engine, func() []audit.Event {
		must(t, outside.Recorder.Flush(t.Context()))
		events.mu.Lock()
		defer events.mu.Unlock()
		out := events.events
		events.events = nil
		return out
	}
}

func share(of float64) *float64 { return &of }

func TestTheDecisionOfADenialIsInTheLogWithTheRequestAndWithoutValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine, events := b.logged(t, `
allow if input.args.limit < 3
reason contains "too many" if input.args.limit >= 3`, settings.DecisionLog{Sample: share(0)})
	variables := map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "u-very-secret"}
	run := func(query string) (string, instance.Trail) {
		response, trail := engine.Execute(t.Context(), userSession(variables), instance.Request{ID: "r1", Request: graphqlhttp.Request{Query: query}})
		return string(response.Body), trail
	}
	if _, trail := run(`{ docs(limit: 1) { id } }`); trail.Err != nil || len(events()) != 0 {
		t.Errorf("an answer that allows is kept, or refused: %v", trail.Err)
	}
	body, trail := run(`{ docs(limit: 9) { id } }`)
	all := events()
	if trail.Err == nil || len(all) != 1 || all[0].Kind != audit.KindDecision || !strings.Contains(body, all[0].ID) {
		t.Fatalf("%v: kept %+v of %s", trail.Err, all, body)
	}
	e := all[0]
	text := audit.CanonicalDetail(e.Detail)
	if e.RequestID != "r1" || e.Outcome != audit.Denied || e.Role != "user" || e.Target != "default.public.docs" || e.ProjectID != "p1" ||
		e.Detail["result"] != false || e.Detail["path"] != "authz.allow" || e.Detail["policy_revision"] != int64(7) || e.Detail["ns"].(int64) <= 0 || e.Detail["decision_id"] != e.ID {
		t.Errorf("%+v", e)
	}
	if strings.Contains(text, "very-secret") || !strings.Contains(text, "x-hasura-user-id") || !strings.Contains(text, "too many") {
		t.Errorf("names without values are expected: %s", text)
	}
	// Equal questions have equal hashes, others have others.
	_, _ = run(`{ docs(limit: 9) { id } }`)
	_, _ = run(`{ docs(limit: 8) { id } }`)
	if more := events(); len(more) != 2 || more[0].Detail["input"] != e.Detail["input"] || more[1].Detail["input"] == e.Detail["input"] || len(fmt.Sprint(e.Detail["input"])) != 64 {
		t.Errorf("hashes of inputs: %v, %+v", e.Detail["input"], more)
	}
}

func TestAllAnswersAreKeptWhereTheProjectWantsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine, events := b.logged(t, `
allow if input.args.limit < 3
filter if { some m in data.tenant.members; m.user == input.session.variables["x-hasura-user-id"]; input.row.org == m.org }`, settings.DecisionLog{Sample: share(1), Values: true})
	for range 3 {
		_, err := ask(t, engine, acme, `{ docs(limit: 1) { id } }`)
		must(t, err)
	}
	counts := map[string]int{}
	for _, e := range events() {
		counts[e.Action]++
		if e.Outcome != audit.OK || !strings.Contains(audit.CanonicalDetail(e.Detail), `"u1"`) {
			t.Errorf("%+v", e)
		}
	}
	// The values of the filter are evaluated once.
	if fmt.Sprint(counts) != "map[policy.root_field:3 policy.row_filter:1]" {
		t.Errorf("kept %v", counts)
	}
}

func TestAFilterThatCannotBeDecidedIsADenialInTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine, events := b.logged(t, `filter if input.row.n == to_number(input.session.variables["x-hasura-n"])`, settings.DecisionLog{Sample: share(0)})
	response, trail := engine.Execute(t.Context(), userSession(map[string]string{"x-hasura-n": "none"}), instance.Request{ID: "r2", Request: graphqlhttp.Request{Query: `{ docs { id } }`}})
	all := events()
	if trail.Err == nil || len(all) != 1 || all[0].RequestID != "r2" || !strings.Contains(string(response.Body), all[0].ID) || len(trail.Decisions) != 1 || trail.Decisions[0].ID != all[0].ID {
		t.Errorf("%v: %+v", trail.Err, all)
	}
}
