package egress_test

import (
	"context"
	"errors"
	"io"
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
	if meter.calls != 1 || meter.sent != 300 || meter.received != 5000 {
		t.Errorf("%d calls, %d sent, %d received", meter.calls, meter.sent, meter.received)
	}
	// One that breaks off counts by what it moved, and under a context that lives.
	ctx, leave := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
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
