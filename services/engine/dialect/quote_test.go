package dialect

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// seeds are texts that have broken out of quotes somewhere.
var seeds = []string{
	"", "a", `"`, `""`, `a"b`, `'`, `''; DROP TABLE x; --`, `\`, `\'`, `\\'`, `E'\'`, "a\nb", "\t\r\v", "$1", "$$", "{}", "{a,b}", "NULL", "null", `{"a"}`, ",", " ",
	"名前", "é́", "🦄", "\u2028", "\ufeff", "/* */", "--", ";", "%s", "U&\"\\0061\"", strings.Repeat("x", 63), strings.Repeat("ñ", 31) + "x", "a.b", "public.t", "\x01", "\x7f",
}

// database is one connection for all inputs of a fuzz test.
type database struct {
	mu sync.Mutex
	*pgx.Conn
}

func newDatabase(f *testing.F) *database {
	f.Helper()
	conn, err := pgx.Connect(context.Background(), pgtest.Database(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close(context.Background()) })
	// The setting of old databases, under which a backslash means more.
	if _, err := conn.Exec(context.Background(), "SET standard_conforming_strings = off"); err != nil {
		f.Fatal(err)
	}
	return &database{Conn: conn}
}

// holdable reports whether Postgres can have the text at all.
func holdable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func FuzzANameInQuotesIsThatName(f *testing.F) {
	db := newDatabase(f)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !holdable(name) || name == "" || len(name) > maxIdentifier {
			return // not a name of Postgres
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		rows, err := db.Query(t.Context(), "SELECT "+quote(name)+" FROM (SELECT 7 AS "+quote(name)+") AS t", pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if got := rows.FieldDescriptions(); len(got) != 1 || got[0].Name != name {
			t.Errorf("%q became %v", name, got)
		}
	})
}

func FuzzALiteralIsThatText(f *testing.F) {
	db := newDatabase(f)
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !holdable(text) {
			return // not a text of Postgres
		}
		w := &writer{}
		w.literal(text)
		if got := db.text(t, "SELECT "+w.buf.String()+"::text"); got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func FuzzArraysComeBackAsTheyWere(f *testing.F) {
	db := newDatabase(f)
	for i, s := range seeds {
		f.Add(s, seeds[(i+7)%len(seeds)], i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, a, b string, null bool) {
		if !holdable(a) || !holdable(b) {
			return // not texts of Postgres
		}
		elements, want := []*string{&a, &b, &a}, []*string{&a, &b, &a}
		if null {
			elements[1], want[1] = nil, nil
		}
		db.array(t, catalog.ArrayOf(elements), want)
		list := make([]any, len(elements))
		for i, e := range elements {
			if e != nil {
				list[i] = *e
			}
		}
		text, err := plan.Text(list, catalog.TypeRef{Schema: "pg_catalog", Name: "text", Dimensions: 1})
		if err != nil {
			t.Fatal(err)
		}
		db.array(t, text, want)
		document, err := plan.Text(map[string]any{"k": a, b: []any{b, nil, true}}, catalog.TypeRef{Schema: "pg_catalog", Name: "jsonb"})
		if err != nil {
			t.Fatal(err)
		}
		if got := db.text(t, "SELECT $1::jsonb ->> 'k'", document); b != "k" && got != a {
			t.Errorf("%q in JSON became %q", a, got)
		}
	})
}

func (db *database) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	db.mu.Lock()
	defer db.mu.Unlock()
	var got string
	if err := db.QueryRow(t.Context(), sql, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func (db *database) array(t *testing.T, literal string, want []*string) {
	t.Helper()
	db.mu.Lock()
	defer db.mu.Unlock()
	var got []*string
	if err := db.QueryRow(t.Context(), "SELECT $1::text[]", pgx.QueryExecModeExec, literal).Scan(&got); err != nil {
		t.Fatalf("%s: %v", literal, err)
	}
	same := func(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s did not come back as it was", literal)
	}
}

func TestTypesAreNamedAsPostgresReadsThem(t *testing.T) {
	t.Parallel()
	for want, ref := range map[string]catalog.TypeRef{
		"int4":                      {Schema: "pg_catalog", Name: "int4"},
		"text[]":                    {Schema: "pg_catalog", Name: "text", Dimensions: 1},
		"int4[]":                    {Schema: "pg_catalog", Name: "int4", Dimensions: 2},
		`"pg_catalog"."char"`:       {Schema: "pg_catalog", Name: "char"},
		`"pg_catalog"."bit"`:        {Schema: "pg_catalog", Name: "bit"},
		`"public"."mood"`:           {Schema: "public", Name: "mood"},
		`"a ""b"""."c; DROP"[]`:     {Schema: `a "b"`, Name: "c; DROP", Dimensions: 1},
		`"pg_catalog"."Weird name"`: {Schema: "pg_catalog", Name: "Weird name"},
	} {
		if got := typeName(ref); got != want {
			t.Errorf("%+v is written %s, want %s", ref, got, want)
		}
	}
}
