package e2e

import (
	"net/http"
	"testing"
)

func TestSavedOperationsAreServedAsREST(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	p.meta(200, "create_query_collection", `{"name": "c", "definition": {"queries": [
		{"name": "book", "query": "query ($id: Int!) { books(where: {id: {_eq: $id}}) { id title } }"},
		{"name": "all", "query": "query { authors(order_by: {id: asc}) { id } }"}]}}`)
	endpoint := func(name, url, methods, query string) string {
		return `{"name": "` + name + `", "url": "` + url + `", "methods": ` + methods + `, "definition": {"query": {"collection_name": "c", "query_name": "` + query + `"}}}`
	}
	p.meta(200, "create_rest_endpoint", endpoint("book", "books/:id", `["GET", "POST"]`, "book"))
	p.meta(200, "create_rest_endpoint", endpoint("all", "authors", `["GET"]`, "all"))
	clash := p.meta(400, "create_rest_endpoint", endpoint("clash", "books/first", `["GET"]`, "all"))
	if clash.at("code") != "invalid-configuration" || clash.at("error") != "Ambiguous URL paths: books/:id, books/first" {
		t.Errorf("a path that clashes: %s", clash.Text)
	}

	admin := p.as("admin")
	found := must(t, 200, http.MethodGet, p.url("/api/rest/books/1"), admin, nil)
	if found.at("books", 0, "id") != float64(1) {
		t.Errorf("the endpoint answers %s", found.Text)
	}
	tag := found.Header.Get("ETag")
	if again := must(t, http.StatusNotModified, http.MethodGet, p.url("/api/rest/books/1"), admin.with("If-None-Match", tag), nil); again.Text != "" || tag == "" {
		t.Errorf("the tag %q is answered with %s", tag, again.Text)
	}
	must(t, 200, http.MethodGet, p.url("/api/rest/books/2"), admin.with("If-None-Match", tag), nil)

	for _, c := range []struct {
		method, path  string
		status        int
		code, message string
	}{
		{http.MethodGet, "books/x", 400, "bad-request", `Variable id: "x" is no value of type Int`},
		{http.MethodGet, "books/1?more=1", 400, "bad-request", "Unexpected variable more"},
		{http.MethodGet, "nothing", 404, "not-found", "Endpoint not found"},
		{http.MethodDelete, "books/1", 405, "method-not-allowed", "Allowed methods: GET, POST"},
	} {
		a := must(t, c.status, c.method, p.url("/api/rest/"+c.path), admin, nil)
		if a.at("code") != c.code || a.at("error") != c.message {
			t.Errorf("%s %s: %s", c.method, c.path, a.Text)
		}
	}
	if a := must(t, 400, http.MethodGet, p.url("/api/rest/authors"), p.as("stranger"), nil); a.at("error") != "field 'authors' not found in type: 'query_root'" {
		t.Errorf("a role without permission: %s", a.Text)
	}
	must(t, 401, http.MethodGet, p.url("/api/rest/authors"), nil, nil)

	spec := must(t, 200, http.MethodGet, p.url("/api/swagger/json"), admin, nil)
	if spec.at("openapi") != "3.0.0" || spec.at("paths", "/api/rest/books/{id}", "get", "parameters", 1, "in") != "path" ||
		spec.at("paths", "/api/rest/books/{id}", "get", "responses", "200", "content", "application/json", "schema", "properties", "books", "type") != "array" {
		t.Errorf("the document: %s", spec.Text)
	}
	must(t, 400, http.MethodGet, p.url("/api/swagger/json"), p.as("reader"), nil)
}

func TestExplainTellsSQLPlanAndPermissions(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	body := `{"query": {"query": "{ books(limit: 1) { id author { name } } __typename }"}, "user": {"X-Hasura-Role": "reader"}}`
	a := must(t, 200, http.MethodPost, p.url("/v1/graphql/explain"), p.as("admin"), body)
	if a.at(0, "field") != "books" || a.at(0, "sql") == nil || a.at(0, "plan", 0) == nil || a.at(0, "permissions", 0, "role") != "reader" ||
		a.at(0, "permissions", 0, "filter") == nil || a.at(1, "field") != "__typename" || a.at(1, "sql") != nil {
		t.Errorf("explained: %s", a.Text)
	}
	if a := must(t, 400, http.MethodPost, p.url("/v1/graphql/explain"), p.as("reader"), body); a.at("path") != "$.args" || a.at("code") != "access-denied" {
		t.Errorf("another role than admin: %s", a.Text)
	}
	must(t, 401, http.MethodPost, p.url("/v1/graphql/explain"), nil, body)
}
