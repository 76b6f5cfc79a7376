package operation_test

import (
	"encoding/json"
	"reflect"
	"testing"
)

const id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

func TestCoerceGivesDeclaredVariablesTheirOneForm(t *testing.T) {
	t.Parallel()
	manager, customer := shop(t, "manager"), shop(t, "customer")
	for _, c := range []struct{ role, query, in, out string }{
		{"manager", `query($l: Int, $w: customers_bool_exp) { customers(limit: $l, where: $w) { id } }`, `{}`, `{}`},
		{"manager", `query($l: Int, $w: customers_bool_exp) { customers(limit: $l, where: $w) { id } }`, `{"l": null, "w": {"_and": {"name": {"_in": "a"}}}}`, `{"l": null, "w": {"_and": [{"name": {"_in": ["a"]}}]}}`},
		{"manager", `query($l: Int = 5) { customers(limit: $l) { id } }`, `{}`, `{"l": 5}`},
		{"manager", `query($l: Int = 5) { customers(limit: $l) { id } }`, `{"l": 2.0}`, `{"l": 2}`},
		{"manager", `query($o: Int) { customers(offset: $o) { id } }`, `{"o": "9007199254740993"}`, `{"o": "9007199254740993"}`},
		{"manager", `query($c: numeric) { customers(where: {credit: {_gt: $c}}) { id } }`, `{"c": 12345678901234567890.123456789}`, `{"c": 12345678901234567890.123456789}`},
		{"manager", `query($b: bigint) { orders(where: {serial_no: {_eq: $b}}) { id } }`, `{"b": "9007199254740993"}`, `{"b": "9007199254740993"}`},
		{"manager", `mutation($o: [customers_insert_input!]!) { insert_customers(objects: $o) { affected_rows } }`, `{"o": {"name": "a", "email": null, "profile": {"x": [1, null]}}}`, `{"o": [{"name": "a", "email": null, "profile": {"x": [1, null]}}]}`},
		{"manager", `mutation($c: customers_on_conflict) { insert_customers(objects: {name: "a"}, on_conflict: $c) { affected_rows } }`, `{"c": {"constraint": "customers_pkey"}}`, `{"c": {"constraint": "customers_pkey", "update_columns": []}}`},
		{"manager", `query($o: [orders_order_by!] = {id: asc}) { orders(order_by: $o) { id } }`, `{}`, `{"o": [{"id": "asc"}]}`},
		{"customer", `query($p: uuid!, $e: Anything) { quote(product_id: $p, extra: $e) }`, `{"p": "` + id + `", "e": [{"free": 1.50}]}`, `{"p": "` + id + `", "e": [{"free": 1.50}]}`},
	} {
		s := manager
		if c.role == "customer" {
			s = customer
		}
		got, err := prepare(t, s, c.query).Coerce(variables(t, c.in))
		if err != nil {
			t.Errorf("%s %s: %v", c.query, c.in, err)
			continue
		}
		if want := variables(t, c.out); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s: got %#v, want %#v", c.query, c.in, got, want)
		}
	}
}

func TestCoerceKeepsTheTypeOfNumbersFromGo(t *testing.T) {
	t.Parallel()
	op := prepare(t, shop(t, "manager"), `query($l: Int) { customers(limit: $l) { id } }`)
	got, err := op.Coerce(map[string]any{"l": float64(3)})
	if err != nil || got["l"] != json.Number("3") {
		t.Errorf("got %#v, %v", got, err)
	}
}

