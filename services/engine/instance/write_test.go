package instance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// run executes an operation for a role; the answer is without what only admins
// see.
func (p *project) run(t *testing.T, role, query, variables string) (any, instance.Trail) {
	t.Helper()
	r := instance.Request{Request: graphqlhttp.Request{Query: query}, ClientHeaders: []graphqlhttp.Header{{Name: "X-Trace-Me", Value: "yes"}}}
	if variables != "" {
		r.Variables = decode(t, variables).(map[string]any)
	}
	response, trail := p.Execute(t.Context(), as(role, map[string]string{"x-hasura-user-id": "ann"}), r)
	return withoutInternal(decode(t, string(response.Body))), trail
}

func (p *project) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	must(t, p.db.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n))
	return n
}

func TestInputIsValidatedBeforeAMutationBegins(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "write")
	for name, c := range map[string]struct{ query, variables, want string }{
		"insert": {`mutation { insert_authors(objects: [{name: "a", tags: ["x"]}, {name: "b"}]) { affected_rows } }`, "",
			`[[{"name":"a","tags":["x"]},{"name":"b"}]]`},
		"insert one, from a variable": {`mutation ($o: authors_insert_input!) { insert_authors_one(object: $o) { id } }`, `{"o": {"name": "a"}}`,
			`[[{"name":"a"}]]`},
		"every nested table's webhook is asked once for all rows": {
			`mutation ($b: [books_insert_input!]!) { insert_authors(objects: [{name: "a", books: {data: [{title: "1"}, {title: "2"}]}}, {name: "b", books: {data: $b}}]) { affected_rows } }`, `{"b": [{"title": "3"}]}`,
			`[[{"name":"a","books":{"data":[{"title":"1"},{"title":"2"}]}},{"name":"b","books":{"data":[{"title":"3"}]}}], [{"title":"1"},{"title":"2"},{"title":"3"}]]`},
		"update": {`mutation { update_authors(where: {name: {_eq: "zz"}}, _set: {tags: ["t"]}) { affected_rows } }`, "",
			`[[{"where":{"name":{"_eq":"zz"}},"_set":{"tags":["t"]}}]]`},
		"update by key": {`mutation { update_authors_by_pk(pk_columns: {id: 99}, _set: {name: "n"}) { id } }`, "",
			`[[{"pk_columns":{"id":99},"_set":{"name":"n"}}]]`},
		"update many": {`mutation { update_authors_many(updates: [{where: {id: {_eq: 98}}, _set: {name: "n"}}, {where: {id: {_eq: 99}}, _set: {name: "m"}}]) { affected_rows } }`, "",
			`[[{"where":{"id":{"_eq":98}},"_set":{"name":"n"}},{"where":{"id":{"_eq":99}},"_set":{"name":"m"}}]]`},
		"delete": {`mutation { delete_authors(where: {id: {_eq: 99}}) { affected_rows } }`, "",
			`[[{"where":{"id":{"_eq":99}}}]]`},
		"delete by key": {`mutation { delete_authors_by_pk(id: 99) { id } }`, "",
			`[[{"pk_columns":{"id":99}}]]`},
	} {
		p.exec(t, file(t, "write/rows.sql"))
		p.handler.set("")
		if got, trail := p.run(t, "checked", c.query, c.variables); trail.Err != nil {
			t.Errorf("%s: %v", name, got)
		}
		var inputs []any
		for _, body := range p.handler.received {
			var call struct {
				Version int
				Role    string
				Session map[string]string `json:"session_variables"`
				Data    struct{ Input any }
			}
			must(t, json.Unmarshal([]byte(body), &call))
			if call.Version != 1 || call.Role != "checked" || call.Session["x-hasura-user-id"] != "ann" {
				t.Errorf("%s: the webhook was told %s", name, body)
			}
			inputs = append(inputs, call.Data.Input)
		}
		var want any
		must(t, json.Unmarshal([]byte(c.want), &want))
		if !reflect.DeepEqual(any(inputs), want) {
			t.Errorf("%s: the webhooks were sent %v, want %v", name, inputs, want)
		}
		if h := p.handler.headers; h.Get("X-Key") != "k" || h.Get("X-Trace-Me") != "yes" || h.Get("webhook-id") == "" {
			t.Errorf("%s: the webhook was sent the headers %v", name, h)
		}
	}
}

