// Package policytest compares the rows that the engine answers under a policy in
// Rego with what OPA itself says of every row: the policy's text is evaluated as
// it stands, with the row in the input, and knows nothing of partial evaluation,
// filters or SQL.
package policytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/postgres/pgtest"
	"tenantry/policy/limits"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/introspect"
	"tenantry/services/engine/source"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

const createTables = `
CREATE TYPE state AS ENUM ('draft', 'live', 'gone');
CREATE TABLE people (id int4 PRIMARY KEY, boss_id int4, name text, org text, age int4, active bool);
CREATE TABLE docs (id int4 PRIMARY KEY, author_id int4, title text, org text, owner text, n int4, big int8, price numeric, ratio float8,
	public bool, hidden bool, uid uuid, state state, code varchar(20));
CREATE TABLE comments (id int4 PRIMARY KEY, doc_id int4, author_id int4, parent_id int4, body text, stars int4, public bool);`

// relation leads to rows of target.
type relation struct {
	name, target, local, remote string
	array                       bool
}

type table struct {
	name      string
	columns   []string // name and kind by turns
	relations []relation
}

var tables = map[string]table{
	"people": {"people", []string{"id", "int", "boss_id", "id", "name", "text", "org", "org", "age", "int", "active", "bool"},
		[]relation{{"boss", "people", "boss_id", "id", false}, {"docs", "docs", "id", "author_id", true}}},
	"docs": {"docs", []string{"id", "int", "author_id", "id", "title", "text", "org", "org", "owner", "text", "n", "int", "big", "big", "price", "numeric",
		"ratio", "float", "public", "bool", "hidden", "bool", "uid", "uuid", "state", "state", "code", "text"},
		[]relation{{"author", "people", "author_id", "id", false}, {"comments", "comments", "id", "doc_id", true}}},
	"comments": {"comments", []string{"id", "int", "doc_id", "id", "author_id", "id", "parent_id", "id", "body", "text", "stars", "int", "public", "bool"},
		[]relation{{"author", "people", "author_id", "id", false}, {"replies", "comments", "id", "parent_id", true}}},
}

var order = []string{"people", "docs", "comments"}

type row map[string]any

