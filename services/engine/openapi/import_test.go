package openapi_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenantry/services/engine/openapi"
	"tenantry/services/engine/schema/sdl"
	"tenantry/services/engine/transform"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

var update = flag.Bool("update", false, "write the expected files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; it is now:\n%s", path, got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shown is an import as people read it.
func shown(t *testing.T, in *openapi.Imported) string {
	t.Helper()
	var out strings.Builder
	for _, d := range in.Definitions {
		doc := &metadata.Document{Actions: []metadata.Action{d.Action}, CustomTypes: &d.Types}
		fmt.Fprintf(&out, "# %s %s\n\n%s\n", d.Operation, d.Pointer, sdl.PrintAction(doc, &d.Action))
		text, err := json.MarshalIndent(map[string]any{
			"handler": d.Action.Definition.Handler, "request_transform": d.Action.Definition.RequestTransform,
			"response_transform": d.Action.Definition.ResponseTransform,
		}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(strings.NewReplacer(`\u003c`, "<", `\u0026`, "&").Replace(string(text)) + "\n\n")
	}
	out.WriteString("# Not mapped\n\n")
	for _, u := range in.Unmapped {
		fmt.Fprintf(&out, "%s %s: %s\n", u.Operation, u.Pointer, u.Reason)
	}
	out.WriteString("\n# Notes\n\n")
	for _, n := range in.Notes {
		fmt.Fprintf(&out, "%s: %s\n", n.Pointer, n.Message)
	}
	return out.String()
}

func TestOperationsBecomeActions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]openapi.Options{
		"pets.yaml":     {Roles: []string{"user"}},
		"payments.json": {Prefix: "Pay"},
		"library.yaml":  {Handler: "{{LIBRARY}}/"},
		"tickets.json":  {Prefix: "Desk", Roles: []string{"agent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := openapi.Import(read(t, "testdata/import/"+name), o)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "import/"+strings.TrimSuffix(name, filepath.Ext(name))+".golden", shown(t, in))
			doc := &metadata.Document{Version: 3, CustomTypes: &metadata.CustomTypes{}}
			for _, d := range in.Definitions {
				if doc.CustomTypes, err = sdl.MergeTypes(doc, d.Types, d.Action.Name); err != nil {
					t.Fatal(err)
				}
				doc.Actions = append(doc.Actions, d.Action)
			}
			m := model.Resolve(doc, nil, model.Options{})
			transform.Withdraw(m)
			if len(m.Actions) != len(in.Definitions) || len(m.Inconsistencies) > 0 {
				t.Errorf("the definitions are not consistent: %v", m.Inconsistencies)
			}
		})
	}
}

func TestOperationsAreCalledAsTheirDocumentSays(t *testing.T) {
	t.Parallel()
	in := map[string]openapi.Definition{}
	for _, name := range []string{"pets.yaml", "payments.json", "library.yaml"} {
		all, err := openapi.Import(read(t, "testdata/import/"+name), openapi.Options{Handler: "https://x.example"})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all.Definitions {
			in[d.Operation] = d
		}
	}
	for operation, cases := range map[string]map[string]string{
		"listPets": {
			`{}`: "GET https://x.example/pets",
			`{"limit": 5, "page_after": "a&b", "status": ["sold", "pending"], "X_Trace": "t"}`: "GET https://x.example/pets?limit=5&page%5Bafter%5D=a%26b&status=sold&status=pending x-trace=t",
			`{"size": "extra_large"}`:                            "GET https://x.example/pets?size=extra-large",
			`{"size": "small", "not": ["extra_large", "small"]}`: "GET https://x.example/pets?size=small&not=extra-large,small",
			`{"limit": null, "status": []}`:                      "GET https://x.example/pets",
		},
		"getPet":    {`{"petId": 12345678901}`: "GET https://x.example/pets/12345678901"},
		"createPet": {`{"body": {"name": "Rex", "status": "sold"}}`: `POST https://x.example/pets {"name":"Rex","status":"sold"}`},
		"post_owners_name_visits": {
			`{"name": "a/b ?", "X_Clinic": "c"}`: "POST https://x.example/owners/a%2Fb%20%3F/visits null x-clinic=c",
			`{"name": "..", "X_Clinic": "c"}`:    "refused",
			`{"name": "", "X_Clinic": "c"}`:      "refused",
		},
		"PostCharges": {`{"amount": 100, "currency": "eur", "statement_descriptor": "a b"}`: "POST https://x.example/v1/charges amount=100&currency=eur&statement-descriptor=a+b"},
		"GetCharges":  {`{"customer": "c", "expand": ["a,", "b"]}`: "GET https://x.example/v1/charges?customer=c&expand=a%2C,b"},
		"update-loan": {`{"body": {"due": null}}`: `PATCH https://x.example/loans {"due":null}`},
	} {
		for input, want := range cases {
			if got := sent(t, in[operation], input); got != want {
				t.Errorf("%s %s:\n got %s\nwant %s", operation, input, got, want)
			}
		}
	}
}

