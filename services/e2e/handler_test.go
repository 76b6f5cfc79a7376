package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
)

// hidden is what no client may see of a handler's answer.
const hidden = "hunter2-in-a-stack-trace"

func TestWhatAHandlerDoesWrongStaysWithItsOwner(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	answers := map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
		},
		"trickle": func(w http.ResponseWriter, r *http.Request) { // its first byte comes in time, its last does not
			for range 100 {
				if _, err := w.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
		"broken":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"`+hidden+`"}`, 500) },
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/fine?"+hidden, http.StatusFound) },
		"noJSON":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + hidden)) },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"null":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`null`)) },
		"aList":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[{"id":1}]`)) },
		"missing":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"tags":["` + hidden + `"]}`)) },
		"nullID":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":null}`)) },
		"deep":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":1,"tags":["a",null]}`)) },
		"wrongType": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"` + hidden + `"}`)) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"id":1`))
		},
		"huge": func(w http.ResponseWriter, _ *http.Request) { // 50 MB
			chunk := []byte(strings.Repeat(`"`+strings.Repeat("x", 1022)+`,`, 1024))
			_, _ = w.Write([]byte(`{"id":1,"tags":[`))
			for range 50 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"refusing": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"message":"no more than 100 % <b>","extensions":{"code":"sold-out","left":{"n":2.50}}}`))
		},
		"refusingPlainly":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"no","code":"mine"}`, 400) },
		"refusingSilently": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"reason":"`+hidden+`"}`, 400) },
		"fine":             func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":1,"more":"ignored"}`)) },
	}
	base := webhooks(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees when the caller goes away
		answers[strings.TrimPrefix(r.URL.Path, "/")](w, r)
	})
	for name := range answers {
		more := map[string]any{}
		if name == "slow" || name == "trickle" {
			more["timeout"] = 1
		}
		p.action(name, base+"/"+name, more)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	p.action("refused", "http://"+closed.Addr().String()+"/", nil)
	p.action("unnamed", "http://no-such-host.invalid/", nil)

	for name, c := range map[string]struct {
		status   int // where statuses are wanted
		internal string
		refusal
	}{
		"slow":             {504, "no complete answer within 1s", refusal{"action-timeout", "=http exception when calling webhook"}},
		"trickle":          {504, "no complete answer within 1s", refusal{"action-timeout", "=http exception when calling webhook"}},
		"refused":          {502, "connection refused", refusal{"action-unreachable", "=http exception when calling webhook"}},
		"unnamed":          {502, "host name", refusal{"action-unreachable", "=http exception when calling webhook"}},
		"cut":              {502, "ended before", refusal{"action-unreachable", "=http exception when calling webhook"}},
		"broken":           {500, "expecting 2xx or 4xx status code, but found 500", refusal{"unexpected", "=internal error"}},
		"redirect":         {500, "but found 302", refusal{"unexpected", "=internal error"}},
		"noJSON":           {500, hidden, refusal{"unexpected", "=not a valid json response from webhook"}},
		"empty":            {500, "", refusal{"unexpected", "=not a valid json response from webhook"}},
		"null":             {0, "", refusal{}},
		"aList":            {500, "", refusal{"unexpected", "=got array for the action webhook response, expecting Outcome"}},
		"missing":          {500, hidden, refusal{"unexpected", `=field "id" expected in webhook response, but not found`}},
		"nullID":           {500, "", refusal{"unexpected", `=expecting not null value for field "id"`}},
		"deep":             {500, "", refusal{"unexpected", `tags[1]`}},
		"wrongType":        {500, hidden, refusal{"unexpected", `got scalar String for the action webhook response, expecting Int`}},
		"huge":             {502, "too large", refusal{"action-response-too-large", "=the webhook response is larger than the limit of 10485760 bytes"}},
		"refusing":         {0, "", refusal{"sold-out", "=no more than 100 % <b>"}},
		"refusingPlainly":  {0, "", refusal{"mine", "=no"}},
		"refusingSilently": {500, hidden, refusal{"unexpected", "message"}},
		"fine":             {0, "", refusal{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query := fmt.Sprintf(`{ %s(n: 1) { id tags } }`, name)
			start := time.Now()
			a := p.ask(p.as("reader"), query)
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("took %s", took)
			}
			if strings.Contains(a.Text, hidden) || strings.Contains(a.Text, "internal\":") || strings.Contains(a.Text, base) {
				t.Errorf("a client sees %s", a.Text)
			}
			switch {
			case c.refusal == refusal{}:
				if a.at("errors") != nil {
					t.Errorf("%s", a.Text)
				}
				return
			case name == "refusing":
				if want := `{"errors":[{"message":"no more than 100 % <b>","extensions":{"code":"sold-out","left":{"n":2.50}}}]}`; a.Text != want {
					t.Errorf("expected %s, got %s", want, a.Text)
				}
			}
			c.check(t, a)
			if c.status != 0 {
				must(t, c.status, http.MethodPost, p.url("/v1alpha1/graphql"), p.as("reader"), map[string]any{"query": query})
			}
			// Whoever owns the handler learns why.
			admin := p.ask(p.admin, query)
			if c.internal != "" && (admin.at("errors", 0, "extensions", "internal", "error") == nil || !strings.Contains(admin.Text, c.internal)) {
				t.Errorf("an admin sees %s", admin.Text)
			}
		})
	}
}

