package policytest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/prometheus/client_golang/prometheus"

	"tenantry/api/graphqlhttp"
	"tenantry/ops/metrics"
	"tenantry/services/engine/instance"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

var acme = map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "u1", "x-hasura-org": "acme"}

// operations reach docs in the ways that rows can be reached.
var operations = []string{
	`{ docs { id title } }`,
	`{ docs_by_pk(id: 3) { id } }`,
	`{ docs_aggregate { aggregate { count max { n } } nodes { id } } }`,
	`{ people { id docs { id } docs_aggregate { aggregate { count } } } }`,
	`{ people(order_by: {docs_aggregate: {count: asc}}, where: {docs: {n: {_gt: 1}}}) { id } }`,
	`{ comments(limit: 3) { author { docs(limit: 2) { title } } } }`,
	`mutation { update_docs(where: {n: {_eq: 1}}, _set: {title: "x"}) { affected_rows returning { id author { docs { id } } } } }`,
	`mutation { update_docs_by_pk(pk_columns: {id: 1}, _inc: {n: 1}) { id } }`,
	`mutation { delete_docs(where: {id: {_eq: 1}}) { affected_rows } }`,
	`mutation { insert_docs(objects: [{id: 1000, org: "acme"}]) { affected_rows } }`,
	`mutation { insert_docs_one(object: {id: 1000, org: "acme"}, on_conflict: {constraint: docs_pkey, update_columns: [title]}) { id } }`,
	`mutation { insert_people_one(object: {id: 1000, docs: {data: [{id: 1001, org: "acme"}]}}) { id } }`,
}

// same are policies and the permissions that say the same.
var same = []struct{ name, policy, rule string }{
	{"a session variable", `filter if input.row.org == input.session.variables["x-hasura-org"]`, `{"org": {"_eq": "X-Hasura-Org"}}`},
	{"an alias", `filter if { org := input.session.variables["x-hasura-org"]; input.row.org == org }`, `{"org": {"_eq": "X-Hasura-Org"}}`},
	{"several rules", `filter if input.row.public` + "\nfilter if input.row.n > 3", `{"_or": [{"public": {"_eq": true}}, {"n": {"_gt": 3}}]}`},
	{"a list", `filter if input.row.org in {"acme", "b"}`, `{"org": {"_in": ["acme", "b"]}}`},
	{"a relationship", `filter if { some c in input.row.comments; c.author.org == input.session.variables["x-hasura-org"] }`,
		`{"comments": {"author": {"org": {"_eq": "x-hasura-org"}}}}`},
	{"null", `filter if input.row.title != null`, `{"title": {"_is_null": false}}`},
}

func TestAPolicyCostsWhatTheEquivalentPermissionCosts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Other tables have no rule, so the policy has to let them pass.
	const rest = "\nfilter if input.resource.name != \"docs\"\n"
	for _, test := range same {
		policy := strings.ReplaceAll("package authz\n"+test.policy+rest, "filter if input.row", `filter if input.resource.name == "docs"; input.row`)
		policy = strings.ReplaceAll(policy, `filter if input.resource.name == "docs"; input.row`, "filter if { docs; input.row")
		policy = strings.ReplaceAll(policy, "filter if { org", "filter if { docs; org")
		policy = strings.ReplaceAll(policy, "filter if { some", "filter if { docs; some")
		policy = closed(policy) + "docs if input.resource.name == \"docs\"\n"
		permitted, ruled := b.engine(t, test.rule, "", ""), b.engine(t, "{}", policy, tenant)
		for _, query := range operations {
			want, err := permitted.Program("user", query, "", nil)
			must(t, err)
			got, err := ruled.Program("user", query, "", nil)
			must(t, err)
			if !slices.Equal(got.Statements(), want.Statements()) {
				t.Errorf("%s: %s\ngot  %s\nwant %s", test.name, query, got.Statements(), want.Statements())
			}
		}
	}
}

// closed ends the braces that were opened at the beginning of a line.
func closed(policy string) string {
	lines := strings.Split(policy, "\n")
	for i, line := range lines {
		if strings.Count(line, "{") > strings.Count(line, "}") {
			lines[i] += " }"
		}
	}
	return strings.Join(lines, "\n")
}

