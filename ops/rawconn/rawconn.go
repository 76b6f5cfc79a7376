// Package rawconn makes network connections that cost less: reads and writes are
// system calls which the scheduler is not told of. Sockets are in non-blocking mode,
// so such a call never waits; to announce one that might costs a warm request more
// than decoding it, and while it is announced another thread may take the processor
// away. The listeners of the programs, pools of databases and calls of handlers hand
// their connections to Wrap; everything above sees a net.Conn.
package rawconn

import (
	"context"
	"net"
)

// Listener wraps what l accepts.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(conn), nil
}

// Dialer wraps what dial connects to.
func Dialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return Wrap(conn), nil
	}
}

// Deferring is a connection that can put a write off until the read after it.
type Deferring interface {
	net.Conn
	// DeferWrite puts the next Write off until the next Read, which then need not look
	// for an answer before one can have come. The bytes written are not to be changed
	// until then. Whoever calls it reads next; an error of the write is that of the
	// read, and SafeToRetry says so when nothing was written. Where somebody reads
	// already, the write is made at once.
	DeferWrite()
}
