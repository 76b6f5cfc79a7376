package rest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
)

// endpointsOf makes a document with one collection whose operations are named by queries, and an
// endpoint "url METHODS query" for each line.
func endpointsOf(t *testing.T, queries map[string]string, lines ...string) (*Endpoints, []string) {
	t.Helper()
	doc := &metadata.Document{Version: 3}
	c := metadata.QueryCollection{Name: "c"}
	for name, text := range queries {
		c.Definition.Queries = append(c.Definition.Queries, metadata.NamedQuery{Name: name, Query: text})
	}
	doc.QueryCollections = []metadata.QueryCollection{c}
	for _, line := range lines {
		parts := strings.Fields(line)
		e := metadata.RESTEndpoint{Name: parts[0], URL: parts[0], Methods: strings.Split(parts[1], ",")}
		e.Definition.Query.Collection, e.Definition.Query.Query = "c", parts[2]
		doc.RESTEndpoints = append(doc.RESTEndpoints, e)
	}
	made, inconsistent := New(doc)
	var reasons []string
	for _, i := range inconsistent {
		reasons = append(reasons, i.Reason)
	}
	return made, reasons
}

var operations = map[string]string{
	"q": "query ($id: Int!, $on: Boolean, $name: String, $ids: [Int!], $key: String!, $n: numeric) { a }",
	"m": "mutation { b }",
	"s": "subscription { a }",
	"x": "query {",
}

func TestEndpointsThatCanNotBeServedAreInconsistent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		lines  []string
		reason string
	}{
		{"a path with a slash at its end", []string{"a/ GET q"}, "Empty segments or unnamed variables are not allowed: a/"},
		{"a variable without a name", []string{"a/: GET q"}, "Empty segments or unnamed variables are not allowed: a/:"},
		{"a variable that occurs twice", []string{"a/:id/:id GET q"}, "Duplicate variables found in endpoint path: a/:id/:id"},
		{"a subscription", []string{"a GET s"}, "Inconsistent object: in endpoint a: query with name s is a subscription"},
		{"an operation that is not there", []string{"a GET none"}, "Inconsistent object: in endpoint a: query with name none does not exist in collection c"},
		{"an operation that does not parse", []string{"a GET x"}, "Inconsistent object: in endpoint a: query with name x: not a valid graphql query"},
		{"an unknown method", []string{"a HEAD q"}, `Inconsistent object: in endpoint a: the method "HEAD" is none of GET, POST, PUT, PATCH, DELETE`},
		{"a variable beside a literal", []string{"b/:x GET q", "b/c GET,POST m", ":y/c POST m"}, "Ambiguous URL paths: :y/c, b/:x, b/c"},
		{"the same path for different methods", []string{"b/:x GET q", "b/:y POST m"}, ""},
		{"paths of different lengths", []string{":a GET q", ":a/:b GET q"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, reasons := endpointsOf(t, operations, c.lines...)
			if got := strings.Join(reasons, "; "); got != c.reason {
				t.Errorf("reasons: %s\nwant %s", got, c.reason)
			}
		})
	}
}

func TestAPathAndMethodFindTheirEndpoint(t *testing.T) {
	t.Parallel()
	s, reasons := endpointsOf(t, operations, "users/:id GET q", "users/:id/x POST,DELETE m", "plain GET q", "plain-too PUT m")
	if len(reasons) > 0 {
		t.Fatal(reasons)
	}
	for _, c := range []struct {
		method, path, found string
		values              map[string]string
		err                 string
	}{
		{"GET", "users/7", "users/:id", map[string]string{"id": "7"}, ""},
		{"GET", "plain", "plain", map[string]string{}, ""},
		{"POST", "users/a b/x", "users/:id/x", map[string]string{"id": "a b"}, ""},
		{"GET", "users", "", nil, "Endpoint not found"},
		{"GET", "users/7/", "", nil, "Endpoint not found"},
		{"PATCH", "users/7/x", "", nil, "Allowed methods: DELETE, POST"},
	} {
		e, values, err := s.Match(c.method, strings.Split(c.path, "/"))
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s %s: error %v, want %s", c.method, c.path, err, c.err)
			}
			continue
		}
		if err != nil || e.Name != c.found || !reflect.DeepEqual(values, c.values) {
			t.Errorf("%s %s found %v %v %v", c.method, c.path, e, values, err)
		}
	}
}

func TestVariablesComeFromPathQueryFormAndBody(t *testing.T) {
	t.Parallel()
	s, _ := endpointsOf(t, operations, "x/:id POST q")
	e := s.list[0]
	for _, c := range []struct {
		name string
		in   Input
		want string // JSON, or an error
	}{
		{"numbers and flags are coerced", Input{Path: map[string]string{"id": "7"}, Query: "on=false&n=1.50"}, `{"id": 7, "on": false, "n": 1.50}`},
		{"a flag without a value is true", Input{Query: "on"}, `{"on": true}`},
		{"empty is null where null is allowed", Input{Query: "on=&name=&n="}, `{"on": null, "name": null, "n": null}`},
		{"empty is a text where null is not allowed", Input{Query: "key="}, `{"key": ""}`},
		{"texts are decoded once", Input{Query: "name=X%2520Y+Z"}, `{"name": "X%20Y Z"}`},
		{"the body is taken as it is", Input{Body: []byte(`{"ids": [1, 2], "id": 12345678901234567890}`)}, `{"ids": [1, 2], "id": 12345678901234567890}`},
		{"the path wins over the query, the query over the body", Input{Path: map[string]string{"id": "1"}, Query: "id=2&name=q", Body: []byte(`{"id": 3, "name": "b", "key": "k"}`)},
			`{"id": 1, "name": "q", "key": "k"}`},
		{"a form is read like a query", Input{Form: "id=5&name=a%26b"}, `{"id": 5, "name": "a&b"}`},
		{"unknown names are refused", Input{Query: "nope=1"}, "bad-request: Unexpected variable nope"},
		{"unknown members are refused", Input{Body: []byte(`{"nope": 1}`)}, "bad-request: Unexpected variable nope"},
		{"lists don't come by the URL", Input{Query: "ids=1"}, "bad-request: Variable ids is a list: send it in the body"},
		{"a text is no number", Input{Path: map[string]string{"id": "x"}}, `bad-request: Variable id: "x" is no value of type Int`},
		{"JSON has no leading zeros", Input{Path: map[string]string{"id": "007"}}, `bad-request: Variable id: "007" is no value of type Int`},
		{"a word is no flag", Input{Query: "on=yes"}, `bad-request: Variable on: "yes" is no value of type Boolean`},
		{"a body that is no object", Input{Body: []byte(`[1]`)}, "invalid-json: the body is not a JSON object"},
		{"a body with more than an object", Input{Body: []byte(`{} {}`)}, "invalid-json: the body is not a JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := e.Variables(c.in)
			if err != nil {
				known := errcode.From(err)
				if text := string(known.Code) + ": " + known.Message; text != c.want {
					t.Errorf("error %s, want %s", text, c.want)
				}
				return
			}
			var want map[string]any
			d := json.NewDecoder(strings.NewReader(c.want))
			d.UseNumber()
			if err := d.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}