func TestServeReachesNoPrivateAddressForATenant(t *testing.T) {
	t.Parallel()
	const key = "the-operator-key-of-this-test"
	s, err := launch([]string{"serve"}, "TENANTRY_DATABASE_URL="+pgtest.Database(t), "TENANTRY_MANAGED_URL="+pgtest.AdminURL(t),
		"TENANTRY_OPERATOR_KEY="+key, "TENANTRY_DATA_DIR="+dataDir(t), "TENANTRY_EGRESS_PORTS=any")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(9) })
	s.OperatorKey = key
	var called atomic.Int64
	base := webhooks(t, func(w http.ResponseWriter, _ *http.Request) { called.Add(1); _, _ = w.Write([]byte(`{"id":1}`)) })
	port := base[strings.LastIndex(base, ":"):]

	if _, a := tryProject(t, s, map[string]any{"url": "postgres://u:canary@127.0.0.1:5432/d"}); a.Status != 422 || !strings.Contains(a.Text, "may not be reached") || strings.Contains(a.Text, "canary") {
		t.Errorf("a database on this machine: %d %s", a.Status, a.Text)
	}
	p := newProject(t, s, managed) // the operator's own cluster needs no permission
	t.Cleanup(func() { send(t, http.MethodDelete, s.PublicURL+"/api/v1/projects/"+p.Slug, p.owner, nil) })
	p.library()
	for _, handler := range []string{base, "http://localhost" + port, "http://[::1]" + port, "http://0x7f000001" + port, "http://10.1.2.3/", "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]" + port} {
		a := send(t, http.MethodPost, s.PublicURL+"/api/v1/projects/"+p.Slug+"/actions", p.owner, map[string]any{
			"name": "forbidden", "handler": handler, "permissions": []string{"reader"}, "definition": `type Query { forbidden: Outcome } type Outcome { id: Int! }`,
		})
		if a.Status != 422 || a.at("errors", 0, "pointer") != "/handler" {
			t.Errorf("the handler %s: %d %s", handler, a.Status, a.Text)
		}
	}
	// What only the call shows: a variable that is set later.
	p.action("later", "http://{{HOST}}"+port+"/", nil)
	p.sql(`CREATE TABLE checked (id int PRIMARY KEY)`)
	p.meta(200, "pg_track_table", `{"table": "checked"}`)
	p.meta(200, "pg_create_insert_permission", fmt.Sprintf(`{"table": "checked", "role": "reader", "permission": {"check": {}, "columns": ["id"],
		"validate_input": {"type": "http", "definition": {"url": "http://{{HOST}}%s/"}}}}`, port))
	for _, host := range []string{"127.0.0.1", "localhost", "0x7f.1"} {
		p.control(200, http.MethodPut, "/variables/HOST", map[string]any{"value": host, "secret": false})
		a := p.ask(p.as("reader"), `{ later { id } }`)
		refusal{"blocked-egress", ""}.check(t, a)
		if strings.Contains(a.Text, "127.0.0.1") {
			t.Errorf("a client sees %s", a.Text)
		}
		if a = p.ask(p.as("reader"), `mutation { insert_checked_one(object: {id: 1}) { id } }`); a.at("data") != nil || a.at("errors", 0) == nil {
			t.Errorf("a row that nobody checked: %s", a.Text)
		}
	}
	if called.Load() != 0 {
		t.Errorf("the handler was called %d times", called.Load())
	}
	within(t, time.Second, "the audit tells of the blocked call", func() bool {
		return strings.Contains(p.control(200, http.MethodGet, "/audit?kind=action", nil).Text, "blocked-egress")
	})
	auth := send(t, http.MethodPut, s.PublicURL+"/api/v1/projects/"+p.Slug+"/auth", p.owner, map[string]any{"jwt": []any{map[string]any{"jwk_url": base + "/keys"}}})
	if auth.Status != 422 {
		t.Errorf("a key set on this machine: %d %s", auth.Status, auth.Text)
	}
	hook := send(t, http.MethodPut, s.PublicURL+"/api/v1/projects/"+p.Slug+"/auth", p.owner, map[string]any{"webhook": map[string]any{"url": base + "/who", "mode": "GET"}})
	if hook.Status != 422 {
		t.Errorf("an authentication webhook on this machine: %d %s", hook.Status, hook.Text)
	}
	if called.Load() != 0 {
		t.Errorf("%d connections were made", called.Load())
	}
}
