package action

import (
	"testing"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// types are an order with items, three levels deep and recursive.
func types(t *testing.T) map[string]*model.Type {
	fields := func(pairs ...string) []model.Field {
		var out []model.Field
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, model.Field{Name: pairs[i], Type: typeRef(t, pairs[i+1])})
		}
		return out
	}
	return map[string]*model.Type{
		"Order":   {Name: "Order", Kind: model.Object, Fields: fields("order_id", "ID!", "items", "[Item!]", "parent", "Order", "tags", "[[String!]]")},
		"Item":    {Name: "Item", Kind: model.Object, Fields: fields("sku", "String!", "price", "Price", "color", "Color")},
		"Price":   {Name: "Price", Kind: model.Object, Fields: fields("amount", "Float!", "cents", "Int", "gross", "Boolean", "raw", "json", "any", "Anything!")},
		"Color":   {Name: "Color", Kind: model.Enum, Values: []metadata.EnumValue{{Value: "RED"}, {Value: "BLUE"}}},
		"Filter":  {Name: "Filter", Kind: model.Input},
		"String":  {Name: "String", Kind: model.Scalar, BuiltIn: true},
		"json":    {Name: "json", Kind: model.Scalar, BuiltIn: true},
		"uuid":    {Name: "uuid", Kind: model.Scalar, BuiltIn: true},
		"Anyuuid": {Name: "Anyuuid", Kind: model.Scalar},
	}
}

func TestAnswersAreCheckedAgainstTheContract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, answer, mistake string }{
		{"Order", `null`, ``},
		{"Order!", `null`, `got null for the action webhook response`},
		{"[Order]!", `null`, `got null for the action webhook response`},
		{"Order", `[{"order_id":1}]`, `got array for the action webhook response, expecting Order`},
		{"[Order]", `{"order_id":1}`, `expecting array for the action webhook response`},
		{"String!", `{"id":1}`, `got object for the action webhook response, expecting String`},
		{"Order", `"some"`, `got scalar String for the action webhook response, expecting Order`},
		{"Order", `1`, `got scalar Int for the action webhook response, expecting Order`},
		{"[Int]!", `["foo","bar",null]`, `got scalar String for the action webhook response, expecting Int`},
		{"[String]!", `["foo",null]`, ``},
		{"[String!]!", `["foo","bar",null]`, `got null for the action webhook response`},
		{"[[Anything!]]!", `[{"foo":"bar"}]`, `expecting array for the action webhook response`},
		{"Order", `{}`, `field "order_id" expected in webhook response, but not found`},
		{"Order", `{"order_id":null}`, `expecting not null value for field "order_id"`},
		{"Order", `{"order_id":"a","unknown":{"x":[1]},"items":null}`, ``},
		{"Order", `{"order_id":17}`, ``},
		{"Order", `{"order_id":1.5}`, `got scalar Float for the action webhook response, expecting ID at field "order_id"`},
		{"[Order!]", `[{"order_id":1},{"order_id":null}]`, `expecting not null value for field "[1].order_id"`},
		{"Order", `{"order_id":1,"items":[null]}`, `got null for the action webhook response at field "items[0]"`},
		{"Order", `{"order_id":1,"items":{}}`, `expecting array for the action webhook response at field "items"`},
		{"Order", `{"order_id":1,"tags":[["a"],null,["b",null]]}`, `got null for the action webhook response at field "tags[2][1]"`},
		{"Order", `{"order_id":1,"items":[{"sku":"a"},{"sku":7}]}`, `got scalar Int for the action webhook response, expecting String at field "items[1].sku"`},
		{"Order", `{"order_id":1,"parent":{"order_id":2,"parent":{"items":[]}}}`, `field "parent.parent.order_id" expected in webhook response, but not found`},
		{"Order", `{"order_id":1,"items":[{"sku":"a","price":{"amount":"1","any":1}}]}`, `got scalar String for the action webhook response, expecting Float at field "items[0].price.amount"`},
		{"Order", `{"order_id":1,"items":[{"sku":"a","price":{"amount":1,"any":{}}}]}`, ``},
		{"Order", `{"order_id":1,"items":[{"sku":"a","price":{"amount":1}}]}`, `field "items[0].price.any" expected in webhook response, but not found`},
		{"Item", `{"sku":"a","color":"RED"}`, ``},
		{"Item", `{"sku":"a","color":"GREEN"}`, `got an unknown enum value for the action webhook response, expecting Color at field "color"`},
		{"Item", `{"sku":"a","color":1}`, `got scalar Int for the action webhook response, expecting Color at field "color"`},
		{"Int", `2147483647`, ``},
		{"Int", `2147483648`, `got a number beyond 32 bits for the action webhook response, expecting Int`},
		{"Int", `1e400`, `got scalar Float for the action webhook response, expecting Int`},
		{"Int", `1.5`, `got scalar Float for the action webhook response, expecting Int`},
		{"Int", `1.0`, ``},
		{"Boolean", `"true"`, `got scalar String for the action webhook response, expecting Boolean`},
		{"Boolean", `false`, ``},
		{"Float", `1`, ``},
		{"json", `[{"a":null}]`, ``},
		{"json!", `null`, `got null for the action webhook response`},
		{"Anything", `{"a":[1]}`, ``},
		{"Anyuuid", `{"a":[1]}`, ``},
		{"uuid", `"f"`, ``},
		{"uuid", `{}`, `got object for the action webhook response, expecting uuid`},
		{"Filter", `{}`, `Filter is not an output type`},
	} {
		value, err := decode([]byte(c.answer))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := Check(types(t), typeRef(t, c.want), value); err != nil {
			got = err.Error()
			if e := public(t, err); e.Code != "unexpected" || e.Path != "$" {
				t.Errorf("%s: code %s, path %s", c.answer, e.Code, e.Path)
			}
		}
		if got != c.mistake {
			t.Errorf("%s as %s:\n got %s\nwant %s", c.answer, c.want, got, c.mistake)
		}
	}
}
