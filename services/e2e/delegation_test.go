package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/tenants/settings"
)

const loginKey = "the key of the tenant's own login is long enough"

// loginOf is a token of the tenant's own login.
func loginOf(t testing.TB, user string) headers {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "jti": "login of " + user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		settings.DefaultNamespace: map[string]any{"x-hasura-default-role": "user", "x-hasura-allowed-roles": []string{"user", "other"}, "x-hasura-user-id": user},
	}).SignedString([]byte(loginKey))
	if err != nil {
		t.Fatal(err)
	}
	return bearer(text)
}

// callers is a tenant's handler that calls back with nothing but the token that it
// was given.
type callers struct {
	graphql string

	mu     sync.Mutex
	tokens []string // that it was given, by call
}

func (c *callers) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tokens) == 0 {
		return ""
	}
	return c.tokens[len(c.tokens)-1]
}

func (c *callers) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.tokens)
}

func (c *callers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-Delegation-Token")
	c.mu.Lock()
	c.tokens = append(c.tokens, token)
	c.mu.Unlock()
	query := `{ notes(order_by: {text: asc}) { text } }`
	if name := strings.TrimPrefix(r.URL.Path, "/"); name == "loop" || name == "withoutToken" {
		query = `{ ` + name + ` { id tags } }`
	}
	body, _ := json.Marshal(map[string]string{"query": query})
	back, err := http.NewRequestWithContext(r.Context(), http.MethodPost, c.graphql, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	if secret := r.Header.Get("X-Own-Secret"); secret != "" { // it passes the trace on, as libraries for tracing do
		back.Header.Set("X-Hasura-Admin-Secret", secret)
		back.Header.Set("Traceparent", r.Header.Get("Traceparent"))
		back.Header.Set("Tracestate", r.Header.Get("Tracestate"))
	} else {
		back.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(back)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	defer response.Body.Close()
	var got struct {
		Data struct {
			Notes              []struct{ Text string }
			Loop, WithoutToken struct{ Tags []string }
		}
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	_ = json.NewDecoder(response.Body).Decode(&got)
	tags := append(append([]string{}, got.Data.Loop.Tags...), got.Data.WithoutToken.Tags...)
	for _, note := range got.Data.Notes {
		tags = append(tags, note.Text)
	}
	for _, e := range got.Errors {
		tags = append(tags, e.Extensions.Code)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": len(tags), "tags": tags})
}

// delegating is a project with notes that users see by their id, a login of its
// own, and the handler's actions.
func delegating(t testing.TB) (*project, *callers) {
	t.Helper()
	p := newProject(t, shared(t), managed)
	p.sql(`CREATE TABLE notes (owner text, text text PRIMARY KEY); INSERT INTO notes VALUES ('ann', 'of ann'), ('bob', 'of bob')`)
	p.control(200, http.MethodPost, "/tables:track", map[string]any{"tables": "all"})
	p.meta(200, "pg_create_select_permission", `{"table": "notes", "role": "user", "permission": {"columns": "*", "filter": {"owner": "X-Hasura-User-Id"}}}`)
	p.control(200, http.MethodPut, "/auth", map[string]any{"jwt": []any{map[string]any{"type": "HS256", "key": loginKey}}, "unauthorized_role": "anonymous"})
	c := &callers{graphql: p.url("/v1/graphql")}
	base := webhooks(t, c.ServeHTTP)
	users := []string{"user", "other"}
	p.action("mine", base+"/mine", map[string]any{"permissions": users})
	p.action("loop", base+"/loop", map[string]any{"permissions": users})
	p.action("withoutToken", base+"/withoutToken", map[string]any{"permissions": users, "headers": []any{map[string]any{"name": "X-Own-Secret", "value": p.admin["X-Hasura-Admin-Secret"]}}})
	p.control(http.StatusCreated, http.MethodPost, "/actions", map[string]any{
		"name": "later", "handler": base + "/later", "permissions": users, "kind": "asynchronous",
		"definition": `type Mutation { later: Outcome } type Outcome { id: Int! tags: [String!] }`,
	})
	return p, c
}

func TestAHandlerCallsBackAsItsCallerWithoutASecret(t *testing.T) {
	t.Parallel()
	p, handler := delegating(t)
	mine := func(h headers) any {
		t.Helper()
		return data(t, p.url("/v1/graphql"), h, `{ mine { tags } }`, nil).at("data", "mine", "tags")
	}
	for name, c := range map[string]struct {
		as   headers
		want string
	}{
		"ann's own token":           {loginOf(t, "ann"), "[of ann]"},
		"bob's own token":           {loginOf(t, "bob"), "[of bob]"},
		"an admin secret for ann":   {p.as("user", "X-Hasura-User-Id", "ann"), "[of ann]"},
		"an admin secret":           {p.admin, "[of ann of bob]"},
		"a role without the table":  {loginOf(t, "ann").with("X-Hasura-Role", "other"), "[validation-failed]"},
		"a user without any notes":  {loginOf(t, "eve"), "[]"},
		"a header that claims more": {loginOf(t, "ann").with("X-Hasura-User-Id", "bob"), "[of ann]"},
	} {
		if got := fmt.Sprint(mine(c.as)); got != c.want {
			t.Errorf("%s: the handler got %s, expected %s", name, got, c.want)
		}
	}
	id := data(t, p.url("/v1/graphql"), loginOf(t, "ann"), `mutation { later }`, nil).at("data", "later")
	within(t, 20*time.Second, "the handler of an asynchronous action calls back as its caller", func() bool {
		a := data(t, p.url("/v1/graphql"), loginOf(t, "ann"), fmt.Sprintf(`{ later(id: %q) { output { tags } errors } }`, id), nil)
		return fmt.Sprint(a.at("data", "later", "output", "tags")) == "[of ann]"
	})

	mine(loginOf(t, "ann"))
	token := handler.last()
	refused := func(what, code string, a answer) {
		t.Helper()
		got := a.at("errors", 0, "extensions", "code")
		if got == nil {
			got = a.at("code")
		}
		if got != code {
			t.Errorf("%s: expected %s, got %d %s", what, code, a.Status, a.Text)
		}
	}
	notes := map[string]any{"query": `{ notes { text } }`}
	refused("another role", "access-denied", p.ask(bearer(token).with("X-Hasura-Role", "other"), `{ notes { text } }`))
	refused("the role admin", "access-denied", p.ask(bearer(token).with("X-Hasura-Role", "admin"), `{ notes { text } }`))
	tampered := token[:len(token)-8] + "AAAAAAAA"
	refused("a changed signature", "invalid-jwt", p.ask(bearer(tampered), `{ notes { text } }`))
	if a := p.ask(bearer(token).with("X-Hasura-User-Id", "bob").with("X-Hasura-Role", "user"), `{ notes { text } }`); a.at("data", "notes", 0, "text") != "of ann" {
		t.Errorf("a user's id as a header: %s", a.Text)
	}
	other, _ := delegating(t)
	refused("another project", "invalid-jwt", other.ask(bearer(token), `{ notes { text } }`))

	mine(p.admin)
	admins := handler.last()
	for name, token := range map[string]string{"a user's": token, "an admin's": admins} {
		refused(name+" for metadata", "access-denied", send(t, http.MethodPost, p.url("/v1/metadata"), bearer(token), map[string]any{"type": "export_metadata", "args": map[string]any{}}))
		refused(name+" for SQL", "access-denied", send(t, http.MethodPost, p.url("/v2/query"), bearer(token), map[string]any{"type": "run_sql", "args": map[string]any{"sql": "SELECT 1"}}))
		refused(name+" for commands on data", "access-denied", send(t, http.MethodPost, p.url("/v1/query"), bearer(token), map[string]any{"type": "select", "args": map[string]any{"table": "notes", "columns": []string{"text"}}}))
		refused(name+" for explain", "access-denied", send(t, http.MethodPost, p.url("/v1/graphql/explain"), bearer(token), map[string]any{"query": notes}))
		refused(name+" for the configuration", "access-denied", send(t, http.MethodGet, p.url("/v1alpha1/config"), bearer(token), nil))
		if a := send(t, http.MethodGet, p.s.PublicURL+"/api/v1/projects/"+p.Slug, bearer(token), nil); a.Status != http.StatusUnauthorized {
			t.Errorf("%s for the control API: %d %s", name, a.Status, a.Text)
		}
	}
	within(t, 5*time.Second, "the audit names the action that an admin's handler called back for", func() bool {
		for _, event := range list(p.control(200, http.MethodGet, "/audit?kind=admin&limit=200", nil), "items") {
			if event.at("detail", "auth") == "delegation" {
				return event.at("detail", "delegated_by") == "mine" && event.at("detail", "depth") == 1.0 && event.at("actor", "kind") == "admin_secret"
			}
		}
		return false
	})

	p.control(200, http.MethodPost, "/sessions:revoke", map[string]any{"jti": "login of ann"})
	within(t, 5*time.Second, "what was delegated of a token ends with it", func() bool {
		return p.ask(bearer(token), `{ notes { text } }`).at("errors", 0, "extensions", "code") == "invalid-jwt"
	})
	time.Sleep(time.Second) // a revocation counts for its whole second
	mine(p.as("user", "X-Hasura-User-Id", "bob"))
	bobs := handler.last()
	if a := p.ask(bearer(bobs), `{ notes { text } }`); a.at("data", "notes", 0, "text") != "of bob" {
		t.Errorf("bob's: %s", a.Text)
	}
	p.control(200, http.MethodPost, "/sessions:revoke", map[string]any{"user": "bob"})
	within(t, 5*time.Second, "what was delegated of a user ends with their sessions", func() bool {
		return p.ask(bearer(bobs), `{ notes { text } }`).at("errors", 0, "extensions", "code") == "invalid-jwt"
	})
}

func TestActionsThatCallEachOtherEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"loop", "withoutToken"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, handler := delegating(t)
			a := data(t, p.url("/v1/graphql"), p.as("user", "X-Hasura-User-Id", "ann"), `{ `+name+` { tags } }`, nil)
			if got := fmt.Sprint(a.at("data", name, "tags")); got != "[action-recursion-limit]" || handler.count() != 5 {
				t.Errorf("%d calls, %s", handler.count(), got)
			}
		})
	}
}

