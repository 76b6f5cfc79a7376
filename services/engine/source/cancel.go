package source

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// cancelTime is how long a statement may go on whose request has ended.
const cancelTime = 2 * time.Second

// cancelling makes a request that ends cancel its SQL in Postgres, not just its own
// waiting.
func cancelling(conn *pgconn.PgConn) ctxwatch.Handler { return &canceller{conn: conn} }

// canceller has Postgres cancel the statement of a connection. The driver's own gives a
// cancellation up that has not been answered when the statement ends; Postgres may still
// carry it out a while later, on the statement of the connection's next request.
type canceller struct {
	conn *pgconn.PgConn

	done chan struct{}
	// delivered says that Postgres has passed the cancellation on: it closes the session
	// that brings it after that.
	delivered bool
}

// HandleCancel implements ctxwatch.Handler.
func (c *canceller) HandleCancel(context.Context) {
	done, deadline := make(chan struct{}), time.Now().Add(cancelTime)
	c.done, c.delivered = done, false
	_ = c.conn.Conn().SetDeadline(deadline) // fails for a closed connection alone
	go func() {
		defer close(done)
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		c.delivered = c.conn.CancelRequest(ctx) == nil && ctx.Err() == nil
	}()
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler. A connection whose cancellation
// may still come is used no more.
func (c *canceller) HandleUnwatchAfterCancel() {
	<-c.done
	if !c.delivered {
		// Without a context: with one, Close would unwatch, which we are in.
		_ = c.conn.Close(context.Background())
		return
	}
	_ = c.conn.Conn().SetDeadline(time.Time{})
}
