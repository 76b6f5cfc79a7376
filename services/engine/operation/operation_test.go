package operation_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
)

func TestPrepareRefusesWithTheDialectsTextAndPath(t *testing.T) {
	t.Parallel()
	manager := shop(t, "manager")
	for _, c := range []struct{ query, message, path string }{
		{`{`, "not a valid graphql query", "$.query"},
		{``, "not a valid graphql query", "$.query"},
		{`fragment f on orders { id }`, "not a valid graphql query", "$.query"},
		{`type T { a: Int }`, "not a valid graphql query", "$.query"},
		{`{ nothing { id } }`, "field 'nothing' not found in type: 'query_root'", "$.selectionSet.nothing"},
		{`{ x: nothing }`, "field 'nothing' not found in type: 'query_root'", "$.selectionSet.nothing"},
		{`{ customers { id secret } }`, "field 'secret' not found in type: 'customers'", "$.selectionSet.customers.selectionSet.secret"},
		{`mutation { delete_customers(where: {}) { affected_rows } }`, "field 'delete_customers' not found in type: 'mutation_root'", "$.selectionSet.delete_customers"},
		{`{ customers }`, "missing selection set for 'customers'", "$.selectionSet.customers"},
		{`{ customers { id { x } } }`, "unexpected subselection set for non-object field", "$.selectionSet.customers.selectionSet.id"},
		{`{ customers(wher: {}) { id } }`, "'customers' has no argument named 'wher'", "$.selectionSet.customers"},
		{`{ customers(limit: "3") { id } }`, "expected a non-negative 32-bit integer for type 'Int', but found a string", "$.selectionSet.customers.args.limit"},
		{`{ customers(limit: -1) { id } }`, "expected a non-negative 32-bit integer for type 'Int', but found an integer", "$.selectionSet.customers.args.limit"},
		{`{ customers(limit: 3000000000) { id } }`, "expected a non-negative 32-bit integer for type 'Int', but found an integer", "$.selectionSet.customers.args.limit"},
		{`{ orders(where: {id: {_unexpected: 2}}) { id } }`, "field '_unexpected' not found in type: 'Int_comparison_exp'", "$.selectionSet.orders.args.where.id._unexpected"},
		{`{ orders(where: {id: {_eq: null}}) { id } }`, "unexpected null value for type 'Int'", "$.selectionSet.orders.args.where.id._eq"},
		{`{ orders(where: {id: null}) { id } }`, "unexpected null value for type 'Int_comparison_exp'", "$.selectionSet.orders.args.where.id"},
		{`{ orders(where: {_and: null}) { id } }`, "unexpected null value for type '[orders_bool_exp!]'", "$.selectionSet.orders.args.where._and"},
		{`{ orders(where: {id: {_in: [1, "2"]}}) { id } }`, "expected a 32-bit integer for type 'Int', but found a string", "$.selectionSet.orders.args.where.id._in[1]"},
		{`{ orders(order_by: {id: "asc"}) { id } }`, "expected an enum value for type 'order_by', but found a string", "$.selectionSet.orders.args.order_by[0].id"},
		{`{ orders(distinct_on: total) { id } }`, "expected one of the values ['customer_id', 'id', 'note', 'placed_at', 'serial_no'] for type 'orders_select_column', but found 'total'", "$.selectionSet.orders.args.distinct_on[0]"},
		{`{ quote }`, "missing required field 'product_id'", "$.selectionSet.quote.args.product_id"},
		{`{ quote(product_id: "12") }`, "expected a UUID for type 'uuid', but found a string", "$.selectionSet.quote.args.product_id"},
		{`{ quote(product_id: null) }`, "unexpected null value for type 'uuid'", "$.selectionSet.quote.args.product_id"},
		{`mutation { insert_customers(objects: {name: "a", id: "x"}) { affected_rows } }`, "field 'id' not found in type: 'customers_insert_input'", "$.selectionSet.insert_customers.args.objects[0].id"},
		{`mutation { insert_customers(objects: [{name: 3}]) { affected_rows } }`, "expected a string for type 'String', but found an integer", "$.selectionSet.insert_customers.args.objects[0].name"},
		{`mutation { update_customers(where: 3) { affected_rows } }`, "expected an object for type 'customers_bool_exp', but found an integer", "$.selectionSet.update_customers.args.where"},
		{`query($limit: String) { customers(limit: $limit) { id } }`, "variable 'limit' is declared as 'String', but used where 'Int' is expected", "$.selectionSet.customers.args.limit"},
		{`query($w: nowhere) { customers(where: $w) { id } }`, "variable 'w' is declared as 'nowhere', but used where 'customers_bool_exp' is expected", "$.selectionSet.customers.args.where"},
		{`mutation($w: customers_bool_exp) { update_customers(where: $w) { affected_rows } }`, "variable 'w' is declared as 'customers_bool_exp', but used where 'customers_bool_exp!' is expected", "$.selectionSet.update_customers.args.where"},
		{`mutation($w: customers_bool_exp = null) { update_customers(where: $w) { affected_rows } }`, "variable 'w' is declared as 'customers_bool_exp', but used where 'customers_bool_exp!' is expected", "$.selectionSet.update_customers.args.where"},
		{`{ customers(limit: $n) { id } }`, `unbound variable "n"`, "$.selectionSet.customers.args.limit"},
		{`query($n: Int, $n: Int) { customers(limit: $n) { id } }`, `multiple definitions for variable "n"`, "$"},
		{`query($n: Int = "1") { customers(limit: $n) { id } }`, "expected a 32-bit integer for type 'Int', but found a string", "$.variables.n"},
		{`query($n: customers) { customers { id } }`, "variable 'n' is declared as 'customers', which is not an input type", "$.variables.n"},
		{`{ customers { ...a } }`, `reference to undefined fragment "a"`, "$.selectionSet.customers.selectionSet"},
		{`{ customers { ...a } } fragment a on customers { id orders { ...b } } fragment b on orders { customer { ...a } }`,
			"the fragment definition(s) a and b form a cycle", "$.selectionSet.customers.selectionSet.a.selectionSet.orders.selectionSet.b.selectionSet.customer.selectionSet"},
		{`{ customers { ...a } } fragment a on orders { id }`, "a fragment on type 'orders' cannot be spread where type 'customers' is selected", "$.selectionSet.customers.selectionSet"},
		{`{ customers { id } } fragment a on orders { id }`, "the fragment definition 'a' is not used", "$"},
		{`{ customers { x: id x: name } }`, "selection of both 'id' and 'name' specify the same response name, 'x'", "$.selectionSet.customers.selectionSet.id"},
		{`{ customers(limit: 1) { id } customers(limit: 2) { id } }`, "inconsistent arguments between multiple selections of field 'customers'", "$.selectionSet.customers"},
		{`{ customers @unknown { id } }`, "directive 'unknown' is not defined in the schema", "$.selectionSet.customers"},
		{`{ customers @cached { id } }`, "directive 'cached' is not allowed here", "$.selectionSet.customers"},
		{`{ customers @skip { id } }`, "missing required field 'if'", "$.selectionSet.customers.directives.skip.if"},
		{`{ customers @skip(if: "no") { id } }`, "expected a boolean for type 'Boolean', but found a string", "$.selectionSet.customers.directives.skip.if"},
		{`query a { customers { id } } query b { orders { id } }`, "exactly one operation has to be present in the document when operationName is not specified", "$"},
		{"{" + strings.Repeat("customers { id } ", 5000) + "}", "the query has more than 15000 tokens", "$.query"},
		{"{ customers { " + many(101, "a%d: id ") + "} }", "the query has 101 aliases, at most 100 are allowed", "$.query"},
		{"{ " + many(51, "a%d: __typename ") + " }", "the operation has 51 root fields, at most 50 are allowed", "$.query"},
		{"{ customers { id" + strings.Repeat(" @skip(if: true)", 51) + " } }", "the query has 51 directives, at most 50 are allowed", "$.query"},
		{`{ ` + strings.Repeat(" ", operation.MaxBytes), "the query is longer than 1048576 bytes", "$.query"},
	} {
		_, err := operation.Prepare(manager, c.query, "")
		if err == nil {
			t.Errorf("accepted: %.200s", c.query)
			continue
		}
		t.Run(c.message, func(t *testing.T) { refusal(t, err, c.message, c.path) })
	}
}

