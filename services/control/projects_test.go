package control_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
)

func TestAProjectIsMadeOnADatabaseThatWasTried(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	projects := "/api/v1/tenants/" + tenant + "/projects"
	address := pgtest.Database(t)
	a := s.want(201, owner, "POST", projects, fmt.Sprintf(`{"name":"My Shop","database":{"url":%q}}`, address))
	if a.at(t, "project.slug") != "my-shop" || !strings.HasPrefix(a.str(t, "admin_secret"), "as_") ||
		a.at(t, "project.endpoints.graphql") != s.url+"/p/my-shop/v1/graphql" {
		t.Errorf("made %s", a.text)
	}
	shown := s.want(200, owner, "GET", "/api/v1/projects/my-shop", "")
	u, _ := url.Parse(address)
	password, _ := u.User.Password()
	if shown.at(t, "database.name") != strings.TrimPrefix(u.Path, "/") || strings.Contains(shown.text, password) || strings.Contains(shown.text, u.User.Username()+":") {
		t.Errorf("shown as %s", shown.text)
	}
	s.want(409, owner, "POST", projects, fmt.Sprintf(`{"name":"x","slug":"my-shop","database":{"url":%q}}`, address))

	wrong := *u
	wrong.User = url.UserPassword(u.User.Username(), "canary-password")
	for name, body := range map[string]string{
		"/database/url":       fmt.Sprintf(`{"name":"x","database":{"url":%q}}`, wrong.String()),
		"/database/url ":      `{"name":"x","database":{"url":"postgres://canary-password@127.0.0.1:1/x"}}`,
		"/database/url  ":     `{"name":"x","database":{"url":"mysql://canary-password@127.0.0.1/x"}}`,
		"/database/url   ":    `{"name":"x","database":{}}`,
		"/database/managed":   `{"name":"x","database":{"managed":true}}`,
		"/database":           fmt.Sprintf(`{"name":"x","database":{"managed":true,"url":%q}}`, address),
		"/plan":               fmt.Sprintf(`{"name":"x","plan":"unlimited","database":{"url":%q}}`, address),
		"/database/canary":    fmt.Sprintf(`{"name":"x","database":{"url":%q,"canary":"canary-password"}}`, address),
		"/name":               fmt.Sprintf(`{"database":{"url":%q}}`, address),
		"/slug":               fmt.Sprintf(`{"name":"x","slug":"canary-password!","database":{"url":%q}}`, address),
		"/database/url      ": `{"name":"x","database":{"url":["canary-password"]}}`,
		"/Name /name":         fmt.Sprintf(`{"Name":"x","database":{"url":%q}}`, address),
		"/database ":          `{"name":"x","database":"canary-password"}`,
	} {
		refused := s.want(422, owner, "POST", projects, body)
		places := refused.places(t)
		for _, want := range strings.Fields(name) {
			if !slices.Contains(places, want) {
				t.Errorf("%s: got %s", body, refused.text)
			}
		}
		if strings.Contains(refused.text, "canary-password") || strings.Contains(refused.text, password) {
			t.Errorf("the refusal repeats a secret: %s", refused.text)
		}
	}
	if a := s.call(owner, "POST", projects, `{"name":"canary-password`); a.status != 400 || strings.Contains(a.text, "canary") {
		t.Errorf("broken JSON: %d %s", a.status, a.text)
	}
	if logs := s.logs.String(); strings.Contains(logs, "canary-password") || strings.Contains(logs, password) {
		t.Errorf("logs hold a secret: %s", logs)
	}
}

