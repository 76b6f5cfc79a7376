package planner_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/access"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/planner"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// A plan is cached under the shape of the variables. If two requests of one
// shape had different plans, one of them would be answered with the other's.
func TestVariablesOfTheSameShapeHaveTheSamePlan(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"admin", "manager"} {
		s, r := shop(t, role)
		for _, query := range []string{
			"query ($w: customers_bool_exp, $o: [customers_order_by!], $n: Int, $m: Int, $d: [customers_select_column!]) { customers(where: $w, order_by: $o, limit: $n, offset: $m, distinct_on: $d) { id orders { id } } }",
			"query ($a: customers_bool_exp!, $b: [customers_bool_exp!], $s: Boolean!, $i: Boolean = true) { customers(where: {_or: [$a], _and: $b}) { id @skip(if: $s) name @include(if: $i) orders(limit: 1) @skip(if: $i) { id } } }",
			"query ($c: uuid_comparison_exp, $v: [uuid!], $x: String, $k: String!, $j: jsonb!) { customers(where: {id: $c, _not: {id: {_in: $v}, name: {_eq: $x}}, profile: {_has_key: $k, _contains: $j}}, order_by: [{name: asc}]) { id } }",
			"mutation ($o: [customers_insert_input!]!) { insert_customers(objects: $o) { affected_rows returning { id } } }",
			"mutation ($o: customers_insert_input!, $p: customers_insert_input!) { insert_customers(objects: [$o, $p]) { affected_rows } insert_customers_one(object: $o) { id } }",
			"mutation ($w: customers_bool_exp!, $s: customers_set_input, $i: customers_inc_input, $a: customers_append_input, $n: String) { update_customers(where: $w, _set: $s, _inc: $i, _append: $a) { affected_rows } u: update_customers(where: {}, _set: {name: $n}) { returning { name } } }",
		} {
			op, err := operation.Prepare(s, query, "")
			if err != nil {
				t.Fatalf("%s as %s: %v", query, role, err)
			}
			comparePlans(t, s, r, op, query)
		}
	}
}

func comparePlans(t *testing.T, s *schema.Schema, r *access.Role, op *operation.Operation, query string) {
	t.Helper()
	type outcome struct {
		plan *plan.Plan
		err  error
		vars string
	}
	generate := generator{Rand: rand.New(rand.NewPCG(7, 7)), schema: s}
	seen, again := map[string]outcome{}, 0
	for range 3000 {
		raw := map[string]any{}
		for _, d := range op.Def.VariableDefinitions {
			if d.Type.NonNull || generate.IntN(4) > 0 {
				raw[d.Variable] = generate.value(d.Type, 0)
			}
		}
		vars, err := op.Coerce(raw)
		if err != nil {
			continue // such a request is refused before it is planned
		}
		p, err := planner.Plan(op, s, r, vars)
		shape := planner.Shape(op, s, vars)
		before, known := seen[shape]
		if !known {
			seen[shape] = outcome{p, err, text(vars)}
			continue
		}
		again++
		if fmt.Sprint(before.err) != fmt.Sprint(err) || !reflect.DeepEqual(before.plan, p) {
			t.Fatalf("%s\n%s and\n%s have the shape %q but not the same plan (%v, %v)", query, before.vars, text(vars), shape, before.err, err)
		}
	}
	if again < 100 {
		t.Errorf("%s: only %d of the variables had a shape that was there before", query, again)
	}
}

// generator makes values of GraphQL types.
type generator struct {
	*rand.Rand
	schema *schema.Schema
}

func (g generator) value(t *ast.Type, depth int) any {
	if !t.NonNull && g.IntN(8) == 0 {
		return nil
	}
	if t.Elem != nil {
		list := make([]any, g.IntN(3))
		for i := range list {
			list[i] = g.value(t.Elem, depth+1)
		}
		if len(list) == 1 && list[0] != nil && g.IntN(3) == 0 {
			return list[0] // a single value stands for a list of one
		}
		return list
	}
	definition := g.schema.Definition(t.NamedType)
	switch {
	case definition == nil || definition.Kind == ast.Scalar:
		return g.scalar(t.NamedType)
	case definition.Kind == ast.Enum:
		return definition.EnumValues[g.IntN(len(definition.EnumValues))].Name
	}
	out := map[string]any{}
	for range g.IntN(3) {
		f := definition.Fields[g.IntN(len(definition.Fields))]
		if deep := g.schema.Definition(f.Type.Name()); depth > 2 && deep != nil && deep.Kind == ast.InputObject {
			continue
		}
		out[f.Name] = g.value(f.Type, depth+1)
	}
	for _, f := range definition.Fields {
		if _, there := out[f.Name]; f.Type.NonNull && !there {
			out[f.Name] = g.value(f.Type, depth+1)
		}
	}
	return out
}

func (g generator) scalar(name string) any {
	switch name {
	case "Boolean":
		return g.IntN(2) == 0
	case "Int", "smallint", "bigint", "numeric", "float8", "Float":
		return json.Number(fmt.Sprint(g.IntN(5)))
	case "uuid":
		return fmt.Sprintf("00000000-0000-0000-0000-%012d", g.IntN(5))
	case "jsonb", "json":
		return []any{map[string]any{"a": true}, "text", json.Number("1"), []any{}}[g.IntN(4)]
	case "timestamptz":
		return "2020-01-01T00:00:00Z"
	}
	return []string{"a", "b", "", "t", "f", "s"}[g.IntN(6)]
}

func text(v any) string {
	out, _ := json.Marshal(v) // decoded JSON
	return string(out)
}

// shop is the schema of a role over the fixture of the schema's own tests.
func shop(t testing.TB, role string) (*schema.Schema, *access.Role) {
	t.Helper()
	read := func(name string) []byte {
		content, err := os.ReadFile("../schema/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	var c catalog.Catalog
	if err := json.Unmarshal(read("catalog.json"), &c); err != nil {
		t.Fatal(err)
	}
	doc, err := metadata.Decode(read("metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(doc, map[string]*catalog.Catalog{"default": &c}, model.Options{})
	a, _ := access.Build(m)
	r, _ := a.Role(role)
	return schema.For(m, r, schema.Options{}), r
}
