package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// apiOperation is one operation of the served OpenAPI document.
type apiOperation struct {
	ID     string `json:"operationId"`
	Class  string `json:"x-tenantry-class"` // what a key must be allowed to do
	Method string `json:"-"`
	Path   string `json:"-"` // with its parameters in braces
}

// apiDocument reads the OpenAPI document as clients do.
func apiDocument(t testing.TB, s *server) map[string]any {
	t.Helper()
	document, ok := must(t, http.StatusOK, http.MethodGet, s.PublicURL+"/api/v1/openapi.json", nil, nil).JSON.(map[string]any)
	if !ok {
		t.Fatal("the OpenAPI document is no JSON object")
	}
	return document
}

// apiOperations are all operations of the document, in order of their paths.
func apiOperations(t testing.TB, s *server) []apiOperation {
	t.Helper()
	paths, _ := apiDocument(t, s)["paths"].(map[string]any)
	var all []apiOperation
	for path, item := range paths {
		for method, described := range item.(map[string]any) {
			if !slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				continue
			}
			text, err := json.Marshal(described)
			if err != nil {
				t.Fatal(err)
			}
			o := apiOperation{Method: strings.ToUpper(method), Path: path}
			if err := json.Unmarshal(text, &o); err != nil || o.ID == "" || o.Class == "" {
				t.Fatalf("%s %s has no operationId or no x-tenantry-class: %v", method, path, err)
			}
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		t.Fatal("the OpenAPI document has no operations")
	}
	slices.SortFunc(all, func(a, b apiOperation) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return all
}

// idKind says what an id in a path is of: the words of the path around it, such
// as "projects/keys".
type idKind string

// The kinds that stand for themselves; all others belong to one of them.
const (
	tenantKind  idKind = "tenants"
	projectKind idKind = "projects"
	planKind    idKind = "plans" // the installation's, no tenant's
)

// parameters of a path with the kind of id that each takes, in their order.
func (o apiOperation) parameters() (names []string, kinds []idKind) {
	var words []string
	for part := range strings.SplitSeq(strings.TrimPrefix(o.Path, "/api/v1/"), "/") {
		word, rest, parameter := strings.Cut(part, "{")
		if !parameter {
			words = append(words, word)
			continue
		}
		name, _, _ := strings.Cut(rest, "}")
		names, kinds = append(names, name), append(kinds, idKind(strings.Join(words, "/")))
	}
	return names, kinds
}

func (o apiOperation) kinds() []idKind {
	_, kinds := o.parameters()
	return kinds
}

// address is the operation's path with ids in it. Every kind must be given.
func (o apiOperation) address(t testing.TB, ids map[idKind]string) string {
	t.Helper()
	path := o.Path
	names, kinds := o.parameters()
	for i, name := range names {
		id := ids[kinds[i]]
		if id == "" {
			t.Fatalf("%s: the path has an id of the kind %q, of which the test has none: give both tenants one", o.ID, kinds[i])
		}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(id))
	}
	return path
}
