package source_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
)

// pooler stands before a Postgres as poolers do: it refuses start-up parameters
// that it doesn't know.
type pooler struct {
	network, address string

	mu       sync.Mutex
	startups [][]string // names of the parameters of each client
}

// known are what a pooler in transaction mode takes.
var known = []string{"user", "database", "application_name", "datestyle", "client_encoding", "timezone"}

func newPooler(t *testing.T, url string) *pooler {
	t.Helper()
	config, err := pgconn.ParseConfig(url)
	must(t, err)
	p := &pooler{}
	p.network, p.address = pgconn.NetworkAddress(config.Host, config.Port)
	return p
}

// dial is a connection to the pooler.
func (p *pooler) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	server, err := (&net.Dialer{}).DialContext(ctx, p.network, p.address)
	if err != nil {
		return nil, err
	}
	client, front := net.Pipe()
	go p.serve(front, server)
	return client, nil
}

func (p *pooler) serve(client, server net.Conn) {
	defer func() { _, _ = client.Close(), server.Close() }()
	backend := pgproto3.NewBackend(client, client)
	message, err := backend.ReceiveStartupMessage()
	if _, ok := message.(*pgproto3.SSLRequest); ok && err == nil {
		_, _ = client.Write([]byte{'N'})
		message, err = backend.ReceiveStartupMessage()
	}
	startup, ok := message.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	var names []string
	refused := ""
	for name := range startup.Parameters {
		names = append(names, name)
		if !slices.Contains(known, name) {
			refused = name
		}
	}
	p.mu.Lock()
	p.startups = append(p.startups, names)
	p.mu.Unlock()
	if refused != "" {
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + refused})
		_ = backend.Flush()
		return
	}
	text, err := startup.Encode(nil)
	if err != nil {
		return
	}
	if _, err := server.Write(text); err != nil {
		return
	}
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
	_, _ = io.Copy(server, client)
}

// refusals is how many clients sent what the pooler refuses, of how many.
func (p *pooler) refusals() (refused, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, names := range p.startups {
		if slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(known, name) }) {
			refused++
		}
	}
	return refused, len(p.startups)
}

func TestAPoolerThatRefusesStartUpParametersIsAskedWithoutThem(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	for name, use := range map[string]func(context.Context, *source.Source) error{
		"a read": func(ctx context.Context, s *source.Source) error {
			_, err := s.Query(ctx, []source.Bound{{SQL: "SELECT '1'::json"}, {SQL: "SELECT '2'::json"}})
			return err
		},
		"a transaction": func(ctx context.Context, s *source.Source) error {
			return s.Transaction(ctx, func(ctx context.Context, tx *source.Tx) error {
				_, _, err := tx.Write(ctx, source.Bound{SQL: "SELECT '3'::json, true"})
				return err
			})
		},
		"a script": func(ctx context.Context, s *source.Source) error {
			_, err := s.Script(ctx, source.Script{SQL: "SELECT 1"})
			return err
		},
		"a probe": func(ctx context.Context, s *source.Source) error { return s.Probe(ctx) },
		"the driver": func(ctx context.Context, s *source.Source) error {
			pool, err := s.Pgx(ctx)
			if err != nil {
				return err
			}
			var one int
			return pool.QueryRow(ctx, "SELECT $1::int", 1).Scan(&one)
		},
	} {
		for _, unprepared := range []bool{false, true} {
			p := newPooler(t, address)
			src := open(t, p.dial, address, source.Options{Unprepared: unprepared})
			for range 2 {
				if err := use(t.Context(), src); err != nil {
					t.Errorf("%s, unprepared %v: %v", name, unprepared, errors.Unwrap(err))
				}
			}
			want := 1 // and it is remembered
			if unprepared {
				want = 0
			}
			if refused, all := p.refusals(); refused != want || all < 1+want {
				t.Errorf("%s, unprepared %v: %d of %d connections were refused, want %d", name, unprepared, refused, all, want)
			}
		}
	}
}

// A pooler that moves a client to another session of the server, where statements
// that were prepared are not.
func TestStatementsThatAPoolerLosesAreSentWithoutNames(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	ctx := t.Context()
	statement := source.Bound{SQL: "SELECT to_json($1::int)", Args: [][]byte{[]byte("7")}}
	uses := map[string]func(*source.Source) (string, error){
		"a read": func(s *source.Source) (string, error) {
			out, err := s.Query(ctx, []source.Bound{statement})
			return string(slices.Concat(out...)), err
		},
		"reads": func(s *source.Source) (string, error) {
			out, err := s.Query(ctx, []source.Bound{statement, {SQL: "SELECT '8'::json"}})
			return strings.TrimSuffix(string(slices.Concat(out...)), "8"), err
		},
		"a join": func(s *source.Source) (string, error) {
			out, err := s.Keyed(ctx, source.Bound{SQL: "SELECT 1, to_json($1::int)", Args: statement.Args}, 1)
			return string(slices.Concat(out...)), err
		},
		"a lone write": func(s *source.Source) (string, error) {
			out, err := s.Alone(ctx, statement)
			return string(out), err
		},
	}
	for name, use := range uses {
		src := open(t, dialer, address, source.Options{MaxConnections: 1})
		for i := range 3 {
			if i == 1 { // what another session of the server does not know
				pool, err := src.Pgx(ctx)
				must(t, err)
				_, err = pool.Exec(ctx, "DEALLOCATE ALL")
				must(t, err)
			}
			if got, err := use(src); err != nil || got != "7" {
				t.Errorf("%s, run %d: answered %q, %v", name, i, got, err)
			}
		}
		if left := countPrepared(t, src); left != 0 {
			t.Errorf("%s: %d statements were prepared although names are lost", name, left)
		}
	}
}

// countPrepared is how many statements of ours the server's session has.
func countPrepared(t *testing.T, src *source.Source) int {
	t.Helper()
	pool, err := src.Pgx(t.Context())
	must(t, err)
	var n int
	must(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'tenantry%'").Scan(&n))
	return n
}
