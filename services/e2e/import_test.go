package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAnImportedOperationIsCalledAsTheAPIWantsIt(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch got := r.Method + " " + r.RequestURI + " " + string(body); got {
		case "GET /v1/pets/a%20b?full=true ":
			_, _ = io.WriteString(w, `{"name": "Rex", "size": null, "more": 1}`)
		case `POST /v1/pets {"name":"Rex"}`:
			_, _ = io.WriteString(w, `{"name": "Rex"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error": {"message": "no such pet"}}`)
		}
	}))
	t.Cleanup(api.Close)
	p := newProject(t, shared(t), managed)
	p.control(http.StatusOK, http.MethodPost, "/actions:import-openapi", map[string]any{"apply": true, "permissions": []string{"reader"}, "handler": api.URL + "/v1", "document": `
openapi: 3.0.3
info: {title: Pets, version: "1"}
paths:
  /pets/{name}:
    get:
      operationId: getPet
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
        - {name: full, in: query, schema: {type: boolean}}
      responses: &answers
        "200": {description: it, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
        default: {description: no, content: {application/json: {schema: {type: object, properties: {error: {type: object, properties: {message: {type: string}}}}}}}}
  /pets:
    post:
      operationId: addPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: *answers
components:
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer, nullable: true}}}
`})
	reader := p.as("reader")
	for query, want := range map[string]string{
		`{ getPet(name: "a b", full: true) { name size } }`:         "getPet",
		`mutation { addPet(body: {name: "Rex"}) { called: name } }`: "addPet",
	} {
		if a := data(t, p.url("/v1/graphql"), reader, query, nil); a.at("data", want, "name") != "Rex" && a.at("data", want, "called") != "Rex" {
			t.Errorf("%s: %s", query, a.Text)
		}
	}
	refusal{"service-error", "=no such pet"}.check(t, p.ask(reader, `{ getPet(name: "c") { name } }`))
	if a := p.ask(reader, `{ getPet(name: "..") { name } }`); a.at("errors", 0, "message") != "Request Transformation Failed" {
		t.Errorf("a step that leads elsewhere: %s", a.Text)
	}
}
