package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tenantry/services/revision"
)

func TestEachRuleOfRiskyPermissionsFindsWhatIsRiskyAndNothingElse(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	tenantSQL(t, s, project, `CREATE TABLE note (id int PRIMARY KEY, body text, user_id int, api_token text)`)
	s.want(200, owner, "POST", project+"/tables:track", `{"tables":[{"schema":"public","name":"note"}]}`)
	s.want(200, owner, "PUT", project+"/auth", `{"unauthorized_role":"guest"}`)
	found := func(rule, object string) bool {
		t.Helper()
		items, _ := s.want(200, owner, "GET", project+"/access/findings", "").at(t, "findings").([]any)
		for _, item := range items {
			if one := item.(map[string]any); one["rule"] == rule && one["object"] == object {
				return true
			}
		}
		return false
	}
	const mine = `{"user_id":{"_eq":"X-Hasura-User-Id"}}`
	selects := func(role, columns, rest string) string {
		return fmt.Sprintf(`{"select_permissions":[{"role":%q,"permission":{"columns":%s,%s}}]}`, role, columns, rest)
	}
	inserts := func(role, columns, rest string) string {
		return fmt.Sprintf(`{"insert_permissions":[{"role":%q,"permission":{"columns":%s,%s}}]}`, role, columns, rest)
	}
	updates := func(columns, filter, check string) string {
		return fmt.Sprintf(`{"update_permissions":[{"role":"user","permission":{"columns":%s,"filter":%s,"check":%s}}]}`, columns, filter, check)
	}
	both := func(user, critic string) string {
		return fmt.Sprintf(`{"select_permissions":[{"role":"user","permission":{"columns":["id"],"filter":%s}},{"role":"critic","permission":{"columns":["id"],"filter":%s}}]}`, user, critic)
	}
	for _, test := range []struct {
		rule string
		bad  []string
		good []string
	}{
		{"select-all-owners", []string{selects("user", `["id","user_id"]`, `"filter":{}`), selects("user", `"*"`, `"filter":{}`)},
			[]string{selects("user", `["id","user_id"]`, `"filter":`+mine), selects("user", `["id","body"]`, `"filter":{}`)}},
		{"secret-column", []string{selects("user", `["id","api_token"]`, `"filter":`+mine)}, []string{selects("user", `["id","body"]`, `"filter":`+mine)}},
		{"aggregate-without-limit", []string{selects("user", `["id"]`, `"filter":{},"allow_aggregations":true`)},
			[]string{selects("user", `["id"]`, `"filter":{},"allow_aggregations":true,"limit":10`), selects("user", `["id"]`, `"filter":`+mine+`,"allow_aggregations":true`), selects("user", `["id"]`, `"filter":{}`)}},
		{"update-all-rows", []string{updates(`["body"]`, `{}`, `{}`)}, []string{updates(`["body"]`, mine, `{}`)}},
		{"delete-all-rows", []string{`{"delete_permissions":[{"role":"user","permission":{"filter":{}}}]}`}, []string{`{"delete_permissions":[{"role":"user","permission":{"filter":` + mine + `}}]}`}},
		{"owner-column-unchecked", []string{inserts("user", `["id","user_id"]`, `"check":{}`), updates(`["user_id"]`, mine, `{}`)},
			[]string{inserts("user", `["id","user_id"]`, `"check":`+mine), inserts("user", `["id"]`, `"check":{},"set":{"user_id":"X-Hasura-User-Id"}`), updates(`["user_id"]`, mine, mine)}},
		{"public-mutation", []string{inserts("guest", `["id"]`, `"check":{}`), `{"delete_permissions":[{"role":"guest","permission":{"filter":` + mine + `}}]}`},
			[]string{inserts("user", `["id"]`, `"check":{}`), selects("guest", `["id"]`, `"filter":{}`)}},
		{"inherited-role-widens", []string{both(`{}`, mine), both(mine, `{}`)}, []string{both(mine, mine), both(`{}`, `{}`)}},
	} {
		for i, table := range append(append([]string{}, test.bad...), test.good...) {
			s.want(200, owner, "PUT", project+"/tables/public.note", table)
			if got, want := found(test.rule, "default.public.note"), i < len(test.bad); got != want {
				t.Errorf("%s: found %v, expected %v of %s", test.rule, got, want, table)
			}
		}
	}
	action := func(method, path, kind, role string) {
		t.Helper()
		status := 200
		if method == "POST" {
			status = 201
		}
		s.want(status, owner, method, project+path, fmt.Sprintf(`{"name":"poke","handler":"http://127.0.0.1:1/","permissions":[%q],"definition":"type %s { poke: Poked } type Poked { id: Int }"}`, role, kind))
	}
	action("POST", "/actions", "Mutation", "guest")
	if !found("public-mutation", "poke") {
		t.Error("an action for everybody that changes something is not found")
	}
	for kind, role := range map[string]string{"Mutation": "user", "Query": "guest"} {
		if action("PUT", "/actions/poke", kind, role); found("public-mutation", "poke") {
			t.Errorf("a %s of the role %s is found", kind, role)
		}
	}
}