func TestTablesHaveNoSubscriptions(t *testing.T) {
	t.Parallel()
	_, err := operation.Prepare(shop(t, "manager"), `subscription { customers { id } }`, "")
	refusal(t, err, "field 'customers' not found in type: 'subscription_root'", "$.selectionSet.customers")
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestAMutationForARoleWithoutMutations(t *testing.T) {
	t.Parallel()
	_, err := operation.Prepare(shop(t, "nobody"), `mutation { insert_orders(objects: {}) { affected_rows } }`, "")
	refusal(t, err, "no mutations exist", "$")
	prepare(t, shop(t, "nobody"), `{ no_queries_available __typename }`)
}

func TestIntrospectionCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	hidden := shopWith(t, "manager", schema.Options{NoIntrospection: true})
	for name, query := range map[string]string{"__schema": `{ ...f } fragment f on query_root { __schema { queryType { name } } }`, "__type": `{ __type(name: "orders") { name } }`} {
		op := prepare(t, shop(t, "manager"), query)
		if !op.Introspects() || op.Measure != (operation.Measure{}) {
			t.Errorf("%s: introspects %v, measure %v", query, op.Introspects(), op.Measure)
		}
		_, err := operation.Prepare(hidden, query, "")
		refusal(t, err, "field '"+name+"' not found in type: 'query_root'", "$.selectionSet."+name)
	}
	prepare(t, hidden, `{ __typename customers { __typename } }`)
}

