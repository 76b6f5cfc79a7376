package instance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// page is a connection as a client reads it.
type page struct {
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       string
	} `json:"pageInfo"`
	Edges []struct {
		Cursor string
		Node   struct{ ID string }
	}
}

func (p page) ids() []string {
	var out []string
	for _, e := range p.Edges {
		out = append(out, e.Node.ID)
	}
	return out
}

func relay(t *testing.T, p *project, role, query string, variables map[string]any) string {
	t.Helper()
	response, trail := p.Execute(t.Context(), as(role, nil), instance.Request{Relay: true, Request: graphqlhttp.Request{Query: query, Variables: variables}})
	if response.Err != nil {
		t.Fatalf("%s: %s (%v)", query, response.Body, cause(trail))
	}
	return string(graphqlhttp.Data(response.Body))
}

func pageOf(t *testing.T, p *project, arguments string, variables map[string]any) page {
	t.Helper()
	query := "query ($after: String, $before: String, $first: Int, $last: Int) { c: authors_connection" + arguments +
		" { pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } } }"
	var out struct{ C page }
	must(t, json.Unmarshal([]byte(relay(t, p, "admin", query, variables)), &out))
	return out.C
}

// randomOrder is an order_by of one to three keys with ties and nulls in it.
func randomOrder(r *rand.Rand) string {
	directions := []string{"asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"}
	keys := []string{"born: %s", "rating: %s", "active: %s", "mood: %s", "boss: {born: %s}", "boss: {boss: {name: %s}}",
		"articles_aggregate: {count: %s}", "articles_aggregate: {max: {price: %s}}", "id: %s", "name: %s"}
	var out []string
	for range 1 + r.IntN(3) {
		out = append(out, "{"+fmt.Sprintf(keys[r.IntN(len(keys))], directions[r.IntN(len(directions))])+"}")
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func TestPagesWalkedForwardsAndBackwardsAreTheWholeList(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.exec(t, `INSERT INTO authors (id, name, born, rating, active, mood, boss_id)
		SELECT 1000 + i, 'author ' || i % 7, CASE WHEN i % 3 = 0 THEN NULL ELSE date '2000-01-01' + i % 5 END,
			CASE WHEN i % 4 = 0 THEN NULL ELSE (i % 6) / 3.0 END, i % 2 = 0, CASE WHEN i % 5 = 0 THEN NULL ELSE 'ok'::mood END,
			CASE WHEN i > 8 THEN 1000 + i % 8 + 1 END FROM generate_series(1, 41) AS i`)
	r := rand.New(rand.NewPCG(11, 7))
	for range 60 {
		order, size := randomOrder(r), 1+r.IntN(12)
		distinct := ""
		if r.IntN(4) == 0 {
			order, distinct = "[{born: desc_nulls_last}, "+order[1:], ", distinct_on: [born]"
		}
		where := []string{"", ", where: {active: {_eq: true}}", ", where: {articles: {}}"}[r.IntN(3)]
		arguments := "(order_by: " + order + distinct + where + ", %s: $%s, %s: $%s)"
		forwards, backwards := fmt.Sprintf(arguments, "first", "first", "after", "after"), fmt.Sprintf(arguments, "last", "last", "before", "before")
		all := pageOf(t, p, forwards, nil).ids()

		var walked []string
		variables := map[string]any{"first": size}
		for {
			got := pageOf(t, p, forwards, variables)
			if info := got.PageInfo; info.HasPreviousPage != (len(walked) > 0) || info.HasNextPage != (len(walked)+len(got.Edges) < len(all)) {
				t.Fatalf("%s: page information after %d of %d rows: %+v", forwards, len(walked), len(all), info)
			}
			walked = append(walked, got.ids()...)
			if !got.PageInfo.HasNextPage || len(walked) > len(all) {
				break
			}
			variables["after"] = got.PageInfo.EndCursor
		}
		if !slices.Equal(walked, all) {
			t.Fatalf("%s by %d: walked %v, want %v", forwards, size, walked, all)
		}

		walked, variables = nil, map[string]any{"last": size}
		for {
			got := pageOf(t, p, backwards, variables)
			if info := got.PageInfo; info.HasNextPage != (len(walked) > 0) || info.HasPreviousPage != (len(walked)+len(got.Edges) < len(all)) {
				t.Fatalf("%s: page information after %d of %d rows: %+v", backwards, len(walked), len(all), info)
			}
			walked = append(got.ids(), walked...)
			if !got.PageInfo.HasPreviousPage || len(walked) > len(all) {
				break
			}
			variables["before"] = got.PageInfo.StartCursor
		}
		if !slices.Equal(walked, all) {
			t.Fatalf("%s by %d: walked backwards %v, want %v", backwards, size, walked, all)
		}
	}
}

func TestNodesAreFoundByTheirGlobalID(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	var connection struct{ C page }
	must(t, json.Unmarshal([]byte(relay(t, p, "admin", "{ c: articles_connection { edges { node { id } } } }", nil)), &connection))
	for _, id := range connection.C.ids() {
		query := `query ($id: ID!) { node(id: $id) { __typename id ... on articles { title } ... on authors { name } ...all } } fragment all on Node { again: id }`
		got := relay(t, p, "admin", query, map[string]any{"id": id})
		if !strings.Contains(got, `"__typename":"articles","id":"`+id+`","title":`) || !strings.Contains(got, `"again":"`+id+`"`) || strings.Contains(got, `,"name":`) {
			t.Errorf("node %s is %s", id, got)
		}
	}
}

func TestWrongCursorsAndIDsAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, c := range []struct{ query, message, path string }{
		{`{ authors_connection(after: "%") { edges { cursor } } }`, `the "after" or "before" cursor is invalid`, "$.selectionSet.authors_connection.args.after"},
		{`{ authors_connection(before: "e30=") { edges { cursor } } }`, `the "after" or "before" cursor is invalid`, "$.selectionSet.authors_connection.args.before"},
		{`{ authors_connection(first: 1, last: 1) { edges { cursor } } }`, `"first" and "last" are not allowed at once`, "$.selectionSet.authors_connection.args"},
		{`{ authors_connection(first: -1) { edges { cursor } } }`, "", "$.selectionSet.authors_connection.args.first"},
		{`{ node(id: "nonsense") { id } }`, "invalid node id: the node id is not base64 of JSON", "$.selectionSet.node.args.id"},
		{`{ node(id: "WzEsInB1YmxpYyIsIm5vcGUiLDFd") { id } }`, "invalid node id: the table public.nope does not exist", "$.selectionSet.node.args.id"},
		{`{ node(id: "WzEsInB1YmxpYyIsImF1dGhvcnMiXQ==") { id } }`, "invalid node id: primary key columns ['id'] are missing", "$.selectionSet.node.args.id"},
		{`{ node(id: "x") { name } }`, "field 'name' not found in type: 'Node'", "$.selectionSet.node.selectionSet.name"},
		{`{ node(id: "x") { ... on authors { nope } } }`, "field 'nope' not found in type: 'authors'", "$.selectionSet.node.selectionSet.nope"},
		{`{ node(id: "x") { ... on authors_bool_exp { nope } } }`, "a fragment on type 'authors_bool_exp' cannot be spread where type 'Node' is selected", "$.selectionSet.node.selectionSet"},
	} {
		response, _ := p.Execute(t.Context(), as("admin", nil), instance.Request{Relay: true, Request: graphqlhttp.Request{Query: c.query}})
		if response.Err == nil || c.message != "" && response.Err.Message != c.message || response.Err.Path != c.path || string(response.Err.Code) != "validation-failed" {
			t.Errorf("%s: %s, want %q at %s", c.query, response.Body, c.message, c.path)
		}
	}
}
