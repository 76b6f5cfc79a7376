package operation_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// shop is the schema of a role over the fixture of the schema's own tests.
func shop(t testing.TB, role string) *schema.Schema {
	t.Helper()
	return shopWith(t, role, schema.Options{})
}

func shopWith(t testing.TB, role string, options schema.Options) *schema.Schema {
	t.Helper()
	var c catalog.Catalog
	if err := json.Unmarshal(read(t, "catalog.json"), &c); err != nil {
		t.Fatal(err)
	}
	doc, err := metadata.Decode(read(t, "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(doc, map[string]*catalog.Catalog{"default": &c}, model.Options{})
	a, _ := access.Build(m)
	r, _ := a.Role(role)
	return schema.For(m, r, options)
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../schema/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// prepare fails the test when the query is refused.
func prepare(t testing.TB, s *schema.Schema, query string) *operation.Operation {
	t.Helper()
	op, err := operation.Prepare(s, query, "")
	if err != nil {
		t.Fatalf("%s\nrefused: %v at %s", query, err, errcode.From(err).Path)
	}
	return op
}

// variables decodes JSON as the edge does.
func variables(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refusal checks an error's public parts.
func refusal(t *testing.T, err error, message, path string) {
	t.Helper()
	var e *errcode.Error
	if !errors.As(err, &e) {
		t.Errorf("expected %q, got %v", message, err)
		return
	}
	if e.Code != errcode.ValidationFailed || e.Message != message || e.Path != path {
		t.Errorf("got  %s %q at %s\nwant %q at %s", e.Code, e.Message, e.Path, message, path)
	}
}
