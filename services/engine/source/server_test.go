package source_test

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tenantry/api/errcode"
	"tenantry/ops/postgres"
	"tenantry/ops/postgres/pgtest"
	"tenantry/ops/timetest"
	"tenantry/services/engine/source"
	"tenantry/tenants/vault"
)

// server is a Postgres that can be restarted behind one address.
type server struct {
	dir string

	mu               sync.Mutex
	running          *postgres.Server
	network, address string
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "tenantry-source-test-")
	must(t, err)
	s := &server{dir: dir}
	t.Cleanup(func() { s.stop(t); _ = os.RemoveAll(dir) })
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	running, err := postgres.Start(context.Background(), postgres.Options{DataDir: s.dir})
	must(t, err)
	config, err := pgconn.ParseConfig(running.URL("postgres"))
	must(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	s.network, s.address = pgconn.NetworkAddress(config.Host, config.Port)
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(t, s.running.Stop(ctx))
}

// dial leads to the server, wherever it listens since its last start.
func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	network, address := s.network, s.address
	s.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (s *server) url(t *testing.T) string {
	t.Helper()
	config, err := pgconn.ParseConfig(s.running.URL("postgres"))
	must(t, err)
	return "postgres://" + config.User + ":" + config.Password + "@db.example.org:5432/postgres"
}

func TestReadsAndWritesGoOnAfterPostgresWasRestarted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	src := open(t, s.dial, s.url(t), source.Options{})
	var busy sync.WaitGroup
	for range 6 { // leave several idle connections, all of which the restart kills
		busy.Go(func() {
			if _, err := src.Query(context.Background(), []source.Bound{{SQL: "SELECT pg_sleep(0.3)::text"}}); err != nil {
				t.Errorf("before the restart: %v", err)
			}
		})
	}
	busy.Wait()
	if n := src.Stat().Idle; n < 2 {
		t.Fatalf("the pool holds %d connections; this test needs several", n)
	}
	restart := func() { s.stop(t); s.start(t) }
	ctx := t.Context()

	restart()
	out, err := src.Query(ctx, []source.Bound{{SQL: "SELECT '1'::json"}, {SQL: "SELECT '2'::json"}})
	if err != nil || string(out[0])+string(out[1]) != "12" {
		t.Fatalf("a read after a restart: %s, %v", out, err)
	}
	restart()
	if out, err = src.Keyed(ctx, source.Bound{SQL: "SELECT n, to_json(n) FROM generate_series(1, 2) AS n"}, 2); err != nil || string(out[1]) != "2" {
		t.Fatalf("a join after a restart: %s, %v", out, err)
	}
	restart()
	err = src.Transaction(ctx, func(ctx context.Context, tx *source.Tx) error {
		value, verdict, err := tx.Write(ctx, source.Bound{SQL: "SELECT '3'::json, true"})
		if err == nil && (string(value) != "3" || verdict != source.Held) {
			t.Errorf("a write after a restart answered %s, %v", value, verdict)
		}
		return err
	})
	if err != nil {
		t.Fatalf("a write after a restart: %v", err)
	}

	s.stop(t)
	began := time.Now()
	_, err = src.Query(ctx, []source.Bound{{SQL: "SELECT '1'::json"}})
	refused(t, err, errcode.ConnectionFailed, "the project's database can't be reached")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("a database that is down took %v to notice", took)
	}
	s.start(t)
	if _, err = src.Query(ctx, []source.Bound{{SQL: "SELECT '1'::json"}}); err != nil {
		t.Errorf("a read after the database came back: %v", err)
	}
}

func TestAWriteIsNotRepeatedWhenItsConnectionBreaks(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	src, db := open(t, dialer, address, source.Options{}), connect(t, address)
	exec(t, db, "CREATE TABLE written (n int)")
	runs := 0
	err := src.Transaction(t.Context(), func(ctx context.Context, tx *source.Tx) error {
		runs++
		_, _, err := tx.Write(ctx, source.Bound{SQL: "WITH w AS (INSERT INTO written VALUES (1)) SELECT pg_terminate_backend(pg_backend_pid())::text, true"})
		return err
	})
	refused(t, err, errcode.ConnectionFailed, "the project's database can't be reached")
	if n := count(t, db, "SELECT count(*) FROM written"); runs != 1 || n != 0 {
		t.Errorf("the function ran %d times and left %d rows", runs, n)
	}
}