func TestPrepareAccepts(t *testing.T) {
	t.Parallel()
	manager, customer := shop(t, "manager"), shop(t, "customer")
	for _, c := range []struct {
		role  string
		query string
	}{
		{"manager", `query($l: Int, $unused: Int) @cached(ttl: 5) { customers(limit: $l, offset: "9007199254740993", where: {_and: {name: {_like: "a%"}}, tags: {_contains: "x"}}, order_by: {name: asc}) { id __typename } }`},
		{"manager", `mutation($r: customers_insert_input = {name: "d"}) { insert_customers_one(object: $r) { id } }`},
		{"manager", `mutation($h: jsonb) { insert_customers(objects: {name: "a", profile: [{header: $h, n: null}]}, on_conflict: {constraint: customers_pkey}) { affected_rows returning { id } } }`},
		{"manager", `{ customers { id ...f ... on customers { name } ... @include(if: true) { email } } } fragment f on customers { orders(where: {customer: {name: {_eq: "x"}}}) { items { price } } }`},
		{"manager", `{ a: customers { id } b: customers { id } customers { id } customers { name } }`},
		{"customer", `mutation { placeOrder(items: {product_id: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", quantity: 2}) { order_id order { note } warnings { text } } }`},
		{"customer", `query($e: Anything) { quote(product_id: "6BA7B8109DAD11D180B400C04FD430C8", speed: FAST, extra: {a: [$e]}) }`},
		{"manager", `mutation($id: uuid!) { update_customers_by_pk(pk_columns: {id: $id}, _inc: {credit: "1.5"}, _append: {profile: {a: 1}}) { id } }`},
	} {
		s := manager
		if c.role == "customer" {
			s = customer
		}
		prepare(t, s, c.query)
	}
}

func TestPickingAnOperation(t *testing.T) {
	t.Parallel()
	s := shop(t, "manager")
	const two = `query a { customers { ...f } } mutation b { update_customers(where: {}, _set: {name: "x"}) { affected_rows } } fragment f on customers { id }`
	op, err := operation.Prepare(s, two, "b")
	if err != nil {
		t.Fatal(err)
	}
	if op.Type != ast.Mutation || op.Name != "b" || len(op.Doc.Operations) != 1 || len(op.Doc.Fragments) != 0 {
		t.Errorf("picked %s %s with %d fragments", op.Type, op.Name, len(op.Doc.Fragments))
	}
	_, err = operation.Prepare(s, two, "c")
	refusal(t, err, `no such operation found in the document: "c"`, "$")
	_, err = operation.Prepare(s, `{ customers { id } }`, "c")
	refusal(t, err, "operationName cannot be used when an anonymous operation exists in the document", "$")
	_, err = operation.Prepare(s, `query a { customers { id } } query a { orders { id } }`, "a")
	refusal(t, err, "there are several operations named 'a'", "$")
}

