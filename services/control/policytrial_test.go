package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// orders is a module with tests: one condition of it is looked at by none.
const orders = `package authz

allow if input.session.role == "chief"

allow if {
	input.session.role == "critic"
	small
}

small if input.args.limit <= data.tenant.limit

small if {
	input.args.limit == 0
	input.args.offset == 0
}

reason contains "too many" if not small

filter if input.row.id > 1

test_small if allow with input as {"session": {"role": "critic"}, "args": {"limit": 1}}

test_large if {
	not allow with input as {"session": {"role": "critic"}, "args": {"limit": 20}}
}
`

func candidates(t *testing.T, more map[string]any, modules ...string) string {
	t.Helper()
	list := []map[string]string{}
	for i := 0; i < len(modules); i += 2 {
		list = append(list, map[string]string{"name": modules[i], "text": modules[i+1]})
	}
	body := map[string]any{"modules": list}
	for k, v := range more {
		body[k] = v
	}
	return string(must(json.Marshal(body))(t))
}

func TestTheTestsOfPoliciesAreRunWithTheirPlacesAndCoverage(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	s.want(200, owner, "PUT", project+"/policy-data", `{"limit":5}`)
	s.want(200, owner, "PUT", project+"/policies/main", string(must(json.Marshal(map[string]string{"text": orders}))(t)))
	path := project + "/policies:test"
	a := s.want(200, owner, "POST", path, `{}`)
	if a.at(t, "passed") != true || a.at(t, "tests.0.name") != "authz.test_small" || a.at(t, "tests.1.line") != 23.0 || a.at(t, "tests.0.module") != "main" {
		t.Errorf("the stored module: %s", a.text)
	}
	if got := fmt.Sprint(a.at(t, "coverage.0.missed")); got != "[12 14 17 19]" {
		t.Errorf("missed lines %s: %s", got, a.text)
	}
	a = s.want(200, owner, "POST", path, candidates(t, map[string]any{"data": map[string]int{"limit": 0}}, "other", "package authz\n\ntest_always if 1 == 1\n"))
	if a.at(t, "passed") != false || a.at(t, "tests.0.passed") != false || a.at(t, "tests.2.name") != "authz.test_always" {
		t.Errorf("with other data: %s", a.text)
	}
	if got := fmt.Sprint(a.at(t, "tests.0.trace")); !strings.Contains(got, "main:10: input.args.limit <= data.tenant.limit is not satisfied") {
		t.Errorf("the trace %s", got)
	}
	// What is stored stays.
	if got := s.want(200, owner, "GET", project+"/policies", "").at(t, "items"); len(got.([]any)) != 1 {
		t.Errorf("candidates were stored: %v", got)
	}
	for name, body := range map[string]string{
		"a mistake":          candidates(t, nil, "main", "package authz\n\nallow if {"),
		"a function that no": candidates(t, nil, "main", "package authz\n\ntest_x if http.send({}).status == 200"),
		"an unknown member":  `{"module": []}`,
	} {
		if a := s.call(owner, "POST", path, body); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	a = s.want(200, owner, "POST", path, candidates(t, nil, "slow", "package authz\n\ntest_slow if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }\n"))
	if a.at(t, "passed") != false || !strings.Contains(a.text, "timed out") {
		t.Errorf("a test without an end: %s", a.text)
	}
}

func TestAPolicyIsEvaluatedForASessionAndAnOperation(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	s.want(200, owner, "PUT", project+"/policy-data", `{"limit":5}`)
	path := project + "/policies:evaluate"
	ask := func(query string, modules ...string) (a answer) {
		for range 5 { // on a busy machine an evaluation may take too long
			a = s.want(200, owner, "POST", path, candidates(t, map[string]any{
				"role": "critic", "session_variables": map[string]string{"x-hasura-stars": "3"}, "query": query,
			}, modules...))
			if !strings.Contains(a.text, "timed out") {
				break
			}
		}
		return a
	}
	if a := ask(`{ review(limit: 9) { id } }`); a.at(t, "allowed") != true || fmt.Sprint(a.at(t, "decisions")) != "[]" || a.at(t, "filters.0.filter") != "true" {
		t.Errorf("without a policy: %s", a.text)
	}
	a := ask(`{ review(limit: 9) { id } }`, "main", orders)
	if a.at(t, "allowed") != false || a.at(t, "stage") != "policy" || a.at(t, "decisions.0.allowed") != false || a.at(t, "decisions.0.known") != "asked" ||
		a.at(t, "decisions.0.reasons.0") != "too many" || !strings.Contains(a.text, "main:10: input.args.limit ") || a.at(t, "filters.0.filter") != `id gt "1"::int4` {
		t.Errorf("too many: %s", a.text)
	}
	a = ask(`{ review(limit: 2) { id } }`, "main", strings.Replace(orders, "input.row.id > 1", `input.row.stars == to_number(input.session.variables["x-hasura-stars"])`, 1)+
		"\nmasks.stars := null if input.row.id > 7\n")
	if a.at(t, "allowed") != true || a.at(t, "decisions.0.allowed") != true || a.at(t, "filters.0.filter") != `stars eq "3"::int4` ||
		a.at(t, "filters.0.condition.parameters.0") != "3" || !strings.Contains(a.str(t, "filters.0.condition.sql"), `"stars" = `) ||
		!strings.Contains(a.str(t, "columns.0.shown"), "null of stars") || !strings.Contains(a.str(t, "statements.0.sql"), "SELECT") {
		t.Errorf("allowed: %s", a.text)
	}
	a = ask(`{ review { stars } }`, "main", "package authz\n\nallow_column if input.resource.columns != [\"stars\"]\n\nallow if input.session.role == \"other\"\n")
	if a.at(t, "stage") != "operation" || a.at(t, "refusals.0.rule") != "allow_column" {
		t.Errorf("a column that is denied: %s", a.text)
	}
	a = ask(`{ review { id } }`, "main", "package authz\n\nallow if input.session.role == \"other\"\n")
	if a.at(t, "decisions.0.known") != "planned" || a.at(t, "decisions.0.unmet.0") != `main:3: input.session.role == "other" is not satisfied` {
		t.Errorf("known for the role: %s", a.text)
	}
	if a := s.call(owner, "POST", path, candidates(t, map[string]any{"role": "critic", "query": "{ review { id } }"}, "main", "package authz\n\nfilter if regex.match(\"a\", input.row.name)\n")); a.status != 422 || fmt.Sprint(a.at(t, "errors.0.line")) != "3" {
		t.Errorf("no translation: %d %s", a.status, a.text)
	}
	if a := s.want(200, owner, "GET", project+"/policies", ""); len(a.at(t, "items").([]any)) != 0 {
		t.Errorf("candidates were stored: %s", a.text)
	}
}

func TestWhatIsKeptOfAPolicysAnswersIsASetting(t *testing.T) {
	t.Parallel()
	s, owner, project := accessProject(t)
	path := project + "/policy-log"
	if a := s.want(200, owner, "GET", path, ""); a.at(t, "sample") != nil {
		t.Errorf("unset: %s", a.text)
	}
	s.want(200, owner, "PUT", path, `{"sample":0.5,"values":true}`)
	if a := s.want(200, owner, "GET", path, ""); a.at(t, "sample") != 0.5 || a.at(t, "values") != true {
		t.Errorf("set: %s", a.text)
	}
	s.want(422, owner, "PUT", path, `{"sample":2}`)
	s.want(200, owner, "PUT", path, `{"sample":null}`)
	s.want(422, owner, "GET", project+"/audit?id=none", "")
	if a := s.want(200, owner, "GET", project+"/audit", ""); a.at(t, "items.0.action") != "policy_log.put" {
		t.Errorf("the audit: %s", a.text)
	} else if one := s.want(200, owner, "GET", project+"/audit?id="+a.str(t, "items.0.id"), ""); len(one.at(t, "items").([]any)) != 1 || one.at(t, "items.0.id") != a.at(t, "items.0.id") {
		t.Errorf("one event: %s", one.text)
	}
}
