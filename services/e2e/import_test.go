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
		case "DELETE /v1/pets/Rex ":
			w.WriteHeader(http.StatusNoContent)
		case "PATCH /v1/pets/Rex colour=light-blue&note=a+%26+b":
			_, _ = io.WriteString(w, "changed") // though its document says nothing
		case "GET /v1/pets/Rex/story ":
			_, _ = io.WriteString(w, `"Woof", he said.`)
		case "DELETE /v1/pets/Max ":
			http.Error(w, "Max stays", http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error": {"message": "no such pet"}}`)
		}
	}))
	t.Cleanup(api.Close)
	p := newProject(t, shared(t), managed)
	imported := p.control(http.StatusOK, http.MethodPost, "/actions:import-openapi", map[string]any{"apply": true, "permissions": []string{"reader"}, "handler": api.URL + "/v1", "document": `
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
    delete:
      operationId: dropPet
      parameters: &name
        - {name: name, in: path, required: true, schema: {type: string}}
      responses: {"204": {description: gone}, "403": {description: no, content: {text/plain: {}}}}
    patch:
      operationId: changePet
      parameters: *name
      requestBody: {required: true, content: {application/x-www-form-urlencoded: {schema: {type: object, required: [note], properties: {note: {type: string}, colour: {type: string, enum: [red, light-blue]}, size: {type: integer}}}}}}
      responses: {"200": {description: done}}
  /pets/{name}/story:
    get:
      operationId: tellPet
      parameters: *name
      responses: {"200": {description: a story, content: {text/plain: {schema: {type: string}}}}}
  /pets/{name}/photo:
    put:
      operationId: showPet
      parameters: *name
      requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}
      responses: {"204": {description: shown}}
  /pets:
    post:
      operationId: addPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: *answers
components:
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer, nullable: true}}}
`})
	if imported.at("unmapped", 0, "operation") != "showPet" || imported.at("unmapped", 1) != nil ||
		imported.at("unmapped", 0, "reason") != "the body is multipart/form-data, expected JSON or application/x-www-form-urlencoded" {
		t.Errorf("what can't be imported: %s", imported.Text)
	}
	reader := p.as("reader")
	for query, want := range map[string]any{
		`mutation { answer: dropPet(name: "Rex") }`:                                      true,
		`mutation { answer: changePet(name: "Rex", note: "a & b", colour: light_blue) }`: true,
		`{ answer: tellPet(name: "Rex") }`:                                               `"Woof", he said.`,
	} {
		if a := data(t, p.url("/v1/graphql"), reader, query, nil); a.at("data", "answer") != want {
			t.Errorf("%s: %s", query, a.Text)
		}
	}
	refusal{"service-error", "=Max stays\n"}.check(t, p.ask(reader, `mutation { dropPet(name: "Max") }`))
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
