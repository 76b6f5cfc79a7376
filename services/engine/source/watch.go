package source

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// watch cancels the statement of a connection in Postgres when the request's
// context ends. Requests that start together have the same context (the room
// deadline): a registration with it is kept until a request comes with another one,
// so that most statements cost no registration.
type watch struct {
	handler ctxwatch.Handler // sends the cancellation

	mu   sync.Mutex
	ctx  context.Context // registered with; nil for none
	stop func() bool     // ends that
	busy bool            // a statement is under way, for a request of ctx
	sent bool            // it was cancelled
}

// begin is called before a statement is sent; its error is that of a context that
// has ended already, and nothing has begun then.
func (w *watch) begin(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx != ctx {
		w.forget()
		w.ctx = ctx
		w.stop = context.AfterFunc(ctx, func() { w.cancel(ctx) })
	}
	w.busy = true
	// Looked at after that: what ends from here on finds the statement.
	if err := ctx.Err(); err != nil {
		w.busy = false
		w.forget()
		return err
	}
	return nil
}

// end is called when the statement has answered, or never will. A cancellation that
// is on its way is waited for: it must not reach the next statement.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	if w.sent {
		w.sent = false
		w.handler.HandleUnwatchAfterCancel()
	}
	if w.ctx != nil && w.ctx.Err() != nil {
		w.forget()
	}
}

// close ends the registration of a connection that is used no more.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
}

// forget ends the registration.
func (w *watch) forget() {
	if w.stop != nil {
		w.stop()
	}
	w.ctx, w.stop = nil, nil
}

func (w *watch) cancel(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == ctx && w.busy && !w.sent {
		w.sent = true
		w.handler.HandleCancel(ctx)
	}
}
