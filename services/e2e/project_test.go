package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// project is a project of a test's own, with a tenant of its own, on a server.
type project struct {
	t     testing.TB
	s     *server
	Slug  string
	owner headers
	admin headers
}

// newProject signs up a tenant as the operator and makes a project.
func newProject(t testing.TB, s *server, database map[string]any) *project {
	t.Helper()
	p, a := tryProject(t, s, database)
	if a.Status != http.StatusCreated {
		t.Fatalf("create a project: %d %s", a.Status, a.Text)
	}
	p.Slug = fmt.Sprint(a.at("project", "slug"))
	p.admin = headers{"X-Hasura-Admin-Secret": fmt.Sprint(a.at("admin_secret"))}
	return p
}

// tryProject is newProject for a project that may be refused.
func tryProject(t testing.TB, s *server, database map[string]any) (*project, answer) {
	t.Helper()
	name := strings.NewReplacer("/", " ", "_", " ").Replace(t.Name())
	name = name[max(0, len(name)-40):]
	signed := must(t, http.StatusCreated, http.MethodPost, s.PublicURL+"/api/v1/tenants", bearer(s.OperatorKey), map[string]any{"name": name, "email": "a@example.com"})
	p := &project{t: t, s: s, owner: bearer(fmt.Sprint(signed.at("key", "secret")))}
	a := send(t, http.MethodPost, fmt.Sprintf("%s/api/v1/tenants/%s/projects", s.PublicURL, signed.at("tenant", "id")), p.owner,
		map[string]any{"name": name, "database": database})
	return p, a
}

// managed asks for a database of the platform's.
var managed = map[string]any{"managed": true}

func (p *project) url(path string) string { return p.s.PublicURL + "/p/" + p.Slug + path }

// as are the headers of the admin secret with a role and, in pairs, session variables.
func (p *project) as(role string, variables ...string) headers {
	h := p.admin.with("X-Hasura-Role", role)
	for i := 0; i+1 < len(variables); i += 2 {
		h[variables[i]] = variables[i+1]
	}
	return h
}

// control calls the control API as the tenant's owner.
func (p *project) control(status int, method, path string, body any) answer {
	p.t.Helper()
	return must(p.t, status, method, p.s.PublicURL+"/api/v1/projects/"+p.Slug+path, p.owner, body)
}

func (p *project) sql(text string) {
	p.t.Helper()
	must(p.t, 200, http.MethodPost, p.url("/v2/query"), p.admin, map[string]any{"type": "run_sql", "args": map[string]any{"sql": text}})
}

// meta runs a metadata command; args is JSON.
func (p *project) meta(status int, command, args string) answer {
	p.t.Helper()
	return must(p.t, status, http.MethodPost, p.url("/v1/metadata"), p.admin, fmt.Sprintf(`{"type": %q, "args": %s}`, command, args))
}

// ask runs an operation; whether it is refused is up to the caller.
func (p *project) ask(h headers, query string) answer {
	p.t.Helper()
	return graphql(p.t, p.url("/v1/graphql"), h, query, nil)
}

// refusal is what must be known of a refusal: its code, and a part of its
// message or, with "=" before it, the whole message.
type refusal struct{ code, message string }

// check compares the first error of a GraphQL answer.
func (r refusal) check(t testing.TB, a answer) {
	t.Helper()
	message := fmt.Sprint(a.at("errors", 0, "message"))
	whole, exact := strings.CutPrefix(r.message, "=")
	if a.at("data") != nil || a.at("errors", 0, "extensions", "code") != r.code ||
		exact && message != whole || !exact && !strings.Contains(message, r.message) {
		t.Errorf("expected %s, %q; got %s", r.code, r.message, a.Text)
	}
}

// library makes two tables with a row each, tracked, and readable by the role reader.
func (p *project) library() {
	p.t.Helper()
	p.sql(`CREATE TABLE authors (id int PRIMARY KEY, name text NOT NULL);
		CREATE TABLE books (id int PRIMARY KEY, title text NOT NULL, author_id int NOT NULL REFERENCES authors);
		INSERT INTO authors VALUES (1, 'Ursula K. Le Guin'); INSERT INTO books VALUES (1, 'The Dispossessed', 1)`)
	p.control(200, http.MethodPost, "/tables:track", map[string]any{"tables": "all", "relationships": true})
	for _, table := range []string{"authors", "books"} {
		p.meta(200, "pg_create_select_permission", fmt.Sprintf(`{"table": %q, "role": "reader", "permission": {"columns": "*", "filter": {}}}`, table))
	}
}

// action registers an action of the role reader: a query with the argument n.
func (p *project) action(name, handler string, more map[string]any) {
	p.t.Helper()
	body := map[string]any{
		"name": name, "handler": handler, "permissions": []string{"reader"},
		"definition": fmt.Sprintf(`type Query { %s(n: Int): Outcome } type Outcome { id: Int! tags: [String!] }`, name),
	}
	for key, value := range more {
		body[key] = value
	}
	p.control(http.StatusCreated, http.MethodPost, "/actions", body)
}

// webhooks is a tenant's own program.
func webhooks(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// within waits for something that must come true soon.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Errorf("not within %s: %s", limit, what)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
