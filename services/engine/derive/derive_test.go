package derive_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tenantry/services/engine/codegen"
	"tenantry/services/engine/derive"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

const schema = `
schema { query: query_root mutation: mutation_root }
type query_root { orders(where: orders_bool_exp, limit: Int, order_by: [orders_order_by!]): [orders!]! orders_by_pk(id: uuid!): orders node: Node }
type mutation_root { insert_orders_one(object: orders_insert_input!): orders }
interface Node { id: ID! }
type orders { id: uuid! total: numeric state: order_state! lines(limit: Int): [lines!]! buyer: buyers }
type lines { id: Int! text: String order: orders! }
type buyers { name: String }
enum order_state { open done }
enum order_by { asc desc }
scalar uuid
scalar numeric
input orders_order_by { id: order_by }
input uuid_comparison_exp { _eq: uuid _in: [uuid!] }
input orders_bool_exp { _and: [orders_bool_exp!] _or: [orders_bool_exp!] _not: orders_bool_exp id: uuid_comparison_exp }
input orders_insert_input { total: numeric lines: [lines_insert_input!] state: order_state = open }
input lines_insert_input { text: String }`

func TestAnOperationBecomesAnAction(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`query openOrders($limit: Int! = 5) { orders(limit: $limit) { id sum: total state lines { ...L } buyer { name } } }
		 fragment L on lines { text order { id } } `: `type Query {
  openOrders(limit: Int): [OpenOrdersOutput!]!
}

type OpenOrdersOutput {
  id: uuid!
  sum: numeric
  state: OpenOrdersOrderState!
  lines: [OpenOrdersLines!]!
  buyer: OpenOrdersBuyer
}

enum OpenOrdersOrderState {
  open
  done
}

type OpenOrdersLines {
  text: String
  order: OpenOrdersLinesOrder!
}

type OpenOrdersLinesOrder {
  id: uuid!
}

type OpenOrdersBuyer {
  name: String
}
`,
		`mutation place($object: orders_insert_input!, $with: Boolean!) { insert_orders_one(object: $object) { id total @include(if: $with) kind: __typename } }`: `type Mutation {
  place(object: PlaceOrdersInsertInput!, with: Boolean!): PlaceOutput
}

input PlaceOrdersInsertInput {
  total: numeric
  lines: [PlaceLinesInsertInput!]
  state: PlaceOrderState
}

input PlaceLinesInsertInput {
  text: String
}

enum PlaceOrderState {
  open
  done
}

type PlaceOutput {
  id: uuid!
  total: numeric
  kind: String!
}
`,
		`query both($where: orders_bool_exp) { a: orders(where: $where) { id } ...{ orders { id } } a: orders(where: $where) { state } }`: `type Query {
  both(where: BothOrdersBoolExp): BothOutput!
}

input BothOrdersBoolExp {
  _and: [BothOrdersBoolExp!]
  _or: [BothOrdersBoolExp!]
  _not: BothOrdersBoolExp
  id: BothUuidComparisonExp
}

input BothUuidComparisonExp {
  _eq: uuid
  _in: [uuid!]
}

type BothOutput {
  a: [BothA!]!
  orders: [BothOrders!]!
}

type BothA {
  id: uuid!
  state: BothOrderState!
}

enum BothOrderState {
  open
  done
}

type BothOrders {
  id: uuid!
}
`,
	} {
		d, err := derive.Derive(schema, text, derive.Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		doc := &metadata.Document{CustomTypes: &d.Types, Actions: []metadata.Action{d.Action}}
		if got := sdl.PrintAction(doc, &d.Action); got != want {
			t.Errorf("%s:\n%s", text, got)
		}
		for _, framework := range codegen.Names() {
			files, err := codegen.Generate(doc, d.Action.Name, framework, codegen.Options{Delegate: &codegen.Delegate{Operation: d.Operation, Field: d.Field}})
			if err != nil || !strings.Contains(joined(files), strings.SplitN(d.Operation, "\n", 2)[0]) {
				t.Errorf("%s: the handler does not run the operation: %v\n%s", framework, err, joined(files))
			}
		}
	}
}

func TestWhatCannotBeAnActionIsRefused(t *testing.T) {
	t.Parallel()
	doubled := "query q { ...F0 } "
	for i := range 19 {
		doubled += fmt.Sprintf("fragment F%d on query_root { ...F%d ...F%d ...F%d } ", i, i+1, i+1, i+1)
	}
	for text, want := range map[string]string{
		`{ orders { id } }`:                                         "expected a name for the action",
		`query q { orders { nope } }`:                               "nope",
		`query q { orders { id }`:                                   "Expected Name",
		`query q { orders { id __typename } }`:                      "needs an alias",
		`query q { node { id } }`:                                   "interface or union",
		`query a { orders { id } } query b { orders { id } }`:       "several operations",
		`fragment F on orders { id }`:                               "",
		doubled + "fragment F19 on query_root { orders { id } }":    "more than 5000 fields",
		"query q { " + strings.Repeat("orders { id } ", 3000) + "}": "",
	} {
		started := time.Now()
		_, err := derive.Derive(schema, text, derive.Options{})
		var refusal *derive.Error
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", text, err, want)
		}
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("%.80s: it took %s", text, took)
		}
	}
}

func TestTextsOfAnOperationStayInsideItsLiteral(t *testing.T) {
	t.Parallel()
	const text = "query q { orders_by_pk(id: \"`); panic(1) // ${process.exit(1)} \\\"\\\"\\\" \\\\\") { id } }"
	d, err := derive.Derive(schema, text, derive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := &metadata.Document{CustomTypes: &d.Types, Actions: []metadata.Action{d.Action}}
	for framework, want := range map[string]string{"go": `\"`, "express": "\\${process", "python-flask": `\\\"\\\"\\\"`} {
		files, err := codegen.Generate(doc, "q", framework, codegen.Options{Delegate: &codegen.Delegate{Operation: d.Operation, Field: d.Field}})
		if err != nil || !strings.Contains(joined(files), want) {
			t.Errorf("%s: %v\n%s", framework, err, joined(files))
		}
	}
}

func joined(files []codegen.File) string {
	var out strings.Builder
	for _, f := range files {
		out.WriteString(f.Content)
	}
	return out.String()
}
