package permissiontest

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
)

// fault changes the SQL that the engine sends to Postgres, between the two.
type fault func(sql string) string

// dial opens connections on which the fault is at work.
func (f fault) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || f == nil {
		return conn, err
	}
	return &faulty{Conn: conn, fault: f}, nil
}

// faulty rewrites the statements in what a client writes.
type faulty struct {
	net.Conn
	fault   fault
	buf     []byte
	started bool
}

func (c *faulty) Write(p []byte) (int, error) {
	c.buf = append(c.buf, p...)
	var out []byte
	for {
		message, ok := c.next()
		if !ok {
			break
		}
		out = append(out, message...)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// next takes a message from the buffer and changes it if it is a Parse.
func (c *faulty) next() ([]byte, bool) {
	head := 0
	if c.started {
		head = 1
	}
	if len(c.buf) < head+4 {
		return nil, false
	}
	size := head + int(binary.BigEndian.Uint32(c.buf[head:]))
	if len(c.buf) < size {
		return nil, false
	}
	message := c.buf[:size:size]
	c.buf = c.buf[size:]
	if !c.started {
		c.started = size >= 8 && binary.BigEndian.Uint32(message[4:]) == 3<<16
		return message, true
	}
	if message[0] != 'P' {
		return message, true
	}
	name, rest, _ := strings.Cut(string(message[5:]), "\x00")
	sql, types, _ := strings.Cut(rest, "\x00")
	body := name + "\x00" + c.fault(sql) + "\x00" + types
	changed := append([]byte{'P'}, binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))...)
	return append(changed, body...), true
}
