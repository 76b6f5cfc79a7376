package instance_test

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"
)

// wire listens to what the engine sends to Postgres: the SQL texts that are
// executed, in order, as they stand in the protocol. Counting there leaves no
// way for a statement to go unnoticed.
type wire struct {
	mu       sync.Mutex
	executed []string
	named    []string // SQL that was prepared under a name, so that it stays
}

// dial opens a connection that is listened to.
func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &tap{Conn: conn, wire: w, statements: map[string]string{}, portals: map[string]string{}}, nil
}

// take returns what was executed since it was last called.
func (w *wire) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.executed
	w.executed = nil
	return out
}

func (w *wire) add(sql string) {
	if strings.HasPrefix(sql, "-- ping") { // the pool asks an idle connection whether it lives
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.executed = append(w.executed, sql)
}

func (w *wire) keep(sql string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.named = append(w.named, sql)
}

// prepared counts the prepared statements that are longer than n bytes.
func (w *wire) prepared(n int) (count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sql := range w.named {
		if len(sql) > n {
			count++
		}
	}
	return count
}

// tap reads the client's side of one connection.
type tap struct {
	net.Conn
	wire       *wire
	buf        []byte
	started    bool              // the startup message has passed
	statements map[string]string // SQL by name
	portals    map[string]string // SQL by portal
}

func (t *tap) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	for t.next() {
	}
	return t.Conn.Write(p)
}

// next takes one message from the buffer, if there is a whole one.
func (t *tap) next() bool {
	kind, head := byte(0), 0
	if t.started {
		head = 1
	}
	if len(t.buf) < head+4 {
		return false
	}
	if t.started {
		kind = t.buf[0]
	}
	size := head + int(binary.BigEndian.Uint32(t.buf[head:]))
	if len(t.buf) < size {
		return false
	}
	t.message(kind, t.buf[head+4:size])
	t.buf = t.buf[size:]
	return true
}

func (t *tap) message(kind byte, body []byte) {
	switch kind {
	case 0:
		// Requests for encryption come before the startup message proper.
		t.started = len(body) >= 4 && binary.BigEndian.Uint32(body) == 3<<16
	case 'Q':
		t.wire.add(first(body))
	case 'P':
		name := first(body)
		t.statements[name] = first(body[len(name)+1:])
		if name != "" {
			t.wire.keep(t.statements[name])
		}
	case 'B':
		portal := first(body)
		t.portals[portal] = t.statements[first(body[len(portal)+1:])]
	case 'E':
		t.wire.add(t.portals[first(body)])
	}
}

// first is the zero-terminated text at the beginning of body.
func first(body []byte) string {
	text, _, _ := strings.Cut(string(body), "\x00")
	return text
}
