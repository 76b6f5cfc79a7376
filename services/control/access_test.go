package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// guarded is metadata of the shop with a role that reads and writes a part of it.
const guarded = `{"version":3,"inherited_roles":[{"role_name":"chief","role_set":["user","critic"]}],"sources":[{"name":"default","kind":"postgres",
 "configuration":{"connection_info":{"database_url":{"from_env":"TENANTRY_DATABASE"}}},"tables":[
 {"table":{"schema":"public","name":"product"},
  "array_relationships":[{"name":"reviews","using":{"foreign_key_constraint_on":{"table":{"schema":"public","name":"review"},"column":"product_id"}}}],
  "select_permissions":[{"role":"user","permission":{"columns":["id","name"],"filter":{"id":{"_eq":"X-Hasura-Product"}},"limit":5}}]},
 {"table":{"schema":"public","name":"review"},
  "select_permissions":[{"role":"critic","permission":{"columns":["id","stars"],"filter":{},"allow_aggregations":true}}],
  "insert_permissions":[{"role":"critic","permission":{"columns":["stars"],"check":{"stars":{"_gt":0}},"set":{"product_id":"x-hasura-product"},"backend_only":true}}]}]}]}`

// accessProject is a project with the guarded metadata.
func accessProject(t *testing.T) (*server, string, string) {
	t.Helper()
	s := start(t)
	tenant, owner := s.tenant("Access")
	project := s.project(tenant, owner, "access")
	s.want(200, owner, "PUT", project+"/metadata", guarded)
	return s, owner, project
}

