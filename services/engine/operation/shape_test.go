package operation_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/operation"
)

func shapeOf(t testing.TB, text string, match allowlist.Match) allowlist.Shape {
	t.Helper()
	shape, err := operation.ShapeOf(text, "", match)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return shape
}

func TestAnOperationMatchesAListedOneByTheMatch(t *testing.T) {
	t.Parallel()
	const exact, normalized, subset = 4, 2, 1 // which matches allow it
	for _, test := range []struct {
		name, listed, sent string
		want               int
	}{
		{"the same", `query a { users { id name } }`, `query a { users { id name } }`, exact | normalized | subset},
		{"white space, comments, __typename", `query a { users { id name } }`, "query a { # x\n users { __typename id, name } __typename }", exact | normalized | subset},
		{"another name", `query a { users { id } }`, `query b { users { id } }`, normalized | subset},
		{"a fragment", `{ users { id name } }`, `{ users { ...f } } fragment f on users { id name }`, normalized | subset},
		{"an inline fragment", `{ users { id name } }`, `{ users { ... on users { id } name } }`, normalized | subset},
		{"fragments that overlap", `{ users { id name age } }`, `{ users { ...a ...b } } fragment b on users { id age } fragment a on users { id name }`, normalized | subset},
		{"order of fragments", `{ users { ...a ...b } } fragment a on users { id } fragment b on users { name }`,
			`{ users { ...a ...b } } fragment b on users { name } fragment a on users { id }`, exact | normalized | subset},
		{"order of fields", `{ users { id name } }`, `{ users { name id } }`, subset},
		{"order of arguments", `{ users(limit: 1, offset: 2) { id } }`, `{ users(offset: 2, limit: 1) { id } }`, normalized | subset},
		{"a literal for a variable", `query($n: Int) { users(limit: $n) { id } }`, `{ users(limit: 7) { id } }`, normalized | subset},
		{"a variable for a literal", `{ users(limit: 7) { id } }`, `query($n: Int) { users(limit: $n) { id } }`, normalized | subset},
		{"another literal", `{ users(where: {id: {_eq: 1}}) { id } }`, `{ users(where: {id: {_eq: 2}}) { id } }`, normalized | subset},
		{"a list of literals", `query($i: [Int!]) { users(where: {id: {_in: $i}}) { id } }`, `{ users(where: {id: {_in: [1, 2]}}) { id } }`, normalized | subset},
		{"a whole condition in a variable", `{ users(where: {id: {_eq: 1}}) { id } }`, `query($w: users_bool_exp) { users(where: $w) { id } }`, 0},
		{"no condition for one", `{ users(where: {id: {_eq: 1}}) { id } }`, `{ users(where: {}) { id } }`, 0},
		{"null for a condition", `{ users(where: null) { id } }`, `query($w: users_bool_exp) { users(where: $w) { id } }`, 0},
		{"another operator", `{ users(where: {id: {_eq: 1}}) { id } }`, `{ users(where: {id: {_gt: 1}}) { id } }`, 0},
		{"another order", `{ users(order_by: {id: asc}) { id } }`, `{ users(order_by: {id: desc}) { id } }`, 0},
		{"fewer fields", `{ users { id name posts { id title } } }`, `{ users { posts { title } } }`, subset},
		{"fewer root fields", `{ users { id } posts { id } }`, `{ posts { id } }`, subset},
		{"one field more", `{ users { id } }`, `{ users { id name } }`, 0},
		{"one field more below", `{ users { id posts { id } } }`, `{ users { posts { id title } } }`, 0},
		{"fields of two operations are not joined", `{ users { id } }`, `{ users { id } posts { id } }`, 0},
		{"another key", `{ users { id } }`, `{ users { x: id } }`, 0},
		{"without the argument", `{ users(where: {id: {_eq: 1}}) { id } }`, `{ users { id } }`, 0},
		{"a directive", `{ users { id name } }`, `query($x: Boolean!) { users { id name @include(if: $x) } }`, 0},
		{"a directive of the operation", `query { users { id } }`, `query @cached { users { id } }`, 0},
		{"another kind", `query { insert_users { affected_rows } }`, `mutation { insert_users { affected_rows } }`, 0},
		{"fewer fields of a mutation's answer", `mutation { a: charge { id sum } b: ship { id } }`, `mutation { a: charge { id } b: ship { id } }`, subset},
		{"half of a mutation", `mutation { charge { id } ship { id } }`, `mutation { ship { id } }`, 0},
		{"a mutation in another order", `mutation { charge { id } ship { id } }`, `mutation { ship { id } charge { id } }`, 0},
		{"another type of an interface", `{ node(id: "x") { ... on users { id } } }`, `{ node(id: "x") { ... on orders { id } } }`, 0},
		{"the same type of an interface", `{ node(id: "x") { ... on users { id name } } }`, `{ node(id: "y") { ...f } } fragment f on users { id name }`, normalized | subset},
		{"introspection", `{ users { id } }`, `{ __schema { types { name } } }`, 0},
	} {
		got := 0
		for match, bit := range map[allowlist.Match]int{allowlist.Exact: exact, allowlist.Normalized: normalized, allowlist.Subset: subset} {
			list := allowlist.New(allowlist.Modes{Default: allowlist.Enforce}, match, []allowlist.Entry{{Shape: shapeOf(t, test.listed, match)}})
			if verdict, _ := list.Check("user", shapeOf(t, test.sent, match)); verdict == allowlist.Listed {
				got |= bit
			}
		}
		if got != test.want {
			t.Errorf("%s: matches %03b, expected %03b (exact, normalized, subset)", test.name, got, test.want)
		}
	}
}

