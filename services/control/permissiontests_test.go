package control_test

import (
	"strings"
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
