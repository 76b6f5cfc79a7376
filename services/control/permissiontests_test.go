package control_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Tests of the guarded shop, whose only product is number 1.
const shopTests = `{"permission_tests":[
 {"name":"a user reads one product","role":"user","session_variables":{"X-Hasura-Product":"1"},"query":"{ product { name } }","expect":{"rows":{"product":1},"data":{"product":[{"name":"Tea"}]}}},
 {"name":"a user reads no other","role":"user","session_variables":{"x-hasura-product":"2"},"query":"{ product { name } }","expect":{"rows":{"product":0}}},
 {"name":"a user sees no reviews","role":"user","query":"{ review { id } }","expect":{"refused":true,"code":"validation-failed"}},
 {"name":"a chief counts reviews","role":"chief","query":"query($s: Int) { review_aggregate(where: {stars: {_gt: $s}}) { aggregate { count } } }","variables":{"s":1}},
 {"name":"nobody deletes","role":"critic","query":"mutation { delete_review(where: {}) { affected_rows } }","expect":{"refused":true}}]}`

func TestAChangeAfterWhichAPermissionTestFailsIsRefused(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	tenantSQL(t, s, project, `INSERT INTO product (name) VALUES ('Tea')`)
	s.want(200, owner, "PUT", project+"/permission-tests", shopTests)
	if a := s.want(200, owner, "POST", project+"/permission-tests:run", ""); a.at(t, "passed") != true || a.at(t, "results.0.executed") != true {
		t.Fatalf("the tests do not pass: %s", a.text)
	}
	stored := s.want(200, owner, "GET", project+"/metadata", "").text
	if a := s.call(owner, "PUT", project+"/metadata", guarded); a.status != 422 || !strings.Contains(a.text, `the permission test \"nobody deletes\"`) {
		t.Errorf("a document without the tests: %d %s", a.status, a.text)
	}
	for _, test := range []struct{ name, from, to, want string }{
		{"wider rows", `"filter":{"id":{"_eq":"X-Hasura-Product"}}`, `"filter":{}`, "a user reads no other: expected 0 rows of product, but got 1"},
		{"aggregations gone", `,"allow_aggregations":true`, ``, "a chief counts reviews: expected it to be allowed, but got validation-failed"},
		{"a permission too many", `"insert_permissions":`, `"delete_permissions":[{"role":"critic","permission":{"filter":{}}}],"insert_permissions":`, "nobody deletes: expected a refusal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(stored, test.from, test.to, 1)
			if changed == stored {
				t.Fatalf("the document has no %s: %s", test.from, stored)
			}
			a := s.call(owner, "PUT", project+"/metadata", changed)
			if a.status != 422 || a.str(t, "code") != "permission-test-failed" || !strings.Contains(a.text, test.want) {
				t.Errorf("got %d %s", a.status, a.text)
			}
			dry := s.want(200, owner, "PUT", project+"/metadata?dry_run=true", changed)
			if !strings.Contains(dry.text, `"passed":false`) {
				t.Errorf("the dry run: %s", dry.text)
			}
			if now := s.want(200, owner, "GET", project+"/metadata", "").text; now != stored {
				t.Errorf("what was refused has changed the project: %s", now)
			}
		})
	}
	// A policy decides on access as well.
	a := s.call(owner, "PUT", project+"/policies/main", `{"text":"package authz\n\nfilter if input.row.id > 1\n"}`)
	if a.status != 422 || a.str(t, "code") != "permission-test-failed" {
		t.Errorf("a policy that hides the product: %d %s", a.status, a.text)
	}
	s.want(422, owner, "PUT", project+"/permission-tests", `{"permission_tests":[{"name":"a","role":"user","query":"{ x }"},{"name":"a","role":"","query":""}]}`)
}

