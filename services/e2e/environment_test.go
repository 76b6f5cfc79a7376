package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"tenantry/ops/postgres/pgtest"
)

// TestATenantReadsNothingOfTheEnvironment names every variable that the program
// was started with wherever a tenant may name one.
func TestATenantReadsNothingOfTheEnvironment(t *testing.T) {
	t.Parallel()
	const key = "the-operator-key-of-the-environment"
	planted := map[string]string{
		"HASURA_GRAPHQL_CANARY": "canary-of-the-environment-1", "ACTION_BASE_URL": "canary-of-the-environment-2", "CANARY": "canary-of-the-environment-3",
		"AWS_SECRET_ACCESS_KEY": "canary-of-the-environment-4", "TENANTRY_OPERATOR_KEY": key,
	}
	environ := []string{
		"TENANTRY_DATABASE_URL=" + pgtest.Database(t), "TENANTRY_MANAGED_URL=" + pgtest.AdminURL(t), "TENANTRY_DATA_DIR=" + dataDir(t),
		"TENANTRY_EGRESS_ALLOW=127.0.0.0/8", "TENANTRY_EGRESS_PORTS=any",
	}
	for name, value := range planted {
		environ = append(environ, name+"="+value)
	}
	s, err := launch([]string{"serve"}, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(9) })
	s.OperatorKey = key

	var mu sync.Mutex
	var seen strings.Builder
	base := webhooks(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		fmt.Fprintf(&seen, "%s %v %s\n", r.URL, r.Header, body)
		mu.Unlock()
		_, _ = io.WriteString(w, `{"id": 1}`)
	})
	p := newProject(t, s, managed)
	t.Cleanup(func() { send(t, http.MethodDelete, s.PublicURL+"/api/v1/projects/"+p.Slug, p.owner, nil) })
	p.library()
	p.action("plain", base+"/plain", nil)
	told := &strings.Builder{}
	names := []string{"PATH", "HOME", "TENANTRY_DATABASE_URL", "TENANTRY_MANAGED_URL"}
	for name := range planted {
		names = append(names, name)
	}
	for i, name := range names {
		for kind, action := range map[string]map[string]any{
			"u": {"handler": base + "/u/{{" + name + "}}"},
			"h": {"handler": base + "/h", "headers": []any{map[string]any{"name": "X-Probe", "value_from_env": name}}},
			"t": {"handler": base + "/t", "headers": []any{map[string]any{"name": "X-Probe", "value": "{{" + name + "}}"}}},
		} {
			field := fmt.Sprintf("probe_%s%d", kind, i)
			action["name"], action["permissions"] = field, []string{"reader"}
			action["definition"] = fmt.Sprintf(`type Query { %s: Outcome } type Outcome { id: Int! tags: [String!] }`, field)
			a := send(t, http.MethodPost, s.PublicURL+"/api/v1/projects/"+p.Slug+"/actions", p.owner, action)
			told.WriteString(a.Text)
			if a.Status == http.StatusCreated {
				told.WriteString(p.ask(p.as("reader"), "{ "+field+" { id } }").Text + p.ask(p.admin, "{ "+field+" { id } }").Text)
			}
		}
		for _, transform := range []string{
			fmt.Sprintf(`{"version": 2, "template_engine": "Kriti", "query_params": {"probe": "{{%s}}"}}`, name),
			fmt.Sprintf(`{"version": 2, "template_engine": "Kriti", "body": {"action": "transform", "template": "{\"a\": {{ $env?['%s'] }} }"}}`, name),
			fmt.Sprintf(`{"version": 2, "template_engine": "Kriti", "body": {"action": "transform", "template": "{\"a\": {{ $session_variables?['%s'] }} }"}}`, name),
			fmt.Sprintf(`{"version": 2, "template_engine": "Kriti", "url": "{{$base_url}}/{{getEnvironmentVariable(\"%s\")}}"}`, name),
		} {
			told.WriteString(send(t, http.MethodPost, p.url("/v1/metadata"), p.admin, fmt.Sprintf(`{"type": "update_action", "args": {"name": "plain", "definition":
				{"kind": "synchronous", "type": "query", "handler": "%s/plain", "output_type": "Outcome", "arguments": [], "request_transform": %s}}}`, base, transform)).Text)
			told.WriteString(p.ask(p.admin, "{ plain { id } }").Text)
		}
		rego := fmt.Sprintf("package authz\nallow if opa.runtime().env[%q] != \"\"\n", name)
		a := send(t, http.MethodPut, s.PublicURL+"/api/v1/projects/"+p.Slug+"/policies/probe", p.owner, map[string]any{"text": rego})
		if a.Status/100 == 2 {
			t.Errorf("a policy that reads the environment was taken: %s", a.Text)
		}
		told.WriteString(a.Text)
	}
	for _, text := range []string{
		`SELECT pg_read_file('/proc/self/environ')`, `SELECT pg_read_file('/etc/passwd')`, `COPY books FROM PROGRAM 'env'`, `CREATE TABLE f (l text); COPY f FROM '/proc/self/environ'`,
		`SELECT lo_import('/proc/self/environ')`, `SELECT * FROM pg_ls_dir('/')`,
	} {
		a := send(t, http.MethodPost, p.url("/v2/query"), p.admin, map[string]any{"type": "run_sql", "args": map[string]any{"sql": text}})
		if a.Status == 200 {
			t.Errorf("%s: %s", text, a.Text)
		}
		told.WriteString(a.Text)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(seen.String(), "/plain") || !strings.Contains(told.String(), "variable that is not set") || !strings.Contains(told.String(), "/proc/self/environ") {
		t.Errorf("not all was tried: %s", seen.String())
	}
	values := []string{os.Getenv("PATH")}
	for _, value := range planted {
		values = append(values, value)
	}
	for _, entry := range environ[:2] {
		_, value, _ := strings.Cut(entry, "=")
		values = append(values, value)
	}
	for _, value := range values {
		if strings.Contains(seen.String(), value) || strings.Contains(told.String(), value) {
			t.Errorf("%q came out", value)
		}
	}
}
