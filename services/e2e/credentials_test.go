package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/tenants/settings"
)

func TestNoCredentialOpensAnothersDataPlane(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, b := newSide(t, s, "gamma"), newSide(t, s, "delta")
	requests := map[string]any{
		"/v1/graphql":       map[string]any{"query": "{ gamma_notes { id text } }"},
		"/v1alpha1/graphql": map[string]any{"query": "{ gamma_notes { id text } }"},
		"/v1/metadata":      map[string]any{"type": "export_metadata", "args": map[string]any{}},
		"/v2/query":         map[string]any{"type": "run_sql", "args": map[string]any{"sql": "SELECT text FROM gamma_notes", "read_only": true}},
		"/v1/query":         map[string]any{"type": "run_sql", "args": map[string]any{"sql": "SELECT text FROM gamma_notes", "read_only": true}},
	}
	asRole := func(h headers) headers { return h.with("X-Hasura-Role", "user") }
	credentials := func(x *side) map[string]headers {
		return map[string]headers{
			"admin secret":            {"X-Hasura-Admin-Secret": x.adminSecret},
			"admin secret with role":  asRole(headers{"X-Hasura-Admin-Secret": x.adminSecret}),
			"access key":              {"X-Hasura-Access-Key": x.adminSecret},
			"project key":             bearer(x.projectKey),
			"key of another project":  bearer(x.spareKey),
			"tenant key":              bearer(x.owner),
			"token":                   bearer(x.token),
			"key as an admin secret":  {"X-Hasura-Admin-Secret": x.projectKey},
			"owner as admin secret":   {"X-Hasura-Admin-Secret": x.owner},
			"admin secret as a token": bearer(x.adminSecret),
			"operator key":            bearer(s.OperatorKey),
			"nothing":                 {},
		}
	}
	graphs := []string{"/v1/graphql", "/v1alpha1/graphql"}
	commands := []string{"/v1/metadata", "/v2/query", "/v1/query"}
	// What each of a project's own credentials opens.
	opens := map[string][]string{
		"admin secret": slices.Concat(graphs, commands), "access key": slices.Concat(graphs, commands),
		"admin secret with role": graphs, "project key": slices.Concat(graphs, commands), "tenant key": commands, "token": graphs,
	}
	for path, body := range requests {
		for name, h := range credentials(a) {
			r := send(t, http.MethodPost, a.data+path, h, body)
			opened := strings.Contains(r.Text, "of gamma") || strings.Contains(r.Text, `"sources"`)
			if opened != slices.Contains(opens[name], path) {
				t.Errorf("%s of the project itself on %s: %d %s", name, path, r.Status, r.Text)
			}
		}
		for name, h := range credentials(b) {
			for _, address := range []string{a.data, s.PublicURL + "/p/" + a.ids[projectKind]} {
				r := send(t, http.MethodPost, address+path, h, body)
				code := r.at("code")
				if strings.HasSuffix(path, "/graphql") {
					code = r.at("errors", 0, "extensions", "code")
				}
				if r.at("data") != nil || !slices.Contains([]any{"access-denied", "invalid-jwt", "invalid-headers"}, code) {
					t.Errorf("%s of another tenant on %s: %d %s", name, path, r.Status, r.Text)
				}
			}
		}
	}
}

func TestAProjectHasFiveAdminSecretsAndTellsWhichAreUsed(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	var made answer
	for n := range 4 {
		made = p.control(http.StatusCreated, http.MethodPost, "/admin-secrets", map[string]any{"name": fmt.Sprintf("of program %d", n)})
	}
	if a := p.control(http.StatusConflict, http.MethodPost, "/admin-secrets", nil); !strings.Contains(a.Text, "five admin secrets") {
		t.Errorf("the sixth: %s", a.Text)
	}
	used := headers{"X-Hasura-Admin-Secret": made.text(t, "secret")}
	data(t, p.url("/v1/graphql"), used, `{ __typename }`, nil)
	within(t, 90*time.Second, "the last use of a secret is told, and of no other", func() bool {
		told := 0
		for _, secret := range list(p.control(200, http.MethodGet, "/admin-secrets", nil), "items") {
			if secret.at("created_at") == nil || strings.Contains(fmt.Sprint(secret.JSON), used["X-Hasura-Admin-Secret"]) {
				t.Errorf("%v", secret.JSON)
			}
			if secret.at("name") == "of program 3" && secret.at("last_used") != nil {
				told++
			} else if secret.at("name") != "first" && secret.at("last_used") != nil {
				told = -5
			}
		}
		return told == 1
	})
	p.control(http.StatusNoContent, http.MethodDelete, "/admin-secrets/"+made.text(t, "id"), nil)
	within(t, 5*time.Second, "a revoked secret opens nothing", func() bool {
		return p.ask(used, `{ __typename }`).at("errors", 0, "extensions", "code") == "access-denied"
	})
	p.control(http.StatusCreated, http.MethodPost, "/admin-secrets", map[string]any{"name": "in its place"})
}

func TestListsInTokensAreArraysForPostgres(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.sql(`CREATE TABLE teams (name text PRIMARY KEY, tags text[])`)
	p.control(200, http.MethodPost, "/tables:track", map[string]any{"tables": "all"})
	p.control(200, http.MethodPut, "/auth", map[string]any{"jwt": []any{
		map[string]any{"type": "HS256", "key": loginKey},
		map[string]any{"type": "HS256", "key": loginKey, "header": map[string]any{"type": "CustomHeader", "name": "X-Mapped"}, "claims_map": map[string]any{
			"x-hasura-allowed-roles": []string{"user"}, "x-hasura-default-role": "user", "x-hasura-teams": map[string]any{"path": "$.teams"},
		}},
	}})
	p.meta(200, "pg_create_select_permission", `{"table": "teams", "role": "user", "permission": {"columns": "*", "filter": {"_or": [{"name": {"_in": "X-Hasura-Teams"}}, {"tags": {"_eq": "X-Hasura-Teams"}}]}}}`)
	names := []string{"a", "b c", `d"`, `e\`, "f,g", "{h}", "", "NULL", "null", "ä", "\u00a0", "'", "new\nline", "$1"}
	for _, name := range append(names, "nobody's") {
		graphql(t, p.url("/v1/graphql"), p.admin, `mutation ($name: String!) { insert_teams_one(object: {name: $name}) { name } }`, map[string]any{"name": name})
	}
	with := func(teams any) jwt.MapClaims {
		return jwt.MapClaims{"sub": "u", "exp": time.Now().Add(time.Hour).Unix(), "teams": teams, settings.DefaultNamespace: map[string]any{
			"x-hasura-default-role": "user", "x-hasura-allowed-roles": []string{"user"}, "x-hasura-teams": teams,
		}}
	}
	for what, c := range map[string]struct {
		teams any
		want  []string
	}{
		"all": {names, names}, "one": {[]string{`d"`}, []string{`d"`}}, "none": {[]string{}, nil}, "an array's text": {`{a,"b c"}`, []string{"a", "b c"}},
	} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, with(c.teams)).SignedString([]byte(loginKey))
		if err != nil {
			t.Fatal(err)
		}
		for place, h := range map[string]headers{"namespace": bearer(token), "claims_map": {"X-Mapped": token}} {
			var got []string
			for _, row := range list(data(t, p.url("/v1/graphql"), h, `{ teams { name } }`, nil), "data", "teams") {
				got = append(got, fmt.Sprint(row.at("name")))
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(c.want)); !slices.Equal(got, want) {
				t.Errorf("%s by %s: %q, expected %q", what, place, got, want)
			}
		}
	}
}
