package pgtest_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDatabaseIsEmptyAndItsOwnerIsNoSuperuser(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("one of several", func(t *testing.T) {
			t.Parallel()
			conn := connect(t, pgtest.Database(t))
			var super bool
			var tables int
			err := conn.QueryRow(t.Context(), `SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
				(SELECT count(*) FROM pg_tables WHERE schemaname = 'public')`).Scan(&super, &tables)
			if err != nil || super || tables != 0 {
				t.Fatalf("super %v, tables %d, error %v", super, tables, err)
			}
			for _, statement := range []string{"CREATE TABLE a (id int)", "CREATE SCHEMA s", "CREATE EXTENSION citext"} {
				if _, err := conn.Exec(t.Context(), statement); err != nil {
					t.Errorf("%s: %v", statement, err)
				}
			}
			if _, err := conn.Exec(t.Context(), "CREATE ROLE other"); err == nil {
				t.Error("the owner could create a role")
			}
		})
	}
}

func TestDatabaseIsGoneAfterTheTestEvenWhenConnected(t *testing.T) {
	t.Parallel()
	var url string
	var left *pgx.Conn
	t.Run("inner", func(t *testing.T) {
		url = pgtest.Database(t)
		var err error
		if left, err = pgx.Connect(context.Background(), url); err != nil {
			t.Fatal(err)
		}
	})
	defer left.Close(context.Background())
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Fatal("the database is still there")
	} else if !strings.Contains(err.Error(), "28P01") && !strings.Contains(err.Error(), "3D000") {
		t.Fatal(err)
	}
}

func TestAdminURLIsASuperuser(t *testing.T) {
	t.Parallel()
	var super bool
	err := connect(t, pgtest.AdminURL(t)).QueryRow(t.Context(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super)
	if err != nil || !super {
		t.Fatalf("super %v, error %v", super, err)
	}
}

func TestDatabasesOfATemplateBeginAlikeAndAreTheirOwn(t *testing.T) {
	t.Parallel()
	filled := 0
	template := pgtest.Template{Fill: func(ctx context.Context, url string) error {
		filled++
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
		return err
	}}
	one, other := connect(t, template.Database(t)), connect(t, template.Database(t))
	for i, conn := range []*pgx.Conn{one, other} {
		if _, err := conn.Exec(t.Context(), "INSERT INTO a VALUES (2); ALTER TABLE a ADD COLUMN own int; CREATE SCHEMA s"); err != nil {
			t.Fatal(i, err)
		}
		var rows int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM a").Scan(&rows); err != nil || rows != 2 {
			t.Errorf("database %d has %d rows, %v", i, rows, err)
		}
	}
	if filled != 1 && os.Getenv("TENANTRY_TEST_POSTGRES_URL") == "" {
		t.Errorf("filled %d times", filled)
	}
}