// words are values of texts: among them such as sort or fold differently by
// collation, and such as mean something in SQL.
var words = []string{"", "a", "A", "b", "B", "ab", "Ab", "aB", "ä", "Ä", "z", "Z", "日本語", `x'y"z\`, "a%_b", "NULL", "ünï ☃", "u1", "u2", "x-1", "null", "true", "3"}

var values = map[string][]any{
	"int": {0, 1, 2, 3, 4, 5, -1}, "big": {int64(9007199254740993), int64(-9223372036854775808), int64(9223372036854775807), 3, 7},
	"numeric": {json.Number("0"), json.Number("1.5"), json.Number("3"), json.Number("12345678901.25")},
	"float":   {0.1, 1.5, 3.0, -2.25}, "bool": {true, false}, "org": {"acme", "Acme", "globex", "ünï"},
	"uuid":  {"6f1c0e4e-9f53-4a52-8f3c-0d6f1a2b3c4d", "00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
	"state": {"draft", "live", "gone"},
}

// random is a world's data: rows by table.
func random(r *rand.Rand, counts map[string]int) map[string][]row {
	out := map[string][]row{}
	for _, name := range order {
		columns := tables[name].columns
		for id := range counts[name] {
			made := row{}
			for i := 0; i < len(columns); i += 2 {
				column, kind := columns[i], columns[i+1]
				switch {
				case column == "id":
					made[column] = id
				case r.IntN(100) < 20:
				case kind == "id":
					made[column] = r.IntN(counts["people"] + 8)
				case kind == "text":
					made[column] = words[r.IntN(len(words))]
				default:
					made[column] = values[kind][r.IntN(len(values[kind]))]
				}
			}
			if _, ok := made["doc_id"]; ok {
				made["doc_id"] = r.IntN(counts["docs"])
			}
			if _, ok := made["parent_id"]; ok {
				made["parent_id"] = r.IntN(counts["comments"])
			}
			out[name] = append(out[name], made)
		}
	}
	return out
}

// whole is a row with its relationships, as a policy sees it. NULL is undefined:
// nulls tells whether it is left out or, for policies that ask for null, there.
func whole(data map[string][]row, name string, of row, depth int, nulls bool) map[string]any {
	out := map[string]any{}
	t := tables[name]
	for i := 0; i < len(t.columns); i += 2 {
		if v := of[t.columns[i]]; v != nil || nulls {
			out[t.columns[i]] = v
		}
	}
	if depth == 0 {
		return out
	}
	for _, relation := range t.relations {
		found := []any{}
		for _, other := range data[relation.target] {
			if of[relation.local] != nil && other[relation.remote] != nil && of[relation.local] == other[relation.remote] {
				found = append(found, whole(data, relation.target, other, depth-1, nulls))
			}
		}
		switch {
		case relation.array:
			out[relation.name] = found
		case len(found) > 0:
			out[relation.name] = found[0]
		}
	}
	return out
}

// bench is a database with data and the engine's way to it.
type bench struct {
	t       testing.TB
	db      *pgx.Conn
	outside instance.Outside
	catalog *catalog.Catalog
	data    map[string][]row
}

type discard struct{}

func (discard) Append(context.Context, []audit.Event) error { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	ctx := t.Context()
	address := pgtest.Database(t)
	db, err := pgx.Connect(ctx, address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	b := &bench{t: t, db: db, data: random(rand.New(rand.NewPCG(1, 2)), map[string]int{"people": 12, "docs": 200, "comments": 260})}
	_, err = db.PgConn().Exec(ctx, createTables).ReadAll()
	must(t, err)
	for _, name := range order {
		text, err := json.Marshal(b.data[name])
		must(t, err)
		_, err = db.Exec(ctx, "INSERT INTO "+name+" SELECT * FROM json_populate_recordset(NULL::"+name+", $1)", string(text))
		must(t, err)
	}
	b.catalog, err = introspect.Read(ctx, db)
	must(t, err)
	src, err := source.NewPools(nil).Source(vault.NewSecret(address), source.Options{})
	must(t, err)
	t.Cleanup(src.Close)
	recorder := audit.NewRecorder(discard{}, audit.Options{})
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	b.outside = instance.Outside{
		Sources: map[string]*source.Source{"default": src}, Client: http.DefaultClient, Limiter: limits.NewLimiter(),
		Recorder: recorder, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test",
	}
	return b
}

// document is metadata in which the role user may do everything with rows that
// fulfil a rule.
func document(t testing.TB, rule string) *metadata.Document {
	t.Helper()
	var list []any
	for _, name := range order {
		var objects, arrays []any
		for _, r := range tables[name].relations {
			made := map[string]any{"name": r.name, "using": map[string]any{"manual_configuration": map[string]any{
				"remote_table": r.target, "column_mapping": map[string]any{r.local: r.remote},
			}}}
			if r.array {
				arrays = append(arrays, made)
			} else {
				objects = append(objects, made)
			}
		}
		filter := json.RawMessage(rule)
		if name != "docs" {
			filter = json.RawMessage("{}")
		}
		permission := func(rule map[string]any) []any { return []any{map[string]any{"role": "user", "permission": rule}} }
		list = append(list, map[string]any{
			"table": name, "object_relationships": objects, "array_relationships": arrays,
			"select_permissions": permission(map[string]any{"columns": "*", "filter": filter, "allow_aggregations": true}),
			"insert_permissions": permission(map[string]any{"columns": "*", "check": filter}),
			"update_permissions": permission(map[string]any{"columns": "*", "filter": filter, "check": filter}),
			"delete_permissions": permission(map[string]any{"filter": filter}),
		})
	}
	text, err := json.Marshal(map[string]any{"version": 3, "sources": []any{map[string]any{
		"name": "default", "kind": "postgres", "tables": list,
		"configuration": map[string]any{"connection_info": map[string]any{"database_url": "postgres://test"}},
	}}})
	must(t, err)
	made, err := metadata.Decode(text)
	must(t, err)
	return made
}

// engine is an engine with a policy.
func (b *bench) engine(t testing.TB, rule, policy, data string) *instance.Instance {
	t.Helper()
	var set settings.Settings
	if policy != "" {
		set.Policies = []settings.Policy{{Name: "policy.rego", Text: policy}}
		set.PolicyData = json.RawMessage(data)
	}
	made, err := instance.Build(t.Context(), instance.Config{
		Project: tenants.Project{ID: "p1", Slug: "test"}, Document: document(t, rule), Settings: set, Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
	}, b.outside)
	must(t, err)
	for _, i := range made.Inconsistencies {
		t.Fatalf("inconsistent: %s", i.Reason)
	}
	return made
}

// ask runs an operation; the error is the code of the refusal with its cause. On a
// machine that is busy with other tests, a policy may take too long a few times.
func ask(t testing.TB, engine *instance.Instance, variables map[string]string, query string) (map[string]any, error) {
	t.Helper()
	response, trail := engine.Execute(t.Context(), userSession(variables), instance.Request{Request: graphqlhttp.Request{Query: query}})
	for tries := 0; trail.Err != nil && trail.Err.Code == errcode.PolicyTimeout && tries < 20; tries++ {
		time.Sleep(100 * time.Millisecond)
		response, trail = engine.Execute(t.Context(), userSession(variables), instance.Request{Request: graphqlhttp.Request{Query: query}})
	}
	if trail.Err != nil {
		return nil, fmt.Errorf("%s: %s (%v)", trail.Err.Code, trail.Err.Message, trail.Err.Unwrap())
	}
	var answer struct{ Data map[string]any }
	must(t, json.Unmarshal(response.Body, &answer))
	return answer.Data, nil
}

func userSession(variables map[string]string) session.Session {
	return session.Session{Project: "p1", Role: "user", Variables: variables, Auth: session.AuthJWT, IP: "192.0.2.7"}
}
