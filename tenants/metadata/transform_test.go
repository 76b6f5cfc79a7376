package metadata_test

import (
	"strings"
	"testing"

	"tenantry/tenants/metadata"
)

func withTransforms(request, response string) string {
	return `{"version":3,"sources":[],"actions":[{"name":"a","definition":{"output_type":"Int","handler":"http://h",` +
		`"request_transform":` + request + `,"response_transform":` + response + `}}]}`
}

func TestTransformsAreKeptAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`{"version":2,"template_engine":"Kriti","method":"PUT","url":"{{$base_url}}/x","query_params":{"a":"{{1}}","b":null},` +
			`"request_headers":{"add_headers":{"k":"v"},"remove_headers":["z"]},"body":{"action":"x_www_form_urlencoded","form_template":{"n":"{{1}}"}}}`,
			`{"version":2,"body":{"action":"transform","template":"{\"a\": \"<&>\"}"},"error_when":"$body.x"}`},
		{`{"version":1,"query_params":"a=b","body":"{{ $body }}","content_type":"text/plain"}`, `{"template_engine":"Kriti","body":"1"}`},
		{`{"query_params":{},"body":{"action":"remove"}}`, `{}`},
	} {
		text := withTransforms(c[0], c[1])
		doc, err := metadata.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := metadata.Encode(doc); err != nil || string(got) != text {
			t.Errorf("%v: got\n%s\nwant\n%s", err, got, text)
		}
	}
	doc, err := metadata.Decode([]byte(withTransforms("null", "null")))
	if err != nil || doc.Actions[0].Definition.RequestTransform != nil || doc.Actions[0].Definition.ResponseTransform != nil {
		t.Errorf("null is not the same as absent: %v", err)
	}
}

func TestTransformsAreReadStrictly(t *testing.T) {
	t.Parallel()
	_, err := metadata.Decode([]byte(withTransforms(
		`{"version":"2","urll":"x","query_params":[1],"request_headers":{"add_headers":{"k":1}},"body":{"template":"x","more":1}}`, `{"body":7}`)))
	if err == nil {
		t.Fatal("no error")
	}
	const at = "$.actions[0].definition.request_transform"
	for _, want := range []string{
		at + ".version: expected an integer", at + ".urll: unknown key", at + ".query_params: expected a template or an object",
		at + ".request_headers.add_headers.k: expected a string", at + ".body.more: unknown key", at + `.body: the key "action" is missing`,
		"$.actions[0].definition.response_transform.body: expected a template or an object",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}
}
