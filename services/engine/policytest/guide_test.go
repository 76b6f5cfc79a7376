package policytest

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/authz"
	"tenantry/services/engine/instance"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

var snippet = regexp.MustCompile("(?s)```(\\S+)(?: (\\w+))?\n(.*?)```")

// TestTheGuideIsTrue runs every snippet of the guide. One that is marked "same" has
// to be the permission before it; one that is marked "refused" must not be
// accepted; the others are compared with OPA where they have a filter.
func TestTheGuideIsTrue(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../ops/docs/rego.md")
	must(t, err)
	b := newBench(t)
	permission, data := "", tenant
	counts := map[string]int{}
	all := snippet.FindAllStringSubmatch(string(guide), -1)
	for n, s := range all { // data is put before modules that read it
		if s[1]+s[2] == "jsondata" {
			data = all[n][3]
		}
	}
	for _, s := range all {
		kind, text := s[1]+" "+s[2], s[3]
		counts[kind]++
		switch kind {
		case "json permission":
			permission = text
		case "json data":
		case "rego same":
			b.sameRows(t, b.engine(t, permission, "", ""), b.engine(t, "{}", text, data), text)
		case "rego refused":
			var failed *authz.CompileError
			if err := b.accept(t, text, data); !errors.As(err, &failed) || failed.Errors[0].Row < 3 {
				t.Errorf("accepted, or without its place: %v\n%s", err, text)
			}
		case "rego ", "rego columns":
			if err := b.accept(t, text, data); err != nil {
				t.Errorf("%v\n%s", err, text)
				continue
			}
			b.tried(t, text, data)
		default:
			t.Errorf("a snippet of the kind %q is not run", kind)
		}
	}
	for kind, least := range map[string]int{"rego same": 3, "rego refused": 2, "rego columns": 2, "rego ": 6} {
		if counts[kind] < least {
			t.Errorf("%d snippets of the kind %q", counts[kind], kind)
		}
	}
}

// accept checks a policy as saving it does.
func (b *bench) accept(t *testing.T, text, data string) error {
	t.Helper()
	policy, _, err := instance.CompilePolicies(t.Context(), settings.Settings{Policies: []settings.Policy{{Name: "policy.rego", Text: text}}, PolicyData: []byte(data)})
	if err != nil {
		return err
	}
	m, roles, _ := instance.Resolve(document(t, "{}"), map[string]*catalog.Catalog{"default": b.catalog}, settings.Settings{})
	_, err = policy.Check(t.Context(), m, roles, "p1")
	return err
}

const readAll = "{ docs(order_by: {id: asc}) { id title owner price } }"

// sameRows compares statements and answers of two engines.
func (b *bench) sameRows(t *testing.T, permitted, ruled *instance.Instance, text string) {
	t.Helper()
	want, err := permitted.Program("user", readAll, "", nil)
	must(t, err)
	got, err := ruled.Program("user", readAll, "", nil)
	must(t, err)
	if !slices.Equal(got.Statements(), want.Statements()) {
		t.Errorf("%s\ngot  %s\nwant %s", text, got.Statements(), want.Statements())
	}
	answer, err := ask(t, ruled, acme, readAll)
	must(t, err)
	if rows := answer["docs"].([]any); len(rows) == 0 || len(rows) == len(b.data["docs"]) {
		t.Errorf("%d rows: the rule does not tell rows apart\n%s", len(rows), text)
	}
}

// tried runs a policy, and compares its filter with OPA.
func (b *bench) tried(t *testing.T, text, data string) {
	t.Helper()
	engine := b.engine(t, "{}", text, data)
	answer, err := ask(t, engine, acme, readAll)
	must(t, err)
	if !strings.Contains(text, "filter if") {
		return
	}
	judge := newOracleOf(t, text, data)
	for id, of := range b.rowsOf(false) {
		want := judge.allows(request(acme, "row_filter", "query", of))
		got := slices.ContainsFunc(answer["docs"].([]any), func(one any) bool { return one.(map[string]any)["id"] == float64(id) })
		if got != want {
			t.Errorf("row %v: got %t, OPA says %t\n%s", ast.NewTerm(of.Value), got, want, text)
		}
	}
}
