package source_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
)

// Every row is a statement that Postgres refuses: the code that it gives decides
// what the client is told, never the text of its message.
func TestErrorsOfPostgresBecomePublicOnes(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	src, db := open(t, dialer, address, source.Options{}), connect(t, address)
	exec(t, db, `CREATE EXTENSION IF NOT EXISTS btree_gist;
		CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'));
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents, EXCLUDE USING gist (parent WITH =));
		CREATE VIEW checked AS SELECT * FROM parents WHERE id > 0 WITH CHECK OPTION;
		INSERT INTO parents VALUES (1, 'a');
		INSERT INTO children VALUES (1, 1);
		CREATE FUNCTION fail(state text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'says the tenant' USING ERRCODE = state; END $$;
		CREATE FUNCTION freeze() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('transaction_read_only', 'on', true); INSERT INTO parents VALUES (9, 'x'); END $$;
		CREATE TABLE held (id int); INSERT INTO held VALUES (1);`)
	exec(t, db, "BEGIN; SELECT * FROM held FOR UPDATE")
	held := db
	db = connect(t, address)
	defer exec(t, held, "ROLLBACK")
	for _, c := range []struct {
		sql     string
		code    errcode.Code
		message string
	}{
		{"INSERT INTO parents VALUES (1, 'b')", errcode.ConstraintViolation, `Uniqueness violation. duplicate key value violates unique constraint "parents_pkey"`},
		{"INSERT INTO children VALUES (2, 9)", errcode.ConstraintViolation, `Foreign key violation. insert or update on table "children" violates foreign key constraint "children_parent_fkey"`},
		{"INSERT INTO parents VALUES (2, NULL)", errcode.ConstraintViolation, `Not-NULL violation. null value in column "name" of relation "parents" violates not-null constraint`},
		{"INSERT INTO parents VALUES (2, 'bad')", errcode.PermissionError, `Check constraint violation. new row for relation "parents" violates check constraint "parents_name_check"`},
		{"INSERT INTO children VALUES (2, 1)", errcode.ConstraintViolation, `Exclusion constraint violation. conflicting key value violates exclusion constraint "children_parent_excl"`},
		{"INSERT INTO checked VALUES (-1, 'x')", errcode.PermissionError, `Check constraint violation. new row violates check option for view "checked"`},
		{"SELECT ('x' || n)::int FROM parents, generate_series(1, 1) AS n", errcode.DataException, `invalid input syntax for type integer: "x1"`},
		{"SELECT 1 / (id - 1) FROM parents", errcode.DataException, "division by zero"},
		{"SELECT (2147483647 + id)::int FROM parents", errcode.DataException, "integer out of range"},
		{"SELECT substring('abc' from id for -1) FROM parents", errcode.DataException, "negative substring length not allowed"},
		{"SELECT name FROM parents WHERE name LIKE '\\'", errcode.BadRequest, "LIKE pattern must not end with escape character"},
		{"INSERT INTO parents VALUES (2, 'b'), (2, 'c') ON CONFLICT (id) DO UPDATE SET name = excluded.name", errcode.DataException, "ON CONFLICT DO UPDATE command cannot affect row a second time"},
		{"INSERT INTO parents VALUES (2, 'b') ON CONFLICT (name) DO NOTHING", errcode.ConstraintError, "there is no unique or exclusion constraint on target column(s)"},
		{"INSERT INTO parents VALUES (2, 'b') ON CONFLICT ON CONSTRAINT nowhere DO NOTHING", errcode.ConstraintError, `constraint "nowhere" for table "parents" does not exist`},
		{"SELECT count(*) FROM parents FOR UPDATE", errcode.NotSupported, "the project's database does not support the operation"},
		{"SELECT freeze()", errcode.NotSupported, "the project's database is read only"},
		{"SELECT id FROM held FOR UPDATE NOWAIT", errcode.Busy, "another transaction holds a lock: try again"},
		{"SELECT fail('P0001')", errcode.PostgresError, "says the tenant"},
		{"SELECT fail('40001')", errcode.ConcurrentUpdate, "the operation collided with another one: try again"},
		{"SELECT fail('40P01')", errcode.ConcurrentUpdate, "the operation collided with another one: try again"},
		{"SELECT fail('53300')", errcode.PostgresMaxConns, "the project's database has no free connection"},
		{"SELECT fail('57014')", errcode.TimeLimitExceeded, "the operation took longer than its time limit"},
		{"SELECT fail('08006')", errcode.ConnectionFailed, "the project's database can't be reached"},
		{"SELECT fail('28000')", errcode.ConnectionFailed, "the project's database refused the connection"},
		{"SELECT fail('XX000')", errcode.Unexpected, "database query error"},
		{"SELECT * FROM pg_authid", errcode.PostgresError, "the project's database role lacks a privilege"},
		{"SELECT * FROM nowhere", errcode.Unexpected, "the project's database has changed since its tables were read: its metadata must be reloaded"},
		{"SELECT nothing", errcode.Unexpected, "the project's database has changed since its tables were read: its metadata must be reloaded"},
		{"SELECT nothing(1)", errcode.Unexpected, "the project's database has changed since its tables were read: its metadata must be reloaded"},
		{"SELEC 1", errcode.Unexpected, "database query error"},
	} {
		_, err := src.Query(t.Context(), []source.Bound{{SQL: c.sql}})
		refused(t, err, c.code, c.message)
		_, err = src.Query(t.Context(), []source.Bound{{SQL: "SELECT '1'::json"}, {SQL: c.sql}})
		refused(t, err, c.code, c.message)
		err = src.Transaction(t.Context(), func(ctx context.Context, tx *source.Tx) error {
			_, _, err := tx.Write(ctx, source.Bound{SQL: c.sql})
			return err
		})
		refused(t, err, c.code, c.message)
		var public *errcode.Error
		if !errors.As(err, &public) || public.Unwrap() == nil {
			t.Errorf("%s: operators don't see the cause", c.sql)
		}
		if told := public != nil && public.Internal != nil; told != (c.code == errcode.PostgresError || c.code == errcode.Unexpected || c.code == errcode.ConnectionFailed || c.code == errcode.TimeLimitExceeded || c.code == errcode.PostgresMaxConns || c.code == errcode.NotSupported) {
			t.Errorf("%s: what admins are told is %v", c.sql, public.Internal)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM parents"); n != 1 {
		t.Errorf("the refused statements left %d rows", n)
	}
}

func TestAFullPoolMakesRequestsWait(t *testing.T) {
	t.Parallel()
	src := open(t, dialer, pgtest.Database(t), source.Options{MaxConnections: 1})
	done := make(chan error)
	for range 5 {
		go func() {
			_, err := src.Query(context.Background(), []source.Bound{{SQL: "SELECT pg_sleep(0.02)::text"}})
			done <- err
		}()
	}
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if st := src.Stat(); st.Max != 1 || st.Waits == 0 {
		t.Errorf("the pool says %+v", st)
	}
}

func TestWaitingForAConnectionEnds(t *testing.T) {
	t.Parallel()
	src := open(t, dialer, pgtest.Database(t), source.Options{MaxConnections: 1, PoolTimeout: 100 * time.Millisecond})
	one := []source.Bound{{SQL: "SELECT '1'::json"}}
	err := src.Transaction(t.Context(), func(ctx context.Context, _ *source.Tx) error {
		_, err := src.Query(ctx, one)
		refused(t, err, errcode.PoolTimeout, "the project's database has no free connection")
		_, err = src.Keyed(ctx, one[0], 1)
		refused(t, err, errcode.PoolTimeout, "the project's database has no free connection")
		return src.Transaction(ctx, func(context.Context, *source.Tx) error { return nil })
	})
	refused(t, err, errcode.PoolTimeout, "the project's database has no free connection")
	if _, err := src.Query(t.Context(), one); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if st := src.Stat(); st.InUse != 0 {
		t.Errorf("%d connections were not given back", st.InUse)
	}
}