func TestCoerceRefusesWithTheDialectsTextAndPath(t *testing.T) {
	t.Parallel()
	manager, customer := shop(t, "manager"), shop(t, "customer")
	const (
		where  = `query($w: orders_bool_exp) { orders(where: $w) { id } }`
		quote  = `query($p: uuid!, $s: Speed) { quote(product_id: $p, speed: $s) }`
		place  = `mutation($i: [OrderItem!]!) { placeOrder(items: $i) { order_id } }`
		insert = `mutation($o: [customers_insert_input!]!) { insert_customers(objects: $o) { affected_rows } }`
	)
	for _, c := range []struct{ role, query, in, message, path string }{
		{"customer", quote, `{}`, `expecting a value for non-nullable variable: "p"`, "$"},
		{"customer", quote, `{"p": null}`, `null value found for non-nullable type: "uuid!"`, "$"},
		{"customer", quote, `{"p": 3}`, "expected a UUID for type 'uuid', but found an integer", "$.selectionSet.quote.args.product_id"},
		{"customer", quote, `{"p": "6ba7b810-9dad-11d1-80b4-00c04fd430c"}`, "expected a UUID for type 'uuid', but found a string", "$.selectionSet.quote.args.product_id"},
		{"customer", quote, `{"p": "` + id + `", "s": "WARP"}`, "expected one of the values ['FAST', 'SLOW', 'PIGEON'] for type 'Speed', but found 'WARP'", "$.selectionSet.quote.args.speed"},
		{"customer", quote, `{"p": "` + id + `", "s": 1}`, "expected an enum value for type 'Speed', but found an integer", "$.selectionSet.quote.args.speed"},
		{"customer", quote, `{"p": "` + id + `", "x": 1}`, "unexpected variables in variableValues: x", "$"},
		{"customer", place, `{"i": [{"product_id": "` + id + `"}]}`, "missing required field 'quantity'", "$.selectionSet.placeOrder.args.items[0].quantity"},
		{"customer", place, `{"i": [{"product_id": "` + id + `", "quantity": "2"}]}`, "expected a 32-bit integer for type 'Int', but found a string", "$.selectionSet.placeOrder.args.items[0].quantity"},
		{"customer", place, `{"i": [{"product_id": "` + id + `", "quantity": 2147483648}]}`, "expected a 32-bit integer for type 'Int', but found an integer", "$.selectionSet.placeOrder.args.items[0].quantity"},
		{"customer", place, `{"i": [null]}`, "unexpected null value for type 'OrderItem'", "$.selectionSet.placeOrder.args.items[0]"},
		{"customer", place, `{"i": [{"product_id": "` + id + `", "quantity": 1, "price": 0}]}`, "field 'price' not found in type: 'OrderItem'", "$.selectionSet.placeOrder.args.items[0].price"},
		{"manager", where, `{"w": {"id": {"_eq": null}}}`, "unexpected null value for type 'Int'", "$.selectionSet.orders.args.where.id._eq"},
		{"manager", where, `{"w": {"customer": null}}`, "unexpected null value for type 'customers_bool_exp'", "$.selectionSet.orders.args.where.customer"},
		{"manager", where, `{"w": "id = 1"}`, "expected an object for type 'orders_bool_exp', but found a string", "$.selectionSet.orders.args.where"},
		{"manager", `query($n: Int) { orders(where: {id: {_eq: $n}}) { id } }`, `{"n": null}`, "unexpected null value for type 'Int'", "$.selectionSet.orders.args.where.id._eq"},
		{"manager", `query($n: Int) { orders(limit: $n) { id } }`, `{"n": -1}`, "expected a non-negative 32-bit integer for type 'Int', but found an integer", "$.selectionSet.orders.args.limit"},
		{"manager", `query($n: Int) { orders(limit: $n, offset: $n) { id } }`, `{"n": "1"}`, "expected a 32-bit integer for type 'Int', but found a string", "$.selectionSet.orders.args.limit"},
		{"manager", `query($n: Int) { orders(offset: $n) { id } }`, `{"n": "-1"}`, "expected a non-negative 64-bit integer for type 'Int', but found a string", "$.selectionSet.orders.args.offset"},
		{"manager", `mutation($r: customers_insert_input = {name: "d"}) { insert_customers_one(object: $r) { id } }`, `{"r": null}`, "unexpected null value for type 'customers_insert_input'", "$.selectionSet.insert_customers_one.args.object"},
		{"manager", insert, `{"o": [{"name": "a"}, {"c": 1}]}`, "field 'c' not found in type: 'customers_insert_input'", "$.selectionSet.insert_customers.args.objects[1].c"},
	} {
		s := manager
		if c.role == "customer" {
			s = customer
		}
		_, err := prepare(t, s, c.query).Coerce(variables(t, c.in))
		t.Run(c.message, func(t *testing.T) { refusal(t, err, c.message, c.path) })
	}
}

func TestCoerceRefusesEndlessNesting(t *testing.T) {
	t.Parallel()
	op := prepare(t, shop(t, "manager"), `query($w: orders_bool_exp) { orders(where: $w) { id } }`)
	w := map[string]any{}
	for range 1000 {
		w = map[string]any{"_not": w}
	}
	if _, err := op.Coerce(map[string]any{"w": w}); err == nil {
		t.Error("accepted 1000 levels")
	}
}
