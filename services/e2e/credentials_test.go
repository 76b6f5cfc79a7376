package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
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
