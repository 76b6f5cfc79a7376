package pgtest_test

import (
	"context"
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
