package introspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/introspect"
	"tenantry/tenants/catalog"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, conn *pgx.Conn) *catalog.Catalog {
	t.Helper()
	c, err := introspect.Read(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACatalogHasWhatTheDatabaseHas(t *testing.T) {
	t.Parallel()
	for name, extensions := range map[string][]string{"shop": {"citext", "plpgsql"}, "market": {"plpgsql"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t)
			sql, err := os.ReadFile("testdata/" + name + ".sql")
			if err != nil {
				t.Fatal(err)
			}
			run(t, conn, string(sql))
			c := read(t, conn)
			if c.Version < 120000 {
				t.Errorf("version is %d", c.Version)
			}
			if !slices.Equal(c.Extensions, extensions) {
				t.Errorf("extensions are %v, want %v", c.Extensions, extensions)
			}
			c.Version = 0 // differs from server to server
			compare(t, "testdata/"+name+".json", c)
		})
	}
}

func compare(t *testing.T, golden string, c *catalog.Catalog) {
	t.Helper()
	got, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the catalog differs from %s:\n%s", golden, got)
	}
}

func TestAFingerprintChangesExactlyWhenTheDatabaseDoes(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	run(t, conn, `CREATE TABLE a (id int4); SET search_path = "nowhere"`)
	first := read(t, conn).Fingerprint()
	if again := read(t, conn).Fingerprint(); again != first {
		t.Error("the fingerprint of an unchanged database changed")
	}
	run(t, conn, `COMMENT ON COLUMN public.a.id IS 'x'`)
	if again := read(t, conn).Fingerprint(); again == first {
		t.Error("the fingerprint of a changed database did not change")
	}
}

func TestReadingLeavesTheSessionAsItWas(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	run(t, conn, `SET jit = on`)
	read(t, conn)
	var jit string
	if err := conn.QueryRow(t.Context(), "SHOW jit").Scan(&jit); err != nil || jit != "on" {
		t.Errorf("jit is %q afterwards, %v", jit, err)
	}
}

func TestAColumnIsLooseWhenItsCollationIs(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	var icu bool // not every Postgres is built with it, and without it no collation is loose
	if err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')`).Scan(&icu); err != nil {
		t.Fatal(err)
	}
	collation := "CREATE DOMAIN either AS text"
	if icu {
		collation = "CREATE COLLATION ignorant (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE DOMAIN either AS text COLLATE ignorant"
	}
	run(t, conn, collation+`; CREATE TABLE t (strict text, plain int, of_domain either)`)
	for _, c := range read(t, conn).Tables[0].Columns {
		if want := icu && c.Name == "of_domain"; c.Loose != want {
			t.Errorf("%s: loose is %v, want %v", c.Name, c.Loose, want)
		}
	}
}

func TestAnEmptyDatabaseHasAnEmptyCatalog(t *testing.T) {
	t.Parallel()
	c := read(t, connect(t))
	if c.Tables == nil || len(c.Tables) != 0 || len(c.Types) != 0 {
		t.Errorf("got tables %v and types %v", c.Tables, c.Types)
	}
}

func TestAClosedConnectionIsAnError(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	_ = conn.Close(t.Context())
	if c, err := introspect.Read(t.Context(), conn); err == nil {
		t.Errorf("got %v", c)
	}
}
