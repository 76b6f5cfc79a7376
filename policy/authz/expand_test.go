package authz_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tenantry/policy/authz"
)

// two are two equal chains, d and e.
func two(n int, first, next string) string {
	d := doubled(n, first, next)
	return d + strings.ReplaceAll(d, "d", "e")
}

// chain is n rules or functions, in which # is the number of one and $ that of the
// one before.
func chain(n int, next string) string {
	rules := ""
	for i := range n {
		rules += strings.NewReplacer("#", fmt.Sprint(i+1), "$", fmt.Sprint(i)).Replace(next) + "\n"
	}
	return rules
}

// calls are as many calls of f in one as may be.
func calls(of string) string {
	return "allow if {\n\tx := " + strings.Repeat("f(", 16) + of + strings.Repeat(")", 16) + "\n\ty := " + strings.Repeat("f(", 16) + "x" + strings.Repeat(")", 16) + "\n\ty == 1\n}"
}

func TestValuesThatGrowWithoutBoundsAreRefusedWhenTheyAreSaved(t *testing.T) {
	body := "\td0 := [input.args.a]\n\te0 := [input.args.a]\n" +
		chain(40, "\td# := [d$, d$]\n\te# := [e$, e$]")
	for _, test := range []struct{ name, rules string }{
		{"in a list, under not", two(40, `[1, 1]`, `[$, $]`) + `allow if not d40 in [e40]`},
		{"equal", two(40, `[1, 1]`, `[$, $]`) + `allow if d40 == e40`},
		{"unified", two(40, `[1, 1]`, `[$, $]`) + `allow if d40 = e40`},
		{"a member of a set", two(40, `[1, 1]`, `[$, $]`) + `allow if {d40}[e40]`},
		{"a key of an object", two(40, `[1, 1]`, `[$, $]`) + `allow if {k: true | k := d40}[e40]`},
		{"parts that are unified", two(40, `[1, 1]`, `[$, $]`) + `allow if [d40, 1] = [e40, 1]`},
		{"an answer", doubled(60, `[1]`, `[$, $]`) + `allow := d60`},
		{"a reason", doubled(60, `[1]`, `[$, $]`) + "allow := false\nreason contains d60"},
		{"text", doubled(60, `[1]`, `[$, $]`) + `allow if json.marshal(d60) == ""`},
		{"objects", doubled(40, `{"a": input.args.a}`, `{"a": $, "b": $}`) + `allow if d40 != 1`},
		{"sets", doubled(40, `{1}`, `{[$, 1], [$, 2]}`) + `allow if d40 != 1`},
		{"three at a time", doubled(40, `[1]`, `[$, [$, {"x": $}]]`) + `allow if d40 != 1`},
		{"members of members", doubled(60, `[1]`, `[[$[0], $[0]]]`) + `allow if d60 != 1`},
		{"some member", "d0 := [[1]]\n" + chain(60, `d# := [x | some y in d$; x := [y, y]]`) + `allow if d60 != 1`},
		{"variables", "allow if {\n" + body + "\td40 == e40\n}"},
		{"variables in every", "allow if {\n\tevery x in [1, 2] {\n" + body + "\td40 == [e40, x]\n}\n}"},
		{"patterns", "allow if {\n\td0 := [1, 1]\n" + chain(40, "\t[d#, x#] = [[d$, d$], 1]") + "\td40 != 1\n}"},
		{"functions", "f0(x) := [x, x]\n" + chain(40, `f#(x) := f$(f$(x))`) + `allow if f40([1]) != f40([2])`},
		{"functions of functions", "f0(x) := [x, x]\n" + chain(40, `f#(x) := f0(f$(x))`) + `allow if f40([1]) == f40([1])`},
		{"functions of objects", `f(x) := {"a": x, "b": x}` + "\n" + calls("1")},
		{"functions that take arguments apart", `f([x, _]) := [[x, x], 1]` + "\n" + calls("[1, 1]")},
		{"else", "d0 := [1]\n" + chain(40, `d# := 1 if input.args.a else := [d$, d$]`) + `allow if d40 != 1`},
		{"default", chain(40, "d# := v if { v := [d$, d$] }\ndefault d# := 0") + "d0 := [1]\nallow if d40 != 1"},
		{"rules of several keys", "p0 := 1\n" + chain(40, "p#.a := p$\np#.b := p$") + "allow if p40 != 1"},
		{"packages", "allow if d.x40 != 1\nd.x0 := [1]\n" + chain(40, `d.x# := [d.x$, d.x$]`)},
		{"comprehensions", "d0 := [1]\n" + chain(20, `d# := [d$ | some i in [1, 2]]`) + `allow if d20 != 1`},
		{"comprehensions of many", "d0 := [1]\n" + chain(4, `d# := [d$ | some i in numbers.range(1, 5000)]`) + `allow if d4 != 1`},
		{"comprehensions that share one inside", `allow if 1 != [zs | zs := [ys | ys := [xs | xs := [x | some x in numbers.range(1, 5000)]; some i in numbers.range(1, 5000)]; some i in numbers.range(1, 5000)]; some i in numbers.range(1, 5000)]`},
		{"comprehensions of sets and objects", "d0 := [1]\n" + chain(10, `d# := {i: {[j, d$] | some j in input.args.l} | some i in input.args.l}`) + `allow if d10 != 1`},
		{"rules of sets", "s0 contains 1\n" + chain(10, `s# contains [i, s$] if some i in input.args.l`) + `allow if s10 != 1`},
		{"rules of objects", "o0 := 1\n" + chain(10, `o#[i] := o$ if some i in input.args.l`) + `allow if o10 != 1`},
		{"builtin functions", doubled(40, `[1]`, `array.concat([$], [$])`) + `allow if d40 != 1`},
		{"arrays that are joined", doubled(30, `[1, 2, 3, 4]`, `array.concat($, $)`) + `allow if count(d30) == 0`},
		{"merged objects", doubled(40, `{"x": 1}`, `object.union({"a": $}, {"b": $})`) + `allow if d40 != 1`},
		{"input", "r0 := input.args\n" + chain(40, `r# := x if x := r$ with input.args as [input.args, input.args]`) + `allow if r40 != 1`},
		{"all of input", "r0 := input\n" + chain(40, `r# := x if x := r$ with input as [input, input]`) + `allow if r40 != 1`},
		{"data", "r0 := data.tenant.a\n" + chain(40, `r# := x if x := r$ with data.tenant.a as [data.tenant.a, data.tenant.a]`) + `allow if r40 != 1`},
		{"rules that are replaced", "z := 1\nr0 := z\n" + chain(40, `r# := x if x := r$ with data.authz.z as [z, z]`) + `allow if r40 != 1`},
		{"functions that are replaced", "g(x) := [x, x]\nf(x) := x\n" + "h0 := [1]\n" + chain(40, `h# := x if x := f(h$) with data.authz.f as data.authz.g`) + "allow if h40 != 1"},
	} {
		attack(t, test.name, test.rules, savingKeeps, func(m authz.Module) func() {
			return func() {
				_, err := authz.Compile(t.Context(), []authz.Module{m}, nil)
				var failed *authz.CompileError
				if !errors.As(err, &failed) || len(failed.Errors) == 0 {
					t.Errorf("%s: got %v", test.name, err)
					return
				}
				if p := failed.Errors[0]; p.Module != "authz.rego" || p.Row == 0 || !strings.Contains(p.Message, "can have more than 100000 members") {
					t.Errorf("%s: got %v", test.name, err)
				}
			}
		})
	}
}

