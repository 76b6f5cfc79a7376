package instance_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
	"tenantry/tenants/settings"
)

func subgraph(t *testing.T) *project {
	t.Helper()
	return newProjectOf(t, "sources", func(s *settings.Settings) { s.Compat.ApolloFederation = true })
}

func TestEntitiesAreFoundByTheirKeysUnderTheRolesPermissions(t *testing.T) {
	t.Parallel()
	p := subgraph(t)
	const all = "query ($r: [_Any!]!) { e: _entities(representations: $r) { t: __typename ...a ... on profiles { bio } ... on articles { title } } } fragment a on authors { name profile { bio } }"
	const some = "query ($r: [_Any!]!) { e: _entities(representations: $r) { ... on authors { id } ... on profiles { bio } } }"
	for _, c := range []struct {
		name, role, query, representations, want string
		statements                               int
	}{
		{"in the order in which they are asked for", "admin", all,
			`[{"__typename": "profiles", "author": 2}, {"__typename": "authors", "id": 2}, {"__typename": "articles", "id": "10"}, {"__typename": "authors", "id": 1}, {"__typename": "authors", "id": 2}]`,
			`[{"t":"profiles","bio":"Sails"},{"t":"authors","name":"Bob","profile":{"bio":"Sails"}},{"t":"articles","title":"Engines"},
			  {"t":"authors","name":"Ada","profile":{"bio":"Counts"}},{"t":"authors","name":"Bob","profile":{"bio":"Sails"}}]`, 4},
		{"what is not there is null", "admin", all,
			`[{"__typename": "authors", "id": 99}, {"__typename": "authors", "id": null}, {"__typename": "visits", "id": 1}, {"__typename": "nothing"}]`, `[null, null, null, null]`, 1},
		{"what the role may not read is null", "reader", some, `[{"__typename": "profiles", "author": 2}, {"__typename": "profiles", "author": 1}]`, `[null, {"bio": "Counts"}]`, 1},
		{"a type whose key the role may not read is none of its entities", "reader", some, `[{"__typename": "articles", "id": 10}]`, `[null]`, 0},
		{"none", "admin", all, `[]`, `[]`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.wire.take()
			body := p.ask(t, as(c.role, nil), c.query, map[string]any{"r": decode(t, c.representations)})
			if got := decode(t, body).(map[string]any)["data"].(map[string]any)["e"]; !reflect.DeepEqual(got, decode(t, c.want)) {
				t.Errorf("answered %s\nwant %s", body, c.want)
			}
			if got := p.wire.take(); len(got) != c.statements {
				t.Errorf("took %d statements, want %d:\n%s", len(got), c.statements, strings.Join(got, "\n"))
			}
		})
	}
	// Also as literals of the operation's text.
	body := p.ask(t, as("admin", nil), `query ($id: Int) { _entities(representations: [{__typename: "authors", id: $id}, {__typename: "authors", id: 3}]) { ... on authors { boss { name } } } }`, map[string]any{"id": json.Number("2")})
	if want := `{"data":{"_entities":[{"boss":{"name":"Ada"}},{"boss":{"name":"Ada"}}]}}`; body != want {
		t.Errorf("answered %s, want %s", body, want)
	}
}

func TestWrongRepresentationsAreRefused(t *testing.T) {
	t.Parallel()
	p := subgraph(t)
	for _, c := range []struct{ representation, code, path string }{
		{`{"id": 1}`, "validation-failed", "$.selectionSet._entities.args.representations[0]"},
		{`"authors"`, "validation-failed", "$.selectionSet._entities.args.representations[0]"},
		{`{"__typename": "authors"}`, "validation-failed", "$.selectionSet._entities.args.representations[0]"},
		{`{"__typename": "authors", "id": "x'); DROP TABLE authors; --"}`, "data-exception", "$"},
	} {
		response, _ := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{
			Query:     "query ($r: [_Any!]!) { _entities(representations: $r) { ... on authors { name } } }",
			Variables: map[string]any{"r": []any{decode(t, c.representation)}},
		}})
		if response.Err == nil || string(response.Err.Code) != c.code || response.Err.Path != c.path {
			t.Errorf("%s: answered %s, want %s at %s", c.representation, response.Body, c.code, c.path)
		}
	}
}

func TestASubgraphTellsItsSchemaWithTheKeysOfItsEntities(t *testing.T) {
	t.Parallel()
	p := subgraph(t)
	sdl := func(role string) string {
		var out struct {
			Data struct {
				Service struct{ SDL string } `json:"_service"`
			}
		}
		must(t, json.Unmarshal([]byte(p.ask(t, as(role, nil), "{ _service { sdl } }", nil)), &out))
		return out.Data.Service.SDL
	}
	for role, keys := range map[string][]string{
		session.Admin: {`type articles @key(fields: "id") {`, `type authors @key(fields: "id") {`, `type profiles @key(fields: "author") {`},
		"reader":      {`type authors @key(fields: "id") {`, `type profiles @key(fields: "author") {`},
	} {
		text := sdl(role)
		for _, key := range keys {
			if !strings.Contains(text, key) {
				t.Errorf("%s: expected %s in\n%s", role, key, text)
			}
		}
		for _, not := range []string{"_entities", "_Entity", "_Any", "_service", "@cached"} {
			if strings.Contains(text, not) {
				t.Errorf("%s: %s is for gateways alone, and in\n%s", role, not, text)
			}
		}
		if got := strings.Count(text, "@key"); got != len(keys) {
			t.Errorf("%s: %d types have keys, want %d", role, got, len(keys))
		}
	}
}

func TestOnlyASubgraphHasTheFieldsOfOne(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "sources")
	for _, query := range []string{"{ _service { sdl } }", `{ _entities(representations: []) { __typename } }`} {
		response, _ := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{Query: query}})
		if response.Err == nil {
			t.Errorf("%s: answered %s", query, response.Body)
		}
	}
	body := p.ask(t, as("admin", nil), `{ __type(name: "_Entity") { name } }`, nil)
	if !strings.Contains(body, `"__type":null`) {
		t.Errorf("answered %s", body)
	}
	body = subgraph(t).ask(t, as("reader", nil), `{ __type(name: "_Entity") { kind possibleTypes { name } } }`, nil)
	if want := `{"data":{"__type":{"kind":"UNION","possibleTypes":[{"name":"authors"},{"name":"profiles"}]}}}`; body != want {
		t.Errorf("answered %s, want %s", body, want)
	}
}