func TestAProjectsLife(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	if got := s.want(200, owner, "PATCH", p, `{"name":"Shop 2"}`).at(t, "name"); got != "Shop 2" {
		t.Errorf("renamed to %v", got)
	}
	if got := s.want(200, owner, "POST", p+":suspend", "").at(t, "status"); got != "suspended" {
		t.Errorf("status %v", got)
	}
	s.want(200, owner, "POST", p+":resume", "")
	secret := s.want(201, owner, "POST", p+"/admin-secrets", `{"name":"second"}`)
	s.want(201, owner, "POST", p+"/admin-secrets", "")
	if list := s.want(200, owner, "GET", p+"/admin-secrets", ""); strings.Contains(list.text, secret.str(t, "secret")) {
		t.Error("a list shows an admin secret")
	}
	s.want(204, owner, "DELETE", p+"/admin-secrets/"+secret.str(t, "id"), "")
	next := pgtest.Database(t)
	if got := s.want(200, owner, "PUT", p+"/database", fmt.Sprintf(`{"url":%q}`, next)); strings.Contains(got.text, next) {
		t.Errorf("moved: %s", got.text)
	}
	if got := s.want(422, owner, "PUT", p+"/database", `{"url":"postgres://a:b@127.0.0.1:1/x"}`).places(t); !slices.Equal(got, []string{"/url"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(204, owner, "DELETE", p, "")
	s.want(404, owner, "GET", p, "")
	_, stranger := s.tenant("other")
	s.want(404, stranger, "POST", p+":restore", "")
	s.want(200, owner, "POST", p+":restore", "")
	s.want(200, owner, "GET", p, "")
}

func TestProjectKeysReachTheirProjectByTheirScopes(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p, other := s.project(tenant, owner, "shop"), s.project(tenant, owner, "other")
	key := func(scopes string) string {
		a := s.want(201, owner, "POST", p+"/keys", `{"name":"k","scopes":[`+scopes+`]}`)
		if !strings.HasPrefix(a.str(t, "secret"), "pk_") {
			t.Errorf("made %s", a.text)
		}
		return a.str(t, "secret")
	}
	metrics, reader, writer := key(`"metrics:read"`), key(`"metadata:read","audit:read"`), key(`"metadata:write"`)
	s.want(200, metrics, "GET", p+"/metrics", "")
	s.want(403, metrics, "GET", p+"/metadata", "")
	s.want(404, metrics, "GET", other+"/metrics", "")
	s.want(200, reader, "GET", p+"/metadata", "")
	s.want(200, reader, "GET", p+"/audit", "")
	s.want(403, reader, "PUT", p+"/variables/A", `{"value":"x"}`)
	s.want(200, writer, "PUT", p+"/variables/A", `{"value":"x"}`)
	s.want(403, writer, "POST", p+"/keys", `{"scopes":["metadata:write"]}`)
	s.want(403, writer, "GET", "/api/v1/tenants/"+tenant, "")
	if me := s.want(200, writer, "GET", "/api/v1/me", ""); me.at(t, "project.slug") != "shop" {
		t.Errorf("me: %s", me.text)
	}
	if got := s.want(422, owner, "POST", p+"/keys", `{"scopes":["metadata:write","root"]}`).places(t); !slices.Equal(got, []string{"/scopes/1"}) {
		t.Errorf("mistakes at %v", got)
	}
}

func TestRefusalsTellNothingAndAreAudited(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	strangersSlug, stranger := s.tenant("stranger")
	viewer := s.key(tenant, owner, "viewer")

	missing := s.want(404, stranger, "GET", "/api/v1/projects/no-such", "")
	for _, request := range []struct{ method, path, body string }{
		{"GET", p, ""}, {"DELETE", p, ""}, {"PUT", p + "/metadata", "{}"}, {"POST", p + "/tables:track", "not even JSON"},
		{"GET", "/api/v1/tenants/" + tenant, ""}, {"POST", "/api/v1/tenants/" + tenant + "/projects", "{}"},
		{"POST", "/api/v1/tenants/" + tenant + ":suspend", ""}, {"POST", "/api/v1/tenants/" + tenant + ":restore", ""},
	} {
		if a := s.want(404, stranger, request.method, request.path, request.body); a.text != missing.text {
			t.Errorf("%s %s differs from what does not exist: %s", request.method, request.path, a.text)
		}
	}
	s.want(401, "", "GET", p, "")
	s.want(401, "tk_wrong", "GET", p, "")
	s.want(403, viewer, "DELETE", p, "", "x-request-id", "my-own-id")
	if err := s.recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	own := s.want(200, owner, "GET", p+"/audit?kind=denial", "")
	if n := len(own.at(t, "items").([]any)); n != 1 || own.at(t, "items.0.request_id") != "my-own-id" || own.at(t, "items.0.action") != "deleteProject" ||
		own.at(t, "items.0.code") != "permission-denied" || own.at(t, "items.0.actor.kind") != "tenant_key" {
		t.Errorf("the project's denials: %s", own.text)
	}
	theirs := s.want(200, stranger, "GET", "/api/v1/tenants/"+strangersSlug+"/audit?kind=denial", "")
	if n := len(theirs.at(t, "items").([]any)); n != 8 {
		t.Errorf("the stranger's denials: %d", n)
	}
}

func TestEveryVerbPathAnswersOnlyItself(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	for _, path := range []string{
		"/api/v1/projects/shop", "/api/v1/projects/shop:", "/api/v1/projects/shop:suspendx", "/api/v1/projects/shop:nonsense",
		"/api/v1/projects/shopsuspend", "/api/v1/projects/shop/suspend", "/api/v1/projects/shop:suspend/keys",
		p + "/tablesXYZ", p + "/tables", p + "/tables:", p + "/metadataXrollback", p + "/metadata:rollbackx", p + "/auditverify",
		"/api/v1/tenants/" + tenant, "/api/v1/tenants/" + tenant + ":resumed", "/api/v1/tenants/" + tenant + ":",
	} {
		for _, key := range []string{owner, operatorKey} {
			a := s.call(key, "POST", path, "{}")
			if a.status != 404 && a.status != 405 {
				t.Errorf("POST %s: %d %s", path, a.status, a.text)
			}
		}
	}
	if got := s.want(200, owner, "GET", p, "").at(t, "status"); got != "active" {
		t.Fatalf("some path suspended the project: %v", got)
	}
	s.want(404, owner, "GET", p+":suspend", "")
	if a := s.want(405, owner, "PUT", p, "{}"); !strings.Contains(a.header.Get("Allow"), "PATCH") {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
	// Every verb of the document is a route of its own.
	verbs := 0
	for path, item := range s.api.OpenAPI().Paths {
		if !strings.Contains(path, ":") {
			continue
		}
		verbs++
		method := "POST"
		if item.Post == nil {
			method = "GET"
		}
		real := strings.NewReplacer("{tenant}", "no-such", "{project}", "no-such").Replace(path)
		if a := s.call(operatorKey, method, real, "{}"); a.status != http.StatusNotFound || a.at(t, "code") != "not-found" {
			t.Errorf("%s: %d %s", real, a.status, a.text)
		}
	}
	if verbs < 9 {
		t.Errorf("%d verbs", verbs)
	}
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/api/v1/me", "/api/v1/nowhere", "/api/v1/openapi.json", "/api/docs", "/api/v1/projects/x y"} {
		if a := s.call("", "GET", path, "", "x-request-id", "given-1"); a.header.Get("x-request-id") != "given-1" {
			t.Errorf("%s: %q", path, a.header.Get("x-request-id"))
		}
		if a := s.call("", "GET", path, "", "x-request-id", strings.Repeat("x", 129)); len(a.header.Get("x-request-id")) != 36 {
			t.Errorf("%s: %q for one that is too long", path, a.header.Get("x-request-id"))
		}
	}
	if a := s.call(operatorKey, "POST", "/api/v1/tenants", "{}", "Content-Encoding", "gzip"); a.status != 415 {
		t.Errorf("a compressed body: %d", a.status)
	}
	if a := s.call(operatorKey, "POST", "/api/v1/tenants", `{"name":"`+strings.Repeat("x", 2<<20)+`"}`); a.status != 413 {
		t.Errorf("a large body: %d", a.status)
	}
}

func TestAConnectionStaysUsableAfterAPause(t *testing.T) {
	t.Parallel()
	s := start(t)
	conn := must(net.Dial("tcp", strings.TrimPrefix(s.url, "http://")))(t)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	send := func() {
		t.Helper()
		body := `{"name":"x","email":"a@b"}`
		_, err := fmt.Fprintf(conn, "POST /api/v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != 201 {
			t.Fatalf("status %d", response.StatusCode)
		}
	}
	send()
	time.Sleep(5500 * time.Millisecond) // longer than the deadline that huma leaves on a connection
	send()
}

func TestAProjectSaysHowLongItKeepsRunsWithinTheOperatorsBound(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	path := s.project(tenant, owner, "shop")
	for _, step := range []struct {
		body string
		want float64
	}{
		{`{"name": "Other"}`, 14}, {`{"run_retention_days": 30}`, 30}, {`{"name": "Shop"}`, 30}, {`{"run_retention_days": 1}`, 1}, {`{"run_retention_days": 0}`, 14},
	} {
		changed := s.want(200, owner, "PATCH", path, step.body)
		shown := s.want(200, owner, "GET", path, "")
		if changed.at(t, "run_retention_days") != step.want || shown.at(t, "run_retention_days") != step.want {
			t.Errorf("%s: %s, shown as %s", step.body, changed.text, shown.text)
		}
	}
	for _, wrong := range []string{`{"run_retention_days": 91}`, `{"run_retention_days": -1}`, `{"run_retention_days": "a week"}`} {
		if refused := s.want(422, owner, "PATCH", path, wrong); !slices.Contains(refused.places(t), "/run_retention_days") {
			t.Errorf("%s: %s", wrong, refused.text)
		}
	}
}