func TestAccessIsToldByRoleTableActionAndSession(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	s.want(201, owner, "POST", project+"/actions",
		`{"name":"restock","definition":"type Mutation { restock(n: Int!): Restocked }  type Restocked { n: Int }","handler":"http://127.0.0.1:1/","permissions":["user"]}`)
	for _, test := range []struct{ name, method, path, body, at, want string }{
		{"the roles", "GET", "/access/roles", "", "roles", `["chief","critic","user"]`},
		{"a role's rows", "GET", "/access/roles/user", "", "tables.0.select.filter", `"id eq session(x-hasura-product)::int4"`},
		{"a role's columns", "GET", "/access/roles/user", "", "tables.0.select.columns", `[{"column":"id","field":"id"},{"column":"name","field":"name"}]`},
		{"where a rule stands", "GET", "/access/roles/user", "", "tables.0.select.rules", `["$.sources[0].tables[0].select_permissions[0]"]`},
		{"a role's root fields", "GET", "/access/roles/user", "", "query_fields", `[{"kind":"select","name":"product","of":"default.public.product"},{"kind":"select_by_pk","name":"product_by_pk","of":"default.public.product"}]`},
		{"a role's actions", "GET", "/access/roles/user", "", "actions", `["restock"]`},
		{"what backends alone may do", "GET", "/access/roles/critic", "", "mutation_fields.0.backend_only", `true`},
		{"what an inherited role unites", "GET", "/access/roles/chief", "", "inherits", `["critic","user"]`},
		{"a relationship that only both roles together reach", "GET", "/access/roles/chief", "", "tables.0.select.relationships", `["reviews","reviews_aggregate"]`},
		{"presets", "GET", "/access/roles/critic", "", "tables.0.insert.presets", `{"product_id":"session(x-hasura-product)::int4"}`},
		{"a role that is nobody's", "GET", "/access/roles/stranger", "", "known", `false`},
		{"a table's roles", "GET", "/access/tables/public.review", "", "roles.0.role", `"chief"`},
		{"a table with its source", "GET", "/access/tables/default.public.review", "", "roles.1.role", `"critic"`},
		{"an action's roles", "GET", "/access/actions/restock", "", "roles", `[{"role":"chief","via":["user"]},{"role":"user"}]`},
		{"a session's rows", "POST", "/access:effective", `{"session_variables":{"X-Hasura-Role":"user","X-Hasura-Product":"7"}}`, "tables.0.select.filter", `"id eq \"7\"::int4"`},
		{"what a session lacks", "POST", "/access:effective", `{"role":"user"}`, "missing", `["x-hasura-product"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.want(200, owner, test.method, project+test.path, test.body)
			got, err := json.Marshal(a.at(t, test.at))
			if err != nil || string(got) != test.want {
				t.Errorf("%s %s: got %s, want %s\n%s", test.path, test.at, got, test.want, a.text)
			}
		})
	}
	for _, path := range []string{"/access/tables/public.none", "/access/actions/none"} {
		s.want(404, owner, "GET", project+path, "")
	}
	s.want(422, owner, "POST", project+"/access:effective", `{"role":"user","session_variables":{"x-hasura-role":"critic"}}`)
	s.want(422, owner, "POST", project+"/access:effective", `{"role":"user","session_variables":{"product":"1"}}`)
}

func TestARefusalIsExplainedByTheRuleThatRefuses(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	for _, test := range []struct {
		role, query string
		rules       string // of the refusals, in order
		pointer     string // of the first
	}{
		{"user", "{ product { id name } }", "", ""},
		{"user", "{ review { id } }", "select_permission", "$.sources[0].tables[1].select_permissions"},
		{"user", "{ product { id reviews { id } } }", "select_permission", "$.sources[0].tables[1].select_permissions"},
		{"user", "{ product_aggregate { aggregate { count } } review { id } }", "allow_aggregations select_permission", "$.sources[0].tables[0].select_permissions[0]"},
		{"critic", "{ review { id product_id } }", "columns", "$.sources[0].tables[1].select_permissions[0]"},
		{"critic", "{ review(where: {product_id: {_eq: 1}}) { id } }", "columns", "$.sources[0].tables[1].select_permissions[0]"},
		{"critic", "mutation { insert_review_one(object: {stars: 1}) { id } }", "backend_only", "$.sources[0].tables[1].insert_permissions[0]"},
		{"critic", "mutation { delete_review(where: {}) { affected_rows } }", "delete_permission", "$.sources[0].tables[1].delete_permissions"},
		{"critic", "{ nothing { id } }", "operation", ""},
	} {
		t.Run(test.role+" "+test.query, func(t *testing.T) {
			body := must(json.Marshal(map[string]any{"role": test.role, "session_variables": map[string]string{"x-hasura-product": "1"}, "query": test.query}))(t)
			a := s.want(200, owner, "POST", project+"/access:explain", string(body))
			var got struct {
				Allowed  bool
				Refusals []struct{ Rule, Pointer, Reason string }
			}
			if err := json.Unmarshal([]byte(a.text), &got); err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, r := range got.Refusals {
				rules = append(rules, r.Rule)
			}
			if strings.Join(rules, " ") != test.rules || got.Allowed != (test.rules == "") || len(rules) > 0 && got.Refusals[0].Pointer != test.pointer {
				t.Errorf("got %s", a.text)
			}
		})
	}
	a := s.want(200, owner, "POST", project+"/access:explain", `{"role":"user","query":"{ product { id } }"}`)
	if a.at(t, "stage") != "session" || a.at(t, "missing.0") != "x-hasura-product" || !strings.Contains(a.str(t, "sql.0"), "SELECT") {
		t.Errorf("without the variable: %s", a.text)
	}
}

func TestTheExplanationHasThePolicysReasons(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	s.want(200, owner, "PUT", project+"/policies/main", `{"text":"package authz\n\nallow if input.session.variables[\"x-hasura-level\"] == \"9\"\n\nreason contains \"level 9 is needed\" if input.session.variables[\"x-hasura-level\"] != \"9\"\n\nfilter if input.row.id > 1\n"}`)
	for level, allowed := range map[string]bool{"9": true, "1": false} {
		a := s.want(200, owner, "POST", project+"/access:explain", fmt.Sprintf(
			`{"role":"critic","session_variables":{"x-hasura-level":%q},"query":"{ review { id } }"}`, level))
		if a.at(t, "allowed") != allowed || allowed == strings.Contains(a.text, "level 9 is needed") || !strings.Contains(a.text, `id gt`) {
			t.Errorf("level %s: %s", level, a.text)
		}
		if got := fmt.Sprint(a.at(t, "policy_points")); got != "[root_field action row_filter insert_check update_check]" {
			t.Errorf("points: %s", got)
		}
	}
}

func TestASessionIsExplainedAsItIsLetIn(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	s.want(200, owner, "PUT", project+"/policies/main", `{"text":"package authz\n\nallow if input.session.auth == \"delegation\"\n\nfilter if {\n\tinput.session.auth == \"delegation\"\n\tinput.row.id > 1\n}\n"}`)
	for auth, allowed := range map[string]bool{"": false, "jwt": false, "webhook": false, "delegation": true} {
		body := `{"role":"critic","query":"{ review { id } }"`
		if auth != "" {
			body += fmt.Sprintf(`,"auth":%q`, auth)
		}
		if a := s.want(200, owner, "POST", project+"/access:explain", body+"}"); a.at(t, "allowed") != allowed {
			t.Errorf("%q: %s", auth, a.text)
		}
	}
	s.want(422, owner, "POST", project+"/access:explain", `{"role":"critic","query":"{ review { id } }","auth":"magic"}`)
	s.want(200, owner, "POST", project+"/access:effective", `{"role":"critic","auth":"delegation"}`)
}

func TestTheDifferenceOfTwoRevisionsTellsWhoGainsAndLoses(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	before := s.want(200, owner, "GET", project+"/metadata", "").header.Get("ETag")
	changed := strings.NewReplacer(`"columns":["id","name"],"filter":{"id":{"_eq":"X-Hasura-Product"}},"limit":5`, `"columns":["id"],"filter":{},"limit":9`,
		`"allow_aggregations":true`, `"allow_aggregations":false`, `"backend_only":true`, `"backend_only":false`).Replace(guarded)
	s.want(200, owner, "PUT", project+"/metadata", changed)
	a := s.want(200, owner, "POST", project+"/access:diff", `{"from":`+strings.Trim(before, `"`)+`}`)
	var got struct {
		Widened bool
		Changes []struct {
			Role, Object, Permission, Change, Effect string
			Lost                                     []string `json:"columns_lost"`
			Rules                                    []struct{ Part, From, To string }
		} `json:"access_changes"`
	}
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range got.Changes {
		line := fmt.Sprintf("%s %s %s %s %v", c.Role, c.Object, c.Permission, c.Effect, c.Lost)
		for _, r := range c.Rules {
			line += fmt.Sprintf(" %s: %s → %s;", r.Part, r.From, r.To)
		}
		lines = append(lines, line)
	}
	want := `chief default.public.product select unclear [name] filter: id eq session(x-hasura-product)::int4 → true; limit: 5 → 9;
chief default.public.review insert widened [] backend_only: true → false;
chief default.public.review select narrowed [] allow_aggregations: true → false; query_root_fields: select, select_by_pk, select_aggregate → select, select_by_pk; subscription_root_fields: select, select_by_pk, select_aggregate, select_stream → select, select_by_pk, select_stream;
critic default.public.review insert widened [] backend_only: true → false;
critic default.public.review select narrowed [] allow_aggregations: true → false; query_root_fields: select, select_by_pk, select_aggregate → select, select_by_pk; subscription_root_fields: select, select_by_pk, select_aggregate, select_stream → select, select_by_pk, select_stream;
user default.public.product select unclear [name] filter: id eq session(x-hasura-product)::int4 → true; limit: 5 → 9;`
	if strings.Join(lines, "\n") != want || !got.Widened {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	s.want(422, owner, "POST", project+"/access:diff", `{"from":99}`)
}

func TestRiskyPermissionsAreFound(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	tenantSQL(t, s, project, `CREATE TABLE note (id int PRIMARY KEY, user_id int, api_token text)`)
	s.want(200, owner, "POST", project+"/tables:track", `{"tables":[{"schema":"public","name":"note"}]}`)
	s.want(200, owner, "PUT", project+"/auth", `{"unauthorized_role":"guest"}`)
	s.want(200, owner, "PUT", project+"/tables/public.note", `{
	 "select_permissions":[{"role":"user","permission":{"columns":"*","filter":{},"allow_aggregations":true}},
	  {"role":"critic","permission":{"columns":["id"],"filter":{"user_id":{"_eq":"x-hasura-user-id"}}}}],
	 "insert_permissions":[{"role":"guest","permission":{"columns":["id","user_id"],"check":{}}}],
	 "update_permissions":[{"role":"user","permission":{"columns":["id"],"filter":{}}}],
	 "delete_permissions":[{"role":"user","permission":{"filter":{}}}]}`)
	a := s.want(200, owner, "GET", project+"/access/findings", "")
	for _, want := range []string{"select-all-owners user select", "secret-column user select", "aggregate-without-limit user select", "public-mutation guest insert",
		"owner-column-unchecked guest insert", "update-all-rows user update", "delete-all-rows user delete", "inherited-role-widens chief inherited_roles"} {
		part := strings.Fields(want)
		if !strings.Contains(a.text, `"rule":"`+part[0]+`"`) || !strings.Contains(a.text, `"role":"`+part[1]+`"`) || !strings.Contains(a.text, part[2]) {
			t.Errorf("%s is not found: %s", want, a.text)
		}
	}
	if strings.Contains(a.text, "default.public.product") && strings.Contains(a.text, `"object":"default.public.product","path":"$.sources[0].tables`) {
		t.Errorf("what is narrow is found as well: %s", a.text)
	}
}

func TestTheRulesThatOneRowPassesAreTold(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	tenantSQL(t, s, project, `INSERT INTO product (name) VALUES ('Tea'), ('Mate'); INSERT INTO review (product_id, stars) VALUES (1, 5)`)
	s.want(200, owner, "PUT", project+"/policies/main", `{"text":"package authz\n\nfilter if {\n\tinput.row.id < 2\n\tinput.row.name != input.session.variables[\"x-hasura-not\"]\n}\n\nfilter if input.resource.name != \"product\"\n"}`)
	ask := func(session, table, key string) answer {
		return s.call(owner, "POST", project+"/access:explain", fmt.Sprintf(`{%s,"query":"{ __typename }","row":{"table":%q,"primary_key":%s}}`, session, table, key))
	}
	const user = `"role":"user","session_variables":{"x-hasura-product":"1","x-hasura-not":"Tea"}`
	for _, test := range []struct{ name, session, table, key, reached, rules string }{
		{"what the policy refuses", user, "public.product", `{"id":1}`, "[]", "select permission matched, select policy not matched (matched, not matched)"},
		{"what both refuse", user, "public.product", `{"id":2}`, "[]", "select permission not matched, select policy not matched (not matched, matched)"},
		{"what both let through", `"role":"user","session_variables":{"x-hasura-product":"1","x-hasura-not":"Mate"}`, "default.public.product", `{"id":"1"}`, "[select]",
			"select permission matched, select policy matched (matched, matched)"},
		{"by an inherited role", `"role":"chief"`, "public.review", `{"id":1}`, "[select]", "select permission matched, select policy matched"},
		{"a row that there is not", user, "public.product", `{"id":9}`, "[]", ""},
		{"a table that the role lacks", user, "public.review", `{"id":1}`, "[]", ""},
		{"an admin", `"role":"admin"`, "public.review", `{"id":1}`, "[select update delete]", ""},
		{"a variable that the session lacks", `"role":"user"`, "public.product", `{"id":1}`, "[]", ""},
	} {
		a := ask(test.session, test.table, test.key)
		if a.status != 200 {
			t.Errorf("%s: %d %s", test.name, a.status, a.text)
			continue
		}
		var rules []string
		for _, one := range a.at(t, "row.rules").([]any) {
			rule := one.(map[string]any)
			text := fmt.Sprintf("%v %v %v", rule["kind"], rule["rule"], rule["result"])
			var parts []string
			list, _ := rule["parts"].([]any)
			for _, part := range list {
				parts = append(parts, fmt.Sprint(part.(map[string]any)["result"]))
			}
			if parts != nil {
				text += " (" + strings.Join(parts, ", ") + ")"
			}
			rules = append(rules, text)
		}
		if got := fmt.Sprint(a.at(t, "row.reached")); got != test.reached || strings.Join(rules, ", ") != test.rules {
			t.Errorf("%s: reached %s, %s\n%s", test.name, got, rules, a.text)
		}
		if lacks := strings.Contains(test.name, "lacks") && test.table == "public.product"; lacks != (a.at(t, "row.error") != nil) {
			t.Errorf("%s: %s", test.name, a.text)
		}
	}
	for _, wrong := range [][2]string{{"public.none", `{"id":1}`}, {"public.product", `{}`}, {"public.product", `{"id":"x"}`}, {"public.product", `{"id":1,"name":"Tea"}`}} {
		if a := ask(user, wrong[0], wrong[1]); a.status != 422 {
			t.Errorf("%s: %d %s", wrong, a.status, a.text)
		}
	}
	viewer := s.key("access", owner, "viewer")
	s.want(403, viewer, "POST", project+"/access:explain", `{"role":"user","query":"{ __typename }","row":{"table":"public.product","primary_key":{"id":1}}}`)
	s.want(200, viewer, "POST", project+"/access:explain", `{"role":"user","query":"{ __typename }"}`)
}
