package router_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tenantry/services/router/socket"
	"tenantry/tenants/settings"
)

// A change of the policy's data is served at once, and what was planned stays.
func TestAChangeOfPolicyDataPlansNothingAgain(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, func(set *settings.Settings) {
		set.Auth.UnauthorizedRole = "guest"
		set.Policies = []settings.Policy{{Name: "main", Text: "package authz\n\nfilter if input.row.owner in data.tenant.owners\n"}}
		set.PolicyData = json.RawMessage(`{"owners": ["ann"]}`)
	})
	s.command("pg_create_select_permission", `{"table": "notes", "role": "guest", "permission": {"columns": ["id"], "filter": {}}}`)
	plans := func() int64 {
		return must(s.registry.Get(t.Context(), "shop"))(t).Current().Instance.Work().Plans
	}
	ask := func() string {
		text, _ := s.post("{ notes(order_by: {id: asc}) { id } }")
		return text
	}
	if got := ask(); got != `{"data":{"notes":[{"id":1}]}}` {
		t.Fatal(got)
	}
	before := plans()
	s.configure(func(set *settings.Settings) { set.PolicyData = json.RawMessage(`{"owners": ["ann", "bob"]}`) })
	if got := ask(); strings.Count(got, `"id"`) != 2 {
		t.Error(got)
	}
	if after := plans(); before == 0 || after != before {
		t.Errorf("%d plans, then %d", before, after)
	}
	// Another change makes a whole new engine.
	s.configure(func(set *settings.Settings) {
		set.PolicyData, set.DevMode = json.RawMessage(`{"owners": []}`), true
	})
	if got := ask(); !strings.Contains(got, `"notes":[]`) || plans() != 1 {
		t.Errorf("%s, %d plans", got, plans())
	}
}
