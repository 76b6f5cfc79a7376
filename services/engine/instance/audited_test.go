package instance_test

import (
	"net/http"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/ops/audit"
	"tenantry/services/engine/instance"
)

// The fixture samples nothing, so that what is audited is audited always.
func TestCallsOfActionsAreAuditedUnlessTheyOnlyReadAndSucceed(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	reader := as("reader", nil)
	const report = `mutation { report(about: {title: "t"}) { title } }`
	for _, c := range []struct {
		name, query, answer string
		status              int
		want                string // outcome of the only event; empty for none
	}{
		{"a mutation", report, `{"title": "t"}`, http.StatusOK, audit.OK},
		{"a mutation that fails", report, `{"message": "no"}`, http.StatusBadRequest, audit.Failed},
		{"a query", `{ reports(n: 1) { title } }`, `[]`, http.StatusOK, ""},
		{"a query that fails", `{ reports(n: 1) { title } }`, `{"message": "no"}`, http.StatusBadRequest, audit.Failed},
	} {
		p.handler.set(c.answer)
		p.handler.status = c.status
		p.Execute(t.Context(), reader, instance.Request{Request: graphqlhttp.Request{Query: c.query}})
		got := ""
		for _, e := range p.taken(t) {
			if e.Kind == audit.KindAction {
				got += e.Outcome
			}
		}
		if got != c.want {
			t.Errorf("%s: audited as %q, want %q", c.name, got, c.want)
		}
	}
}
