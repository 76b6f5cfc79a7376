package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tenantry/ops/rawconn"
)

// rows are what a statement answers, read one after the other. Values belong to the
// connection and are good until the next row; Close reads what is left and tells
// what went wrong.
type rows interface {
	NextRow() bool
	Values() [][]byte
	Close() (pgconn.CommandTag, error)
}

// maxExchange is how many bytes of values are sent as an exchange at most. The
// server reads all of a statement before it answers, so that both never wait for
// each other; large ones are left to the driver all the same, which reads while it
// writes.
const maxExchange = 32 << 10

// exchange runs a prepared statement on a connection in the driver's own framing,
// but without what the driver does around each statement: a timer for writes that
// take long, a registration with the request's context, and memory for both. A
// connection has one, which is used again.
type exchange struct {
	conn  *pgconn.PgConn
	watch watch
	bind  pgproto3.Bind

	// Of the statement that is under way:
	ctx    context.Context
	values [][]byte
	err    error
	ended  bool
}

var (
	executeAll pgproto3.Execute
	syncAll    pgproto3.Sync
)

// start sends a statement. Values are in text format, and so are the rows.
func (x *exchange) start(ctx context.Context, statement string, values [][]byte) rows {
	x.ctx, x.values, x.err, x.ended = ctx, nil, nil, false
	if x.conn.IsClosed() {
		x.err, x.ended = errClosedConnection, true
		return x
	}
	if x.err = x.watch.begin(ctx); x.err != nil {
		x.ended = true
		return x
	}
	x.bind.PreparedStatement, x.bind.Parameters = statement, values
	if conn, ok := x.conn.Conn().(rawconn.Deferring); ok { // all of it is in one write, and the answer is read next
		conn.DeferWrite()
	}
	f := x.conn.Frontend()
	f.SendBind(&x.bind)
	f.SendExecute(&executeAll)
	f.SendSync(&syncAll)
	if err := f.Flush(); err != nil {
		x.broken(err)
	}
	x.bind.Parameters = nil
	return x
}

// errClosedConnection can't come of a connection that the pool gave out.
var errClosedConnection = errors.New("the connection is closed")

// NextRow implements rows.
func (x *exchange) NextRow() bool {
	for !x.ended {
		message, err := x.conn.Frontend().Receive()
		if err != nil {
			x.broken(err)
			return false
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			x.values = m.Values
			return true
		case *pgproto3.ErrorResponse:
			if x.err == nil {
				x.err = pgconn.ErrorResponseToPgError(m)
			}
		case *pgproto3.ReadyForQuery:
			x.ended = true
			x.watch.end()
			if before := x.conn.TxStatus(); before == idle && m.TxStatus != before {
				x.broken(fmt.Errorf("the statement left the connection in the state %q", m.TxStatus))
			}
		}
	}
	return false
}

// Values implements rows.
func (x *exchange) Values() [][]byte { return x.values }

// Close implements rows.
func (x *exchange) Close() (pgconn.CommandTag, error) {
	for x.NextRow() {
		continue
	}
	x.ctx = nil // it may hold a request
	return pgconn.CommandTag{}, x.err
}

// broken ends a connection on which nobody knows any more what comes next. What the
// server has said before, that it is stopped say, is the better error.
func (x *exchange) broken(err error) {
	if !x.ended {
		x.ended = true
		x.watch.end()
	}
	if x.err == nil {
		x.err = err
		if done := x.ctx.Err(); done != nil {
			x.err = fmt.Errorf("%w: %w", done, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = x.conn.Close(ctx) // the pool makes another one
}