func TestAnOperationThatExpandsToBillionsHasNoShape(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{ users { ...f0 } }`)
	for i := range 40 {
		fmt.Fprintf(&b, ` fragment f%d on users { a { ...f%d } b { ...f%d } }`, i, i+1, i+1)
	}
	b.WriteString(` fragment f40 on users { id }`)
	begin := time.Now()
	if _, err := operation.ShapeOf(b.String(), "", allowlist.Subset); err == nil || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}

// manyOperations are n different ones of about a kilobyte over a hundred tables.
func manyOperations(n int) []string {
	out := make([]string, n)
	for i := range out {
		var b strings.Builder
		fmt.Fprintf(&b, "query Operation%d($limit: Int!, $offset: Int) {\n  table_%d(limit: $limit, offset: $offset, where: {status: {_eq: \"active\"}}) {\n", i, i%100)
		for c := range 24 {
			fmt.Fprintf(&b, "    column_%d_of_the_table\n", (i/100*(c%7+1)+c*3)%60)
		}
		fmt.Fprintf(&b, "    related_%d { id name created_at updated_at owner { id email } }\n  }\n}", i%37)
		out[i] = b.String()
	}
	return out
}

func TestTenThousandOperationsAreSmallAndFoundQuickly(t *testing.T) {
	texts := manyOperations(10_000)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, match := range []allowlist.Match{allowlist.Exact, allowlist.Normalized, allowlist.Subset} {
		before := heap()
		entries := make([]allowlist.Entry, len(texts))
		for i, text := range texts {
			entries[i] = allowlist.Entry{Shape: shapeOf(t, text, match), ID: fmt.Sprint("d", i), Text: text, Roles: []string{"user"}}
		}
		list := allowlist.New(allowlist.Modes{Default: allowlist.Enforce}, match, entries)
		clear(entries) // only what the list keeps counts
		grown := heap() - before

		listed, unlisted := shapeOf(t, texts[7777], match), shapeOf(t, strings.Replace(texts[7777], "owner { id", "owner { secret", 1), match)
		const rounds, most = 2000, 50 * time.Microsecond
		each := timetest.Least(most, func(int) time.Duration {
			begin := time.Now()
			for range rounds {
				if v, _ := list.Check("user", listed); v != allowlist.Listed {
					t.Fatalf("%s: %s", match, v)
				}
				if v, _ := list.Check("user", unlisted); v != allowlist.Refused {
					t.Fatalf("%s: %s", match, v)
				}
			}
			return time.Since(begin) / (2 * rounds)
		})
		t.Logf("%s: %d KiB, %s for a check", match, grown>>10, each)
		if grown > 50<<20 || each > most {
			t.Errorf("%s: %d bytes, %s for a check", match, grown, each)
		}
		runtime.KeepAlive(list)
	}
}

func BenchmarkShapeOf(b *testing.B) {
	text := manyOperations(1)[0]
	for _, match := range []allowlist.Match{allowlist.Exact, allowlist.Normalized, allowlist.Subset} {
		b.Run(string(match), func(b *testing.B) {
			for b.Loop() {
				shapeOf(b, text, match)
			}
		})
	}
}
