package policytest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"tenantry/policy/authz"
)

// oracle is OPA with a policy's own text.
type oracle struct {
	t     testing.TB
	query rego.PreparedEvalQuery
}

func newOracle(t testing.TB, text string) *oracle {
	t.Helper()
	return newOracleOf(t, text, tenant)
}

func newOracleOf(t testing.TB, text, tenant string) *oracle {
	t.Helper()
	var data map[string]any
	d := json.NewDecoder(strings.NewReader(tenant))
	d.UseNumber()
	must(t, d.Decode(&data))
	q, err := rego.New(rego.Query("data.authz.filter"), rego.Module("policy.rego", text), rego.StrictBuiltinErrors(true),
		rego.Store(inmem.NewFromObject(map[string]any{"tenant": data}))).PrepareForEval(t.Context())
	must(t, err)
	return &oracle{t, q}
}

// Parts of the input that are always the same.
var (
	projectTerm  = ast.MustParseTerm(`{"id": "p1"}`)
	resourceTerm = ast.MustParseTerm(`{"kind": "table", "source": "default", "schema": "public", "name": "docs"}`)
)

// request is the input around a row.
func request(variables map[string]string, point, operation string, of *ast.Term) ast.Value {
	return requests(variables, point, operation)(of)
}

// requests makes the inputs around many rows.
func requests(variables map[string]string, point, operation string) func(of *ast.Term) ast.Value {
	session := ast.NewTerm(ast.MustInterfaceToValue(map[string]any{"role": "user", "variables": variables, "auth": "jwt", "ip": "192.0.2.7"}))
	about := ast.ObjectTerm(ast.Item(ast.StringTerm("type"), ast.StringTerm(operation)))
	return func(of *ast.Term) ast.Value {
		return ast.NewObject(
			ast.Item(ast.StringTerm("point"), ast.StringTerm(point)),
			ast.Item(ast.StringTerm("project"), projectTerm),
			ast.Item(ast.StringTerm("session"), session),
			ast.Item(ast.StringTerm("operation"), about),
			ast.Item(ast.StringTerm("resource"), resourceTerm),
			ast.Item(ast.StringTerm("row"), of),
		)
	}
}

func (o *oracle) allows(in ast.Value) bool {
	results, err := o.query.Eval(o.t.Context(), rego.EvalParsedInput(in))
	return err == nil && results.Allowed()
}

// rowsOf are all docs as OPA sees them.
func (b *bench) rowsOf(nulls bool) []*ast.Term {
	out := make([]*ast.Term, len(b.data["docs"]))
	for i, of := range b.data["docs"] {
		out[i] = ast.NewTerm(ast.MustInterfaceToValue(whole(b.data, "docs", of, 3, nulls)))
	}
	return out
}

// differences compares the engine with OPA under one policy: what it answers for
// each session that differs, how many rows were allowed in all, and what was
// refused.
func (b *bench) differences(t testing.TB, p policy, rows []*ast.Term) (differences []string, allowed int, refused error) {
	t.Helper()
	text := "package authz\n" + p.text
	engine, judge := b.engine(t, "{}", text, tenant), newOracle(t, text)
	for _, variables := range sessionsFor(p) {
		answer, err := ask(t, engine, variables, "{ docs(order_by: {id: asc}) { id } }")
		if err != nil {
			refused = err
		}
		var got, want []int
		list, _ := answer["docs"].([]any)
		for _, one := range list {
			got = append(got, int(one.(map[string]any)["id"].(float64)))
		}
		around := requests(variables, "row_filter", "query")
		for id, of := range rows {
			if judge.allows(around(of)) {
				want = append(want, id)
			}
		}
		allowed += len(want)
		if err == nil && !slices.Equal(got, want) {
			differences = append(differences, fmt.Sprintf("session %v\nonly in SQL %v\nonly in OPA %v", variables, minus(got, want), minus(want, got)))
		} else if err != nil && len(want) > 0 {
			differences = append(differences, fmt.Sprintf("session %v: refused (%v) though OPA allows %d rows", variables, err, len(want)))
		}
	}
	return differences, allowed, refused
}

// sessionsFor are four of the sessions, others for each policy, and all of them
// where there is time for many cases (TENANTRY_TEST_CASES).
func sessionsFor(p policy) []map[string]string {
	if os.Getenv("TENANTRY_TEST_CASES") != "" {
		return sessions
	}
	const few = 4
	from := len(p.text) % len(sessions)
	return slices.Concat(sessions, sessions)[from : from+few]
}

func minus(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(id int) bool { return slices.Contains(b, id) })
}

// all are the policies to compare: those above and as many generated ones.
func all() []policy {
	g := &generator{rand.New(rand.NewPCG(3, 4))}
	out := slices.Concat(written, tricky)
	for range len(written) {
		out = append(out, policy{shape: "generated", text: g.policy()})
	}
	return out
}

func TestTheEngineAnswersTheRowsThatOPAAllows(t *testing.T) {
	b := newBench(t)
	rows := map[bool][]*ast.Term{false: b.rowsOf(false), true: b.rowsOf(true)}
	shapes := map[string]int{}
	discerning := 0
	var mu sync.Mutex
	t.Run("policies", func(t *testing.T) { // ends when all of them have
		for _, p := range all() {
			shapes[p.shape]++
			t.Run(p.shape, func(t *testing.T) {
				t.Parallel()
				differences, allowed, _ := b.differences(t, p, rows[p.nulls])
				if len(differences) > 0 {
					t.Errorf("%s\n%s", p.text, strings.Join(differences, "\n"))
				}
				if allowed > 0 && allowed < len(sessionsFor(p))*len(rows[false]) {
					mu.Lock()
					defer mu.Unlock()
					discerning++
				}
			})
		}
	})
	for shape, count := range shapes {
		if count < 2 {
			t.Errorf("the shape %q is tried by %d policy only", shape, count)
		}
	}
	if total := len(all()); total < 60 || discerning*10 < total*8 {
		t.Errorf("%d policies, of which %d allow some rows and refuse others: the test asks too little", total, discerning)
	}
	t.Logf("%d policies, %d rows", len(all()), len(rows[false]))
}

// TestSeededFaultsAreFound makes sure that the comparison can fail.
func TestSeededFaultsAreFound(t *testing.T) {
	b := newBench(t)
	rows := b.rowsOf(false)
	for _, fault := range []struct {
		name  string
		fault authz.Fault
	}{
		{"partial evaluation with default inlining", authz.DefaultInlining},
		{"NOT instead of IS NOT TRUE", authz.SQLNot},
	} {
		authz.Seed(fault.fault)
		var found []string
		for _, p := range all() {
			if p.nulls || len(found) == 3 {
				continue
			}
			differences, _, refused := b.differences(t, p, rows)
			if refused == nil && len(differences) > 0 {
				found = append(found, p.text)
			}
		}
		authz.Seed(authz.NoFault)
		if t.Logf("%s: found by %d policies", fault.name, len(found)); len(found) == 0 {
			t.Errorf("the fault was not found: %s", fault.name)
		}
	}
}
