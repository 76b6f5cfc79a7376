package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnOperationThatIsWrongIsRefusedBeforeItRuns(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	p.sql(`CREATE TABLE secrets (id int PRIMARY KEY)`)
	p.meta(200, "pg_track_table", `{"table": "secrets"}`)
	for name, c := range map[string]struct {
		query     string
		variables map[string]any
		refusal
	}{
		"an unknown field":                {`{ books { id nonsense } }`, nil, refusal{"validation-failed", "=field 'nonsense' not found in type: 'books'"}},
		"an unknown root field":           {`{ nonsense { id } }`, nil, refusal{"validation-failed", "=field 'nonsense' not found in type: 'query_root'"}},
		"a table of another role":         {`{ secrets { id } }`, nil, refusal{"validation-failed", "=field 'secrets' not found in type: 'query_root'"}},
		"a mutation without permission":   {`mutation { delete_books(where: {}) { affected_rows } }`, nil, refusal{"validation-failed", "mutation"}},
		"an argument of another type":     {`{ books(limit: "two") { id } }`, nil, refusal{"validation-failed", "Int"}},
		"a comparison of another type":    {`{ books(where: {id: {_eq: true}}) { id } }`, nil, refusal{"validation-failed", "Int"}},
		"an unknown argument":             {`{ books(nonsense: 1) { id } }`, nil, refusal{"validation-failed", "nonsense"}},
		"an unknown column to compare":    {`{ books(where: {nonsense: {_eq: 1}}) { id } }`, nil, refusal{"validation-failed", "nonsense"}},
		"a variable of another type":      {`query($n: Int!) { books(limit: $n) { id } }`, map[string]any{"n": "two"}, refusal{"validation-failed", "n"}},
		"a variable that is missing":      {`query($n: Int!) { books(limit: $n) { id } }`, nil, refusal{"validation-failed", "n"}},
		"a variable that is not declared": {`{ books(limit: $n) { id } }`, nil, refusal{"validation-failed", "n"}},
		"a negative limit":                {`{ books(limit: -1) { id } }`, nil, refusal{"validation-failed", "non-negative"}},
		"text that is no GraphQL":         {`{ books `, nil, refusal{"validation-failed", "not a valid graphql query"}},
		"an object without a selection":   {`{ books }`, nil, refusal{"validation-failed", "books"}},
		"a fragment that knows itself":    {`{ books { ...a } } fragment a on books { author { books { ...a } } }`, nil, refusal{"validation-failed", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.check(t, graphql(t, p.url("/v1/graphql"), p.as("reader"), c.query, c.variables))
			// The same with HTTP statuses, for clients that ask for them.
			media := p.as("reader").with("Accept", "application/graphql-response+json")
			must(t, 400, http.MethodPost, p.url("/v1/graphql"), media, map[string]any{"query": c.query, "variables": c.variables})
		})
	}
	for name, body := range map[string]string{"no JSON": `{"query": `, "a number": `7`, "no query": `{}`, "an empty batch": `[]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := send(t, http.MethodPost, p.url("/v1/graphql"), p.as("reader"), body)
			if code := a.at("errors", 0, "extensions", "code"); a.Status != 200 || code == nil || code == "unexpected" {
				t.Errorf("%d %s", a.Status, a.Text)
			}
		})
	}
}

func TestMetadataThatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	before := p.meta(200, "export_metadata", `{}`)
	for name, c := range map[string]struct {
		command, args string
		status        int
		code, path    string
		parts         []string // of the error or its internal detail
	}{
		"an unknown column in a permission": {"pg_create_select_permission",
			`{"table": "books", "role": "other", "permission": {"columns": ["id", "nonsense"], "filter": {}}}`, 400, "", "", []string{"nonsense"}},
		"an unknown column in a filter": {"pg_create_select_permission",
			`{"table": "books", "role": "other", "permission": {"columns": ["id"], "filter": {"nonsense": {"_eq": 1}}}}`, 400, "", "", []string{"nonsense"}},
		"a permission that is there": {"pg_create_select_permission",
			`{"table": "books", "role": "reader", "permission": {"columns": ["id"], "filter": {}}}`, 400, "already-exists", "", []string{"reader"}},
		"an unknown table":   {"pg_track_table", `{"table": "nonsense"}`, 400, "", "", []string{"nonsense"}},
		"an unknown key":     {"pg_track_table", `{"table": "books", "nonsense": 1}`, 400, "", "nonsense", []string{"nonsense"}},
		"an unknown command": {"pg_nonsense", `{}`, 400, "parse-failed", "$.type", []string{"pg_nonsense"}},
		"a document with an unknown key": {"replace_metadata",
			`{"metadata": {"version": 3, "sources": [], "nonsense": []}}`, 400, "", "nonsense", []string{"nonsense"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := must(t, c.status, http.MethodPost, p.url("/v1/metadata"), p.admin, fmt.Sprintf(`{"type": %q, "args": %s}`, c.command, c.args))
			if code := a.at("code"); c.code != "" && code != c.code || code == nil || code == "unexpected" || !strings.Contains(fmt.Sprint(a.at("path")), c.path) {
				t.Errorf("code and path: %s", a.Text)
			}
			for _, part := range c.parts {
				if !strings.Contains(a.Text, part) {
					t.Errorf("expected %q in %s", part, a.Text)
				}
			}
		})
	}
	t.Run("a document with unknown keys, by REST", func(t *testing.T) {
		document := strings.Replace(p.control(200, http.MethodGet, "/metadata", nil).Text, `"name":"books"`, `"name":"books","nonsense":1`, 1)
		document = strings.Replace(document, `"version":3`, `"version":3,"garbage":{}`, 1)
		a := must(t, 422, http.MethodPut, p.s.PublicURL+"/api/v1/projects/"+p.Slug+"/metadata", p.owner, document)
		if mistakes := list(a, "errors"); len(mistakes) != 2 || !strings.Contains(a.Text, "/garbage") || !strings.Contains(a.Text, "/nonsense") {
			t.Errorf("expected two mistakes with their pointers: %s", a.Text)
		}
		if a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("media type %q", a.Header.Get("Content-Type"))
		}
	})
	t.Run("nothing of it was kept", func(t *testing.T) {
		if after := p.meta(200, "export_metadata", `{}`); after.Text != before.Text {
			t.Errorf("before %s\nafter %s", before.Text, after.Text)
		}
	})
}

func TestNamesWithQuotesSpacesAndUnicodeAreServedUnderOtherNames(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.sql(`CREATE TABLE "we""ird täble's; --" ("id #" int CONSTRAINT weird_pkey PRIMARY KEY, "the ""name"" 名前" text NOT NULL, "a'b" text UNIQUE);
		CREATE TABLE "child table" ("id #" int PRIMARY KEY, "parent $1" int NOT NULL REFERENCES "we""ird täble's; --")`)
	p.meta(200, "pg_track_table", `{"table": "child table"}`) // not shown until it has a name
	if a := data(t, p.url("/v1/graphql"), p.admin, `{ __schema { queryType { fields { name } } } }`, nil); strings.Contains(a.Text, "child") {
		t.Errorf("a name that is no GraphQL name is shown: %s", a.Text)
	}
	p.meta(200, "pg_untrack_table", `{"table": "child table"}`)
	const parent, child = `"we\"ird täble's; --"`, `"child table"`
	p.meta(200, "pg_track_table", `{"table": `+parent+`, "configuration": {"custom_name": "weird", "column_config": {
		"id #": {"custom_name": "id"}, "the \"name\" 名前": {"custom_name": "name"}, "a'b": {"custom_name": "ab"}}}}`)
	p.meta(200, "pg_track_table", `{"table": `+child+`, "configuration": {"custom_name": "children", "column_config": {
		"id #": {"custom_name": "id"}, "parent $1": {"custom_name": "parent_id"}}}}`)
	p.meta(200, "pg_create_object_relationship", `{"table": `+child+`, "name": "parent", "using": {"foreign_key_constraint_on": "parent $1"}}`)
	p.meta(200, "pg_create_array_relationship", `{"table": `+parent+`, "name": "children", "using": {"foreign_key_constraint_on": {"table": `+child+`, "column": "parent $1"}}}`)
	for _, table := range []string{parent, child} {
		p.meta(200, "pg_create_select_permission", `{"table": `+table+`, "role": "reader", "permission": {"columns": "*", "filter": {"id #": {"_lt": "X-Hasura-Most"}}}}`)
	}
	p.meta(200, "pg_create_insert_permission", `{"table": `+parent+`, "role": "reader", "permission": {"columns": ["id #", "a'b"], "set": {"the \"name\" 名前": "x-hasura-name"}, "check": {"id #": {"_lt": "X-Hasura-Most"}}}}`)

	made := data(t, p.url("/v1/graphql"), p.admin, `mutation {
		insert_weird(objects: [{id: 1, name: "one \"' ü", ab: "x"}, {id: 2, name: "two"}]) { affected_rows returning { id name } }
		insert_children_one(object: {id: 7, parent_id: 1}) { parent { name } } }`, nil)
	if made.at("data", "insert_weird", "returning", 0, "name") != `one "' ü` || made.at("data", "insert_children_one", "parent", "name") != `one "' ü` {
		t.Errorf("inserted: %s", made.Text)
	}
	const hostile = `'; DROP TABLE "child table"; --`
	mine := data(t, p.url("/v1/graphql"), p.as("reader", "X-Hasura-Most", "5", "X-Hasura-Name", hostile), `mutation {
		insert_weird_one(object: {id: 3, ab: "\" or 1=1 --"}) { id name ab } }`, nil)
	if mine.at("data", "insert_weird_one", "name") != hostile || mine.at("data", "insert_weird_one", "ab") != `" or 1=1 --` {
		t.Errorf("inserted by a role: %s", mine.Text)
	}
	over := p.ask(p.as("reader", "X-Hasura-Most", "5", "X-Hasura-Name", "n"), `mutation { insert_weird_one(object: {id: 9}) { id } }`)
	refusal{"permission-error", "check constraint"}.check(t, over)

	got := data(t, p.url("/v1/graphql"), p.as("reader", "X-Hasura-Most", "3"), `{
		weird(where: {_or: [{name: {_ilike: "%ü%"}}, {children: {id: {_gt: 99}}}]}, order_by: [{name: desc}, {id: asc}]) { id n: name children(order_by: {id: asc}) { id parent { id } } }
		weird_by_pk(id: 3) { id } }`, nil)
	if want := `{"data":{"weird":[{"id":1,"n":"one \"' ü","children":[]}],"weird_by_pk":null}}`; got.Text != want {
		t.Errorf("expected %s, got %s", want, got.Text)
	}
	changed := data(t, p.url("/v1/graphql"), p.admin, `mutation {
		insert_weird_one(object: {id: 2, name: "zwei"}, on_conflict: {constraint: weird_pkey, update_columns: [name]}) { name }
		update_weird_by_pk(pk_columns: {id: 1}, _set: {ab: "y"}) { ab }
		delete_children(where: {parent: {name: {_like: "one%"}}}) { affected_rows } }`, nil)
	if changed.at("data", "insert_weird_one", "name") != "zwei" || changed.at("data", "update_weird_by_pk", "ab") != "y" || changed.at("data", "delete_children", "affected_rows") != 1.0 {
		t.Errorf("changed: %s", changed.Text)
	}
}

