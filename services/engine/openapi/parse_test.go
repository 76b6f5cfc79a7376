package openapi_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/services/engine/openapi"
)

// oneOperation is a document that has one operation, with members of its own and of the components.
func oneOperation(operation, components string) string {
	return `{"openapi": "3.1.0", "servers": [{"url": "https://x.example"}], "paths": {"/a/{b}": {"x-more": 1, "parameters": [{"$ref": "#/components/parameters/B"}],
"get": {"operationId": "a", ` + operation + `}}, "x-more": [1]}, "components": {"parameters": {"B": {"$ref": "#/components/parameters/C"},
"C": {"name": "b", "in": "path", "schema": {"$ref": "#/components/schemas/Named%20one"}}}, "schemas": {"Named one": {"type": "integer"}` + components + `}}}`
}

const ok = `"responses": {"x-more": true, "200": {"content": {"application/json": {"schema": {"type": "array", "items": {"type": ["string", "null"], "enum": ["A", null]}}}}}}`

func TestReferencesWithinADocumentAreFollowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a parameter over another, and a name with a space": {oneOperation(ok, ""), "(b: Int!): [A]! "},
		"to the schema of an answer":                        {oneOperation(`"parameters": [{"name": "c", "in": "query", "schema": {"$ref": "#/paths/~1a~1%7Bb%7D/get/responses/200/content/application~1json/schema/items"}}], `+ok, ""), "c: A"},
		"to what nobody else reads":                         {oneOperation(`"parameters": [{"name": "c", "in": "query", "schema": {"$ref": "#/x/0"}}], `+ok, "") + "", ""},
		"over two schemas":                                  {oneOperation(`"parameters": [{"name": "c", "in": "query", "schema": {"$ref": "#/components/schemas/D"}}], `+ok, `, "D": {"$ref": "#/components/schemas/E"}, "E": {"type": "boolean"}`), "c: Boolean"},
		"a response":                                        {oneOperation(`"responses": {"200": {"$ref": "#/components/responses/R"}}`, `}, "responses": {"R": {"content": {"text/plain": {}}}`), "String!"},
	} {
		text := c.text
		if c.want == "" {
			text = strings.TrimSuffix(text, "}") + `, "x": [{"type": "number"}]}`
			c.want = "c: Float"
		}
		in, err := openapi.Import(text, openapi.Options{})
		if err != nil || len(in.Definitions) != 1 {
			t.Errorf("%s: %v, %+v", name, err, in)
			continue
		}
		d := in.Definitions[0].Action.Definition
		got := "("
		for i, a := range d.Arguments {
			if i > 0 {
				got += ", "
			}
			got += a.Name + ": " + a.Type
		}
		if got += "): " + d.OutputType + " "; !strings.Contains(strings.ReplaceAll(got, "AOutputItem", "A"), c.want) {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestWhatIsOfAnotherKindIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	const get = "/paths/~1a~1{b}/get"
	for name, c := range map[string]struct{ text, want string }{
		"paths":                         {`{"openapi": "3.0.0", "paths": []}`, "/paths: expected an object"},
		"a server":                      {`{"openapi": "3.0.0", "servers": [1]}`, "/servers/0: expected an object"},
		"an operation":                  {`{"openapi": "3.0.0", "paths": {"/a": {"get": "x"}}}`, "/paths/~1a/get: expected an object"},
		"parameters":                    {oneOperation(`"parameters": {}, `+ok, ""), get + "/parameters: expected a list"},
		"required":                      {oneOperation(`"parameters": [{"name": "c", "in": "query", "required": "yes"}], `+ok, ""), get + "/parameters/0/required: expected true or false"},
		"a name":                        {oneOperation(`"summary": 1, `+ok, ""), get + "/summary: expected a text"},
		"a type":                        {oneOperation(ok, `, "D": {"type": ["string", 1]}`), "/components/schemas/D/type/1: expected a text"},
		"a bound":                       {oneOperation(ok, `, "D": {"minimum": "1"}`), "/components/schemas/D/minimum: expected a number"},
		"a schema":                      {oneOperation(ok, `, "D": {"properties": {"x": 1}}`), "/components/schemas/D/properties/x: expected an object"},
		"a member that is no schema":    {oneOperation(ok, `, "D": {"allOf": [[]]}`), "/components/schemas/D/allOf/0: expected an object"},
		"a reference into a text":       {oneOperation(ok, `, "D": {"$ref": "#/openapi/x"}`), "/components/schemas/D/$ref: the reference leads to nothing"},
		"a reference behind a list":     {oneOperation(ok, `, "D": {"$ref": "#/servers/1"}`), "/components/schemas/D/$ref: the reference leads to nothing"},
		"a parameter that is not there": {oneOperation(`"parameters": [{"$ref": "#/components/parameters/D"}], `+ok, ""), get + "/parameters/0/$ref: the reference leads to nothing"},
		"a body that leads to itself":   {oneOperation(`"requestBody": {"$ref": "#/paths/~1a~1{b}/get/requestBody"}, `+ok, ""), get + "/requestBody/$ref: the reference leads to itself"},
	} {
		if _, err := openapi.Import(c.text, openapi.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// A chain of references, and references to each step of a deep schema, must not make
// more of a document than it is. Not parallel: it counts what is allocated.
func TestManyReferencesCostNoMoreThanTheirDocument(t *testing.T) {
	var chain, deep, each strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&chain, `, "S%d": {"$ref": "#/components/schemas/S%d"}`, i, i+1)
	}
	if _, err := openapi.Import(oneOperation(ok, chain.String()+`, "S20000": {}`), openapi.Options{}); err == nil || !strings.Contains(err.Error(), "over more than 32 others") {
		t.Errorf("a chain: %.200v", err)
	}
	for i := range 40 {
		deep.WriteString(`{"allOf": [`)
		fmt.Fprintf(&each, `, "S%02d": {"$ref": "#/x/0%s"}`, i, strings.Repeat("/allOf/0", 39-i)) // the innermost first
	}
	wide := strings.TrimSuffix(strings.Repeat(`{"type": "string"},`, 30_000), ",")
	text := strings.TrimSuffix(oneOperation(ok, each.String()), "}") + `, "x": [` + deep.String() + wide + strings.Repeat("]}", 40) + `]}`
	if allocated := testing.AllocsPerRun(1, func() {
		if _, err := openapi.Import(text, openapi.Options{}); err != nil {
			t.Errorf("%.200v", err)
		}
	}); allocated > 3_000_000 {
		t.Errorf("%.0f objects were made", allocated)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(oneOperation(ok, ""))
	f.Add(hostile(`{"$ref": "#/components/schemas/A"}`, `"A": {"allOf": [{"$ref": "#/components/schemas/A"}], "properties": {"x": true}}`))
	f.Add("openapi: 3.0.0\npaths:\n  /a:\n    get: {responses: {'200': {$ref: '#/paths/~1a'}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		in, err := openapi.Import(text, openapi.Options{Handler: "https://x.example"})
		if (in == nil) == (err == nil) {
			t.Errorf("got %v and %v", in, err)
		}
	})
}
