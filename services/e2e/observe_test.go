package e2e

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// series sums the samples of a metric whose labels hold all the given texts.
func series(exposition, name string, labels ...string) (sum float64) {
lines:
	for line := range strings.Lines(exposition) {
		metric, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found || !strings.HasPrefix(metric, name+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(metric, label) {
				continue lines
			}
		}
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			sum += number
		}
	}
	return sum
}

func TestWhatHappensIsAuditedAndCounted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := newProject(t, s, managed)
	p.library()
	fine := webhooks(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":1}`)) })
	broken := webhooks(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", 500) })
	p.action("fine", fine, nil)
	p.action("broken", broken, nil)
	p.control(200, http.MethodPut, "/variables/GREETING", map[string]any{"value": "canary-of-a-variable", "secret": true})

	id := "request-of-the-audit-test"
	data(t, p.url("/v1/graphql"), p.as("reader").with("X-Request-Id", id), `query Everything { fine { id } books { id } }`, nil)
	p.ask(p.as("reader"), `{ broken { id } }`)
	p.ask(headers{"X-Hasura-Admin-Secret": "wrong"}, `{ books { id } }`)
	p.ask(p.as("reader"), `{ nonsense }`)

	has := func(kind string, fits func(answer) bool) func() bool {
		return func() bool {
			a := p.control(200, http.MethodGet, "/audit?kind="+kind, nil)
			if strings.Contains(a.Text, "canary") {
				t.Fatalf("a secret in the audit: %s", a.Text)
			}
			for _, event := range list(a, "items") {
				if fits(event) {
					return true
				}
			}
			return false
		}
	}
	const second = 1500 * time.Millisecond // with the way of the answer
	within(t, second, "a use of the admin secret", has("admin", func(e answer) bool {
		return e.at("request_id") == id && e.at("action") == "graphql" && e.at("role") == "reader" && e.at("outcome") == "ok" && e.at("actor", "kind") == "admin_secret"
	}))
	within(t, second, "a call of an action", has("action", func(e answer) bool {
		return e.at("request_id") == id && e.at("target") == "fine" && e.at("outcome") == "ok" && e.at("detail", "status") == 200.0
	}))
	within(t, second, "a call that failed", has("action", func(e answer) bool {
		return e.at("target") == "broken" && e.at("outcome") == "error" && e.at("code") == "unexpected"
	}))
	within(t, second, "a denial", has("denial", func(e answer) bool { return e.at("code") == "access-denied" && e.at("outcome") == "denied" }))
	within(t, second, "a change", has("change", func(e answer) bool {
		return e.at("target") == p.Slug+"/variables/GREETING" && e.at("actor", "kind") == "tenant_key"
	}))
	if a := p.control(200, http.MethodPost, "/audit:verify", nil); a.at("ok") != true {
		t.Errorf("the chain: %s", a.Text)
	}

	all := must(t, 200, http.MethodGet, s.OperatorURL+"/metrics", nil, nil).Text
	own := p.control(200, http.MethodGet, "/metrics", nil).Text
	project := `project="` + p.Slug + `"`
	for _, c := range []struct {
		name   string
		labels []string
		least  float64
	}{
		{"tenantry_graphql_requests_total", []string{`operation_type="query"`, `role="reader"`, `outcome="ok"`}, 1},
		{"tenantry_graphql_requests_total", []string{`outcome="denied"`}, 1},
		{"tenantry_graphql_requests_total", []string{`outcome="invalid"`}, 1},
		{"tenantry_graphql_requests_total", []string{`outcome="error"`}, 1},
		{"tenantry_graphql_execution_seconds_count", nil, 4},
		{"tenantry_action_invocations_total", []string{`result="ok"`}, 1},
		{"tenantry_action_invocations_total", []string{`result="error"`}, 1},
		{"tenantry_sql_statements_total", nil, 1},
	} {
		if got := series(all, c.name, append(c.labels, project)...); got < c.least {
			t.Errorf("the operator's %s%v: %v, expected at least %v", c.name, c.labels, got, c.least)
		}
		if got := series(own, c.name, c.labels...); got < c.least {
			t.Errorf("the tenant's %s%v: %v, expected at least %v", c.name, c.labels, got, c.least)
		}
	}
	if strings.Contains(own, `project="`) || strings.Contains(own, "shop") {
		t.Error("the tenant's metrics name projects")
	}
	if series(all, "tenantry_control_requests_total") == 0 {
		t.Error("requests to the control API are not counted")
	}
}

func TestThePageOfAProjectComesWithItsFiles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	page := must(t, 200, http.MethodGet, s.Demo.Project.URL+"/", nil, nil)
	if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || !strings.Contains(page.Text, "GraphiQL") {
		t.Errorf("the page: %s", page.Text)
	}
	assets := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Text, -1)
	if len(assets) < 3 {
		t.Errorf("the page's files: %v", assets)
	}
	for _, asset := range assets {
		if strings.Contains(asset[1], "//") {
			t.Errorf("%s is somewhere else", asset[1])
		}
		a := must(t, 200, http.MethodGet, s.Demo.Project.URL+"/"+asset[1], nil, nil)
		if len(a.Text) < 1000 || a.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d bytes of %q", asset[1], len(a.Text), a.Header.Get("Content-Type"))
		}
	}
	must(t, 404, http.MethodGet, s.Demo.Project.URL+"/assets/nonsense.js", nil, nil)
	must(t, 404, http.MethodGet, s.PublicURL+"/p/nonsense/", nil, nil)
	docs := must(t, 200, http.MethodGet, s.PublicURL+"/api/docs", nil, nil)
	if !strings.Contains(docs.Text, "openapi") {
		t.Errorf("the API's page: %s", docs.Text)
	}
}
