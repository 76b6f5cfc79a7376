package metrics_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tenantry/ops/audit"
	"tenantry/ops/metrics"
)

// use touches every metric of a project.
func use(p *metrics.Project) {
	p.RecordRequest("query", "user", metrics.OutcomeOK, 2*time.Millisecond)
	p.RecordRequest("mutation", "admin", metrics.OutcomeDenied, time.Second)
	p.ActionStarted()()
	p.RecordAction("ok", time.Second)
	p.ActionStarted() // is still running
	p.RecordActionRefusal("overloaded")
	p.RecordActionRetries(2)
	p.RecordCircuit(true)
	p.RecordCircuit(false)
	p.RecordCircuit(true) // is still open
	p.RecordReplay()
	p.RecordPolicyDecision("action", false)
	p.RecordAllowlistRefusal("user")
	p.RecordRateLimitRefusal("user")
	p.RecordAuthFailure("admin_secret")
	p.RecordEgress(100, 2000)
	p.RecordStatement("default", true)
	p.RecordStatement("default", false)
	p.ObserveStatement(time.Millisecond)
	p.ObserveStatement(time.Second)
	p.SocketOpened()()
	p.SocketOpened() // is still open
	p.SocketReceived(10)
	p.SocketSent(30)
	p.ReadPool(func() metrics.Pool { return metrics.Pool{InUse: 2, Idle: 3, Max: 9, Waits: 4, Waited: time.Second} })
}

func newMetrics(o metrics.Options) *metrics.Metrics {
	m := metrics.New(prometheus.NewRegistry(), o)
	m.ReadAudit(func() audit.Stats { return audit.Stats{Written: 7, Lost: 2, Queued: 1} })
	m.ReadControlPool(func() metrics.Pool { return metrics.Pool{InUse: 1, Idle: 1, Max: 10, Waits: 5} })
	m.ControlRequest("create-project", 201, time.Millisecond)
	m.RunDelivered("completed")
	return m
}

func all(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteAll(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func one(t *testing.T, m *metrics.Metrics, slug string) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteProject(&b, slug); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestTheOperatorSeesProjectsByLabel(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{Version: "1.2"})
	use(m.ForProject("shop"))
	m.ForProject("blog").RecordRequest("query", "user", metrics.OutcomeOK, 0)
	wantLines(t, all(t, m),
		`tenantry_graphql_requests_total{operation_type="query",outcome="ok",project="shop",role="user"} 1`,
		`tenantry_graphql_requests_total{operation_type="mutation",outcome="denied",project="shop",role="admin"} 1`,
		`tenantry_graphql_requests_total{operation_type="query",outcome="ok",project="blog",role="user"} 1`,
		`tenantry_graphql_execution_seconds_bucket{operation_type="query",project="shop",le="0.001"} 0`,
		`tenantry_graphql_execution_seconds_bucket{operation_type="query",project="shop",le="0.003"} 1`,
		`tenantry_action_invocations_total{project="shop",result="ok"} 1`,
		`tenantry_action_inflight{project="shop"} 1`,
		`tenantry_action_refusals_total{project="shop",reason="overloaded"} 1`,
		`tenantry_action_retries_total{project="shop"} 2`,
		`tenantry_action_circuits_open{project="shop"} 1`,
		`tenantry_action_circuit_opened_total{project="shop"} 2`,
		`tenantry_idempotent_replays_total{project="shop"} 1`,
		`tenantry_policy_decisions_total{decision="denied",point="action",project="shop"} 1`,
		`tenantry_sql_statements_total{project="shop",result="error",source="default"} 1`,
		`tenantry_allowlist_refusals_total{project="shop",role="user"} 1`,
		`tenantry_rate_limit_refusals_total{project="shop",role="user"} 1`,
		`tenantry_auth_failures_total{credential="admin_secret",project="shop"} 1`,
		`tenantry_websocket_connections{project="shop"} 1`,
		`tenantry_websocket_messages_total{direction="received",project="shop"} 1`,
		`tenantry_websocket_message_bytes_total{direction="sent",project="shop"} 30`,
		`tenantry_pool_connections{project="shop",state="in_use"} 2`,
		`tenantry_pool_connections_limit{project="shop"} 9`,
		`tenantry_pool_waits_total{project="shop"} 4`,
		`tenantry_audit_events_total 7`, `tenantry_audit_events_lost_total 2`,
		`tenantry_control_pool_connections{state="in_use"} 1`,
		`tenantry_control_requests_total{operation="create-project",status="201"} 1`,
		`tenantry_build_info{version="1.2"} 1`, `tenantry_projects_live 2`,
	)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 || !strings.Contains(answer.Body.String(), `project="shop"`) {
		t.Errorf("handler: %d", answer.Code)
	}
}

func TestATenantSeesItsProjectAloneAndWithoutTheLabel(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{})
	use(m.ForProject("shop"))
	m.ForProject("blog").RecordRequest("query", "blogger", metrics.OutcomeOK, 0)
	text := one(t, m, "shop")
	wantLines(t, text,
		`tenantry_graphql_requests_total{operation_type="query",outcome="ok",role="user"} 1`,
		`tenantry_pool_connections{state="idle"} 3`, `tenantry_sql_seconds_count 2`)
	for _, foreign := range []string{"project=", "blog", "go_", "process_", "tenantry_control", "tenantry_audit"} {
		if strings.Contains(text, foreign) {
			t.Errorf("a tenant sees %q", foreign)
		}
	}
	if text := one(t, m, "nobody"); text != "" {
		t.Errorf("unknown project: %s", text)
	}
}

