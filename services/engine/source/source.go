// Package source talks to a tenant's Postgres: pools, transactions, timeouts,
// and SQLSTATE turned into public errors. It runs the statements that the
// executor brings; it neither knows plans nor writes SQL of its own, but for
// probing a database.
package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/api/errcode"
)

// Bound is a statement ready to run. An argument is a string in Postgres's text
// form, or nil for NULL.
type Bound struct {
	SQL  string
	Args []any
}

// maxPrepared is the longest text, in bytes, that is kept as a prepared
// statement: both ends keep hundreds of them for each connection.
const maxPrepared = 32 << 10

func (b Bound) large() bool { return len(b.SQL) > maxPrepared }

// args are the arguments, with the driver's way to run the statement.
func (b Bound) args() []any {
	if b.large() {
		return append([]any{pgx.QueryExecModeExec}, b.Args...)
	}
	return b.Args
}

// Source is one database of a project: a share in a pool. Safe for concurrent
// use; projects on the same database share the pool.
type Source struct {
	pool  *pool
	close sync.Once
}

// Query runs statements that each yield one row with one JSON column, in one
// round trip, outside a transaction. The results are owned by the caller. A
// connection that turns out dead is tried once more: reads have no effects.
func (s *Source) Query(ctx context.Context, statements []Bound) ([][]byte, error) {
	out, err := s.query(ctx, statements)
	if s.lost(ctx, err) {
		out, err = s.query(ctx, statements)
	}
	return out, mapError(ctx, err)
}

func (s *Source) query(ctx context.Context, statements []Bound) ([][]byte, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	if len(statements) == 1 || slices.ContainsFunc(statements, Bound.large) {
		return oneByOne(ctx, p, statements)
	}
	batch := &pgx.Batch{}
	for _, st := range statements {
		batch.Queue(st.SQL, st.Args...)
	}
	results := p.SendBatch(ctx, batch)
	out := make([][]byte, 0, len(statements))
	for range statements {
		rows, err := results.Query()
		if err != nil {
			return nil, errors.Join(err, results.Close())
		}
		value, err := oneValue(rows)
		if err != nil {
			return nil, errors.Join(err, results.Close())
		}
		out = append(out, value)
	}
	return out, results.Close()
}

func oneByOne(ctx context.Context, p *pgxpool.Conn, statements []Bound) ([][]byte, error) {
	out := make([][]byte, len(statements))
	for i, st := range statements {
		rows, err := p.Query(ctx, st.SQL, st.args()...)
		if err != nil {
			return nil, err
		}
		if out[i], err = oneValue(rows); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// acquire takes a connection of the pool. All of them being busy for long is an
// error of its own: more waiting would only make the queue longer.
func (s *Source) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	p, err := s.pool.open(ctx)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, s.pool.wait)
	defer cancel()
	conn, err := p.Acquire(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, errcode.New(errcode.PoolTimeout, "the project's database has no free connection")
	}
	return conn, err
}

// oneValue copies the first column of the only row; SQL NULL is JSON null.
func oneValue(rows pgx.Rows) ([]byte, error) {
	defer rows.Close()
	value := []byte("null")
	if rows.Next() {
		if raw := rows.RawValues()[0]; raw != nil {
			value = append(make([]byte, 0, len(raw)), raw...)
		}
	}
	rows.Close()
	return value, rows.Err()
}

// Keyed runs a statement that yields rows of an ordinal (from 1) and JSON, and
// returns the JSON by ordinal − 1; n is how many ordinals there are.
func (s *Source) Keyed(ctx context.Context, st Bound, n int) ([][]byte, error) {
	out, err := s.keyed(ctx, st, n)
	if s.lost(ctx, err) {
		out, err = s.keyed(ctx, st, n)
	}
	return out, mapError(ctx, err)
}

