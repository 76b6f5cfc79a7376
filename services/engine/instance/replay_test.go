package instance_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// replay stands in for Postgres in benchmarks: what was sent once, in the same
// bytes, is answered with the answer that the real server gave, without asking
// it. So the driver and everything above run as they are, and nothing is measured
// of the database but its bytes.
type replay struct {
	slow  time.Duration // that a write of what is known takes
	mu    sync.Mutex
	known map[string][]byte // answers, up to "ready for query", by what was sent
}

func newReplay() *replay { return &replay{known: map[string][]byte{}} }

func (r *replay) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &replayed{Conn: conn, replay: r}
	c.changed.L = &c.mu
	return c, nil
}

func (r *replay) answer(sent []byte) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[string(sent)]
	return known, ok
}

func (r *replay) keep(sent, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[string(sent)] = answer
}

// replayed is one connection. The driver may read while it writes: it begins to
// when a write takes long.
type replayed struct {
	net.Conn
	replay *replay

	mu      sync.Mutex
	changed sync.Cond // there is something to read, or never will be
	closed  bool
	sent    []byte // to the real server, since it was ready
	answer  []byte // of the real server to that, as far as it is here
	left    []byte // of an answer that is given again
}

func (c *replayed) Write(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.sent) == 0 {
		if known, ok := c.replay.answer(p); ok {
			c.left = known
			c.changed.Signal()
			c.mu.Unlock()
			time.Sleep(c.replay.slow)
			return len(p), nil
		}
	}
	c.sent = append(c.sent, p...)
	c.changed.Signal()
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *replayed) Read(p []byte) (int, error) {
	c.mu.Lock()
	for len(c.left) == 0 && len(c.sent) == 0 && !c.closed {
		c.changed.Wait()
	}
	if len(c.left) > 0 {
		defer c.mu.Unlock()
		n := copy(p, c.left)
		c.left = c.left[n:]
		return n, nil
	}
	if c.closed {
		c.mu.Unlock()
		return 0, io.EOF
	}
	c.mu.Unlock() // what the real server has to say may be waited for
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = append(c.answer, p[:n]...)
	if ready(c.answer) {
		c.replay.keep(c.sent, c.answer)
		c.sent, c.answer = nil, nil
	}
	return n, err
}

func (c *replayed) Close() error {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	return c.Conn.Close()
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

// On a busy machine a write may take so long that the driver reads beside it.
func TestAReplayIsReadWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	stand := newReplay()
	engine := newReplayedProjectOn(t, stand)
	run := func() string {
		response, trail := engine.Execute(t.Context(), as("reader", nil), instance.Request{Request: graphqlhttp.Request{Query: "{ authors(order_by: {id: asc}, limit: 1) { id name } }"}})
		if trail.Err != nil {
			t.Fatal(trail.Err, trail.Err.Unwrap())
		}
		return string(response.Body)
	}
	want := run()
	stand.slow = 20 * time.Millisecond // the driver waits for fifteen
	for range 5 {
		if got := run(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
