package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// derived asks for an action of an operation and writes its handler.
func (p *project) derived(body map[string]any, dir string) answer {
	p.t.Helper()
	a := p.control(http.StatusOK, http.MethodPost, "/actions:derive", body)
	for i := 0; a.at("files", i) != nil; i++ {
		path := filepath.Join(dir, filepath.FromSlash(a.text(p.t, "files", i, "name")))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(a.text(p.t, "files", i, "content")), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return a
}

func TestADerivedActionAnswersWhatItsOperationDoes(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	p.meta(200, "pg_create_insert_permission", `{"table": "authors", "role": "reader", "permission": {"columns": "*", "check": {}}}`)
	secret, reader := p.signingSecret(), p.as("reader")
	for name, c := range map[string]struct{ query, arguments string }{
		"oneBook":   {`query oneBook($id: Int!) { books_by_pk(id: $id) { title author { name } } }`, `(id: 1)`},
		"allBooks":  {`query allBooks($most: Int = 2) { books(limit: $most, order_by: {id: asc}) { id title author { name } } }`, ``},
		"twoBooks":  {`query twoBooks($where: books_bool_exp) { a: books(where: $where) { ...T } b: books(limit: 1, order_by: {id: desc}) { id } } fragment T on books { title }`, `(where: {id: {_eq: 1}})`},
		"addAuthor": {`mutation addAuthor($id: Int!, $name: String!) { insert_authors_one(object: {id: $id, name: $name}) { name books { title } } }`, `(id: 51, name: "Stanisław Lem")`},
	} {
		kind, _, _ := strings.Cut(c.query, " ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, port := t.TempDir(), freePort(t)
			a := p.derived(map[string]any{
				"query": c.query, "role": "reader", "permissions": []string{"reader"}, "handler": "http://127.0.0.1:" + port, "framework": "go",
			}, dir)
			p.control(http.StatusCreated, http.MethodPost, "/actions", a.at("action"))
			command(t, dir, []string{"GOFLAGS="}, "go", "vet", ".")
			command(t, dir, []string{"GOFLAGS="}, "go", "build", "-o", "handler", ".")
			process{dir: dir, command: []string{"./handler"}, environ: []string{
				"PORT=" + port, "TENANTRY_SIGNING_SECRET=" + secret, "TENANTRY_GRAPHQL_URL=" + p.url("/v1/graphql"),
			}, address: "127.0.0.1:" + port}.start(t)

			variables := map[string]any{}
			if name == "oneBook" {
				variables["id"] = 1
			}
			if name == "twoBooks" {
				variables["where"] = map[string]any{"id": map[string]any{"_eq": 1}}
			}
			if name == "addAuthor" {
				variables = map[string]any{"id": 50, "name": "Stanisław Lem"}
			}
			direct := data(t, p.url("/v1/graphql"), reader, c.query, variables)
			selection := map[string]string{
				"oneBook": "{ title author { name } }", "allBooks": "{ id title author { name } }", "twoBooks": "{ a { title } b { id } }",
				"addAuthor": "{ name books { title } }",
			}[name]
			through := data(t, p.url("/v1/graphql"), reader, kind+" { "+name+c.arguments+" "+selection+" }", nil)
			want, got := direct.at("data"), through.at("data", name)
			switch name {
			case "oneBook":
				want = direct.at("data", "books_by_pk")
			case "addAuthor":
				want = direct.at("data", "insert_authors_one")
			case "allBooks":
				want = direct.at("data", "books")
			}
			if want == nil || !reflect.DeepEqual(want, got) {
				t.Errorf("the action answers %s, the operation %s", through.Text, direct.Text)
			}
		})
	}
}
