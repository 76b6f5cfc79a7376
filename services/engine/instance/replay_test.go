package instance_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
)

// replay stands in for Postgres in benchmarks: what was sent once, in the same
// bytes, is answered with the answer that the real server gave, without asking
// it. So the driver and everything above run as they are, and nothing is measured
// of the database but its bytes.
type replay struct {
	mu    sync.Mutex
	known map[string][]byte // answers, up to "ready for query", by what was sent
}

func newReplay() *replay { return &replay{known: map[string][]byte{}} }

func (r *replay) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &replayed{Conn: conn, replay: r}, nil
}

// replayed is one connection; the driver neither reads nor writes twice at once.
type replayed struct {
	net.Conn
	replay *replay
	sent   []byte // to the real server, since it was ready
	answer []byte // of the real server to that, as far as it is here
	left   []byte // of an answer that is given again
}

func (c *replayed) Write(p []byte) (int, error) {
	if len(c.sent) == 0 {
		c.replay.mu.Lock()
		known, ok := c.replay.known[string(p)]
		c.replay.mu.Unlock()
		if ok {
			c.left = known
			return len(p), nil
		}
	}
	c.sent = append(c.sent, p...)
	return c.Conn.Write(p)
}

func (c *replayed) Read(p []byte) (int, error) {
	if len(c.left) > 0 {
		n := copy(p, c.left)
		c.left = c.left[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.answer = append(c.answer, p[:n]...)
	if ready(c.answer) {
		c.replay.mu.Lock()
		c.replay.known[string(c.sent)] = c.answer
		c.replay.mu.Unlock()
		c.sent, c.answer = nil, nil
	}
	return n, err
}

// ready reports whether messages end with "ready for query".
func ready(messages []byte) bool {
	for len(messages) >= 5 {
		size := 1 + int(binary.BigEndian.Uint32(messages[1:]))
		if len(messages) < size {
			return false
		}
		if messages[0] == 'Z' && len(messages) == size {
			return true
		}
		messages = messages[size:]
	}
	return false
}
