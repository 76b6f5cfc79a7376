package source_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
)

// Statements of requests that share a context, and of others, on few connections:
// each answers its own value or ends with its own context, whatever became of the
// statement before it.
func TestACancelledStatementLeavesItsConnectionToTheNext(t *testing.T) {
	t.Parallel()
	src := open(t, dialer, pgtest.Database(t), source.Options{MaxConnections: 3})
	var work sync.WaitGroup
	for worker := range 6 {
		work.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(worker)))
			for round := range 12 {
				ctx, cancel := context.WithCancel(t.Context())
				ends := random.IntN(2) == 0
				if ends {
					time.AfterFunc(time.Duration(random.IntN(20))*time.Millisecond, cancel)
				}
				for n := range 3 { // the requests that share it
					want := fmt.Sprint(worker*1000 + round*10 + n)
					got, err := src.One(ctx, source.Bound{
						SQL:  "SELECT to_json($1::int) FROM (SELECT pg_sleep($2::float8)) AS slept",
						Args: [][]byte{[]byte(want), fmt.Appendf(nil, "%.4f", random.Float64()/80)},
					})
					switch {
					case err == nil && string(got) != want:
						t.Errorf("got %s, want %s", got, want)
					case err != nil && (!ends || ctx.Err() == nil):
						t.Errorf("a request that goes on got %v (%v)", err, cause(err))
					}
				}
				cancel()
			}
		})
	}
	work.Wait()
}

func cause(err error) error {
	if e := errcode.From(err); e != nil {
		return e.Unwrap()
	}
	return nil
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	src, db := open(t, dialer, address, source.Options{MaxConnections: 1}), connect(t, address)
	exec(t, db, "CREATE TABLE sent (n int)")
	insert := source.Bound{SQL: "WITH w AS (INSERT INTO sent VALUES (1) RETURNING n) SELECT to_json(n) FROM w"}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := src.Alone(ctx, insert)
	must(t, err)
	cancel()
	_, err = src.Alone(ctx, insert) // its connection is registered with the context
	refused(t, err, errcode.Timeout, "the request was cancelled")
	if n := count(t, db, "SELECT count(*) FROM sent"); n != 1 {
		t.Errorf("%d statements ran", n)
	}
}

func TestAFailedStatementLeavesItsConnectionUsable(t *testing.T) {
	t.Parallel()
	src := open(t, dialer, pgtest.Database(t), source.Options{MaxConnections: 1})
	backend := func() string {
		out, err := src.One(t.Context(), source.Bound{SQL: "SELECT pg_backend_pid()::text"})
		must(t, err)
		return string(out)
	}
	before := backend()
	divide := source.Bound{SQL: "SELECT to_json(1 / n) FROM generate_series(2, 0, -1) AS n"}
	for range 2 {
		_, err := src.One(t.Context(), divide) // after rows of which the first is read
		refused(t, err, errcode.DataException, "division by zero")
	}
	err := src.Transaction(t.Context(), func(ctx context.Context, tx *source.Tx) error {
		_, _, err := tx.Write(ctx, source.Bound{SQL: "SELECT to_json(1 / 0), true"})
		return err
	})
	refused(t, err, errcode.DataException, "division by zero")
	if after := backend(); after != before {
		t.Errorf("another connection is used: %s, not %s", after, before)
	}
}

// Values that are too many for an exchange go another way, and come back the same.
func TestLargeValuesAndNotices(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	src, db := open(t, dialer, address, source.Options{}), connect(t, address)
	exec(t, db, `CREATE FUNCTION loud(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'read %', length($1); PERFORM set_config('TimeZone', 'UTC', true); RETURN $1; END $$`)
	for _, size := range []int{1, 1000, 32 << 10, 32<<10 + 1, 3 << 20} {
		want := strings.Repeat("x", size)
		got, err := src.One(t.Context(), source.Bound{SQL: "SELECT loud($1::text)", Args: [][]byte{[]byte(want)}})
		if err != nil || string(got) != want {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
	}
	if got, err := src.One(t.Context(), source.Bound{SQL: "SELECT to_json($1::text)", Args: [][]byte{nil}}); err != nil || string(got) != "null" {
		t.Errorf("NULL: %s, %v", got, err)
	}
}