func TestThePlaceOfAValueThatGrowsWithoutBoundsIsTold(t *testing.T) {
	t.Parallel()
	_, err := authz.Compile(t.Context(), []authz.Module{{Name: "authz.rego", Text: "package authz\n" + doubled(40, `[1]`, `[$, $]`) + "allow := true"}}, nil)
	want := "authz.rego:18:8: a value that is built here can have more than 100000 members, those within members counted each time they occur"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestModulesThatBuildValuesAsUsualAreAccepted(t *testing.T) {
	t.Parallel()
	table := ""
	for i := range 500 {
		table += fmt.Sprintf("limits.k%d := [%d]\nreason contains \"reason %d\" if input.args.n == %d\n", i, i, i, i)
	}
	for name, rules := range map[string]string{
		"filters of filters": "a := [x | some x in input.args.l; x.a]\nb := [x | some x in a; x.b]\nc := {x.id | some x in b}\nd := {x | some x in c}\nallow if 1 in d",
		"groups of groups": `allow if count(groups) > 0
groups := {o: {u: [m.role | some m in data.tenant.members; m.org == o; m.user == u] | some m in data.tenant.members; m.org == o; u := m.user} | some o in data.tenant.orgs}`,
		"functions of lists": `member(u) := {m.org | some m in data.tenant.members; m.user == u}
peers(u) := {m.user | some m in data.tenant.members; m.org in member(u)}
known(u) := {p: member(p) | some p in peers(u)}
allow if count(known("u1")) > 0`,
		"tables of rules": table + "allow if limits[input.args.k] == [1]",
		"tests": `allow if { some m in input.args.members; m.role in {"admin", "owner"}; every p in m.parts { p.n < 3 } }
given := {"args": {"members": [{"role": "admin", "parts": [{"n": 1}, {"n": 2}]}, {"role": "guest", "parts": []}]}}
test_members if allow with input as given with data.tenant.members as given.args.members
size(x) := count(x)
same(_) := 2
test_replaced if size([]) == 2 with size as same`,
	} {
		if _, err := authz.Compile(t.Context(), []authz.Module{{Name: "authz.rego", Text: "package authz\n" + rules}}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
