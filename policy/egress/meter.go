package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"tenantry/api/errcode"
)

// Meter is asked about the calls of one project and hears what they moved.
type Meter interface {
	// Allow refuses a call before it begins.
	Allow(ctx context.Context) error
	// Count hears of the bytes of headers and bodies when a call has ended, also of one
	// that broke off; headers count as they are without compression. ctx carries no
	// deadline.
	Count(ctx context.Context, sent, received int64)
}

// Metered is a client whose calls go through m. It shares connections with client.
func Metered(client *http.Client, m Meter) *http.Client {
	out := *client
	next := client.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = &metered{next, m}
	return &out
}

type metered struct {
	next  http.RoundTripper
	meter Meter
}

// RoundTrip counts headers and bodies, the response's body as far as it is read.
func (t *metered) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.meter.Allow(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	call := &moved{meter: t.meter, ctx: r.Context(), sent: requestHead(r)}
	switch {
	case r.Body == nil || r.Body == http.NoBody:
	case r.GetBody != nil && r.ContentLength > 0:
		// Counted whole: the transport would send the headers of a body that it does
		// not know by its type in a packet of their own, lest the body be slow to come.
		call.sent += r.ContentLength
	default:
		r = r.WithContext(r.Context()) // a copy; headers are only read
		r.Body = &counted{ReadCloser: r.Body, into: &call.sent, call: call}
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		if unreached(err) {
			call.nothing()
		}
		call.end()
		return nil, err
	}
	call.received = statusLine + headerBytes(response.Header)
	call.answer = counted{ReadCloser: response.Body, into: &call.received, call: call, last: true}
	response.Body = &call.answer
	return response, nil
}

// unreached reports whether there was no connection to send anything on.
func unreached(err error) bool {
	var (
		refused *errcode.Error
		name    *net.DNSError
		dialled *net.OpError
	)
	return errors.As(err, &refused) || errors.As(err, &name) || errors.As(err, &dialled) && dialled.Op == "dial"
}

// statusLine is about as long as the first line of an answer and the line that ends
// its headers.
const statusLine = 32

// requestHead is how many bytes a request has before its body, about.
func requestHead(r *http.Request) int64 {
	const around = len(" / HTTP/1.1\r\nHost: \r\n\r\n")
	return int64(len(r.Method)+len(r.URL.Path)+len(r.URL.RawQuery)+len(r.URL.Host)+around) + headerBytes(r.Header)
}

func headerBytes(h http.Header) (n int64) {
	for name, values := range h {
		for _, value := range values {
			n += int64(len(name) + len(value) + len(": \r\n"))
		}
	}
	return n
}

// moved is what one call has moved so far. The transport reads the request's body
// beside whoever reads the answer.
type moved struct {
	meter  Meter
	ctx    context.Context
	answer counted // the response's body

	mu             sync.Mutex
	sent, received int64
	ended          bool
}

func (m *moved) add(into *int64, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*into += int64(n)
}

// nothing was moved.
func (m *moved) nothing() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent, m.received = 0, 0
}

func (m *moved) end() {
	m.mu.Lock()
	sent, received, again := m.sent, m.received, m.ended
	m.ended = true
	m.mu.Unlock()
	if !again {
		m.meter.Count(context.WithoutCancel(m.ctx), sent, received)
	}
}

type counted struct {
	io.ReadCloser
	into *int64
	call *moved
	last bool // its end is that of the call
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.call.add(c.into, n)
	return n, err
}

func (c *counted) Close() error {
	err := c.ReadCloser.Close()
	if c.last {
		c.call.end()
	}
	return err
}
