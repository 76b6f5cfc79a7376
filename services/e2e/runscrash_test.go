package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tenantry/ops/postgres"
)

// mortal is a durable Postgres that a test kills; its address stays the same.
type mortal struct {
	t       *testing.T
	dir     string
	server  *postgres.Server
	socket  atomic.Pointer[string]
	crashes []time.Time
	longest time.Duration // that it was away
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{t: t, dir: dataDir(t)}
	m.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = m.server.Stop(ctx)
	})
	return m
}

func (m *mortal) start() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if m.server, err = postgres.Start(ctx, postgres.Options{DataDir: m.dir, Durable: true}); err != nil {
		m.t.Fatal(err)
	}
	u, err := url.Parse(m.server.URL("postgres"))
	if err != nil {
		m.t.Fatal(err)
	}
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL."+u.Query().Get("port"))
	m.socket.Store(&socket)
}

// address is the URL of its database, which outlives crashes.
func (m *mortal) address() string {
	m.t.Helper()
	u, err := url.Parse(m.server.URL("postgres"))
	if err != nil {
		m.t.Fatal(err)
	}
	u.Host, u.RawQuery = forwardTo(m.t, func() string { return *m.socket.Load() }), "sslmode=disable"
	return u.String()
}

// crash kills the postmaster, and starts another on its data.
func (m *mortal) crash() {
	m.t.Helper()
	m.crashes = append(m.crashes, time.Now())
	if err := syscall.Kill(m.server.Pid(), syscall.SIGKILL); err != nil {
		m.t.Fatal(err)
	}
	<-m.server.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.server.Stop(ctx); err != nil { // gives the folder back
		m.t.Fatal(err)
	}
	m.start()
	m.longest = max(m.longest, time.Since(m.crashes[len(m.crashes)-1]))
}

// TestNoAcknowledgedRunIsLostByCrashesOfPostgres kills the Postgres of the control
// plane while clients queue runs and a worker delivers them.
func TestNoAcknowledgedRunIsLostByCrashesOfPostgres(t *testing.T) {
	t.Parallel()
	const clients, least = 8, 40
	crashes := min(10, max(3, cases(t, fewRuns)/100))
	m := newMortal(t)
	f := newFleet(t, m.address(), newCounter(200*time.Millisecond, 0))

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	acknowledged := map[int]string{}
	var mu sync.Mutex
	var group sync.WaitGroup
	var number atomic.Int64
	for range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				// A number is tried once: whether a run was queued that nobody answered
				// for is not known.
				n := int(number.Add(1))
				ids, err := f.queue(n, 1)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				mu.Lock()
				acknowledged[n] = ids[n]
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	for range crashes {
		before := count()
		within(t, time.Minute, fmt.Sprintf("%d runs are acknowledged", least), func() bool { return count() >= before+least })
		time.Sleep(rand.N(500 * time.Millisecond))
		m.crash()
	}
	before := count()
	within(t, time.Minute, "runs are acknowledged after the last crash", func() bool { return count() > before })
	stop()
	group.Wait()

	f.check(acknowledged, f.finished(2*redelivery))
	delivered, extra := f.counter.delivered()
	t.Logf("%d runs were acknowledged, %d delivered, %d deliveries more than runs in %d crashes, of at most %s", len(acknowledged), delivered, extra, crashes, m.longest)
	for id, times := range f.counter.begun {
		allowed := 1
		for _, crash := range m.crashes {
			if crash.After(times[0]) {
				allowed++
			}
		}
		if len(times) > allowed {
			t.Errorf("the run %s was delivered at %v, with crashes at %v", id, times, m.crashes)
		}
	}
	if extra > crashes*runConcurrency {
		t.Errorf("%d deliveries more than runs, expected at most %d", extra, crashes*runConcurrency)
	}
}