func TestWhatAWebhookDoesNotAcceptIsNotWritten(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "write")
	for name, c := range map[string]struct {
		status          int
		answer          string
		message, coding string
	}{
		"refused":                 {http.StatusBadRequest, `{"message": "no %s please"}`, "no %s please", "validation-failed"},
		"refused without reasons": {http.StatusBadRequest, `nope`, "input validation failed", "validation-failed"},
		"broken":                  {http.StatusInternalServerError, `{"message": "secret"}`, "internal error", "unexpected"},
		"another status":          {http.StatusNoContent, "", "internal error", "unexpected"},
		"a redirect":              {http.StatusFound, "", "internal error", "unexpected"},
	} {
		p.handler.set(c.answer)
		p.handler.status = c.status
		p.wire.take()
		got, _ := p.run(t, "checked", `mutation { insert_authors(objects: [{name: "a"}]) { affected_rows } }`, "")
		want := map[string]any{"errors": []any{map[string]any{"message": c.message, "extensions": map[string]any{"path": "$", "code": c.coding}}}}
		if !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s: answered %v", name, got)
		}
		if sql := p.wire.take(); len(sql) > 0 {
			t.Errorf("%s: a transaction was begun: %v", name, sql)
		}
	}
	if n := p.count(t, "authors"); n != 2 {
		t.Errorf("%d authors", n)
	}
}

// A sequence keeps counting when the transaction is undone: the trigger collides
// as often as it is told to.
func TestAMutationThatCollidedIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.handler.set(`{"author_id": 1}`)
	p.exec(t, `CREATE SEQUENCE attempts; CREATE TABLE collisions (n int, state text);
CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE c collisions; BEGIN
 SELECT * INTO c FROM collisions; IF nextval(''attempts'') <= c.n THEN RAISE EXCEPTION USING ERRCODE = c.state, MESSAGE = ''collided''; END IF; RETURN new; END';
CREATE TRIGGER collide BEFORE INSERT ON many FOR EACH ROW EXECUTE FUNCTION collide();`)
	const one = `mutation { insert_many_one(object: {id: 1}) { id } delete_many_by_pk(id: 1) { id } }`
	for name, c := range map[string]struct {
		state    string
		times    int
		query    string
		attempts int
		fails    bool
	}{
		"a serialization failure":            {"40001", 2, one, 3, false},
		"a deadlock":                         {"40P01", 3, one, 4, false},
		"collisions without end":             {"40001", 99, one, 4, true},
		"another error":                      {"23514", 1, one, 1, true},
		"what a webhook did can't be undone": {"40001", 1, `mutation { report(about: {}) { author_id } insert_many_one(object: {id: 2}) { id } }`, 1, true},
	} {
		p.exec(t, fmt.Sprintf("ALTER SEQUENCE attempts RESTART; TRUNCATE collisions, many; INSERT INTO collisions VALUES (%d, '%s')", c.times, c.state))
		got, trail := p.run(t, "admin", c.query, "")
		if (trail.Err != nil) != c.fails {
			t.Errorf("%s: answered %v", name, got)
		}
		var attempts int
		must(t, p.db.QueryRow(t.Context(), "SELECT last_value FROM attempts").Scan(&attempts))
		if attempts != c.attempts {
			t.Errorf("%s: %d attempts, want %d: %v", name, attempts, c.attempts, got)
		}
	}
}

func TestAMutationForBackendsIsThereForThem(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "write")
	s := as("backend", nil)
	s.BackendOnly = true
	response, _ := p.Execute(t.Context(), s, instance.Request{Request: graphqlhttp.Request{Query: `mutation { insert_authors(objects: [{name: "a"}]) { affected_rows } }`}})
	if !strings.Contains(string(response.Body), `"affected_rows" : 1`) {
		t.Errorf("answered %s", response.Body)
	}
}
