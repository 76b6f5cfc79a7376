package instance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
)

func TestARelationshipToAnotherSourceIsOneStatementHoweverManyRows(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "sources")
	p.exec(t, "INSERT INTO authors (id, name, country) SELECT n, 'a' || n % 7, CASE WHEN n % 3 > 0 THEN 'GB' END FROM generate_series(100, 1099) AS n")
	const query = "query ($n: Int) { authors(limit: $n, order_by: {id: desc}) { id home { name authors(order_by: {id: asc}, limit: 1) { id profile { bio } } } namesakes_aggregate { aggregate { count } } } }"
	for _, n := range []int{1, 10, 1000} {
		p.wire.take()
		body := p.ask(t, as(session.Admin, nil), query, map[string]any{"n": json.Number(fmt.Sprint(n))})
		// The last author has a country from which on all levels are read.
		if got := p.wire.take(); len(got) != 5 {
			t.Errorf("%d rows over 3 levels took %d statements, want 5:\n%s", n, len(got), strings.Join(got, "\n"))
		}
		var answer struct {
			Data struct {
				Authors []struct {
					ID   int
					Home *struct {
						Name    string
						Authors []struct {
							ID      int
							Profile struct{ Bio string }
						}
					}
					Namesakes struct{ Aggregate struct{ Count int } } `json:"namesakes_aggregate"`
				}
			}
		}
		must(t, json.Unmarshal([]byte(body), &answer))
		if len(answer.Data.Authors) != n {
			t.Fatalf("%d of %d rows came back", len(answer.Data.Authors), n)
		}
		for i, a := range answer.Data.Authors {
			abroad := a.Home != nil
			if a.ID != 1099-i || abroad != (a.ID%3 > 0) || a.Namesakes.Aggregate.Count < 142 {
				t.Fatalf("row %d is %+v", i, a)
			}
			if abroad && (a.Home.Name != "Great Britain" || len(a.Home.Authors) != 1 || a.Home.Authors[0].Profile.Bio != "Counts") {
				t.Fatalf("row %d was joined with %+v", i, *a.Home)
			}
		}
	}
}

func TestANodeReadsAnotherSource(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "sources")
	got := relay(t, p, "admin", "{ authors_connection(order_by: [{id: desc}], first: 3) { pageInfo { hasNextPage } edges { n: node { name profile { bio } visits(order_by: {id: asc}, limit: 1) { seconds } articles_connection { edges { node { title visits_aggregate { aggregate { count } } } } } } } } }", nil)
	want := `{"authors_connection":{"pageInfo":{"hasNextPage":true},"edges":[{"n":{"name":"Ada","profile":null,"visits":[],"articles_connection":{"edges":[]}}},` +
		`{"n":{"name":"Cy \"the [1]\" \\","profile":null,"visits":[],"articles_connection":{"edges":[]}}},` +
		`{"n":{"name":"Bob","profile":{"bio":"Sails"},"visits":[{"seconds":1}],"articles_connection":{"edges":[{"node":{"title":"Boats","visits_aggregate":{"aggregate":{"count":1}}}}]}}}]}}`
	if compact(got) != compact(want) {
		t.Errorf("answered\n%s\nwant\n%s", got, want)
	}
	id := base64.StdEncoding.EncodeToString([]byte(`[1, "public", "authors", 1]`))
	got = relay(t, p, "admin", "query ($id: ID!) { node(id: $id) { id ... on authors { profile { bio of { id } } } } }", map[string]any{"id": id})
	if want := fmt.Sprintf(`{"node":{"id":%q,"profile":{"bio":"Counts","of":{"id":%q}}}}`, id, id); compact(got) != want {
		t.Errorf("answered\n%s\nwant\n%s", got, want)
	}
}

// compact is JSON without the blanks that Postgres puts between.
func compact(text string) string {
	return strings.NewReplacer(" : ", ":", ", ", ",", ",\n", ",", " \n", "\n", "\n ", "").Replace(text)
}

func TestExplainTellsOfOtherSources(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "sources")
	s := as("reader", map[string]string{"x-hasura-user-id": "u1"})
	explained, err := p.Explain(t.Context(), s, graphqlhttp.Request{Query: "{ a: authors { id profile { bio of { visits_aggregate { nodes { id } } } } } }"})
	must(t, err)
	var got []string
	for _, j := range explained[0].Joins {
		if len(j.Plan) == 0 || !strings.Contains(j.SQL, `AS "k"`) {
			t.Errorf("the join %s has no SQL or no plan: %+v", j.Path, j)
		}
		got = append(got, j.Path+" from "+j.Source)
	}
	for _, rule := range explained[0].Permissions {
		got = append(got, rule.Source+" "+rule.Table)
	}
	want := "a.profile from other, a.profile.of from default, a.profile.of.visits_aggregate from other, default public.authors, other public.profiles, other public.visits"
	if strings.Join(got, ", ") != want {
		t.Errorf("explained\n%s\nwant\n%s", strings.Join(got, ", "), want)
	}
}
