package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// keptRows reads what the control plane keeps of a side: every table but those that
// requests alone change, and the runs, which go on by themselves.
type keptRows struct {
	conn *pgx.Conn
	sql  string
}

func newKeptRows(t *testing.T, s *server) keptRows {
	t.Helper()
	ctx := context.Background()
	address, _ := embeddedURL(t, s)
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	rows, err := conn.Query(ctx, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'tenantry'
		AND table_name NOT IN ('audit_heads', 'audit_events', 'idempotent_answers', 'action_runs', 'schema_version')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 8 {
		t.Fatalf("the control plane's tables: %q, %v", tables, err)
	}
	var each []string
	for _, table := range tables {
		each = append(each, fmt.Sprintf(`SELECT '%s', coalesce(md5(string_agg(r, '' ORDER BY r)), '') FROM (
			SELECT (to_jsonb(t) - 'last_used')::text FROM tenantry.%[1]s t) AS x(r) WHERE r LIKE ANY ($1)`, table))
	}
	return keptRows{conn, strings.Join(each, " UNION ALL ")}
}

// of gives a digest of the rows of each table that name the side.
func (k keptRows) of(t *testing.T, x *side) map[string]string {
	t.Helper()
	names := []string{"%\"" + x.ids[tenantKind] + "\"%", "%\"" + x.ids[projectKind] + "\"%", "%\"" + x.spare[projectKind] + "\"%", "%\"" + x.ids[planKind] + "\"%"}
	rows, err := k.conn.Query(context.Background(), k.sql, names)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var table, digest string
	if _, err := pgx.ForEachRow(rows, []any{&table, &digest}, func() error { out[table] = digest; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"tenants", "projects", "keys", "metadata_revisions", "settings_revisions"} {
		if out[table] == "" {
			t.Fatalf("nothing of %s is found in %s", x.name, table)
		}
	}
	return out
}
