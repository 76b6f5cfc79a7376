package instance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
)

// ask sends an operation that has to succeed and returns its body.
func (p *project) ask(t testing.TB, s session.Session, query string, variables map[string]any) string {
	t.Helper()
	response, trail := p.Execute(t.Context(), s, instance.Request{Request: graphqlhttp.Request{Query: query, Variables: variables}})
	if trail.Err != nil {
		t.Fatalf("%s\n%v: %v", query, trail.Err, trail.Err.Unwrap())
	}
	return string(response.Body)
}

func TestARelationshipOfAnActionIsOneStatementHoweverManyRows(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.exec(t, "INSERT INTO many SELECT generate_series(1, 1000)")
	for _, n := range []int{1, 10, 1000} {
		objects := make([]string, n)
		for i := range objects {
			objects[i] = fmt.Sprintf(`{"author_id": %d, "lines": [{"article_id": 10, "quantity": 1}, {"article_id": 11, "quantity": 2}]}`, i+1)
		}
		p.handler.set("[" + strings.Join(objects, ",") + "]")
		p.wire.take()
		body := p.ask(t, as(session.Admin, nil), "{ reports(n: 1) { row { id } lines { quantity article { title } } } }", nil)
		if got := p.wire.take(); len(got) != 2 {
			t.Errorf("%d outputs with 2 relationships took %d statements, want 2:\n%s", n, len(got), strings.Join(got, "\n"))
		}
		var answer struct {
			Data struct {
				Reports []struct {
					Row   *struct{ ID int }
					Lines []struct {
						Quantity int
						Article  struct{ Title string }
					}
				}
			}
		}
		must(t, json.Unmarshal([]byte(body), &answer))
		if len(answer.Data.Reports) != n {
			t.Fatalf("%d of %d outputs came back", len(answer.Data.Reports), n)
		}
		for i, r := range answer.Data.Reports {
			if r.Row == nil || r.Row.ID != i+1 || len(r.Lines) != 2 || r.Lines[0].Article.Title != "Engines" || r.Lines[1].Article.Title != "Notes" {
				t.Fatalf("output %d was joined with %+v", i, r)
			}
		}
	}
}

func TestATreeOfTablesIsOneStatement(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.ask(t, as(session.Admin, nil), "{ authors { articles { comments { author { boss { reports { articles { id } } } } } } boss { id } } }", nil)
	if got := p.wire.take(); len(got) != 1 {
		t.Errorf("a tree took %d statements:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// Plans and prepared statements are shared by all sessions of a role. Sessions
// at once, with operations of the same and of other shapes, must each see their
// own rows and nothing else.
func TestACachedPlanNeverShowsAnotherSessionsRows(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.exec(t, "INSERT INTO accounts (id, owner, balance, note) SELECT n, 'user ' || n % 20, n, 'of ' || n % 20 FROM generate_series(1000, 1999) AS n")
	queries := []string{
		"query ($w: accounts_bool_exp, $n: Int) { accounts(where: $w, limit: $n) { owner note } }",
		"query ($w: accounts_bool_exp!, $n: Int) { accounts(where: {_or: [$w, {balance: {_gt: 3}}]}, order_by: {id: desc}, limit: $n) { owner note } accounts_by_pk(id: 1000) { owner note } }",
		"mutation ($w: accounts_bool_exp!, $n: Int) { update_accounts(where: $w, _set: {balance: $n}) { returning { owner note } } }",
	}
	wheres := []map[string]any{
		{}, {"balance": map[string]any{"_gte": json.Number("0")}}, {"_not": map[string]any{"owner": map[string]any{"_eq": "user 3"}}},
		{"owner": map[string]any{"_in": []any{"user 1", "user 2", "user 3"}}}, {"note": map[string]any{"_is_null": false}},
	}
	var rows atomic.Int64
	var users sync.WaitGroup
	for user := range 8 {
		users.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(user)))
			for range 40 {
				who := random.IntN(20)
				s := as("owner", map[string]string{"x-hasura-user-id": fmt.Sprintf("user %d", who)})
				query := queries[random.IntN(len(queries))]
				variables := map[string]any{"w": wheres[random.IntN(len(wheres))], "n": json.Number(fmt.Sprint(random.IntN(50)))}
				response, trail := p.Execute(t.Context(), s, instance.Request{Request: graphqlhttp.Request{Query: query, Variables: variables}})
				if trail.Err != nil && trail.Err.Code != errcode.ConcurrentUpdate { // two updates may meet in a deadlock
					t.Errorf("%s: %v: %v", query, trail.Err, trail.Err.Unwrap())
					return
				}
				rows.Add(checkOwner(t, string(response.Body), fmt.Sprintf(`"owner":"user %d","note":"of %d"`, who, who)))
			}
		})
	}
	users.Wait()
	if rows.Load() < 1000 {
		t.Errorf("only %d rows were looked at", rows.Load())
	}
}

func checkOwner(t *testing.T, body, own string) (rows int64) {
	t.Helper()
	all, mine := strings.Count(body, `"owner"`), strings.Count(body, own)
	if all != mine {
		t.Errorf("of %d rows %d are not the session's own: %s", all, all-mine, body)
	}
	return int64(all)
}

// A client chooses how large a where is. What is planned for it must not stay in
// memory, here or in Postgres, and what is too large for the protocol is refused.
func TestLargeConditionsRunAndAreNotKept(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	where := func(n int) map[string]any {
		items := make([]any, n)
		for i := range items {
			items[i] = map[string]any{"id": map[string]any{"_eq": json.Number(fmt.Sprint(i + 2))}}
		}
		return map[string]any{"w": map[string]any{"_or": items}}
	}
	const query = "query ($w: authors_bool_exp!) { authors(where: $w, order_by: {id: asc}) { id } b: authors(where: $w, limit: 1, order_by: {id: asc}) { id } }"
	for n := range 2 {
		if body := p.ask(t, as(session.Admin, nil), query, where(1500+n)); !strings.Contains(strings.Join(strings.Fields(body), ""), `{"authors":[{"id":2},{"id":3},{"id":4}],"b":[{"id":2}]}`) {
			t.Errorf("answered %s", body)
		}
	}
	if n := p.wire.prepared(1 << 15); n > 0 {
		t.Errorf("%d large statements were prepared by name", n)
	}
	many := func(n int, item map[string]any) map[string]any {
		return map[string]any{"v": slices.Repeat([]any{item}, n)}
	}
	for name, test := range map[string]struct {
		query string
		vars  map[string]any
	}{
		"conditions":  {query, where(5001)},
		"of two uses": {query, where(2501)},
		"sort keys":   {"query ($v: [authors_order_by!]!) { authors(order_by: $v) { id } }", many(5001, map[string]any{"boss": map[string]any{"id": "asc"}})},
		"updates":     {"mutation ($v: [authors_updates!]!) { update_authors_many(updates: $v) { affected_rows } }", many(5001, map[string]any{"where": map[string]any{}, "_set": map[string]any{"name": "x"}})},
	} {
		_, trail := p.Execute(t.Context(), as(session.Admin, nil), instance.Request{Request: graphqlhttp.Request{Query: test.query, Variables: test.vars}})
		if trail.Err == nil || trail.Err.Code != errcode.ValidationFailed || trail.Err.Message != "the operation has more than 5000 conditions, sort keys and updates" {
			t.Errorf("%s: %v", name, trail.Err)
		}
	}
}
