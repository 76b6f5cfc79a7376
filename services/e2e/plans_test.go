package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBoundsOfATenantHoldOnARunningNodeWithinSeconds(t *testing.T) {
	t.Parallel()
	s := shared(t)
	base := webhooks(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id": 1, "tags": [%q]}`, strings.Repeat("x", 100<<10))
	})
	p := newProject(t, s, managed)
	p.library()
	p.action("large", base+"/large", nil)
	tenant := p.control(200, http.MethodGet, "", nil).text(t, "tenant_id")
	plan := func(quota map[string]int) {
		t.Helper()
		must(t, 200, http.MethodPut, s.PublicURL+"/api/v1/tenants/"+tenant+"/plan", bearer(s.OperatorKey), map[string]any{"plan": "free", "quota": quota})
	}
	const books, large = `{ books { id } }`, `{ large { id } }`
	refused := func(query string) bool {
		a := p.ask(p.admin, query) // nobody is exempt
		return a.at("errors", 0, "extensions", "code") == "quota-exceeded"
	}
	passes := func(query string, times int) bool {
		for range times {
			if refused(query) {
				return false
			}
		}
		return true
	}
	if refused(books) || refused(large) {
		t.Fatal("refused without any bound")
	}

	plan(map[string]int{"requests": 1})
	within(t, 5*time.Second, "operations per second are bounded", func() bool { return !passes(books, 2) })
	// What one call moves is counted when it has ended.
	plan(map[string]int{"egress": 60})
	within(t, 5*time.Second, "the bound of operations is gone", func() bool { return passes(books, 3) })
	within(t, 5*time.Second, "bytes per minute are bounded", func() bool { return refused(large) })
	a := p.ask(p.as("reader"), large)
	refusal{"quota-exceeded", "=quota exceeded: the plan allows calls of 60 KiB per minute"}.check(t, a)
	if refused(books) {
		t.Error("what needs no call is refused too")
	}
	plan(map[string]int{})
	within(t, 5*time.Second, "no bound is left", func() bool { return passes(large, 2) })

	answer := must(t, 200, http.MethodGet, s.PublicURL+"/api/v1/projects/"+p.Slug+"/metrics", p.owner, nil)
	received := 0.0
	for line := range strings.Lines(answer.Text) {
		if value, ok := strings.CutPrefix(line, `tenantry_egress_bytes_total{direction="received"} `); ok {
			_, _ = fmt.Sscan(value, &received)
		}
	}
	if received < 200<<10 {
		t.Errorf("%.0f bytes were received, by the metrics", received)
	}
}
