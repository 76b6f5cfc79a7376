package authz_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tenantry/policy/authz"
)

// allowing are rules about arguments and session variables, on which partial
// evaluation could go wrong: what of them is known when an operation is planned must
// be what is found when it is asked.
var allowing = []string{
	`allow if { x := {input.args.a: 1}; x.k == 1 }`,
	`allow if { x := {input.args.a: 1}; not x.k }`,
	`allow if { x := {input.args.a: 1}; not x.k == 1 }`,
	`allow if { x := {input.args.a: 1, input.args.b: 2}; x[_] == 1 }`,
	`allow if { x := {"k": 1, input.args.b: 2}; x.k == 1 }`,
	`allow if { x := {"k": {input.args.a: 1}}; not x.k.k }`,
	`allow if not {input.args.a: 1}.k`,
	`allow if not {"k": 1}[input.args.a]`,
	`allow if {input.args.a: 1} == {"k": 1}`,
	`allow if not {input.args.a: 1} == {"k": 1}`,
	`allow if {input.args.a: 1} != {"k": 1}`,
	`f(x) if x.k == 1
allow if not f({input.args.a: 1})`,
	`f({"k": v}) := v
allow if not f({input.args.a: 1})`,
	`allow if object.get({input.args.a: 1}, "k", 2) == 2`,
	`allow if { x := {k: 1 | k := input.args.a}; not x.k }`,
	`allow if { x := {input.args.a}; not x["k"] }`,
	`allow if { x := {input.args.a}; not "k" in x }`,
	`allow if { x := {input.args.a}; not x.k }`,
	`allow if { x := {input.args.a, "k"}; count(x) == 1 }`,
	`allow if { x := {input.args.a, input.args.b}; not x[input.args.b] == "k" }`,
	`allow if {input.args.a} == {"k"}`,
	`allow if not {input.args.a} == {"k"}`,
	`allow if not {"k"} == {input.args.a, "k"}`,
	`allow if not [input.args.a][0] == "k"`,
	`allow if not [input.args.a, 1] == ["k", 1]`,
	`allow if not {"x": input.args.a} == {"x": "k"}`,
	`p[input.args.a] := 1
allow if not p.k`,
	`p[input.args.a] := 1
allow if not p["k"] == 1`,
	`p[k] := v if { k := input.args.a; v := input.args.b }
allow if p.k == "k"`,
	`p[k] := v if { some k in [input.args.a, "l"]; v := 1 }
allow if not p.k`,
	`p[input.args.a].q := 1
allow if not p.k.q`,
	`p.k[input.args.a] := 1
allow if not p.k.k`,
	`p contains input.args.a
allow if not p.k`,
	`p contains input.args.a
allow if not "k" in p`,
	`p contains input.args.a
allow if not p[input.args.b]`,
	`p contains input.args.a if input.args.b
allow if count(p) == 0`,
	`p[input.args.a] contains input.args.b
allow if not p.k.k`,
	`allow if { input.args.a == "k" } else := false`,
	`x := 1 if input.args.a == "k" else := 2
allow if x == 2`,
	`x := 1 if input.args.a == "k" else := 2 if input.args.b == "k"
allow if not x`,
	`f(a) := 1 if a == "k" else := 2
allow if not f(input.args.a) == 1`,
	`default x := false
x if input.args.a == "k"
allow if not x`,
	`default x := true
x := false if input.args.a == "k"
allow if x`,
	`default f(_) := true
f(a) := false if a == "k"
allow if f(input.args.a)`,
	`x := 1 if input.args.a
x := 2 if input.args.b
allow if x`,
	`x := 1 if input.args.a == "k"
x := 2 if input.args.b == "k"
allow if not x == 1`,
	`x if input.args.a == "k"
allow if not x with input.args.a as "l"`,
	`x if input.args.a == "k"
allow if x with input.args as {"a": "k"}`,
	`x if input.args.a == input.args.b
allow if not x with input.args.b as "k"`,
	`x if input.session.role == "user"
allow if { not x with input.session.role as "none"; input.args.a == "k" }`,
	`x if data.tenant.limit > 100
allow if x with data.tenant.limit as 101`,
	`x if data.tenant.limit > 100
allow if { not x with data.tenant as {}; input.args.a }`,
	`y := input.args.a
x if y == "k"
allow if not x with y as "k"`,
	`f(a) := a
allow if not f(input.args.a) == "k" with f as lower`,
	`allow if every v in [input.args.a, input.args.b] { v == "k" }`,
	`allow if not all
all if every v in [input.args.a, input.args.b] { v == "k" }`,
	`allow if every k, v in input.args { v == "k" }`,
	`allow if every k, v in {"a": input.args.a} { v == "k" }`,
	`allow if not [v | some v in [input.args.a, input.args.b]; v == "k"] == []`,
	`allow if count({v | some v in [input.args.a, input.args.b]}) == 1`,
	`allow if { a := input.args.a; not a == "k" }`,
	`allow if not input.args.a != "k"`,
	`allow if { not input.args.a; not input.args.b }`,
	`allow if input.args.a != null`,
	`allow if not input.args.a == null`,
	`allow if { some i; ["k", "l"][i] == input.args.a; ["k", "l"][i] == input.args.b }`,
	`allow if { some i; not ["k", "l"][i] == input.args.a }`,
	`allow if not input.args[input.args.b] == "k"`,
	`allow if not input[input.args.c].a == "k"`,
	`allow if not input.args[_] == input.session.variables["x-hasura-user-id"]`,
	`v := {"a": input.args.a, "b": input.args.b}
allow if not v[input.args.c] == "k"`,
	`v[k] := x if some k, x in input.args
allow if not v.a == "k"`,
	`v.a := input.args.a
v.b := input.args.b
allow if not v[input.args.c] == "k"`,
	`v.a := input.args.a
v.b := input.args.b
allow if { some k; v[k] == "k" }`,
	`v.a := input.args.a
v.b := input.args.b
allow if not v == {"a": "k", "b": "k"}`,
	`allow if to_number(input.args.a) == 1`,
	`allow if not to_number(input.args.a) == 1`,
	`allow if not startswith(input.args.a, "k")`,
	`allow if not x
x if lower(input.args.a) == "k"
x if input.args.b in {"k", 1, null}`,
	`allow if input.args.a in [input.args.b, "k"]`,
	`allow if not input.args.a in {input.args.b: 1}`,
	`allow if not "k" in {"x": input.args.b}`,
	`allow if { [x, y] = [input.args.a, input.args.b]; not x == y }`,
	`allow if { {"a": x} = input.args; not x == "k" }`,
	`allow if { {"a": x, "b": _, "c": _} = input.args; not x == "k" }`,
	`allow if not array.concat([input.args.a], [])[0] == "k"`,
	`allow if not sprintfless == "kk"
sprintfless := $"{input.args.a}{input.args.b}"`,
	`allow := input.args.a == "k"`,
	`allow := input.args.a`,
	`allow := x if x := input.args.b`,
	`allow := true if input.args.a
allow := false if input.args.b`,
	`allow if input.session.variables[input.args.a] == "u1"`,
	`allow if not {"staff": input.args.a}.staff == "k"`,
	`allow if not data.tenant[input.args.c] == "k"`,
	`allow if not data.tenant.staff[_] == input.args.a`,
	`allow if { some s in data.tenant.staff; not s == input.session.variables["x-hasura-user-id"] }`,
	`allow if not staff[input.session.variables["x-hasura-user-id"]]
staff contains s if some s in data.tenant.staff`,
	`allow if not {input.session.variables["x-hasura-user-id"]: 1}.u1`,
	`allow if { x := {input.session.variables["x-hasura-user-id"]: 1}; not x.u1 }`,
	`allow if { x := {input.session.variables["x-hasura-user-id"]}; not x.u1 }`,
	`p[input.session.variables["x-hasura-user-id"]] := 1
allow if not p.u1`,
}