// sent is the request that a call makes.
func sent(t *testing.T, d openapi.Definition, input string) string {
	t.Helper()
	r, mistakes := transform.CompileRequest(d.Action.Definition.RequestTransform)
	if mistakes != nil {
		t.Fatalf("%s: %v", d.Operation, mistakes)
	}
	payload := `{"action": {"name": "a"}, "input": ` + input + `, "session_variables": {}}`
	body, err := transform.Decode([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Apply(transform.Outgoing{Method: "POST", URL: d.Action.Definition.Handler, Body: []byte(payload)},
		transform.Context{Body: body, BaseURL: d.Action.Definition.Handler})
	if err != nil {
		return "refused"
	}
	out := o.Method + " " + o.URL
	if len(o.Body) > 0 {
		out += " " + string(o.Body)
	}
	for _, name := range []string{"X-Trace", "X-Clinic"} {
		if v := o.Header.Get(name); v != "" {
			out += " " + strings.ToLower(name) + "=" + v
		}
	}
	return out
}

func TestErrorsOfAnAPIBecomeThoseOfAHandler(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		document, operation string
		status              int
		body, want          string
	}{
		{"pets.yaml", "getPet", 404, `{"code": 7, "message": "no such pet"}`, "no such pet"},
		{"payments.json", "PostCharges", 402, `{"error": {"message": "declined", "type": "card_error"}}`, "declined"},
		{"payments.json", "PostChargesChargeRefunds", 400, `{"anything": 1}`, "the service refused the request"},
		{"library.yaml", "getBook", 404, `{"title": "Not found"}`, "Not found"},
		{"library.yaml", "getBook", 404, `{"title": "Not found", "detail": "no such book"}`, "no such book"},
	} {
		in, err := openapi.Import(read(t, "testdata/import/"+c.document), openapi.Options{Operations: []string{c.operation}, Handler: "https://x"})
		if err != nil {
			t.Fatal(err)
		}
		r, mistakes := transform.CompileResponse(in.Definitions[0].Action.Definition.ResponseTransform)
		if mistakes != nil {
			t.Fatal(mistakes)
		}
		body, err := transform.Decode([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := r.Apply(c.status, body, transform.Context{})
		if got, _ := out.(map[string]any); err != nil || got["message"] != c.want {
			t.Errorf("%s %s: %v %v", c.operation, c.body, out, err)
		}
		if out, _, err := r.Apply(200, body, transform.Context{}); err != nil || fmt.Sprint(out) != fmt.Sprint(body) {
			t.Errorf("%s: a success is changed: %v %v", c.operation, out, err)
		}
	}
}

// hostile is a document with one operation that answers the schema.
func hostile(schema, schemas string) string {
	return `{"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "servers": [{"url": "https://x.example"}], "paths": {"/a": {"get": {"operationId": "a", "responses": {"200":
{"description": "ok", "content": {"application/json": {"schema": ` + schema + `}}}}}}}, "components": {"schemas": {` + schemas + `}}}`
}

func TestHostileDocumentsAreRefusedSoon(t *testing.T) {
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	var doubled []string
	for i := range 60 {
		doubled = append(doubled, fmt.Sprintf(`"S%d": {"type": "object", "allOf": [{"$ref": "#/components/schemas/S%d"}, {"$ref": "#/components/schemas/S%d"}]}`, i, i+1, i+1))
	}
	doubled = append(doubled, `"S60": {"type": "object", "properties": {"x": {"type": "string"}}}`)
	for name, c := range map[string]struct{ text, want string }{
		"aliases of aliases":         {laughs + "openapi: 3.0.0\n", "more than 200000 values"},
		"five megabytes":             {`{"openapi": "3.0.0", "x": "` + strings.Repeat("x", 5<<20) + `"}`, "at most 4194304 are allowed"},
		"a deep document":            {`{"openapi": "3.0.0", "x": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, "deeper than 100 levels"},
		"deep YAML":                  {"openapi: 3.0.0\nx: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "deeper than 100 levels"},
		"an alias of itself":         {"openapi: 3.0.0\nx: &x [*x]\n", ""},
		"a reference elsewhere":      {hostile(`{"$ref": "http://127.0.0.1:1/x.json"}`, ``), "references out of the document are not followed"},
		"a reference to a file":      {hostile(`{"$ref": "../../etc/passwd#/x"}`, ``), "/paths/~1a/get/responses/200/content/application~1json/schema/$ref: references out of"},
		"a reference to nothing":     {hostile(`{"$ref": "#/components/schemas/Gone"}`, ``), "/content/application~1json/schema/$ref: the reference leads to nothing"},
		"a reference to itself":      {hostile(`{"$ref": "#/components/schemas/A"}`, `"A": {"$ref": "#/components/schemas/A"}`), "/components/schemas/A/$ref: the reference leads to itself"},
		"references in a circle":     {hostile(`{"$ref": "#/components/schemas/A"}`, `"A": {"allOf": [{"$ref": "#/components/schemas/B"}]}, "B": {"allOf": [{"$ref": "#/components/schemas/A"}]}`), "refer to one another"},
		"lists of themselves":        {hostile(`{"$ref": "#/components/schemas/A"}`, `"A": {"type": "array", "items": {"$ref": "#/components/schemas/A"}}`), "refer to one another"},
		"references that double":     {hostile(`{"$ref": "#/components/schemas/S0"}`, strings.Join(doubled, ",")), "refer to one another"},
		"another version":            {`{"swagger": "2.0"}`, "expected the version 3.0.x or 3.1.x"},
		"no document":                {"- a\n- b\n", "expected an OpenAPI document"},
		"neither of the two formats": {"{\x00", "neither JSON nor YAML"},
		"a key that is there twice":  {"openapi: 3.0.0\ninfo: {a: 1, a: 2}\n", ""},
		"no operations":              {`{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {}}`, "no operations"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := time.Now()
			_, err := openapi.Import(c.text, openapi.Options{})
			var refusal *openapi.Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestWantedOperationsThatAreMissingAreNamed(t *testing.T) {
	t.Parallel()
	_, err := openapi.Import(read(t, "testdata/import/pets.yaml"), openapi.Options{Operations: []string{"getPet", "getDog"}})
	if err == nil || !strings.Contains(err.Error(), `"getDog"`) || strings.Contains(err.Error(), `"getPet"`) {
		t.Errorf("got %v", err)
	}
}

func TestInputsThatNeedOneAnotherWithoutAnEndGetOne(t *testing.T) {
	t.Parallel()
	schema := func(required, name, ref string) string {
		return fmt.Sprintf(`{"type": "object", "required": [%q], "properties": {%q: {"$ref": "#/components/schemas/%s"}, "all": {"type": "array", "items": {"$ref": "#/components/schemas/%s"}}}}`, required, name, ref, ref)
	}
	in, err := openapi.Import(`{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "servers": [{"url": "https://api.example.com"}],
		"paths": {"/a": {"post": {"operationId": "add", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}, "responses": {"204": {"description": "done"}}}}},
		"components": {"schemas": {"A": `+schema("b", "b", "B")+`, "B": `+schema("a", "a", "A")+`, "C": `+schema("all", "c", "C")+`}}}`, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := shown(t, in)
	// One of the two is enough.
	if strings.Count(got, "b: BInput!")+strings.Count(got, "a: AInput!") != 1 || !strings.Contains(got, "the property may be left out") {
		t.Error(got)
	}
	doc := &metadata.Document{Actions: []metadata.Action{in.Definitions[0].Action}, CustomTypes: &in.Definitions[0].Types}
	if m := model.Resolve(doc, nil, model.Options{}); len(m.Inconsistencies) > 0 {
		t.Errorf("what was imported does not resolve: %+v", m.Inconsistencies)
	}
}
