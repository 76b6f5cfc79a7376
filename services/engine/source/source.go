// Package source talks to a tenant's Postgres: pools, transactions, timeouts,
// and SQLSTATE turned into public errors. It runs the statements that the
// executor brings; it neither knows plans nor writes SQL of its own, but for
// probing a database.
package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/api/errcode"
	"tenantry/services/engine/rowjson"
)

// Source is one database of a project: a share in a pool. Safe for concurrent
// use; projects on the same database share the pool.
type Source struct {
	pool  *pool
	close sync.Once
	// readOnly puts each round trip into a transaction of its own.
	readOnly bool
}

// ReadOnly is s for statements that may change nothing: each round trip is a
// transaction that is read only and rolled back. It has no share of its own in the
// pool, so it is of use as long as s is, and is not closed.
func (s *Source) ReadOnly() *Source { return &Source{pool: s.pool, readOnly: true} }

// unnamed reports whether statements are sent without a name: a pooler may lose it,
// and in a transaction that is open nothing could be sent again.
func (s *Source) unnamed() bool { return s.readOnly || s.pool.unprepared.Load() }

// Query runs statements in one round trip, outside a transaction; each yields one
// JSON value. The results are owned by the caller. A connection that turns out
// dead is tried once more: reads have no effects.
func (s *Source) Query(ctx context.Context, statements []Bound) ([][]byte, error) {
	out, err := s.query(ctx, statements)
	if s.lost(ctx, err) {
		out, err = s.query(ctx, statements)
	}
	return out, mapError(ctx, err)
}

// One is Query for one statement.
func (s *Source) One(ctx context.Context, st Bound) ([]byte, error) {
	value, err := s.readOne(ctx, st)
	if s.lost(ctx, err) {
		value, err = s.readOne(ctx, st)
	}
	return value, mapError(ctx, err)
}

func (s *Source) readOne(ctx context.Context, st Bound) ([]byte, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	return s.current(ctx, p.wire(), st)
}