func TestSavedOperationsThatBreakAreFindingsAndInTheAudit(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	saved := strings.TrimSuffix(guarded, "}") + `,"query_collections":[{"name":"c","definition":{"queries":[{"name":"names","query":"{ product { name } }"},{"name":"stars","query":"{ review { stars } }"}]}}],
		"allowlist":[{"collection":"c","scope":{"global":false,"roles":["chief"]}}],
		"rest_endpoints":[{"name":"stars","url":"stars","methods":["GET"],"definition":{"query":{"collection_name":"c","query_name":"stars"}}}]}`
	s.want(200, owner, "PUT", project+"/metadata", saved)
	findings := func() string { return s.want(200, owner, "GET", project+"/access/findings", "").text }
	if text := findings(); strings.Contains(text, "broken-") {
		t.Fatal(text)
	}
	a := s.want(200, owner, "PUT", project+"/metadata", strings.Replace(saved, `["id","stars"]`, `["id"]`, 1))
	for _, want := range []string{`"broken_operations":[{"collection":"c","query":"stars","role":"chief","reason":"field 'stars'`, `"broken_endpoints":[{"name":"stars","role":"chief"`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("the change tells %s, not %s", a.text, want)
		}
	}
	if text := findings(); !strings.Contains(text, `"rule":"broken-operation"`) || !strings.Contains(text, `"$.query_collections[0].definition.queries[1]"`) || strings.Contains(text, "broken-endpoint") {
		t.Errorf("of a role: %s", text)
	}
	s.want(200, owner, "PUT", project+"/metadata", saved)
	tenantSQL(t, s, project, `ALTER TABLE review DROP COLUMN stars`)
	if _, err := s.revisions.Apply(t.Context(), project[strings.LastIndex(project, "/")+1:], revision.Change{Action: "metadata.follow", Introspect: true, AllowInconsistent: true}); err != nil {
		t.Fatal(err)
	}
	if text := findings(); !strings.Contains(text, `"rule":"broken-endpoint"`) || !strings.Contains(text, "valid for nobody") {
		t.Errorf("of everybody: %s", text)
	}
	if text := s.want(200, owner, "GET", project+"/audit?kind=change", "").text; !strings.Contains(text, `"broken_endpoints":["stars admin"`) || !strings.Contains(text, `"broken_operations":["c/stars chief"]`) {
		t.Errorf("the audit: %s", text)
	}
}

func TestAPolicyThatBreaksSavedOperationsTellsSo(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	saved := strings.TrimSuffix(guarded, "}") + `,"query_collections":[{"name":"c","definition":{"queries":[
			{"name":"names","query":"{ product { name } }"}, {"name":"stars","query":"query ($w: review_bool_exp!) { review(where: $w) { stars } }"}]}}],
		"allowlist":[{"collection":"c","scope":{"global":false,"roles":["chief"]}}],
		"rest_endpoints":[{"name":"stars","url":"stars","methods":["GET"],"definition":{"query":{"collection_name":"c","query_name":"stars"}}}]}`
	s.want(200, owner, "PUT", project+"/metadata", saved)
	put := func(rules string) string {
		t.Helper()
		return s.want(200, owner, "PUT", project+"/policies/a.rego", fmt.Sprintf(`{"text":%q}`, "package authz\n"+rules)).text
	}
	findings := func() string { return s.want(200, owner, "GET", project+"/access/findings", "").text }
	const (
		products = "allow if { input.point == \"root_field\"; input.resource.name == \"product\" }\nallow if input.point == \"operation\"\n"
		mine     = products + "allow if { input.point == \"root_field\"; input.session.variables[\"x-hasura-user-id\"] == \"7\" }\n"
	)
	if text := put(mine); strings.Contains(text, "broken") { // some session may
		t.Errorf("a rule on the session tells %s", text)
	}
	if text := findings(); strings.Contains(text, "broken-") {
		t.Errorf("found %s", text)
	}
	text := put(products)
	for _, want := range []string{
		`"broken_operations":[{"collection":"c","query":"stars","role":"chief","reason":"the policy denies the field 'review'"}]`,
		`"broken_endpoints":[{"name":"stars","role":"chief","reason":"the policy denies the field 'review'"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the change tells %s, not %s", text, want)
		}
	}
	if text := put(products + "# again"); strings.Contains(text, "broken") {
		t.Errorf("what was broken before is told: %s", text)
	}
	if text := findings(); !strings.Contains(text, `"rule":"broken-operation"`) || !strings.Contains(text, `"rule":"broken-endpoint"`) {
		t.Errorf("found %s", text)
	}
	if text := s.want(200, owner, "GET", project+"/audit?kind=change", "").text; !strings.Contains(text, `"broken_operations":["c/stars chief"]`) || !strings.Contains(text, `"broken_endpoints":["stars chief"`) {
		t.Errorf("the audit: %s", text)
	}
}

func TestALimitThatRefusesEverythingIsValidAndFound(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	for limits, want := range map[string][]string{
		`{"rate_limit":{"global":{"max_reqs_per_min":0},"per_role":{"user":{"max_reqs_per_min":0},"critic":{"max_reqs_per_min":1}}}}`: {
			"rate_limit  $.api_limits.rate_limit.global.max_reqs_per_min", "rate_limit user $.api_limits.rate_limit.per_role.user.max_reqs_per_min"},
		`{"depth_limit":{"global":5,"per_role":{"user":0,"admin":0}}}`:                 {"depth_limit user $.api_limits.depth_limit.per_role.user"},
		`{"cost_budget":{"global":{"max_cost_per_min":0}}}`:                            {"cost_budget  $.api_limits.cost_budget.global.max_cost_per_min"},
		`{"disabled":true,"rate_limit":{"global":{"max_reqs_per_min":0}}}`:             nil,
		`{"alias_limit":{"global":0},"rate_limit":{"global":{"max_reqs_per_min":60}}}`: nil,
	} {
		s.want(200, owner, "PUT", project+"/limits", limits)
		var got []string
		items, _ := s.want(200, owner, "GET", project+"/access/findings", "").at(t, "findings").([]any)
		for _, item := range items {
			if one := item.(map[string]any); one["rule"] == "limit-refuses-all" {
				got = append(got, fmt.Sprint(one["object"], " ", one["role"], " ", one["path"]))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %q, expected %q", limits, got, want)
		}
	}
}
