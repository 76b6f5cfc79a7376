package permissiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

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
	"tenantry/tenants/vault"
)

// setting is a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: expected a number above 0", name, text)
	}
	return n
}

// casesPerWorld are asked of one metadata and its data.
const casesPerWorld = 50

// TestTheEngineGrantsWhatTheMetadataSays asks random questions under random
// permissions. TENANTRY_TEST_CASES says how many, TENANTRY_TEST_SEED which.
func TestTheEngineGrantsWhatTheMetadataSays(t *testing.T) {
	t.Parallel()
	cases, seed := setting(t, "TENANTRY_TEST_CASES", 1000), setting(t, "TENANTRY_TEST_SEED", 1)
	b := newBench(t, nil)
	for world := 0; world*casesPerWorld < cases; world++ {
		if difference := b.world(seed, world, min(casesPerWorld, cases-world*casesPerWorld)); difference != "" {
			t.Fatalf("TENANTRY_TEST_SEED=%d, world %d: %s", seed, world, difference)
		}
	}
	t.Logf("%d cases: %s", cases, b.counts())
	for _, kind := range []string{"rows", "no rows", "refused by a check", "missing variable", "written", "nothing written"} {
		if b.seen[kind] == 0 && cases >= 1000 {
			t.Errorf("no case had the outcome %q: the test asks too little", kind)
		}
	}
}

// bench is a database and the engine's way to it.
type bench struct {
	t       *testing.T
	db      *pgx.Conn
	outside instance.Outside
	catalog *catalog.Catalog
	seen    map[string]int
	// roleOf is how the engine gets to hear a role; a seeded fault changes it.
	roleOf func(string) string
	// writes is how many of a hundred requests are mutations.
	writes int
}