func (s *Source) keyed(ctx context.Context, st Bound, n int) ([][]byte, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	rows, err := p.Query(ctx, st.SQL, st.args()...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([][]byte, n)
	for rows.Next() {
		var ordinal int64
		var value []byte
		if err := rows.Scan(&ordinal, &value); err != nil {
			return nil, err
		}
		if ordinal < 1 || ordinal > int64(n) {
			return nil, fmt.Errorf("join answered ordinal %d of %d", ordinal, n)
		}
		if value == nil {
			value = []byte("null")
		}
		out[ordinal-1] = value
	}
	return out, rows.Err()
}

// Tx is a transaction on a source.
type Tx struct{ tx pgx.Tx }

// Transaction runs f in one transaction: commit when f returns nil, else
// rollback. The error of f comes back unchanged.
func (s *Source) Transaction(ctx context.Context, f func(context.Context, *Tx) error) error {
	p, tx, err := s.begin(ctx)
	if s.lost(ctx, err) {
		p, tx, err = s.begin(ctx) // nothing was sent that had an effect
	}
	if err != nil {
		return mapError(ctx, err)
	}
	defer p.Release()
	defer rollback(tx)
	if err := f(ctx, &Tx{tx}); err != nil {
		return err
	}
	return mapError(ctx, tx.Commit(ctx))
}

func (s *Source) begin(ctx context.Context) (*pgxpool.Conn, pgx.Tx, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := p.Begin(ctx)
	if err != nil {
		p.Release()
	}
	return p, tx, err
}

// rollback ends tx even when the request's own deadline has passed; after a
// commit it does nothing.
func rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // the connection is closed if this fails
}

// Verdict is what a mutation's statement says of the rows that it wrote.
type Verdict uint8

// The verdicts.
const (
	Held    Verdict = iota // the permission's check holds for all rows
	Failed                 // it doesn't for some
	TooMany                // more rows than the permission allows
)

// Write runs a mutation's statement: JSON, and a verdict, which is true (Held),
// false (Failed) or null (TooMany) in SQL.
func (t *Tx) Write(ctx context.Context, st Bound) (value []byte, verdict Verdict, err error) {
	rows, err := t.tx.Query(ctx, st.SQL, st.Args...)
	if err != nil {
		return nil, Failed, mapError(ctx, err)
	}
	defer rows.Close()
	value = []byte("null")
	if rows.Next() {
		var held *bool
		if err := rows.Scan(&value, &held); err != nil {
			return nil, Failed, mapError(ctx, err)
		}
		if value == nil {
			value = []byte("null")
		}
		switch {
		case held == nil:
			verdict = TooMany
		case !*held:
			verdict = Failed
		}
	}
	rows.Close()
	return value, verdict, mapError(ctx, rows.Err())
}

// Stat is what the pool of a source is doing.
type Stat struct {
	InUse, Idle, Max int32
	Waits            int64
	WaitTime         time.Duration
}

// Stat reports on the pool; zeros before it was first used.
func (s *Source) Stat() Stat {
	p := s.pool.current()
	if p == nil {
		return Stat{}
	}
	st := p.Stat()
	return Stat{
		InUse: st.AcquiredConns(), Idle: st.IdleConns(), Max: st.MaxConns(),
		Waits: st.EmptyAcquireCount(), WaitTime: st.AcquireDuration(),
	}
}

// Close gives up this share of the pool; the last share closes it.
// Further calls do nothing.
func (s *Source) Close() { s.close.Do(s.pool.release) }

// lost reports that a connection broke and another one is worth a try. What
// broke one has probably broken all of them, a restart say, so none of the idle
// ones is used again.
func (s *Source) lost(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || !connectionLost(err) {
		return false
	}
	if p := s.pool.current(); p != nil {
		p.Reset()
	}
	return true
}

// connectionLost reports an error of the connection rather than of the
// statement, such as a server that was restarted.
func connectionLost(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P01" || pg.Code == "57P02"
	}
	var connect *pgconn.ConnectError
	return !errors.As(err, &connect) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(pgconn.SafeToRetry(err) || isNetwork(err))
}

// Pgx gives the pool to the rooms that speak pgx themselves: introspection and
// run_sql.
func (s *Source) Pgx(ctx context.Context) (*pgxpool.Pool, error) {
	p, err := s.pool.open(ctx)
	return p, mapError(ctx, err)
}