func (s *Source) query(ctx context.Context, statements []Bound) ([][]byte, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Release()
	conn := p.wire()
	if len(statements) > 1 && !slices.ContainsFunc(statements, Bound.large) {
		out, err := s.batch(ctx, conn, statements)
		if s.anyAgain(conn, statements, err) {
			out, err = s.batch(ctx, conn, statements)
		}
		return out, err
	}
	out := make([][]byte, len(statements))
	for i, st := range statements {
		if out[i], err = s.current(ctx, conn, st); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// current runs a read, once more if its prepared statement was out of date.
func (s *Source) current(ctx context.Context, conn *pgconn.PgConn, st Bound) ([]byte, error) {
	value, err := s.one(ctx, conn, st)
	if s.again(conn, st, err) {
		value, err = s.one(ctx, conn, st)
	}
	return value, err
}

func (s *Source) anyAgain(conn *pgconn.PgConn, statements []Bound, err error) bool {
	found := false
	for _, st := range statements {
		found = s.again(conn, st, err) || found
	}
	return found
}

// one runs a statement and reads its value.
func (s *Source) one(ctx context.Context, conn *pgconn.PgConn, st Bound) ([]byte, error) {
	rows, err := s.send(ctx, conn, st)
	if err != nil {
		return nil, err
	}
	value := readValue(rows, st)
	_, err = rows.Close()
	return value, err
}

func (s *Source) batch(ctx context.Context, conn *pgconn.PgConn, statements []Bound) ([][]byte, error) {
	batch := &pgconn.Batch{}
	for _, st := range statements {
		if s.unnamed() {
			batch.ExecParams(st.SQL, st.Args, nil, nil, nil)
			continue
		}
		prepared, err := statementsOf(conn).get(ctx, conn, st.SQL, &s.pool.prepared)
		if err != nil {
			return nil, err
		}
		batch.ExecStatement(prepared, st.Args, nil, nil)
	}
	results := conn.ExecBatch(ctx, batch)
	out := make([][]byte, 0, len(statements))
	for len(out) < len(statements) && results.NextResult() {
		rows := results.ResultReader()
		out = append(out, readValue(rows, statements[len(out)]))
		if _, err := rows.Close(); err != nil {
			break // Close tells
		}
	}
	return out, results.Close()
}

// readValue copies the value of a statement: the first column of its only row,
// where SQL NULL is JSON null, or its rows as JSON.
func readValue(rows rows, st Bound) []byte {
	if st.Columns != nil {
		return readRows(append(st.room(2048), st.Begin...), rows, st)
	}
	value := []byte("null")
	if rows.NextRow() {
		if raw := rows.Values()[0]; raw != nil {
			value = raw
		}
	}
	return append(append(st.room(len(value)), st.Begin...), value...)
}

// room is where a value of n bytes goes, with what is put around it.
func (b Bound) room(n int) []byte {
	const end = 8
	return make([]byte, 0, max(b.Size, n+len(b.Begin))+end)
}

// readRows reads plain rows as a list of objects.
func readRows(out []byte, rows rows, st Bound) []byte {
	out = append(out, '[')
	for n := 0; rows.NextRow(); n++ {
		if n > 0 {
			out = append(out, ',')
		}
		out = rowjson.AppendRow(out, st.Columns, rows.Values())
	}
	return append(out, ']')
}

// acquire takes a connection of the pool.
func (s *Source) acquire(ctx context.Context) (held, error) {
	if err := s.pool.enter(ctx); err != nil {
		return held{}, err
	}
	conn, err := s.pool.connection(ctx)
	if err != nil {
		s.pool.leave()
		return held{}, err
	}
	h := held{conn: conn, pool: s.pool}
	if s.readOnly {
		if h.tx, err = conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly}); err != nil {
			h.Release()
			return held{}, err
		}
	}
	return h, nil
}

// held is a connection of the pool, and the place that goes with it.
type held struct {
	conn *pgxpool.Conn
	pool *pool
	tx   pgx.Tx // that the connection is in; nil for none
}

// wire is the connection as the protocol knows it.
func (h held) wire() *pgconn.PgConn { return h.conn.Conn().PgConn() }

// Release gives both back.
func (h held) Release() {
	if h.tx != nil {
		rollback(h.tx)
	}
	h.conn.Release()
	h.pool.leave()
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
	conn := p.wire()
	out, err := s.byOrdinal(ctx, conn, st, n)
	if s.again(conn, st, err) {
		out, err = s.byOrdinal(ctx, conn, st, n)
	}
	return out, err
}

func (s *Source) byOrdinal(ctx context.Context, conn *pgconn.PgConn, st Bound, n int) ([][]byte, error) {
	rows, err := s.send(ctx, conn, st)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for rows.NextRow() {
		ordinal, err := strconv.Atoi(string(rows.Values()[0]))
		if err != nil || ordinal < 1 || ordinal > n {
			_, _ = rows.Close()
			return nil, fmt.Errorf("join answered ordinal %q of %d", rows.Values()[0], n)
		}
		value := rows.Values()[1]
		if value == nil {
			value = []byte("null")
		}
		out[ordinal-1] = bytes.Clone(value)
	}
	_, err = rows.Close()
	return out, err
}

// Tx is a transaction on a source, or a statement that is one by itself.
type Tx struct {
	source *Source
	conn   *pgconn.PgConn
}

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
	if err := f(ctx, &Tx{s, p.wire()}); err != nil {
		return err
	}
	return mapError(ctx, tx.Commit(ctx))
}

