package egress_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/policy/egress"
)

type recorder struct {
	mu             sync.Mutex
	refuse         error
	calls          int
	sent, received int64
}

func (r *recorder) Allow(context.Context) error { r.mu.Lock(); defer r.mu.Unlock(); return r.refuse }

func (r *recorder) Count(ctx context.Context, sent, received int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		r.calls = -1000
	}
	r.calls, r.sent, r.received = r.calls+1, r.sent+sent, r.received+received
}

func TestACallIsCountedOnceByWhatItMoved(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	}))
	t.Cleanup(server.Close)
	meter := &recorder{}
	client := egress.Metered(egress.New(egress.Options{Allow: loopback}).HTTP(5*time.Second), meter)
	answer, err := client.Post(server.URL, "text/plain", strings.NewReader(strings.Repeat("y", 300)))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	_ = answer.Body.Close()
	if meter.calls != 1 || meter.sent < 360 || meter.sent > 460 || meter.received < 5090 || meter.received > 5190 { // with the heads of both
		t.Errorf("%d calls, %d sent, %d received", meter.calls, meter.sent, meter.received)
	}
	// Headers count as bodies do, and a call without any body too.
	calls, sent, received := meter.calls, meter.sent, meter.received
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+strings.Repeat("p", 1000)+"?"+strings.Repeat("q", 1000), nil)
	request.Header.Set("X-Long", strings.Repeat("h", 10_000))
	if answer, err = client.Do(request); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if more := meter.sent - sent; more < 12_000 || more > 12_200 {
		t.Errorf("%d bytes of headers were sent", more)
	}
	meter.calls, meter.sent, meter.received = calls, sent, received
	// One that breaks off counts by what it moved, and under a context that lives.
	ctx, leave := context.WithCancel(t.Context())
	request, _ = http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if answer, err = client.Do(request); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(answer.Body, make([]byte, 100))
	leave()
	_ = answer.Body.Close()
	if meter.calls != 2 || meter.received < 5100 {
		t.Errorf("%d calls, %d received", meter.calls, meter.received)
	}
	meter.refuse = errors.New("enough")
	before := reached.Load()
	if _, err := client.Get(server.URL); !errors.Is(err, meter.refuse) || reached.Load() != before || meter.calls != 2 {
		t.Errorf("a refused call: %v, %d reached the server", err, reached.Load()-before)
	}
}

// passing hands a request on, and keeps what it saw of it.
type passing struct {
	body io.ReadCloser
	err  error
}

func (p *passing) RoundTrip(r *http.Request) (*http.Response, error) {
	p.body = r.Body
	if p.err != nil {
		return nil, p.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// The transport knows by its type that a body is in memory and then sends it in one
// packet with the headers; the counter must not hide that.
func TestABodyInMemoryIsCountedWithoutBeingWrapped(t *testing.T) {
	t.Parallel()
	whole := int64(len("POST / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")) + 300
	for _, c := range []struct {
		name string
		err  error
		sent int64
	}{
		{"answered", nil, whole},
		{"broken off", io.ErrUnexpectedEOF, whole},
		{"never connected", &net.OpError{Op: "dial", Err: errors.New("refused")}, 0},
		{"never resolved", &net.DNSError{}, 0},
	} {
		meter, next := &recorder{}, &passing{err: c.err}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://192.0.2.1", strings.NewReader(strings.Repeat("y", 300)))
		if err != nil {
			t.Fatal(err)
		}
		body := request.Body
		answer, err := egress.Metered(&http.Client{Transport: next}, meter).Transport.RoundTrip(request)
		if err == nil {
			_ = answer.Body.Close()
		}
		if !errors.Is(err, c.err) || next.body != body || meter.calls != 1 || meter.sent != c.sent {
			t.Errorf("%s: %v; wrapped %v, %d calls, %d bytes sent, want %d", c.name, err, next.body != body, meter.calls, meter.sent, c.sent)
		}
	}
}
