package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/tenantry/config"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

// index is one in a place such as Auth.JWT.0.Key.
var index = regexp.MustCompile(`\.\d+\b`)

// secretInputs are the properties of request bodies that the OpenAPI document
// marks as secret: "createProject /database/url".
func secretInputs(t testing.TB, s *server) []string {
	t.Helper()
	document := apiDocument(t, s)
	var found []string
	var walk func(schema any, place string, depth int)
	walk = func(schema any, place string, depth int) {
		object, ok := schema.(map[string]any)
		if !ok || depth > 12 {
			return
		}
		if reference, ok := object["$ref"].(string); ok {
			walk(follow(document, reference), place, depth+1)
			return
		}
		if object["writeOnly"] == true || object["format"] == "password" {
			found = append(found, place)
		}
		properties, _ := object["properties"].(map[string]any)
		for name, property := range properties {
			walk(property, place+"/"+name, depth+1)
		}
		walk(object["items"], place+"/-", depth+1)
		for _, name := range []string{"oneOf", "anyOf", "allOf"} {
			list, _ := object[name].([]any)
			for _, one := range list {
				walk(one, place, depth+1)
			}
		}
	}
	paths, _ := document["paths"].(map[string]any)
	for _, item := range paths {
		for _, operation := range item.(map[string]any) {
			described, _ := operation.(map[string]any)
			body, _ := described["requestBody"].(map[string]any)
			contents, _ := body["content"].(map[string]any)
			for _, content := range contents {
				walk(content.(map[string]any)["schema"], fmt.Sprint(described["operationId"], " "), 0)
			}
		}
	}
	return found
}

func follow(document any, reference string) any {
	for step := range strings.SplitSeq(strings.TrimPrefix(reference, "#/"), "/") {
		object, _ := document.(map[string]any)
		document = object[step]
	}
	return document
}

