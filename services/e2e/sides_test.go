package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// tokenKey signs the tokens of a side's users; each side has its own.
func tokenKey(name string) string { return strings.Repeat(name, 32)[:40] }

// side is a tenant that has one of everything, with the keys to it.
type side struct {
	name  string
	owner string // a key of the tenant
	ids   map[idKind]string
	slugs map[idKind]string // where a kind has a second form of id

	data        string // URL of the project's data plane
	adminSecret string
	projectKey  string // with every scope
	token       string // of a user with the role user

	spare    map[idKind]string // a second project, which tests delete and suspend
	spareKey string            // with every scope, of the second project alone
}

// everyScope of a project's key.
var everyScope = []string{"graphql:role=user", "metadata:read", "metadata:write", "metrics:read", "audit:read"}

// newSide signs a tenant up and fills it. name must be a slug.
func newSide(t testing.TB, s *server, name string) *side {
	t.Helper()
	api := s.PublicURL + "/api/v1"
	a := must(t, http.StatusCreated, http.MethodPost, api+"/tenants", bearer(s.OperatorKey),
		map[string]any{"name": name, "slug": name, "email": name + "@example.com"})
	x := &side{
		name: name, owner: a.text(t, "key", "secret"),
		ids:   map[idKind]string{tenantKind: a.text(t, "tenant", "id")},
		slugs: map[idKind]string{tenantKind: name},
	}
	must(t, http.StatusOK, http.MethodPut, api+"/plans/"+name, bearer(s.OperatorKey), map[string]any{"bounds": map[string]int{"sockets": 1000}})
	x.ids[planKind] = name
	h := bearer(x.owner)
	post := func(path string, body any) answer {
		t.Helper()
		return must(t, http.StatusCreated, http.MethodPost, api+path, h, body)
	}
	put := func(path string, h headers, body any) {
		t.Helper()
		must(t, http.StatusOK, http.MethodPut, api+path, h, body)
	}
	project := func(slug string) (ids map[idKind]string, data, secret, key string) {
		t.Helper()
		a := post("/tenants/"+name+"/projects", map[string]any{"name": slug, "slug": slug, "database": map[string]any{"managed": true}})
		key = post("/projects/"+slug+"/keys", map[string]any{"name": "all", "scopes": everyScope}).text(t, "secret")
		return map[idKind]string{projectKind: a.text(t, "project", "id")}, s.PublicURL + "/p/" + slug, a.text(t, "admin_secret"), key
	}
	shop := "/projects/" + name + "-shop"
	ids, address, secret, key := project(name + "-shop")
	maps.Copy(x.ids, ids)
	x.slugs[projectKind], x.data, x.adminSecret, x.projectKey = name+"-shop", address, secret, key
	x.spare, _, _, x.spareKey = project(name + "-spare")

	table := name + "_notes"
	must(t, http.StatusOK, http.MethodPost, x.data+"/v2/query", headers{"X-Hasura-Admin-Secret": secret}, map[string]any{"type": "run_sql",
		"args": map[string]any{"sql": fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, text text); INSERT INTO %[1]s VALUES (1, 'of %[2]s')", table, name)}})
	must(t, http.StatusOK, http.MethodPost, api+shop+"/tables:track", h, map[string]any{"tables": "all"})
	must(t, http.StatusOK, http.MethodPost, x.data+"/v1/metadata", headers{"X-Hasura-Admin-Secret": secret}, map[string]any{
		"type": "pg_create_select_permission",
		"args": map[string]any{"table": table, "role": "user", "permission": map[string]any{"columns": "*", "filter": map[string]any{}}}})

	x.ids["tenants/keys"] = post("/tenants/"+name+"/keys", map[string]any{"name": "standing", "role": "viewer"}).text(t, "id")
	x.ids["projects/keys"] = post(shop+"/keys", map[string]any{"name": "standing", "scopes": everyScope}).text(t, "id")
	x.ids["projects/admin-secrets"] = post(shop+"/admin-secrets", map[string]any{"name": "standing"}).text(t, "id")
	x.ids["projects/signing-keys"] = must(t, http.StatusOK, http.MethodGet, api+shop+"/signing-keys", h, nil).text(t, "items", 0, "id")
	x.ids["projects/signing-secrets"] = must(t, http.StatusOK, http.MethodGet, api+shop+"/signing-secrets", h, nil).text(t, "items", 0, "id")
	x.ids["projects/tables"] = "public." + table
	x.ids["projects/access/tables"], x.ids["projects/access/actions"], x.ids["projects/access/roles"] = "public."+table, name+"Act", name+"Role"
	x.ids["projects/actions"], x.ids["projects/policies"], x.ids["projects/variables"] = name+"Act", name+"Policy", strings.ToUpper(name)
	post(shop+"/actions", actionOf(name+"Act"))
	later := actionOf(name + "Later")
	later["kind"] = "asynchronous"
	post(shop+"/actions", later)
	x.ids["projects/actions/runs"] = x.run(t)
	put(shop+"/policies/"+name+"Policy", h.with("Content-Type", "text/plain"), "package authz."+name+"\n\nx := 1\n")
	put(shop+"/variables/"+strings.ToUpper(name), h, map[string]any{"value": "of " + name})
	put(shop+"/policy-data", h, map[string]any{"owner": name})
	put(shop+"/auth", h, map[string]any{"jwt": []any{map[string]any{"type": "HS256", "key": tokenKey(name)}}})
	x.token = signedToken(tokenKey(name), "user")
	return x
}

// run queues a run of the side's asynchronous action and returns its id.
func (x *side) run(t testing.TB) string {
	t.Helper()
	name := x.name + "Later"
	return graphql(t, x.data+"/v1/graphql", headers{"X-Hasura-Admin-Secret": x.adminSecret}, "mutation { "+name+"(x: 1) }", nil).text(t, "data", name)
}

// actionOf is the registration of an action.
func actionOf(name string) map[string]any {
	return map[string]any{
		"name": name, "handler": "http://127.0.0.1:9/none",
		"definition": fmt.Sprintf("type Mutation { %s(x: Int): %[1]sOutput } type %[1]sOutput { x: Int }", name),
	}
}

// text is a text of the answer that must be there.
func (a answer) text(t testing.TB, path ...any) string {
	t.Helper()
	found, _ := a.at(path...).(string)
	if found == "" {
		t.Fatalf("no text at %v in %d %s", path, a.Status, a.Text)
	}
	return found
}

// forms are the ids with tenant and project as ids, and as slugs.
func (x *side) forms(ids map[idKind]string) []map[idKind]string {
	slugs := maps.Clone(ids)
	for kind, slug := range x.slugs {
		if ids[kind] == x.ids[kind] {
			slugs[kind] = slug
		}
	}
	if ids[projectKind] == x.spare[projectKind] {
		slugs[projectKind] = x.name + "-spare"
	}
	return []map[idKind]string{ids, slugs}
}

// merged is ids with those of over in their place.
func merged(ids, over map[idKind]string) map[idKind]string {
	out := maps.Clone(ids)
	maps.Copy(out, over)
	return out
}