func TestWarmQueriesOfTablesEvaluateNoRego(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine := b.engine(t, "{}", `package authz
allow if input.session.variables["x-hasura-user-id"] in {m.user | some m in data.tenant.members}
filter if { some m in data.tenant.members; m.user == input.session.variables["x-hasura-user-id"]; input.row.org == m.org }
filter if input.resource.name != "docs"
masks.title := "***" if input.session.variables["x-hasura-user-id"] != "u2"`, tenant)
	query := `{ docs(limit: 1) { title author { docs(limit: 1) { id } } } }`
	_, err := ask(t, engine, acme, query)
	must(t, err)
	before := engine.Work().Evaluations
	if before == 0 {
		t.Fatal("nothing was evaluated for the first query: the test asks nothing")
	}
	for range 1000 {
		_, err := ask(t, engine, acme, query)
		must(t, err)
	}
	if n := engine.Work().Evaluations - before; n != 0 {
		t.Errorf("1000 warm queries evaluated Rego %d times", n)
	}
}

func TestInsertedUpdatedAndDeletedRowsAreThoseThatOPAAllows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := `package authz
filter if { input.point == "row_filter"; input.operation.type == "query"; input.row.n > 0 }
filter if { input.point == "row_filter"; input.operation.type == "mutation"; input.row.owner == input.session.variables["x-hasura-user-id"] }
filter if { input.point == "insert_check"; input.row.org == input.session.variables["x-hasura-org"] }
filter if { input.point == "update_check"; not input.row.hidden }`
	engine, judge := b.engine(t, "{}", text, tenant), newOracle(t, text)
	allows := func(point string, of row) bool {
		return judge.allows(request(acme, point, "mutation", ast.NewTerm(ast.MustInterfaceToValue(whole(b.data, "docs", of, 1, false)))))
	}
	counts := map[string]int{}
	for n, of := range b.data["docs"][:60] {
		made := row{"id": 5000 + n, "org": of["org"]}
		org := "null"
		if of["org"] != nil {
			org = fmt.Sprintf("%q", of["org"])
		}
		_, err := ask(t, engine, acme, fmt.Sprintf(`mutation { insert_docs_one(object: {id: %d, org: %s}) { id } }`, 5000+n, org))
		if allows("insert_check", made) != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), "permission-error") {
			t.Errorf("insert of %v: %v", made, err)
		}
		hidden := n%2 == 0
		answer, err := ask(t, engine, acme, fmt.Sprintf(`mutation { update_docs_by_pk(pk_columns: {id: %d}, _set: {hidden: %t}) { id } }`, of["id"], hidden))
		changed := row{"id": of["id"], "owner": of["owner"], "hidden": hidden}
		seen := allows("row_filter", of)
		switch {
		case !seen && (err != nil || answer["update_docs_by_pk"] != nil):
			t.Errorf("update of %v: %v %v", of, answer, err)
		case seen && allows("update_check", changed) != (err == nil):
			t.Errorf("update of %v: %v", changed, err)
		}
		counts[fmt.Sprint("seen ", seen, " written ", err == nil)]++
		answer, err = ask(t, engine, acme, fmt.Sprintf(`mutation { delete_docs_by_pk(id: %d) { id } }`, of["id"]))
		if err != nil || seen != (answer["delete_docs_by_pk"] != nil) {
			t.Errorf("delete of %v: %v %v", of, answer, err)
		}
	}
	if len(counts) < 3 {
		t.Errorf("the test tries too little: %v", counts)
	}
}

func TestColumnsAndMasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine := b.engine(t, "{}", `package authz
column := input.resource.columns[0]
allow_column if not column in {"big", "code", "price"}
allow_column if { column == "price"; input.row.public }
allow_column if { column == "code"; input.session.variables["x-hasura-org"] == "acme" }
masks.title := null if not input.row.public
masks.owner := "***"
masks.n := input.row.id if input.row.n > 2
masks.hidden := false if input.session.role == "other"`, tenant)
	for _, query := range []string{`{ docs { big } }`, `{ docs(where: {big: {_eq: 1}}) { id } }`, `{ docs(order_by: {big: asc}) { id } }`, `mutation { insert_docs_one(object: {big: 1}) { id } }`} {
		if _, err := ask(t, engine, acme, query); err == nil || !strings.HasPrefix(err.Error(), "validation-failed") {
			t.Errorf("%s: a column that is not allowed: %v", query, err)
		}
	}
	for _, variables := range []map[string]string{acme, sessions[1]} {
		answer, err := ask(t, engine, variables, `{ docs(order_by: {id: asc}) { id title owner n price code hidden public } }`)
		must(t, err)
		for id, one := range answer["docs"].([]any) {
			got, stored := one.(map[string]any), b.data["docs"][id]
			public := stored["public"] == true
			want := map[string]any{"title": nil, "owner": "***", "price": nil, "code": nil, "n": stored["n"], "hidden": stored["hidden"]}
			if public {
				want["title"], want["price"] = stored["title"], stored["price"]
			}
			if variables["x-hasura-org"] == "acme" {
				want["code"] = stored["code"]
			}
			if n, ok := stored["n"].(int); ok && n > 2 {
				want["n"] = id
			}
			for name, value := range want {
				if fmt.Sprint(got[name]) != fmt.Sprint(value) && !strings.HasPrefix(fmt.Sprint(got[name]), "1.2345") {
					t.Errorf("row %d, %s: got %v, want %v", id, name, got[name], value)
				}
			}
		}
	}
	// What is masked cannot be asked for either.
	answer, err := ask(t, engine, acme, `{ docs(where: {owner: {_eq: "u1"}}) { id } hidden: docs_aggregate(where: {title: {_is_null: false}, public: {_is_null: true}}) { aggregate { count } } }`)
	must(t, err)
	if fmt.Sprint(answer) != "map[docs:[] hidden:map[aggregate:map[count:0]]]" {
		t.Errorf("got %v", answer)
	}
}

func TestVerdictsAreKnownWhenAnOperationIsPlanned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, test := range []struct {
		name, rules    string
		evaluations    int64 // of the second of two requests
		allowed, first bool
	}{
		{"always", `allow := true`, 0, true, false},
		{"always, for the role", `allow if input.session.role == "user"`, 0, true, false},
		{"never", `allow if input.session.role == "other"`, 1, false, true},
		{"maybe, by the session", `allow if input.session.variables["x-hasura-org"] == "acme"`, 0, true, true},
		{"maybe, by the arguments", `allow if input.args.limit < 10`, 1, true, true},
		{"maybe, by data", `allow if input.session.variables["x-hasura-user-id"] in {m.user | some m in data.tenant.members}`, 0, true, true},
		{"the operation by its name", `allow_operation if input.operation.name == "Read"`, 0, true, false},
		{"the operation by its type", `allow_operation if input.operation.type == "mutation"`, 1, false, true},
	} {
		engine := b.engine(t, "{}", "package authz\n"+test.rules, tenant)
		for round := range 2 {
			before := engine.Work().Evaluations
			_, err := ask(t, engine, acme, `query Read { docs(limit: 1) { id } }`)
			if (err == nil) != test.allowed || err != nil && !strings.Contains(err.Error(), "not permitted") {
				t.Errorf("%s: %v", test.name, err)
			}
			n := engine.Work().Evaluations - before
			if round == 0 && (n > 0) != test.first || round == 1 && n != test.evaluations {
				t.Errorf("%s: %d evaluations in round %d", test.name, n, round)
			}
		}
	}
}

func TestAnAdminIsNotAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	engine := b.engine(t, "{}", "package authz\nallow := false\nfilter := false\nmasks.title := null\nallow_column := false", tenant)
	s := userSession(map[string]string{})
	s.Role = "admin"
	response, trail := engine.Execute(t.Context(), s, instance.Request{Request: graphqlhttp.Request{Query: `{ docs_aggregate { aggregate { count(columns: title) } } }`}})
	if trail.Err != nil || strings.Contains(string(response.Body), `"count":0`) || engine.Work().Evaluations != 0 {
		t.Errorf("%s %v", response.Body, trail.Err)
	}
	if _, err := ask(t, engine, acme, `{ docs { id } }`); err == nil {
		t.Error("others are asked")
	}
}