// withPassword is a URL with another password, and perhaps another user.
func withPassword(t testing.TB, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if user == "" {
		user = u.User.Username()
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func TestNoSecretLeavesTheProgram(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	cluster := pgtest.OwnServer(t)
	admin := cluster.URL("postgres")
	role := func(name, rights, place string) string {
		t.Helper()
		password := h.plant(place)
		run(t, admin, "CREATE ROLE "+name+" LOGIN "+rights+" PASSWORD '"+password+"'")
		run(t, admin, "CREATE DATABASE "+name+" OWNER "+name)
		return withPassword(t, cluster.URL(name), name, password)
	}
	control := role("control", "", "config.DatabaseURL")
	operatorKey := h.plant("config.OperatorKey")
	dir := dataDir(t)
	environ := []string{
		"TENANTRY_DATABASE_URL=" + control, "TENANTRY_MANAGED_URL=" + role("manager", "SUPERUSER", "config.ManagedURL"),
		"TENANTRY_OPERATOR_KEY=" + operatorKey, "TENANTRY_DATA_DIR=" + dir, "TENANTRY_LOG_LEVEL=debug", "TENANTRY_EGRESS_ALLOW=127.0.0.0/8", "TENANTRY_EGRESS_PORTS=any",
		// Nothing listens there: what is logged of that must not have the password.
		"TENANTRY_REDIS_URL=redis://limits:" + h.plant("config.RedisURL") + "@127.0.0.1:1/0",
	}
	s, err := launch([]string{"serve"}, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(syscall.SIGKILL) })

	first := overTCP(t, role("first", "", "createProject /database/url"))
	second := overTCP(t, role("second", "", "moveDatabase /url"))
	h.planted(s, operatorKey, first, second)
	h.lookAround(s, operatorKey)
	s.stop(t)

	h.keepKeyring(filepath.Join(dir, "keyring.json"))
	stored := h.keepFields(control, filepath.Join(dir, "keyring.json"))
	for _, field := range vault.SecretFields(reflect.TypeFor[settings.Settings]()) {
		if place := "settings." + field; !stored[place] {
			t.Errorf("%s is a secret without a canary: set it in this test; set are %v", place, slices.Sorted(maps.Keys(stored)))
		}
	}
	for _, field := range vault.SecretFields(reflect.TypeFor[config.Config]()) {
		if place := "config." + field; h.secrets[place] == nil {
			t.Errorf("%s is a secret without a canary: configure it in this test", place)
		}
	}
	print := exec.Command(binary, "config", "print", "serve")
	print.Env = environment(environ...)
	printed, err := print.CombinedOutput()
	if err != nil || !bytes.Contains(printed, []byte("database-url")) {
		t.Errorf("config print: %v\n%s", err, printed)
	}
	h.saw("config print", string(printed))
	h.saw("stdout", s.stdout.String())
	h.saw("the log", s.stderr.String())
	h.saw("the control plane's database", dumped(t, withPassword(t, control, "", h.secrets["config.DatabaseURL"][0])))
	h.refusedConfiguration()
	h.search(nil)
	for _, part := range []string{"action failed", "http-log"} {
		if !strings.Contains(s.stderr.String(), part) {
			t.Errorf("the log does not tell of %q, so that it holds no secret says little:\n%s", part, s.stderr)
		}
	}
}

// overTCP is the URL of a database for a tenant, whose connections reach no
// sockets of this machine.
func overTCP(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if folder := u.Query().Get("host"); folder != "" {
		u.Host = forward(t, filepath.Join(folder, ".s.PGSQL."+u.Query().Get("port")))
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// planted drives the program through everything that takes or makes a secret.
func (h *hunt) planted(s *server, operatorKey, first, second string) {
	h.Helper()
	operator, api := bearer(operatorKey), s.PublicURL+"/api/v1"
	a, key := h.shows("owner key", 201, http.MethodPost, api+"/tenants", operator.with("Idempotency-Key", "once"),
		map[string]any{"name": "Acme", "email": "a@example.com"}, "key", "secret")
	h.shows("owner key", 201, http.MethodPost, api+"/tenants", operator.with("Idempotency-Key", "once"),
		map[string]any{"name": "Acme", "email": "a@example.com"}, "key", "secret") // the kept answer
	owner, tenant := bearer(key), api+"/tenants/"+a.text(h, "tenant", "slug")
	h.shows("admin secret", 201, http.MethodPost, tenant+"/projects", owner,
		map[string]any{"name": "m", "slug": "managed", "database": map[string]any{"managed": true}}, "admin_secret")
	_, adminSecret := h.shows("admin secret", 201, http.MethodPost, tenant+"/projects", owner,
		map[string]any{"name": "p", "slug": "given", "database": map[string]any{"url": first}}, "admin_secret")
	project, data := api+"/projects/given", s.PublicURL+"/p/given"
	admin := headers{"X-Hasura-Admin-Secret": adminSecret}
	_, viewer := h.shows("tenant key", 201, http.MethodPost, tenant+"/keys", owner, map[string]any{"role": "viewer"}, "secret")
	h.shows("project key", 201, http.MethodPost, project+"/keys", owner.with("Idempotency-Key", "x"), map[string]any{"scopes": everyScope}, "secret")
	h.shows("admin secret", 201, http.MethodPost, project+"/admin-secrets", owner, nil, "secret")
	h.shows("signing secret", 201, http.MethodPost, project+"/signing-secrets", owner, nil, "secret")
	h.shows("signing secret", 200, http.MethodGet, project+"/signing-secrets?reveal=true&limit=1", owner, nil, "items", 0, "secret")

	hidden, open, inURL := h.plant("putVariable /value"), h.plant("putVariable /value"), h.plant("putVariable /value")
	h.need(200, http.MethodPut, project+"/variables/HIDDEN", owner, map[string]any{"value": hidden})
	h.need(200, http.MethodPut, project+"/variables/IN_URL", owner, map[string]any{"value": inURL})
	h.shows("putVariable /value", 200, http.MethodPut, project+"/variables/OPEN", owner, map[string]any{"value": open, "secret": false}, "value")
	for _, path := range []string{"/variables", "/variables/OPEN", "/signing-secrets", "/auth", "/signing-secrets?reveal=true", "/keys"} {
		h.call(http.MethodGet, project+path, bearer(viewer), nil)
	}
	jwtKey := h.plant("settings.Auth.JWT[].Key")
	h.need(200, http.MethodPut, project+"/auth", owner, map[string]any{"jwt": []any{map[string]any{"type": "HS256", "key": jwtKey}}})
	token := signedToken(jwtKey, "user")
	h.keep("a user's token", token)
	h.need(200, http.MethodPut, project+"/auth", owner, h.need(200, http.MethodGet, project+"/auth", owner, nil).JSON)

	authority := newAuthority("canary")
	certificate, private := authority.issue("the caller")
	h.keep("putHandlerTLS /key", private)
	tls := map[string]any{"ca": authority.certificate, "certificate": certificate, "key": private}
	h.need(200, http.MethodPut, project+"/handler-tls", owner, tls)
	for _, wrong := range []map[string]any{{"certificate": certificate, "key": private[:len(private)/2]}, {"ca": private}, {"certificate": private, "key": certificate}, {"key": private}, {"keys": private}} {
		h.need(422, http.MethodPut, project+"/handler-tls", owner, wrong)
	}
	h.need(200, http.MethodGet, project+"/handler-tls", owner, nil)

	h.actions(project, data, owner, admin, token)
	h.need(200, http.MethodPut, project+"/database", owner, map[string]any{"url": second})
	h.badRequests(project, tenant, data, owner, second)
	time.Sleep(1200 * time.Millisecond) // the audit is written by then
	// A variable that is no secret is shown to who may see credentials, so it must
	// not be there when all is read.
	h.need(204, http.MethodDelete, project+"/variables/OPEN", owner, nil)
	inputs := secretInputs(h, s)
	for _, place := range inputs {
		if h.secrets[place] == nil {
			h.Errorf("%s is a secret without a canary: send it in this test", place)
		}
	}
	if len(inputs) == 0 {
		h.Error("the OpenAPI document marks no property as secret")
	}
}

// actions calls handlers that give back what they got.
func (h *hunt) actions(project, data string, owner, admin headers, token string) {
	h.Helper()
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body) // a part of it echoes as well
		echo := fmt.Sprintf(`{"message": "echo", "url": %q, "headers": %q, "body": %q}`, q.URL.String(), fmt.Sprint(q.Header), body)
		switch q.URL.Path {
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		case "/text":
			echo = "not JSON " + echo
		case "/redirect":
			w.Header().Set("Location", "/error?"+q.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		case "/cut":
			w.Header().Set("Content-Length", "100000")
		case "/slow":
			time.Sleep(1500 * time.Millisecond)
		case "/refuse":
			w.WriteHeader(http.StatusBadRequest)
		case "/good":
			echo = `{"x": 1}`
		}
		w.Header().Set("X-Echo", q.Header.Get("X-Api-Key"))
		_, _ = io.WriteString(w, echo) // the caller may be gone
	}))
	h.Cleanup(handler.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, base := range map[string]string{
		"error": handler.URL, "text": handler.URL, "shape": handler.URL, "redirect": handler.URL, "cut": handler.URL,
		"slow": handler.URL, "good": handler.URL, "refuse": handler.URL, "closed": closed.URL, "blocked": "http://10.1.2.3", "unresolved": "http://nowhere.invalid",
	} {
		action := actionOf(name)
		action["handler"], action["timeout"] = base+"/"+name+"?token={{IN_URL}}", 1
		action["permissions"], action["forward_client_headers"] = []string{"user"}, true
		action["headers"] = []any{
			map[string]any{"name": "X-Api-Key", "value_from_env": "HIDDEN"}, map[string]any{"name": "X-Open", "value": "Bearer {{OPEN}}"},
		}
		if base == "http://10.1.2.3" { // refused when registered, so it is called without the check
			h.call(http.MethodPost, project+"/actions", owner, action)
			continue
		}
		h.need(201, http.MethodPost, project+"/actions", owner, action)
		query := map[string]any{"query": "mutation { " + name + "(x: 1) { x } }"}
		if name == "refuse" { // the words of a refusal are the handler's own and go to the client
			must(h, 200, http.MethodPost, data+"/v1/graphql", bearer(token), query)
			continue
		}
		for _, who := range []headers{bearer(token), admin} {
			for _, path := range []string{"/v1/graphql", "/v1alpha1/graphql"} {
				h.call(http.MethodPost, data+path, who, query)
			}
			if name == "slow" {
				break
			}
		}
	}
	good := h.call(http.MethodPost, data+"/v1/graphql", bearer(token), map[string]any{"query": "mutation { good(x: 1) { x } }"})
	if good.at("data", "good", "x") != 1.0 {
		h.Errorf("the good handler: %s", good.Text)
	}
}

// badRequests sends secrets in what is refused.
func (h *hunt) badRequests(project, tenant, data string, owner headers, database string) {
	h.Helper()
	secret := func() string { return h.plant("refused requests") }
	refused := func(method, url string, headers headers, body any) {
		h.Helper()
		a := h.call(method, url, headers, body)
		if a.Status < 300 && a.at("errors") == nil {
			h.Errorf("%s %s was not refused: %d %s", method, url, a.Status, a.Text)
		}
	}
	wrong := withPassword(h, database, "", secret())
	nobody := withPassword(h, database, "nobody", secret())
	for _, address := range []string{
		wrong, nobody, "postgres://u:" + secret() + "@127.0.0.1:1/d", "postgres://u:" + secret() + "@nowhere.invalid/d",
		"postgres://u:" + secret() + "@127.0.0.1:port/d", "postgres://u:" + secret() + "%zz@h/d", secret(), "mysql://u:" + secret() + "@h/d",
		"host=h password=" + secret(), "postgres://u:" + secret() + "@10.1.2.3/d", wrong + "&unknown_parameter=" + secret(), wrong + "&sslmode=" + secret(),
	} {
		refused(http.MethodPut, project+"/database", owner, map[string]any{"url": address})
		refused(http.MethodPost, tenant+"/projects", owner, map[string]any{"name": "x", "database": map[string]any{"url": address}})
	}
	for path, body := range map[string]func(text string) string{
		"PUT /database":         func(text string) string { return `{"url": ` + text },
		"PUT /variables/A":      func(text string) string { return `{"value": ` + text },
		"PUT /auth":             func(text string) string { return `{"jwt": [{"type": "HS256", "key": ` + text },
		"PUT /variables/1 2":    func(text string) string { return `{"value": ` + text + `, "secret": true` },
		"PUT /metadata":         func(text string) string { return `{"version": 3, "sources": ` + text },
		"POST /admin-secrets":   func(text string) string { return `{"nam": ` + text },
		"POST /metadata:export": func(text string) string { return `{"x": ` + text },
	} {
		method, path, _ := strings.Cut(path, " ")
		closing := strings.Repeat("]", strings.Count(body(""), "["))
		braces := strings.Repeat("}", strings.Count(body(""), "{"))
		if closing != "" {
			braces = "}" + closing + "}"
		}
		address := project + strings.ReplaceAll(path, " ", "%20")
		for _, text := range []string{
			body(`"` + secret()), body(secret()), body(`"`+secret()+`"`) + `, "unknown_property": 1` + braces, body(`["`+secret()+`"]`) + braces,
			body(`{"`+secret()+`": 1}`) + braces, body(`"`+secret()+`" "x"`) + braces, body(`"\u00zz`+secret()+`"`) + braces,
		} {
			refused(method, address, owner, text)
		}
	}
	for _, jwt := range []string{
		`{"type": "RS256", "key": %q}`, `{"type": "HS999", "key": %q}`, `{"key": %q}`, `{"type": "HS256", "key": %q, "jwk_url": "https://x.example.com"}`,
		`{"type": "ES256", "key": "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----"}`,
	} {
		refused(http.MethodPut, project+"/auth", owner, `{"jwt": [`+fmt.Sprintf(jwt, secret())+`]}`)
	}
	// An address of a database has no place in the metadata, which is not sealed.
	inline := fmt.Sprintf(`{"version": 3, "sources": [{"name": "default", "kind": "postgres", "tables": [],
		"configuration": {"connection_info": {"database_url": "postgres://u:%s@h/d"}}}]}`, secret())
	refused(http.MethodPut, project+"/metadata?allow_inconsistent=true", owner, inline)
	refused(http.MethodPost, data+"/v1/metadata", owner, `{"type": "replace_metadata", "args": {"allow_inconsistent_metadata": true, "metadata": `+inline+`}}`)
	refused(http.MethodPost, data+"/v1/metadata", owner, fmt.Sprintf(`{"type": "pg_add_source", "args": {"name": "second",
		"configuration": {"connection_info": {"database_url": "postgres://u:%s@h/d"}}}}`, secret()))

	for _, who := range []headers{
		bearer(secret()), bearer("tk_" + secret()), bearer("pk_" + secret()), {"Authorization": "Basic " + secret()}, {"Authorization": secret()},
		{"X-Hasura-Admin-Secret": secret()}, {"X-Hasura-Access-Key": secret()}, bearer(signedToken(secret(), "user")),
		bearer("eyJhbGciOiJub25lIn0." + secret() + "."), bearer("a." + secret() + ".c"), {"Cookie": "token=" + secret(), "Authorization": "Bearer " + secret()},
	} {
		refused(http.MethodGet, project, who, nil)
		refused(http.MethodPost, data+"/v1/graphql", who, `{"query": "{ __typename }"}`)
		refused(http.MethodPost, data+"/v1/metadata", who, `{"type": "export_metadata", "args": {}}`)
	}
}

// refusedConfiguration starts the program with secrets in what is wrong.
func (h *hunt) refusedConfiguration() {
	h.Helper()
	secret := func() string { return h.plant("refused configuration") }
	file := filepath.Join(h.TempDir(), "keyring.json")
	if err := os.WriteFile(file, []byte(`{"primaryKeyId": 1, "key": [{"keyData": {"value": "`+secret()+`"`), 0o600); err != nil {
		h.Fatal(err)
	}
	yaml := filepath.Join(h.TempDir(), "tenantry.yaml")
	if err := os.WriteFile(yaml, []byte("operator-key: [\""+secret()+"\n"), 0o600); err != nil {
		h.Fatal(err)
	}
	for _, environ := range [][]string{
		{"TENANTRY_DATABASE_URL=postgres://u:" + secret() + "@127.0.0.1:1/d"}, {"TENANTRY_DATABASE_URL=" + secret()},
		{"TENANTRY_DATABASE_URL=postgres://u:" + secret() + "@h:port/d", "TENANTRY_MANAGED_URL=postgres://u:" + secret() + "%zz@h/d"},
		{"TENANTRY_DATABASE_URL=postgres://u:x@127.0.0.1:1/d", "TENANTRY_OPERATOR_KEY= " + secret() + " x"}, {"TENANTRY_CONFIG=" + yaml},
		{"TENANTRY_DATABASE_URL=postgres://u:x@127.0.0.1:1/d", "TENANTRY_KEYRING=" + file},
	} {
		for _, args := range [][]string{{"serve", "--listen=127.0.0.1:0", "--operator-listen=127.0.0.1:0"}, {"migrate"}, {"config", "print"}} {
			command := exec.Command(binary, args...)
			command.Env = environment(append(environ, "TENANTRY_DATA_DIR="+h.TempDir(), "TENANTRY_LOG_LEVEL=debug")...)
			out, err := command.CombinedOutput()
			if err == nil && args[0] == "serve" {
				h.Errorf("%v with %v started", args, environ)
			}
			h.saw("the output of "+args[0], string(out))
		}
	}
}