func TestProjectsBeyondTheCapAreCountedTogether(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{MaxProjects: 2})
	for i := range 5 {
		use(m.ForProject(fmt.Sprintf("p%d", i)))
	}
	text := all(t, m)
	wantLines(t, text,
		`tenantry_allowlist_refusals_total{project="p1",role="user"} 1`,
		`tenantry_allowlist_refusals_total{project="_other",role="user"} 3`,
		`tenantry_pool_connections{project="_other",state="in_use"} 6`)
	if strings.Contains(text, `project="p2"`) {
		t.Error("the third project has a label value")
	}
	// Their tenants still see their own.
	wantLines(t, one(t, m, "p3"), `tenantry_allowlist_refusals_total{role="user"} 1`)

	m.Forget("p0")
	m.Forget("p0")
	m.Forget("never known")
	use(m.ForProject("new"))
	use(m.ForProject("newer"))
	text = all(t, m)
	wantLines(t, text, `tenantry_allowlist_refusals_total{project="new",role="user"} 1`)
	if strings.Contains(text, `"p0"`) || strings.Contains(text, `"newer"`) {
		t.Error("forgetting one project freed no label value, or more than one")
	}
}

func TestRolesBeyondTheCapAreCountedTogether(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{MaxRoles: 3})
	for round := range 2 {
		for i := range 10 {
			m.ForProject("shop").RecordRequest("query", fmt.Sprintf("r%d", i), metrics.OutcomeOK, time.Duration(round))
		}
	}
	wantLines(t, all(t, m),
		`tenantry_graphql_requests_total{operation_type="query",outcome="ok",project="shop",role="r2"} 2`,
		`tenantry_graphql_requests_total{operation_type="query",outcome="ok",project="shop",role="_other"} 14`)
}

func TestCountingRacesWithScrapesAndForgetting(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{MaxProjects: 3, MaxRoles: 2})
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := range 100 {
				slug := fmt.Sprintf("p%d", (w+i)%5)
				use(m.ForProject(slug))
				if i%20 == 0 {
					m.Forget(slug)
				}
			}
		})
	}
	wait.Go(func() {
		for range 10 {
			all(t, m)
			one(t, m, "p1")
		}
	})
	wait.Wait()
	var none *metrics.Project
	use(none) // counts nothing
}

func TestNamesHelpsAndUnitsFollowTheConventions(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{})
	use(m.ForProject("shop"))
	problems, err := promlint.New(strings.NewReader(all(t, m))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tenantry_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

var (
	// metricName finds what can only be a metric: ours, the runtime's, the
	// process's, and recorded ones, which have colons.
	metricName = regexp.MustCompile(`\b(?:(?:tenantry|go|process)_[a-z0-9_]+|[a-z]+:[a-z0-9_]+:[a-z0-9_]+)\b`)
	recordName = regexp.MustCompile(`(?m)^\s+- record: (\S+)$`)
)

func TestRulesAndDashboardsUseOnlyMetricsThatExist(t *testing.T) {
	t.Parallel()
	m := newMetrics(metrics.Options{})
	m.ReadSharedLimits(func() (uint64, bool) { return 0, true })
	use(m.ForProject("shop"))
	exists := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(all(t, m))); lines.Scan(); {
		if name := metricName.FindString(lines.Text()); name != "" && !strings.HasPrefix(lines.Text(), "#") {
			exists[name] = true
		}
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rules := read("../prometheus/rules.yml")
	for _, found := range recordName.FindAllStringSubmatch(rules, -1) {
		exists[found[1]] = true
	}
	dashboards, err := filepath.Glob("../grafana/dashboards/*.json")
	if err != nil || len(dashboards) == 0 {
		t.Fatalf("dashboards: %v, %v", dashboards, err)
	}
	for _, path := range append(dashboards, "../prometheus/rules.yml") {
		names := metricName.FindAllString(read(path), -1)
		if len(names) < 10 {
			t.Errorf("%s uses %d metrics", path, len(names))
		}
		for _, name := range names {
			if !exists[name] {
				t.Errorf("%s uses %s, which does not exist", path, name)
			}
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	p := newMetrics(metrics.Options{}).ForProject("shop")
	b.ReportAllocs()
	for b.Loop() {
		p.RecordRequest("query", "user", metrics.OutcomeOK, time.Millisecond)
	}
}
