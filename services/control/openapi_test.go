package control_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// payments is the body of an import of a document that the engine's own tests have.
func payments(t *testing.T, extra map[string]any) string {
	t.Helper()
	text := must(os.ReadFile("../engine/openapi/testdata/import/payments.json"))(t)
	body := map[string]any{"document": string(text), "handler": "http://127.0.0.1:1"}
	for k, v := range extra {
		body[k] = v
	}
	return string(must(json.Marshal(body))(t))
}

func TestTheHandlerOfAnActionIsDescribed(t *testing.T) {
	t.Parallel()
	s := start(t)
	slug, owner := s.tenant("Shop")
	p := s.project(slug, owner, "shop-described")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all"}`)
	s.want(201, owner, "POST", p+"/actions", placeOrder)
	a := s.want(200, s.key(slug, owner, "viewer"), "GET", p+"/actions/placeOrder/openapi", "")
	read := must(openapi3.NewLoader().LoadFromData([]byte(a.text)))(t)
	if err := read.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if read.Paths.Find("/place-order") == nil || a.header.Get("ETag") == "" {
		t.Errorf("the document is not that of the handler: %s", a.text)
	}
	s.want(404, owner, "GET", p+"/actions/nope/openapi", "")
}

func TestActionsAreImportedFromAnOpenAPIDocument(t *testing.T) {
	t.Parallel()
	s := start(t)
	slug, owner := s.tenant("Shop")
	p := s.project(slug, owner, "shop-import")
	path := p + "/actions:import-openapi"

	dry := s.want(200, owner, "POST", path, payments(t, map[string]any{"operations": []string{"PostCharges"}}))
	if dry.at(t, "applied") != false || dry.str(t, "definitions.0.name") != "PostCharges" || dry.str(t, "metadata.actions.0.definition.request_transform.method") != "POST" {
		t.Errorf("the definitions are not told: %s", dry.text)
	}
	if list := s.want(200, owner, "GET", p+"/actions", ""); len(list.at(t, "items").([]any)) != 0 {
		t.Fatalf("what was only asked for is registered: %s", list.text)
	}

	applied := s.want(200, owner, "POST", path, payments(t, map[string]any{"apply": true, "permissions": []string{"user"}}))
	if applied.at(t, "applied") != true || applied.header.Get("ETag") == "" {
		t.Errorf("not applied: %s", applied.text)
	}
	if sdl := s.want(200, owner, "GET", p+"/schema.graphql?role=user", "").text; !strings.Contains(sdl, "GetCharges(") || !strings.Contains(sdl, "PostCharges(") {
		t.Error("the role does not see the actions")
	}
	if got := s.want(409, owner, "POST", path, payments(t, map[string]any{"apply": true})).places(t); !slices.Contains(got, "/document/paths/~1v1~1charges/get/operationId") {
		t.Errorf("places of names that are taken: %v", got)
	}
	s.want(200, owner, "POST", path, payments(t, map[string]any{"apply": true, "replace": true}))
	s.want(412, owner, "POST", path, payments(t, map[string]any{"apply": true, "replace": true}), "If-Match", applied.header.Get("ETag"))
	found := false
	for _, item := range s.want(200, owner, "GET", p+"/audit?limit=50", "").at(t, "items").([]any) {
		found = found || item.(map[string]any)["action"] == "action.import"
	}
	if !found {
		t.Error("the import is not audited")
	}

	other := s.project(slug, owner, "shop-taken")
	const charges = "/document/paths/~1v1~1charges/"
	s.want(201, owner, "POST", other+"/actions", `{"name": "charge", "handler": "http://127.0.0.1:1", "definition": "type Mutation { charge: Charge }\ntype Charge { own: Int! }"}`)
	if got := s.want(409, owner, "POST", other+"/actions:import-openapi", payments(t, map[string]any{"apply": true})).places(t); !slices.Contains(got, charges+"get") && !slices.Contains(got, charges+"post") {
		t.Errorf("places of types that are taken: %v", got)
	}
	s.want(200, owner, "POST", other+"/tables:track", `{"tables":"all"}`)
	s.want(200, owner, "PUT", other+"/tables/product", `{"configuration":{"custom_root_fields":{"insert":"PostCharges"}}}`)
	if got := s.want(422, owner, "POST", other+"/actions:import-openapi", payments(t, map[string]any{"apply": true, "prefix": "Pay"})).places(t); !slices.Equal(got, []string{charges + "post"}) {
		t.Errorf("places of what does not resolve: %v", got)
	}

	for name, c := range map[string]struct {
		body   map[string]any
		status int
		place  string
	}{
		"an operation that is missing": {map[string]any{"operations": []string{"Nope"}}, 422, "/operations"},
		"a handler that may not be":    {map[string]any{"handler": "http://10.0.0.1"}, 422, "/handler"},
		"no document":                  {map[string]any{"document": "hello"}, 422, "/document"},
		"a reference elsewhere":        {map[string]any{"document": map[string]any{"openapi": "3.0.0", "x": map[string]any{"$ref": "http://a/b"}}}, 422, "/document/x/$ref"},
		"too large a document":         {map[string]any{"document": `{"openapi": "3.0.0", "x": "` + strings.Repeat("x", 5<<20) + `"}`}, 422, "/document"},
	} {
		if got := s.want(c.status, owner, "POST", path, payments(t, c.body)).places(t); !slices.Contains(got, c.place) {
			t.Errorf("%s: places %v, want %s", name, got, c.place)
		}
	}
	s.want(413, owner, "POST", path, `{"document": "`+strings.Repeat("x", 7<<20)+`"}`)
	s.want(403, s.key(slug, owner, "viewer"), "POST", path, payments(t, nil))
}