func newBench(t *testing.T, f fault) *bench {
	t.Helper()
	ctx := t.Context()
	address := pgtest.Database(t)
	db, err := pgx.Connect(ctx, address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	b := &bench{t: t, db: db, seen: map[string]int{}, writes: 25, roleOf: func(role string) string { return role }}
	b.exec(createTables)
	// Compiling the machine code of a statement takes longer than running it here.
	b.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$`)
	b.catalog, err = introspect.Read(ctx, db)
	must(t, err)
	src, err := source.NewPools(f.dial).Source(vault.NewSecret(address), source.Options{})
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

type discard struct{}

func (discard) Append(context.Context, []audit.Event) error { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) exec(sql string) {
	b.t.Helper()
	_, err := b.db.PgConn().Exec(b.t.Context(), sql).ReadAll()
	must(b.t, err)
}

// load makes a table hold rows.
func (b *bench) load(t *table, rows []row) {
	b.t.Helper()
	text, err := json.Marshal(rows)
	must(b.t, err)
	name := pgx.Identifier{t.stored}.Sanitize()
	_, err = b.db.Exec(b.t.Context(), "DELETE FROM "+name)
	must(b.t, err)
	_, err = b.db.Exec(b.t.Context(), "INSERT INTO "+name+" SELECT * FROM json_populate_recordset(NULL::"+name+", $1)", string(text))
	must(b.t, err)
}

// stored is what a table holds, by id.
func (b *bench) stored(t *table) any {
	b.t.Helper()
	var text []byte
	must(b.t, b.db.QueryRow(b.t.Context(), "SELECT coalesce(json_agg(r ORDER BY id), '[]') FROM "+pgx.Identifier{t.stored}.Sanitize()+" r").Scan(&text))
	return parse(b.t, text)
}

func (b *bench) counts() string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(b.seen)) {
		out = append(out, fmt.Sprintf("%s %d", kind, b.seen[kind]))
	}
	return strings.Join(out, ", ")
}

// world makes metadata and data and compares the answers to n requests. The
// first difference ends it.
func (b *bench) world(seed, number, n int) string {
	b.t.Helper()
	d := dice{rand.New(rand.NewPCG(uint64(seed), uint64(number)))}
	engine, document, data := b.build(d, number)
	for range n {
		role := pick(d, append(roles[:len(roles):len(roles)], "both", "deep", "both", "deep"))
		a := asks{d, &reference{decoded(document).(object), data, d.session(role)}, role}
		request, difference := b.ask(engine, a)
		if difference != "" {
			text, err := json.Marshal(document)
			must(b.t, err)
			return fmt.Sprintf("role %q, session %v\n%s\n%s\nmetadata: %s", role, a.ref.session, request, difference, text)
		}
	}
	return ""
}

// build makes an engine of random metadata over random data.
func (b *bench) build(d dice, number int) (*instance.Instance, object, database) {
	b.t.Helper()
	document, data := d.metadata(), d.database()
	for _, t := range tables {
		b.load(t, data[t.stored])
	}
	return b.engine(document, number), document, data
}

// engine is an engine of a document.
func (b *bench) engine(document object, number int) *instance.Instance {
	b.t.Helper()
	text, err := json.Marshal(document)
	must(b.t, err)
	parsed, err := metadata.Decode(text)
	must(b.t, err)
	engine, err := instance.Build(b.t.Context(), instance.Config{
		Project: tenants.Project{ID: "p1", Slug: "test"}, Document: parsed, Catalogs: map[string]*catalog.Catalog{"default": b.catalog},
	}, b.outside)
	must(b.t, err)
	for _, i := range engine.Inconsistencies {
		if !i.Ambiguous() {
			b.t.Fatalf("world %d is inconsistent: %s", number, i.Reason)
		}
	}
	return engine
}

func (b *bench) ask(engine *instance.Instance, a asks) (request, difference string) {
	t := pick(a.dice, tables)
	if a.chance(b.writes) {
		if m := a.mutation(t); m != nil {
			return m.text(), b.mutation(engine, a, m)
		}
	}
	if len(a.ref.readers(t, a.role)) == 0 {
		text := "{ " + t.name + " { id } }"
		return text, b.denied(engine, a, text)
	}
	q := a.query(t, 2, false)
	text := "{ answer: " + t.name + q.text() + " }"
	if a.chance(10) {
		q.byKey, q.where, q.order, q.distinct, q.limit, q.offset = a.value("int", 0), nil, nil, "", -1, 0
		text = "{ answer: " + t.name + "_by_pk" + q.text() + " }"
	}
	return text, b.query(engine, a, q, text)
}

// execute sends a request as the session of a.
func (b *bench) execute(engine *instance.Instance, a asks, text string) (any, string) {
	role := b.roleOf(a.role)
	response, trail := engine.Execute(b.t.Context(), session.Session{
		Project: "p1", Role: role, Variables: a.ref.session, Auth: session.AuthJWT,
	}, instance.Request{Request: graphqlhttp.Request{Query: text}})
	if response.Err != nil {
		return fmt.Sprintf("%s (%v)", response.Body, trail.Err.Unwrap()), string(response.Err.Code)
	}
	return parse(b.t, response.Body).(object)["data"], ""
}

func (b *bench) denied(engine *instance.Instance, a asks, text string) string {
	b.seen["denied"]++
	if answer, code := b.execute(engine, a, text); code != "validation-failed" {
		return fmt.Sprintf("the role may not read it, and the engine answers %v", answer)
	}
	return ""
}

func (b *bench) query(engine *instance.Instance, a asks, q *query, text string) string {
	needs := a.ref.needs(a.role)
	needs.query(q)
	answer, code := b.execute(engine, a, text)
	if settled, difference := b.missing(needs, answer, code); settled {
		return difference
	}
	want := a.ref.answer(q, a.role, a.ref.data[q.t.stored])
	if rows, _ := want.([]any); len(rows) > 0 {
		b.seen["rows"]++
	} else {
		b.seen["no rows"]++
	}
	return compared(answer.(object)["answer"], want)
}

// engineRefuses begins the difference when there is an error instead of an answer.
const engineRefuses = "the engine refuses"

// missing judges a request whose session may lack a variable; settled when there
// is nothing else to compare.
func (b *bench) missing(needs *needs, answer any, code string) (settled bool, difference string) {
	switch {
	case code == "not-found" && needs.missing(needs.possible):
		b.seen["missing variable"]++
		return true, ""
	case needs.missing(needs.certain) && code == "permission-error":
		return true, "" // a check failed before the answer was asked for
	case needs.missing(needs.certain):
		return true, fmt.Sprintf("a session variable is missing, and the engine answers %v", answer)
	case code == "permission-error":
		return false, ""
	case code != "":
		return true, fmt.Sprintf("%s: %v", engineRefuses, answer)
	}
	return false, ""
}

func (b *bench) mutation(engine *instance.Instance, a asks, m *mutation) string {
	needs := a.ref.needs(a.role)
	needs.mutation(m)
	answer, code := b.execute(engine, a, m.text())
	before := a.ref.data[m.t.stored]
	if settled, difference := b.missing(needs, answer, code); settled {
		if difference == "" {
			difference = compared(b.stored(m.t), plainRows(before))
		}
		return difference
	}
	want := a.ref.mutate(m, a.role)
	if want.refused != (code == "permission-error") {
		return fmt.Sprintf("refused by a check: want %t, the engine answers %v", want.refused, answer)
	}
	if want.refused {
		b.seen["refused by a check"]++
		return compared(b.stored(m.t), plainRows(before))
	}
	affected := want.answer.(object)["affected_rows"].(int64)
	if affected > 0 {
		b.seen["written"]++
		defer b.load(m.t, before)
	} else {
		b.seen["nothing written"]++
	}
	got := answer.(object)["m"].(object)
	if returning, ok := got["returning"].([]any); ok {
		got["returning"] = sorted(returning)
	}
	if difference := compared(got, want.answer); difference != "" {
		return difference
	}
	return compared(b.stored(m.t), plainRows(want.rows))
}

func compared(got, want any) string {
	if reflect.DeepEqual(got, want) {
		return ""
	}
	return fmt.Sprintf("got  %s\nwant %s", jsonText(got), jsonText(want))
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// sorted orders values by their JSON, where no order was asked for.
func sorted(list []any) []any {
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(jsonText(a), jsonText(b)) })
	return list
}

func plainRows(rows []row) any {
	ordered := slices.Clone(rows)
	slices.SortFunc(ordered, func(a, b row) int { return compare(a["id"], b["id"]) })
	out := []any{}
	for _, r := range ordered {
		out = append(out, object(r))
	}
	return out
}

// parse reads JSON with numbers as int64.
func parse(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return integers(v)
}

func integers(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			panic(err)
		}
		return n
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	case object:
		for key := range v {
			v[key] = integers(v[key])
		}
	}
	return v
}