func TestAStatementEndsInPostgresWhenItsRequestEnds(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	db := connect(t, address)
	sleep := []source.Bound{{SQL: "SELECT pg_sleep(20)::text /* watched */"}}
	running := func() int {
		return count(t, db, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%watched%' AND pid <> pg_backend_pid()")
	}
	for name, c := range map[string]struct {
		end     func(context.Context) (context.Context, context.CancelFunc)
		code    errcode.Code
		message string
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 300*time.Millisecond)
		}, errcode.TimeLimitExceeded, "the operation took longer than its time limit"},
		"client gone": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(300*time.Millisecond, cancel)
			return ctx, cancel
		}, errcode.Timeout, "the request was cancelled"},
	} {
		for _, prepared := range []bool{true, false} {
			src := open(t, dialer, address, source.Options{Unprepared: !prepared})
			const most = 1300 * time.Millisecond
			took := timetest.Least(most, func(int) time.Duration {
				ctx, cancel := c.end(t.Context())
				defer cancel()
				began := time.Now()
				_, err := src.Query(ctx, sleep)
				refused(t, err, c.code, c.message)
				for time.Since(began) < 10*time.Second && running() > 0 {
					time.Sleep(10 * time.Millisecond)
				}
				return time.Since(began)
			})
			if took > most {
				t.Fatalf("%s: the caller or Postgres was busy for %v", name, took)
			}
			if _, err := src.Query(t.Context(), []source.Bound{{SQL: "SELECT '1'::json"}}); err != nil {
				t.Errorf("%s: the next read: %v", name, err)
			}
		}
	}
}

func TestPostgresEndsAStatementThatNobodyCancels(t *testing.T) {
	t.Parallel()
	src := open(t, dialer, pgtest.Database(t), source.Options{StatementTimeout: 200 * time.Millisecond})
	_, err := src.Query(t.Context(), []source.Bound{{SQL: "SELECT pg_sleep(20)::text"}})
	refused(t, err, errcode.TimeLimitExceeded, "the operation took longer than its time limit")
}

func TestTheSameDatabaseSharesAPoolUntilItsLastShareCloses(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	db := connect(t, address)
	pools := source.NewPools(dialer)
	share := func(o source.Options) *source.Source {
		src, err := pools.Source(vault.NewSecret(address), o)
		must(t, err)
		return src
	}
	backend := func(src *source.Source) string {
		out, err := src.Query(t.Context(), []source.Bound{{SQL: "SELECT pg_backend_pid()::text"}})
		must(t, err)
		return string(out[0])
	}
	connections := func() int {
		return count(t, db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tenantry' AND datname = current_database()")
	}
	a, b, other := share(source.Options{}), share(source.Options{}), share(source.Options{MaxConnections: 2})
	if backend(a) != backend(b) || backend(a) == backend(other) {
		t.Error("shares of one pool use one connection, another pool its own")
	}
	if a.Stat().Max != 8 || other.Stat().Max != 2 {
		t.Errorf("the pools hold up to %d and %d connections", a.Stat().Max, other.Stat().Max)
	}
	a.Close()
	a.Close() // closing twice must not take the other share away
	backend(b)
	b.Close()
	other.Close()
	for began := time.Now(); connections() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 2*time.Second {
			t.Fatalf("%d connections are open after the last share was closed", connections())
		}
	}
	_, err := b.Query(t.Context(), []source.Bound{{SQL: "SELECT '1'::json"}})
	refused(t, err, errcode.ConnectionFailed, "the project's database can't be reached")
	late := share(source.Options{})
	late.Close()
	if _, err := late.Query(t.Context(), []source.Bound{{SQL: "SELECT '1'::json"}}); err == nil || connections() > 0 {
		t.Errorf("a share that was closed before its first use opens %d connections, error %v", connections(), err)
	}
}

// dialer stands for the egress guard.
var dialer = (&net.Dialer{}).DialContext

func open(t *testing.T, dial source.Dial, address string, o source.Options) *source.Source {
	t.Helper()
	src, err := source.NewPools(dial).Source(vault.NewSecret(address), o)
	must(t, err)
	t.Cleanup(src.Close)
	return src
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	db, err := pgx.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

func exec(t *testing.T, db *pgx.Conn, sql string) {
	t.Helper()
	_, err := db.PgConn().Exec(t.Context(), sql).ReadAll()
	must(t, err)
}

func count(t *testing.T, db *pgx.Conn, sql string) int {
	t.Helper()
	var n int
	must(t, db.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func refused(t *testing.T, err error, code errcode.Code, message string) {
	t.Helper()
	var e *errcode.Error
	if !errors.As(err, &e) || e.Code != code || e.Message != message {
		t.Errorf("got %v (%T), want %q %q", err, err, code, message)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