func TestMeasureCountsExpandedFragmentsAndNotIntrospection(t *testing.T) {
	t.Parallel()
	s := shop(t, "manager")
	for query, want := range map[string]operation.Measure{
		`{ customers { id } }`: {Depth: 1, Nodes: 1},
		`{ quote(product_id: "6ba7b810-9dad-11d1-80b4-00c04fd430c8") }`:                                                                                         {},
		`{ customers { orders { items { price } } } orders { id } }`:                                                                                            {Depth: 3, Nodes: 4},
		`{ a: customers { ...f } b: customers { ...f } __schema { types { fields { name } } } } fragment f on customers { orders { ... { items { price } } } }`: {Depth: 3, Nodes: 6},
	} {
		if got := prepare(t, s, query).Measure; got != want {
			t.Errorf("%s: got %+v, want %+v", query, got, want)
		}
	}
}

func TestTheHashIsOfTheNormalisedOperation(t *testing.T) {
	t.Parallel()
	s := shop(t, "manager")
	const plain = `query q($n: Int = 3) { customers(limit: $n, where: {name: {_in: ["a", "b"]}}) { id ...a ...b } } fragment a on customers { name } fragment b on customers { email }`
	want := prepare(t, s, plain)
	for _, same := range []string{
		"# comment\nquery q($n: Int = 3,) {\n  customers(limit: $n where: {name: {_in: [\"a\" \"b\"]}}) { __typename id ...a ...b t: __typename } __typename }\nfragment b on customers { email }\nfragment a on customers { name }",
		strings.ReplaceAll(plain, "\"a\"", `"""a"""`),
	} {
		if got := prepare(t, s, same); got.Hash != want.Hash {
			t.Errorf("%s\ndiffers from\n%s", got.Text, want.Text)
		}
	}
	for _, other := range []string{
		strings.Replace(plain, "$n: Int = 3", "$n: Int = 4", 1),
		strings.Replace(plain, "id ...a", "...a id", 1),
		strings.Replace(plain, "{ email }", "{ id }", 1),
		strings.Replace(plain, "{ id ...a", "{ i: id ...a", 1),
		strings.Replace(plain, `"a"`, `"a\n"`, 1),
		strings.Replace(plain, `query q`, `query p`, 1),
	} {
		if got := prepare(t, s, other); got.Hash == want.Hash {
			t.Errorf("same hash: %s", other)
		}
	}
	hash, err := operation.HashText(plain)
	if err != nil || hash != want.Hash {
		t.Errorf("HashText gives %s, %v; want %s", hash, err, want.Hash)
	}
	if again := prepare(t, s, want.Text); again.Text != want.Text {
		t.Errorf("normalising twice changes the text:\n%s\n%s", want.Text, again.Text)
	}
}

func TestFieldsMergesAndAppliesDirectives(t *testing.T) {
	t.Parallel()
	op := prepare(t, shop(t, "manager"), `query($yes: Boolean!, $no: Boolean = false) {
		customers { id ...f orders { id } name @include(if: $no) email @skip(if: $yes) ... @include(if: $yes) { tags } n: name orders { note } __typename }
	} fragment f on customers { profile id }`)
	vars, err := op.Coerce(map[string]any{"yes": true})
	if err != nil {
		t.Fatal(err)
	}
	roots := op.Fields(op.Def.SelectionSet, vars, schema.QueryRoot)
	if len(roots) != 1 || roots[0].Definition == nil || roots[0].Definition.Type.String() != "[customers!]!" {
		t.Fatalf("roots: %+v", roots)
	}
	var keys []string
	for _, f := range op.Fields(roots[0].Selections, vars, "customers") {
		keys = append(keys, f.Key)
		if f.Key == "orders" {
			if nested := op.Fields(f.Selections, vars, "orders"); len(nested) != 2 {
				t.Errorf("orders were not merged: %d fields", len(nested))
			}
		}
		if f.Definition == nil {
			t.Errorf("%s has no definition", f.Key)
		}
	}
	if want := []string{"id", "profile", "orders", "tags", "n", "__typename"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
}