func TestAPolicyOnTrialDecidesNothingAndIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	counts := metrics.New(prometheus.NewRegistry(), metrics.Options{})
	outside := b.outside
	outside.Metrics = counts.ForProject("shop")
	set := settings.Settings{
		Policies:       []settings.Policy{{Name: "main", Text: `package authz` + "\nallow if input.resource.name == \"docs\""}},
		ShadowPolicies: []settings.Policy{{Name: "main", Text: `package authz` + "\nallow if input.args.limit < 3\nallow if input.resource.name == \"people\""}},
	}
	engine, err := instance.Build(t.Context(), instance.Config{
		Project: tenants.Project{ID: "p1", Slug: "shop"}, Document: document(t, "{}"), Settings: set, Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
	}, outside)
	must(t, err)
	for _, query := range []string{`{ docs(limit: 1) { id } }`, `{ docs(limit: 5) { id } }`, `{ docs(limit: 5) { id } }`} {
		if _, err := ask(t, engine, acme, query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	if _, err := ask(t, engine, acme, `{ people(limit: 5) { id } }`); err == nil {
		t.Error("the policy on trial allowed")
	}
	var text bytes.Buffer
	must(t, counts.WriteProject(&text, "shop"))
	for _, line := range []string{
		`tenantry_policy_shadow_disagreements_total{decision="denied",point="root_field"} 2`,
		`tenantry_policy_shadow_disagreements_total{decision="allowed",point="root_field"} 1`,
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("missing %s in\n%s", line, text.String())
		}
	}
}

func TestFiltersChecksColumnsAndMasksOnTrialAreCompared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const now = `package authz
docs if input.resource.name == "docs"
filter if not docs
filter if { docs; some m in data.tenant.members; m.user == input.session.variables["x-hasura-user-id"]; input.row.org == m.org }
filter if { docs; input.point != "row_filter" }
masks.owner := "***" if not input.row.public
`
	for _, test := range []struct {
		name, then string // replaces now, or is added to it
		replace    bool
		query      string
		want       string
	}{
		{"the same", now, true, `{ docs(limit: 1) { owner author { docs(limit: 1) { title } } } }`, ""},
		{"the same with a rule more that is not met", now + "\nallow if input.resource.name != \"x\"\n", true, `{ docs(limit: 1) { id } }`, ""},
		{"more rows", "filter if input.row.public", false, `{ docs(limit: 1) { id } }`, "row_filter default.public.docs differs"},
		{"another table's rows, inside", "filter if { docs; input.point == \"row_filter\" }", false, `{ people(limit: 1) { id docs { id } } }`, "row_filter default.public.docs allowed"},
		{"no rows", "package authz\nfilter if input.resource.name != \"docs\"\nmasks.owner := \"***\" if not input.row.public\n", true, `{ docs { id } }`, "row_filter default.public.docs denied"},
		{"other values of the session", strings.Replace(now, "m.user == ", "m.user != ", 1), true, `{ docs(limit: 1) { id } }`, "row_filter default.public.docs differs"},
		{"a table that is not asked for", "filter if input.row.public", false, `{ comments(limit: 1) { id } }`, "row_filter default.public.comments differs"},
		{"an inserted row", strings.Replace(now, `input.point != "row_filter"`, `input.point == "update_check"`, 1), true, `mutation { insert_docs_one(object: {id: 7777, org: "x"}) { id } }`, "insert_check default.public.docs differs"},
		{"a mask", "masks.title := null", false, `{ docs(limit: 1) { title owner } }`, "column default.public.docs.title differs"},
		{"a mask of what is not selected", "masks.title := null", false, `{ docs(limit: 1) { id } }`, ""},
		{"no mask", strings.Replace(now, "masks.owner", "masks.title", 1), true, `{ docs(limit: 1) { owner } }`, "column default.public.docs.owner allowed"},
		{"a column", "allow_column if not \"price\" in input.resource.columns", false, `{ docs(limit: 1) { id price } }`, "column default.public.docs.price denied"},
	} {
		then := test.then
		if !test.replace {
			then = now + then + "\n"
		}
		// A test that speaks of comments has other rules for them.
		if test.name == "a table that is not asked for" {
			then = strings.Replace(then, "filter if not docs", "filter if { not docs; input.resource.name != \"comments\" }", 1)
		}
		engine, err := instance.Build(t.Context(), instance.Config{
			Project: tenants.Project{ID: "p1", Slug: "shop"}, Document: document(t, "{}"), Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
			Settings: settings.Settings{
				Policies: []settings.Policy{{Name: "main", Text: now}}, ShadowPolicies: []settings.Policy{{Name: "main", Text: then}}, PolicyData: []byte(tenant),
			},
		}, b.outside)
		must(t, err)
		for range 3 {
			if _, err := ask(t, engine, acme, test.query); err != nil && test.name != "an inserted row" {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		var got []string
		for _, d := range engine.Disagreements().Items {
			got = append(got, fmt.Sprintf("%s %s %s", d.Point, d.Resource, d.Trial))
			if d.Count != 3 && test.name != "an inserted row" || d.Role != "user" {
				t.Errorf("%s: %+v", test.name, d)
			}
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