func (s *Source) begin(ctx context.Context) (held, pgx.Tx, error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return held{}, nil, err
	}
	tx, err := p.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.TxIsoLevel(s.pool.isolation)})
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
	rows, err := t.source.send(ctx, t.conn, st)
	if err != nil {
		return nil, Failed, t.failed(ctx, st, err)
	}
	value = []byte("null")
	if rows.NextRow() {
		values := rows.Values()
		if values[0] != nil {
			value = bytes.Clone(values[0])
		}
		switch {
		case values[1] == nil:
			verdict = TooMany
		case string(values[1]) != "t":
			verdict = Failed
		}
	}
	if _, err := rows.Close(); err != nil {
		return nil, Failed, t.failed(ctx, st, err)
	}
	return value, verdict, nil
}

// failed is the public error of a statement. One that can be sent again has ended
// the transaction nevertheless, so all of it has to be.
func (t *Tx) failed(ctx context.Context, st Bound, err error) error {
	if t.source.again(t.conn, st, err) {
		return errcode.New(errcode.ConcurrentUpdate, "the operation collided with a change of the database: try again").Because(err)
	}
	return mapError(ctx, err)
}

// Isolated reports whether a statement needs a transaction to see no more than the
// source's isolation allows: by itself it has the database's default, which is to
// read what is committed.
func (s *Source) Isolated() bool {
	return s.pool.isolation == RepeatableRead || s.pool.isolation == Serializable
}

// Alone runs a mutation's only statement, which Postgres undoes by itself when it
// fails: no transaction is opened around it, and no verdict can undo it. A
// connection that turns out dead before the statement ran is tried once more.
func (s *Source) Alone(ctx context.Context, st Bound) ([]byte, error) {
	value, ran, err := s.alone(ctx, st)
	if !ran && s.lost(ctx, err) {
		value, _, err = s.alone(ctx, st)
	}
	return value, mapError(ctx, err)
}

// alone tells with an error whether the statement may have had its effect.
func (s *Source) alone(ctx context.Context, st Bound) (value []byte, ran bool, err error) {
	p, err := s.acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	defer p.Release()
	conn := p.wire()
	value, ran, err = s.aloneOn(ctx, conn, st)
	if s.again(conn, st, err) {
		value, ran, err = s.aloneOn(ctx, conn, st)
	}
	return value, ran, err
}

func (s *Source) aloneOn(ctx context.Context, conn *pgconn.PgConn, st Bound) (value []byte, ran bool, err error) {
	rows, err := s.send(ctx, conn, st)
	if err != nil {
		return nil, false, err
	}
	value = []byte("null")
	if rows.NextRow() {
		ran = true
		if raw := rows.Values()[0]; raw != nil {
			value = bytes.Clone(raw)
		}
	}
	if _, err = rows.Close(); err != nil {
		return nil, ran || !unsent(err), err
	}
	return value, true, nil
}

// unsent reports an error before which a statement that yielded nothing can't have
// run: it was not sent, or the server said goodbye instead of reading it.
func unsent(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return pgconn.SafeToRetry(err) || ok && pg.Code == "57P01"
}

// Stat is what the pool of a source is doing.
type Stat struct {
	InUse, Idle, Max int32
	Waits            int64
	// Prepared is how many statements Postgres was asked to prepare.
	Prepared int64
	WaitTime time.Duration
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
		Waits: s.pool.waits.Load(), Prepared: s.pool.prepared.Load(), WaitTime: time.Duration(s.pool.waited.Load()),
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
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "57P01" || pg.Code == "57P02"
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return !connecting && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		(pgconn.SafeToRetry(err) || isNetwork(err))
}

// Pgx gives the pool to the rooms that speak pgx themselves: introspection and
// run_sql.
func (s *Source) Pgx(ctx context.Context) (*pgxpool.Pool, error) {
	if !s.pool.reached.Load() { // and how it is to be reached is not known
		conn, err := s.pool.connection(ctx)
		if err != nil {
			return nil, mapError(ctx, err)
		}
		conn.Release()
	}
	p, err := s.pool.open(ctx)
	return p, mapError(ctx, err)
}