// tenantSQL runs SQL in a project's database.
func tenantSQL(t *testing.T, s *server, project, sql string) {
	t.Helper()
	set, _, err := s.store.Settings(t.Context(), must(s.store.Project(t.Context(), project[strings.LastIndex(project, "/")+1:]))(t).ID)
	if err != nil {
		t.Fatal(err)
	}
	conn := must(pgx.Connect(t.Context(), set.Database.URL.Reveal()))(t)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// Tests of an action whose answer is joined with the product that the session may
// read, and of the Relay flavour.
const runningTests = `{"permission_tests":[
 {"name":"an order is joined","role":"user","session_variables":{"x-hasura-product":"1"},"query":"mutation { order(n: 2) { n product { name } } }",
  "answers":{"order":{"n":2,"product_id":1}},"expect":{"rows":{"order":1},"data":{"order":{"n":2,"product":{"name":"Tea"}}}}},
 {"name":"an order of what is hidden","role":"user","session_variables":{"x-hasura-product":"2"},"query":"mutation { order(n: 2) { product { name } } }",
  "answers":{"order":{"n":2,"product_id":1}},"expect":{"data":{"order":{"product":null}}}},
 {"name":"an order is refused","role":"critic","query":"mutation { order(n: 2) { n } }","answers":{"order":{"n":2}},"expect":{"refused":true}},
 {"name":"a result that came later","role":"user","session_variables":{"x-hasura-product":"1"},"query":"query { later(id: \"7f9c1a9e-0000-4000-8000-000000000000\") { id errors output { product { name } } } }",
  "answers":{"later":{"n":2,"product_id":1}},"expect":{"data":{"later":{"id":"7f9c1a9e-0000-4000-8000-000000000000","errors":null,"output":{"product":{"name":"Tea"}}}}}},
 {"name":"relay","dialect":"relay","role":"user","session_variables":{"x-hasura-product":"1"},"query":"{ product_connection(first: 2) { edges { node { name } } } }",
  "expect":{"data":{"product_connection":{"edges":[{"node":{"name":"Tea"}}]}}}}]}`

func TestPermissionTestsRunActionsByTheirExamplesAndRelay(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	tenantSQL(t, s, project, `INSERT INTO product (name) VALUES ('Tea')`)
	var calls atomic.Int32
	handler := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(handler.Close)
	for name, kind := range map[string]string{"order": "synchronous", "later": "asynchronous", "other": "synchronous"} {
		s.want(201, owner, "POST", project+"/actions", fmt.Sprintf(
			`{"name":%q,"kind":%q,"definition":"type Mutation { %s(n: Int!): Ordered }  type Ordered { n: Int, product_id: Int }","handler":%q,"permissions":["user"],
			"relationships":[{"type":"Ordered","name":"product","kind":"object","table":"product","mapping":{"product_id":"id"}}]}`, name, kind, name, handler.URL))
	}
	s.want(200, owner, "PUT", project+"/permission-tests", runningTests)
	a := s.want(200, owner, "POST", project+"/permission-tests:run", "")
	for i, executed := range []bool{true, true, false, true, true} {
		if a.at(t, fmt.Sprintf("results.%d.executed", i)) != executed || a.at(t, "passed") != true {
			t.Errorf("test %d: %s", i, a.text)
		}
	}
	// What the joined table's permission hides is not seen through the action.
	stored := s.want(200, owner, "GET", project+"/metadata", "").text
	wider := s.call(owner, "PUT", project+"/metadata", strings.Replace(stored, `"filter":{"id":{"_eq":"X-Hasura-Product"}}`, `"filter":{}`, 1))
	if wider.status != 422 || !strings.Contains(wider.text, "an order of what is hidden") {
		t.Errorf("wider rows: %d %s", wider.status, wider.text)
	}
	// A function that writes when it is read can't.
	tenantSQL(t, s, project, `CREATE FUNCTION note() RETURNS void LANGUAGE sql VOLATILE AS $$ INSERT INTO product (name) VALUES ('noted') $$;
		CREATE FUNCTION noted(p product) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM note(); RETURN 'x'; END $$`)
	s.want(200, owner, "POST", project+"/tables:track", `{"tables":[{"schema":"public","name":"product"}]}`)
	s.want(200, owner, "PUT", project+"/metadata", strings.Replace(stored, `"array_relationships":[{"name":"reviews"`,
		`"computed_fields":[{"name":"noted","definition":{"function":{"schema":"public","name":"noted"}}}],"array_relationships":[{"name":"reviews"`, 1))
	for name, test := range map[string]struct{ test, want string }{
		"no answer":           {`"role":"user","query":"mutation { order(n: 2) { n } other(n: 1) { n } }","answers":{"other":{}}`, `expected an answer of the action \"order\"`},
		"another action's":    {`"role":"user","query":"mutation { order(n: 2) { n } }","answers":{"order":{},"later":{}}`, `does not call`},
		"of a run":            {`"role":"user","query":"mutation { later(n: 2) }","answers":{"later":{}}`, `answers an id`},
		"of a table":          {`"role":"admin","query":"mutation { delete_review(where: {}) { affected_rows } order(n: 1) { n } }","answers":{"order":{}}`, `may change something`},
		"that breaks":         {`"role":"user","query":"mutation { order(n: 2) { n } }","answers":{"order":{"n":"two"}}`, `got unexpected`},
		"that breaks refused": {`"role":"user","query":"mutation { order(n: 2) { n } }","answers":{"order":{"n":"two"}},"expect":{"refused":true}`, `expected a refusal`},
		"rows of a call":      {`"role":"user","query":"mutation { order(n: 2) { n } }","expect":{"rows":{"order":1}}`, `never runs`},
		"no operation":        {`"role":"user","query":"{ product { id }","expect":{"refused":true}`, `can never run`},
		"no such operation":   {`"role":"user","query":"query a { product { id } }","operation_name":"b","expect":{"refused":true}`, `can never run`},
		"another dialect":     {`"role":"user","dialect":"sql","query":"{ product { id } }"`, `expected graphql or relay`},
		"relay as graphql":    {`"role":"user","query":"{ product_connection(first: 2) { edges { node { name } } } }"`, `product_connection`},
		"a read that writes":  {`"role":"admin","query":"{ product { noted } }"`, `but got`},
	} {
		if a := s.call(owner, "PUT", project+"/permission-tests", `{"permission_tests":[{"name":"t",`+test.test+`}]}`); a.status != 422 || !strings.Contains(strings.ReplaceAll(a.text, `\\`, ``), test.want) {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the handlers were called %d times", n)
	}
}
