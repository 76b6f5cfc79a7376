package policytest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes random policies of the supported forms.
type generator struct{ *rand.Rand }

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// policy has rules that use one another: filter, helpers, and a function.
func (g *generator) policy() string {
	var out []string
	helpers := []string{}
	for i := range g.IntN(3) {
		name := fmt.Sprintf("helper%d", i)
		for range 1 + g.IntN(2) {
			out = append(out, name+" if { "+g.body("input.row", "docs", helpers, 1)+" }")
		}
		if g.IntN(4) == 0 {
			out = append(out, "default "+name+" := false")
		}
		helpers = append(helpers, name)
	}
	for range 1 + g.IntN(2) {
		out = append(out, "filter if { "+g.body("input.row", "docs", helpers, 2)+" }")
	}
	return strings.Join(out, "\n")
}

// body is some conditions on a row.
func (g *generator) body(of, table string, helpers []string, depth int) string {
	var out []string
	for range 1 + g.IntN(3) {
		out = append(out, g.condition(of, table, helpers, depth))
	}
	return strings.Join(out, "; ")
}

var variable int

func fresh(name string) string { variable++; return fmt.Sprintf("%s%d", name, variable) }

func (g *generator) condition(of, table string, helpers []string, depth int) string {
	if len(helpers) > 0 && g.IntN(3) == 0 {
		return pick(g, "", "not ") + pick(g, helpers...)
	}
	if depth > 0 && g.IntN(3) == 0 {
		r := pick(g, tables[table].relations...)
		if !r.array {
			return pick(g, "", "not ") + g.simple(of+"."+r.name, r.target)
		}
		if r.target == "docs" {
			return g.simple(of, table)
		}
		v := fresh("r")
		if g.IntN(3) == 0 {
			return fmt.Sprintf("every %s in %s.%s { %s }", v, of, r.name, g.body(v, r.target, nil, 0))
		}
		return fmt.Sprintf("some %s in %s.%s; %s", v, of, r.name, g.body(v, r.target, nil, depth-1))
	}
	if g.IntN(4) == 0 {
		v := fresh("v")
		return fmt.Sprintf("%s := %s.%s; %s", v, of, pick(g, columnsOf(table, "int")...), pick(g, "not "+v+" > 2", v+" < 3", v+" != 1", "not "+v+" in {1, 2}"))
	}
	return pick(g, "", "", "not ") + g.simple(of, table)
}

func columnsOf(table, kind string) []string {
	var out []string
	columns := tables[table].columns
	for i := 0; i < len(columns); i += 2 {
		if columns[i+1] == kind {
			out = append(out, columns[i])
		}
	}
	return out
}

// simple is a condition that can be negated.
func (g *generator) simple(of, table string) string {
	text := of + "." + pick(g, columnsOf(table, "text")...)
	number := of + "." + pick(g, columnsOf(table, "int")...)
	truth := of + "." + pick(g, columnsOf(table, "bool")...)
	user := pick(g, claim, `input.session.variables["x-hasura-org"]`)
	return pick(g,
		truth, truth+" == false", truth+" != true",
		fmt.Sprintf("%s %s %d", number, pick(g, "==", "!=", "<", "<=", ">", ">="), g.IntN(6)-1),
		fmt.Sprintf("%s %s %s", number, pick(g, "==", "!="), pick(g, "data.tenant.limit", "data.tenant.odd", "data.tenant.absent")),
		fmt.Sprintf("%s %s %q", text, pick(g, "==", "!=", "<", ">="), pick(g, words...)),
		fmt.Sprintf("%s %s %s", text, pick(g, "==", "!=", "<", ">="), user),
		fmt.Sprintf("%s in {%q, %q}", text, pick(g, words...), pick(g, words...)),
		fmt.Sprintf("%s in data.tenant.%s", text, pick(g, "orgs", "empty", "absent", "levels")),
		fmt.Sprintf("%s(%s, %s)", pick(g, "startswith", "endswith", "contains"), text, pick(g, `"a"`, `""`, `"ä"`, user)),
		fmt.Sprintf("%s(%s) == %q", pick(g, "lower", "upper"), text, pick(g, "ab", "Ä", "ä", "AB")),
		text,
	)
}
