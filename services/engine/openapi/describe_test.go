package openapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tenantry/services/engine/openapi"
	"tenantry/services/engine/schema/sdl"
	"tenantry/tenants/metadata"
)

// document is the metadata of one action.
func document(t *testing.T, text, name string, edit func(*metadata.ActionDefinition)) *metadata.Document {
	t.Helper()
	read, err := sdl.ParseAction(text, name)
	if err != nil {
		t.Fatal(err)
	}
	d := read.Definition
	d.Handler = "{{HANDLER_BASE}}/place-order"
	if edit != nil {
		edit(&d)
	}
	return &metadata.Document{Version: 3, Actions: []metadata.Action{{Name: name, Comment: read.Comment, Definition: d}}, CustomTypes: &read.Types}
}

const placeOrder = `
type Mutation {
  "Places an order."
  placeOrder("what is bought" items: [Item!]!, note: String, size: Size, gift: Gift): Order!
}
input Item { product_id: uuid! quantity: Int! price: numeric options: jsonb }
input Gift { to: String! with: Gift }
enum Size { SMALL LARGE }
scalar Money
type Order { id: bigint! total: Money size: Size! lines: [Line!]! parent: Order placed_at: timestamptz! }
type Line { text: String, next: Line }`

func TestTheDocumentOfAHandlerIsOpenAPI(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]*metadata.Document{
		"synchronous": document(t, placeOrder, "placeOrder", func(d *metadata.ActionDefinition) {
			d.Headers = []metadata.Header{{Name: "X-Api-Key", Value: "canary-of-a-header"}}
		}),
		"asynchronous": document(t, placeOrder, "placeOrder", func(d *metadata.ActionDefinition) {
			d.Kind, d.Handler = "asynchronous", "https://user:canary-of-a-url@handler.example.com/v1/orders?key=canary-of-a-query"
		}),
		"transformed": document(t, `type Query { placeOrder(id: Int!): [String] }`, "placeOrder", func(d *metadata.ActionDefinition) {
			d.Handler = "https://{{HOST}}.example.com"
			d.RequestTransform = &metadata.RequestTransform{Version: 2, Method: "GET", Body: &metadata.TransformBody{Action: metadata.BodyRemove}}
			d.ResponseTransform = &metadata.ResponseTransform{Version: 2, Body: &metadata.TransformBody{Action: metadata.BodyTransform, Template: "{{$body}}"}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := openapi.Describe(doc, "placeOrder")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "canary") {
				t.Errorf("the document has a secret:\n%s", text)
			}
			golden(t, "describe/"+name+".json", string(text)+"\n")
			read, err := openapi3.NewLoader().LoadFromData(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := read.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSamplesFitTheSchemaOfTheHandler(t *testing.T) {
	t.Parallel()
	doc := document(t, placeOrder, "placeOrder", nil)
	sample, err := openapi.SampleOf(doc, "placeOrder")
	if err != nil {
		t.Fatal(err)
	}
	if len(sample.Full) != 4 || len(sample.Minimal) != 1 {
		t.Errorf("full %v, minimal %v", sample.Full, sample.Minimal)
	}
	text, err := openapi.Describe(doc, "placeOrder")
	if err != nil {
		t.Fatal(err)
	}
	read, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	schema := read.Paths.Find("/place-order").Post.RequestBody.Value.Content["application/json"].Schema.Value
	for _, input := range []map[string]any{sample.Full, sample.Minimal} {
		payload := map[string]any{
			"action": map[string]any{"name": "placeOrder"}, "input": input,
			"session_variables": map[string]any{"x-hasura-role": "user"}, "request_query": "",
		}
		plain, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(plain, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			t.Error(err)
		}
	}
}

func TestArgumentsWithoutAFiniteValueHaveNoSample(t *testing.T) {
	t.Parallel()
	doc := document(t, `type Query { ask(a: A!): Int } input A { a: A! }`, "ask", nil)
	if _, err := openapi.SampleOf(doc, "ask"); err == nil {
		t.Error("a sample was made of a type that holds itself")
	}
}