func TestAnAllowListAndALimitTellWhyTheyRefuse(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	const allowed = `query Titles { books { title } }`
	p.control(200, http.MethodPut, "/allowlist", map[string]any{"mode": "enforce", "operations": []any{map[string]any{"name": "Titles", "query": allowed}}})
	data(t, p.url("/v1/graphql"), p.as("reader"), allowed, nil)
	data(t, p.url("/v1/graphql"), p.as("reader"), `query Titles { books { __typename title } }`, nil) // clients add it
	for name, query := range map[string]string{
		"another operation": `query Titles { books { id } }`, "a part of one": `{ books { title } authors { name } }`,
		"introspection": `{ __schema { queryType { name } } }`, "an unknown field": `{ nonsense }`,
	} {
		t.Run(name, func(t *testing.T) {
			refusal{"validation-failed", "=query is not allowed"}.check(t, p.ask(p.as("reader"), query))
		})
	}
	data(t, p.url("/v1/graphql"), p.admin, `{ books { id } }`, nil) // an admin is not bound
	p.control(200, http.MethodPut, "/allowlist", map[string]any{"mode": "disabled"})
	data(t, p.url("/v1/graphql"), p.as("reader"), `{ books { id } }`, nil)

	p.control(200, http.MethodPut, "/limits", `{"depth_limit": {"global": 3}, "node_limit": {"global": 3}, "batch_limit": {"global": 2},
		"time_limit": {"global": 5, "per_role": {"slow": 1}}, "rate_limit": {"global": {"max_reqs_per_min": 1000}, "per_role": {"hasty": {"max_reqs_per_min": 2}}}}`)
	refusal{"depth-limit-exceeded", "3"}.check(t, p.ask(p.as("reader"), `{ books { author { books { author { name } } } } }`))
	refusal{"node-limit-exceeded", "3"}.check(t, p.ask(p.as("reader"), `{ a: books { id } b: books { id } c: books { id } d: books { id } }`))
	batch := must(t, 200, http.MethodPost, p.url("/v1/graphql"), p.as("reader"), `[{"query": "{ books { id } }"}, {"query": "{ books { id } }"}, {"query": "{ books { id } }"}]`)
	refusal{"batch-limit-exceeded", "2"}.check(t, batch)

	p.meta(200, "pg_create_select_permission", `{"table": "books", "role": "hasty", "permission": {"columns": "*", "filter": {}}}`)
	for range 2 {
		data(t, p.url("/v1/graphql"), p.as("hasty"), `{ books { id } }`, nil)
	}
	a := p.ask(p.as("hasty"), `{ books { id } }`)
	refusal{"rate-limit-exceeded", "2 requests per minute"}.check(t, a)
	if a.Header.Get("Retry-After") == "" || a.Header.Get("RateLimit-Limit") != "2" || a.Header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("headers of a rate limit: %v", a.Header)
	}
	must(t, 429, http.MethodPost, strings.Replace(p.url("/v1/graphql"), "/v1/", "/v1alpha1/", 1), p.as("hasty"), `{"query": "{ books { id } }"}`)
	typed := p.as("hasty")
	typed["Accept"] = "application/graphql-response+json"
	must(t, 429, http.MethodPost, p.url("/v1/graphql"), typed, `{"query": "{ books { id } }"}`)

	// Time is that of the whole operation; Postgres is told to stop.
	p.sql(`CREATE VIEW sleepers AS SELECT 1 AS id, pg_sleep(20)::text AS rest`)
	p.meta(200, "pg_track_table", `{"table": "sleepers"}`)
	p.meta(200, "pg_create_select_permission", `{"table": "sleepers", "role": "slow", "permission": {"columns": "*", "filter": {}}}`)
	began := time.Now()
	refusal{"time-limit-exceeded", "the limit is"}.check(t, p.ask(p.as("slow"), `{ sleepers { rest } }`))
	if took := time.Since(began); took < time.Second || took > 4*time.Second {
		t.Errorf("stopped after %s", took)
	}
	within(t, 2*time.Second, "Postgres runs the statement no more", func() bool {
		running := must(t, 200, http.MethodPost, p.url("/v2/query"), p.admin, map[string]any{"type": "run_sql", "args": map[string]any{
			"read_only": true, "sql": `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND datname = current_database() AND query LIKE '%' || 'sleep' || 'ers%'`}})
		return running.at("result", 1, 0) == "0"
	})
}
