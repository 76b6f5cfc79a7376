package instance_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/policy/limits"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/planner"
	"tenantry/services/engine/rowjson"
	"tenantry/services/engine/source"
	"tenantry/tenants/vault"
)

// The stages of a request, each alone, and a warm request from end to end. What
// they allocate has a budget: `make bench-check` compares with
// ops/bench/baseline.txt.

// measured are operations of the kinds that clients send most.
var measured = []struct {
	name      string
	session   session.Session
	query     string
	variables map[string]any
}{
	{
		"by_primary_key", as("reader", nil),
		"query ($id: Int!) { authors_by_pk(id: $id) { id name tags } }",
		map[string]any{"id": json.Number("1")},
	},
	{
		"own_rows", as("owner", map[string]string{"x-hasura-user-id": "ann"}),
		"{ accounts(order_by: {id: desc}, limit: 20) { id owner balance note } }", nil,
	},
	{
		"nested_lists", as(session.Admin, nil),
		"query ($id: Int!) { authors(where: {id: {_gte: $id}}, order_by: {id: asc}, limit: 10) { id name articles(limit: 5, order_by: {id: desc}) { id title comments(limit: 3, order_by: {id: asc}) { id text } } } }",
		map[string]any{"id": json.Number("1")},
	},
	{
		"wide_rows", as(session.Admin, nil),
		"query ($id: bigint!) { articles(where: {id: {_gte: $id}}, order_by: {id: asc}, limit: 100) { id author_id title published_at price position } }",
		map[string]any{"id": json.Number("1")},
	},
}

// newReplayedProject is a project whose database is a replay.
func newReplayedProject(b testing.TB, edits ...func(*instance.Config, *instance.Outside)) *instance.Instance {
	b.Helper()
	return newReplayedProjectOn(b, newReplay(), edits...)
}

func newReplayedProjectOn(b testing.TB, stand *replay, edits ...func(*instance.Config, *instance.Outside)) *instance.Instance {
	b.Helper()
	p := newProject(b)
	src, err := source.NewPools(stand.dial).Source(vault.NewSecret(p.db.Config().ConnString()), source.Options{MaxConnections: 1})
	must(b, err)
	b.Cleanup(src.Close)
	recorder := audit.NewRecorder(discard{}, audit.Options{})
	b.Cleanup(func() { _ = recorder.Close(context.Background()) })
	config, outside := p.Config, instance.Outside{
		Sources: map[string]*source.Source{"default": src}, Client: p.client, Limiter: limits.NewLimiter(),
		Recorder: recorder, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test",
	}
	for _, edit := range edits {
		edit(&config, &outside)
	}
	built, err := instance.Build(b.Context(), config, outside)
	must(b, err)
	return built
}

func BenchmarkParse(b *testing.B) {
	p := newProject(b)
	for _, m := range measured {
		view, _ := p.Schema(m.session.Role, false)
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := operation.Prepare(view, m.query, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPlan plans a valid operation and prints its SQL.
func BenchmarkPlan(b *testing.B) {
	p := newProject(b)
	for _, m := range measured {
		view, role := p.Schema(m.session.Role, false)
		op, err := operation.Prepare(view, m.query, "")
		must(b, err)
		variables, err := op.Coerce(m.variables)
		must(b, err)
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				planned, err := planner.Plan(op, view, role, variables)
				if err != nil {
					b.Fatal(err)
				}
				executor.Compile(planned)
			}
		})
	}
}

// BenchmarkBind checks the variables of a request and finds their shape, which
// picks the plan.
func BenchmarkBind(b *testing.B) {
	p := newProject(b)
	for _, m := range measured {
		view, _ := p.Schema(m.session.Role, false)
		op, err := operation.Prepare(view, m.query, "")
		must(b, err)
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				variables, err := op.Coerce(m.variables)
				if err != nil {
					b.Fatal(err)
				}
				planner.Shape(op, view, variables)
			}
		})
	}
}

// BenchmarkEncode makes the body of a response from a hundred wide rows.
func BenchmarkEncode(b *testing.B) {
	columns := []rowjson.Column{
		{Key: []byte(`"id":`), Form: rowjson.Number}, {Key: []byte(`"title":`), Form: rowjson.Text}, {Key: []byte(`"body":`), Form: rowjson.Text},
		{Key: []byte(`"is_published":`), Form: rowjson.Boolean}, {Key: []byte(`"created_at":`), Form: rowjson.Instant},
	}
	row := [][]byte{[]byte("12345"), []byte("Article title 12345"), []byte(strings.Repeat(`Lorem ipsum "dolor" sit amet. `, 8)), []byte("t"), []byte("2024-01-02 03:04:05.678+00")}
	rows := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		rows = append(rows[:0], '[')
		for range 100 {
			rows = rowjson.AppendRow(rows, columns, row)
		}
		rows = append(rows, ']')
	}
}

// BenchmarkExecute is a warm request: everything between the router and the
// socket to Postgres.
func BenchmarkExecute(b *testing.B) {
	p := newReplayedProject(b)
	for _, m := range measured {
		request := instance.Request{Request: graphqlhttp.Request{Query: m.query, Variables: m.variables}, ID: "request"}
		run := func() {
			if _, trail := p.Execute(b.Context(), m.session, request); trail.Err != nil {
				b.Fatal(trail.Err, trail.Err.Unwrap())
			}
		}
		for range 10 { // the plan, the statement and the replay are there
			run()
		}
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