func TestWhatIsKnownOfADecisionBeforeARequestIsWhatIsDecidedForIt(t *testing.T) {
	t.Parallel()
	values := []any{"k", "l", "a", "u1", 1, true, false, nil, "args"}
	r := rand.New(rand.NewPCG(5, 6))
	decided := map[authz.Verdict]int{}
	for _, rules := range allowing {
		p, err := authz.Compile(t.Context(), []authz.Module{{Name: "authz.rego", Text: "package authz\n" + rules}}, []byte(`{"limit": 100, "staff": ["u1", "k"]}`))
		if err != nil {
			t.Logf("%s\n%v", rules, err)
			continue
		}
		st := p.Stand(t.Context(), request("user", nil))
		decided[st.Verdict]++
		for range 40 {
			args := map[string]any{}
			for _, name := range strings.Fields("a b c") {
				if r.IntN(8) > 0 {
					args[name] = values[r.IntN(len(values))]
				}
			}
			asked := request("user", args)
			if r.IntN(2) == 0 {
				asked.Session.Variables["x-hasura-user-id"] = []string{"u2", "k", ""}[r.IntN(3)]
			}
			d, _ := p.Decide(t.Context(), asked)
			stands := p.Stands(t.Context(), st, asked.Session)
			if stands && !d.Allowed || st.Verdict == authz.Never && d.Allowed {
				t.Errorf("%s\nargs %v, session %v: before the request %v (verdict %d), decided %v", rules, args, fmt.Sprint(asked.Session.Variables), stands, st.Verdict, d.Allowed)
				break
			}
		}
	}
	if decided[authz.Always]+decided[authz.Never] > len(allowing)/4 || decided[authz.Maybe] < 50 {
		t.Errorf("the rules do not tell requests apart: %v", decided)
	}
}
