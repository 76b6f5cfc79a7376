package control_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

var update = flag.Bool("update", false, "write api/openapi.yaml anew")

const documentFile = "../../api/openapi.yaml"

func TestTheKeptOpenAPIDocumentIsTheServedOne(t *testing.T) {
	t.Parallel()
	s := start(t)
	yaml, err := s.api.OpenAPI().YAML()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(documentFile, yaml, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != string(yaml) {
		t.Errorf("%s is not fresh: run go test ./services/control -run OpenAPI -update", documentFile)
	}
	served := s.want(200, "", "GET", "/api/v1/openapi.json", "")
	want, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if served.text != string(want) || served.at(t, "openapi") != "3.1.0" {
		t.Error("the served document is another one")
	}
	page := s.want(200, "", "GET", "/api/docs", "").text
	for path := range s.api.OpenAPI().Paths {
		if !strings.Contains(page, path) {
			t.Errorf("%s is not on the page", path)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http://") || strings.Contains(page, "https://") {
		t.Error("the page needs something from elsewhere")
	}
}

func TestEveryOperationHasAnIDAClassAndAKeyOrIsPublic(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			class, _ := op.Extensions["x-tenantry-class"].(string)
			if op.OperationID == "" || op.Summary == "" || class == "" || (class == "public") != (len(op.Security) == 0) {
				t.Errorf("%s %s: %+v", op.Method, path, op)
			}
		}
	}
}
