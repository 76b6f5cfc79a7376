package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres"
	"tenantry/ops/postgres/pgtest"
)

// try runs a statement as the URL's role and returns the error.
func try(ctx context.Context, to, statement string) error {
	conn, err := pgx.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

func otherDatabase(t *testing.T, raw, database string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	return u.String()
}

func TestManagedDatabasesAreClosedToEachOther(t *testing.T) {
	t.Parallel()
	server := pgtest.OwnServer(t)
	admin := server.URL("postgres")
	cluster := postgres.NewCluster(admin, []string{"citext", "pg_stat_statements"})
	ctx := t.Context()
	if err := try(ctx, admin, "CREATE DATABASE control_plane"); err != nil {
		t.Fatal(err)
	}
	names := []string{"shop", `a "quoted" näme; DROP`, "CamelCase"}
	urls := make([]string, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			var err error
			if urls[i], err = cluster.CreateDatabase(ctx, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	group.Wait()
	for i, own := range urls {
		if err := try(ctx, own, "CREATE TABLE t (id int, name citext); CREATE SCHEMA s"); err != nil {
			t.Errorf("%s: its owner: %v", names[i], err)
		}
		for _, other := range append([]string{"postgres", "template1", "control_plane"}, names...) {
			if other == names[i] {
				continue
			}
			if err := try(ctx, otherDatabase(t, own, other), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s enters %s: %v", names[i], other, err)
			}
		}
		for _, statement := range []string{"CREATE DATABASE more", "CREATE ROLE more", "COPY t FROM PROGRAM 'id'", "ALTER ROLE CURRENT_USER SUPERUSER", "SELECT pg_read_file('PG_VERSION')", "ALTER ROLE CURRENT_USER CONNECTION LIMIT 1000"} {
			if err := try(ctx, own, statement); err == nil {
				t.Errorf("%s may %s", names[i], statement)
			}
		}
	}
	if err := try(ctx, admin, "SELECT 1"); err != nil {
		t.Errorf("the operator is locked out: %v", err)
	}
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var limit int
	var timeout, stored string
	err = conn.QueryRow(ctx, "SELECT a.rolconnlimit, r.rolconfig[1], a.rolpassword FROM pg_roles r JOIN pg_authid a ON a.oid = r.oid WHERE r.rolname = 'shop'").Scan(&limit, &timeout, &stored)
	if err != nil || limit <= 0 || timeout != "statement_timeout=60s" || !strings.HasPrefix(stored, "SCRAM-SHA-256$") {
		t.Errorf("limit %d, %s, password kept as %.13s, error %v", limit, timeout, stored, err)
	}
}

func TestCreateDatabaseTakesBackWhatItBegan(t *testing.T) {
	t.Parallel()
	server := pgtest.OwnServer(t)
	admin, ctx := server.URL("postgres"), t.Context()
	if _, err := postgres.NewCluster(admin, []string{"no_such_extension"}).CreateDatabase(ctx, "shop"); err == nil {
		t.Fatal("an unknown extension was created")
	}
	cluster := postgres.NewCluster(admin, nil)
	if _, err := cluster.CreateDatabase(ctx, "shop"); err != nil {
		t.Fatalf("after the failure the name is not free: %v", err)
	}
	if _, err := cluster.CreateDatabase(ctx, "shop"); !errors.Is(err, postgres.ErrExists) {
		t.Errorf("the second of that name: %v", err)
	}
	if _, err := cluster.CreateDatabase(ctx, "postgres"); !errors.Is(err, postgres.ErrExists) {
		t.Errorf("the name of the operator's role: %v", err)
	}
	if _, err := cluster.CreateDatabase(ctx, "template1"); !errors.Is(err, postgres.ErrExists) {
		t.Errorf("the name of the operator's database: %v", err)
	}
	if err := try(ctx, admin, `CREATE ROLE template1`); err != nil {
		t.Errorf("a role was left behind: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", 64), "a\x00b"} {
		if _, err := cluster.CreateDatabase(ctx, name); !errors.Is(err, postgres.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestDropDatabaseRemovesOnlyManagedDatabases(t *testing.T) {
	t.Parallel()
	server := pgtest.OwnServer(t)
	admin, ctx := server.URL("postgres"), t.Context()
	cluster := postgres.NewCluster(admin, nil)
	own, err := cluster.CreateDatabase(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := cluster.CreateDatabase(ctx, "neighbour")
	if err != nil {
		t.Fatal(err)
	}
	// A neighbour that grants something must not keep the role alive.
	if err := try(ctx, neighbour, "CREATE TABLE t (id int); GRANT SELECT ON t TO shop; GRANT CONNECT ON DATABASE neighbour TO shop"); err != nil {
		t.Fatal(err)
	}
	connected, err := pgx.Connect(ctx, own)
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close(ctx)
	for range 2 { // the second time there is nothing left to do
		if err := cluster.DropDatabase(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
	}
	if err := try(ctx, admin, "CREATE ROLE shop"); err != nil {
		t.Errorf("the role is still there: %v", err)
	}
	for _, name := range []string{"postgres", "template1"} {
		if err := cluster.DropDatabase(ctx, name); !errors.Is(err, postgres.ErrNotManaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try(ctx, neighbour, "SELECT * FROM t"); err != nil {
		t.Errorf("the neighbour lost something: %v", err)
	}
}

func TestAClusterWhoseRoleMayNotCloseDatabasesSaysWhich(t *testing.T) {
	t.Parallel()
	server := pgtest.OwnServer(t)
	admin, ctx := server.URL("postgres"), t.Context()
	if err := try(ctx, admin, "CREATE ROLE op LOGIN CREATEDB CREATEROLE PASSWORD 'op'"); err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(admin)
	u.User = url.UserPassword("op", "op")
	weak := postgres.NewCluster(u.String(), nil)
	if _, err := weak.CreateDatabase(ctx, "shop"); !errors.Is(err, postgres.ErrOpen) || !strings.Contains(err.Error(), "template1") {
		t.Fatalf("the error is %v", err)
	}
	// Once a superuser has closed them, the weaker role is enough.
	if err := postgres.NewCluster(admin, nil).Harden(ctx); err != nil {
		t.Fatal(err)
	}
	if err := try(ctx, admin, "GRANT CONNECT ON DATABASE postgres TO op"); err != nil {
		t.Fatal(err)
	}
	own, err := weak.CreateDatabase(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := try(ctx, own, "CREATE TABLE t (id int)"); err != nil {
		t.Error(err)
	}
	if err := weak.DropDatabase(ctx, "shop"); err != nil {
		t.Error(err)
	}
}