func TestTheKeyOfATokenIsPublishedAndCanBeReplaced(t *testing.T) {
	t.Parallel()
	p, handler := delegating(t)
	kids := func() []string {
		t.Helper()
		a := must(t, 200, http.MethodGet, p.url("/.well-known/jwks.json"), nil, nil)
		if control := a.Header.Get("Cache-Control"); !strings.Contains(control, "max-age=50") {
			t.Errorf("Cache-Control: %q", control)
		}
		var out []string
		for _, key := range list(a, "keys") {
			if key.at("kty") != "OKP" || key.at("d") != nil || len(fmt.Sprint(key.at("x"))) != 43 {
				t.Errorf("%v", key)
			}
			out = append(out, fmt.Sprint(key.at("kid")))
		}
		return out
	}
	mine := func() string {
		t.Helper()
		data(t, p.url("/v1/graphql"), loginOf(t, "ann"), `{ mine { tags } }`, nil)
		token, _, err := jwt.NewParser().ParseUnverified(handler.last(), jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(token.Header["kid"])
	}
	first := mine()
	if got := kids(); len(got) != 1 || got[0] != first {
		t.Fatalf("published %q, signed by %q", got, first)
	}
	if send(t, http.MethodDelete, p.s.PublicURL+"/api/v1/projects/"+p.Slug+"/signing-keys/"+first, p.owner, nil).Status != http.StatusConflict {
		t.Error("the only key was removed")
	}
	second := p.control(201, http.MethodPost, "/signing-keys", nil).text(t, "id")
	old := handler.last()
	if got := kids(); len(got) != 2 || mine() != first { // others have to know it first
		t.Errorf("published %q", got)
	}
	p.control(204, http.MethodDelete, "/signing-keys/"+first, nil)
	if got := mine(); got != second {
		t.Errorf("signed by %q", got)
	}
	refusal{"invalid-jwt", ""}.check(t, p.ask(bearer(old), `{ notes { text } }`))
}
