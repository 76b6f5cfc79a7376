package action

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/api/errcode"
)

// clock is a time that tests move.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_800_000_000, c.nanos.Load()) }

func (c *clock) forward(d time.Duration) { c.nanos.Add(int64(d)) }

func TestACircuitOpensIsProbedAndClosesAcrossRevisions(t *testing.T) {
	t.Parallel()
	var status, calls atomic.Int32
	status.Store(500)
	s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"message":"no"}`)
	})
	other := answers(t, 200, `null`)
	var told []bool
	traffic := NewTraffic(func(opened bool) { told = append(told, opened) })
	c := &clock{}
	traffic.now = c.now
	o := options(t, nil)
	o.Traffic = traffic
	caller := func() *Caller { return New(o) } // each as after a change of metadata

	for range breakerFailures {
		_, err := caller().Call(t.Context(), call(t, s.URL, "Order"))
		if e := public(t, err); e.Code != errcode.Unexpected {
			t.Fatal(e)
		}
	}
	refused := func(when string) {
		t.Helper()
		before, started := calls.Load(), time.Now()
		result, err := caller().Call(t.Context(), call(t, s.URL+"/another/path", "Order"))
		if e := public(t, err); e.Code != errcode.ActionCircuitOpen || e.Status() != 503 {
			t.Errorf("%s: got %s %q", when, e.Code, e.Message)
		}
		if calls.Load() != before || result.Attempts != 0 || time.Since(started) > time.Second {
			t.Errorf("%s: the handler was called, or it took %v", when, time.Since(started))
		}
	}
	refused("after the failures")
	if _, err := caller().Call(t.Context(), call(t, other.URL, "Order")); err != nil {
		t.Errorf("another origin: %v", err)
	}
	c.forward(openFor)
	if _, err := caller().Call(t.Context(), call(t, s.URL, "Order")); public(t, err).Code != errcode.Unexpected {
		t.Error("no probe was made")
	}
	refused("after a probe that failed")
	c.forward(openFor)
	status.Store(400) // a refusal is an answer
	if _, err := caller().Call(t.Context(), call(t, s.URL, "Order")); public(t, err).Message != "no" {
		t.Errorf("the probe: %v", err)
	}
	if _, err := caller().Call(t.Context(), call(t, s.URL, "Order")); public(t, err).Message != "no" {
		t.Errorf("after a good probe: %v", err)
	}
	if fmt.Sprint(told) != "[true false]" {
		t.Errorf("told %v", told)
	}
}

func TestRefusalsAndClientsThatLeaveOpenNoCircuit(t *testing.T) {
	t.Parallel()
	b, c := &breaker{}, &clock{}
	for range 10 * breakerFailures {
		b.done(c.now(), false, healthy)
		b.done(c.now(), false, unknown)
	}
	for range 5 * breakerFailures {
		if opened, _ := b.done(c.now(), false, failing); opened {
			t.Fatal("it opened below the share")
		}
	}
	c.forward(breakerWindow + time.Second)
	for n := range breakerFailures {
		if opened, _ := b.done(c.now(), false, failing); opened != (n == breakerFailures-1) {
			t.Fatalf("what is older than the window counts: failure %d", n+1)
		}
	}
	for status, want := range map[int]verdict{200: healthy, 302: healthy, 404: healthy, 500: failing, 503: failing} {
		if got := judge(status, nil); got != want {
			t.Errorf("%d is judged %d", status, got)
		}
	}
	for code, want := range map[errcode.Code]verdict{
		errcode.ActionTimeout: failing, errcode.ActionUnreachable: failing, errcode.BlockedEgress: unknown, errcode.TimeLimitExceeded: unknown, errcode.Unexpected: unknown,
	} {
		if got := judge(0, errcode.New(code, "")); got != want {
			t.Errorf("%s is judged %d", code, got)
		}
	}
}

func TestOneCallProbesAtATime(t *testing.T) {
	t.Parallel()
	b, c := &breaker{}, &clock{}
	for range breakerFailures {
		b.done(c.now(), false, failing)
	}
	c.forward(openFor)
	var wait sync.WaitGroup
	var allowed atomic.Int32
	for range 50 {
		wait.Go(func() {
			if ok, _ := b.allow(c.now()); ok {
				allowed.Add(1)
			}
		})
	}
	wait.Wait()
	if allowed.Load() != 1 {
		t.Errorf("%d calls probe", allowed.Load())
	}
	b.done(c.now(), true, unknown) // its client left: the next one probes
	if ok, probe := b.allow(c.now()); !ok || !probe {
		t.Error("nobody probes any more")
	}
}

func TestOriginsAreBoundedAndSpelledOnce(t *testing.T) {
	t.Parallel()
	traffic := NewTraffic(nil)
	at := func(text string) *breaker {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return traffic.breaker(u)
	}
	if at("https://A.example:443/x") != at("https://a.example/y?z") || at("https://a.example") == at("http://a.example") || at("http://a.example:80") != at("http://a.example") {
		t.Error("one origin has two breakers, or two have one")
	}
	bad := at("http://bad.example")
	bad.done(time.Now(), false, failing)
	for n := range 3 * maxOrigins {
		at(fmt.Sprintf("http://h%d.example", n))
	}
	if len(traffic.breakers) > maxOrigins || at("http://bad.example") != bad {
		t.Errorf("%d breakers, or one that had failures is forgotten", len(traffic.breakers))
	}
}

// room lets so many calls of a tenant run.
type room struct{ left atomic.Int32 }

func (r *room) EnterCall() bool {
	if r.left.Add(-1) < 0 {
		r.left.Add(1)
		return false
	}
	return true
}

func (r *room) LeaveCall() { r.left.Add(1) }

func TestCallsBeyondACapAreRefusedAtOnceAndTheOthersFinish(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]struct{ action, tenant int }{"of the action": {3, 100}, "of the tenant": {0, 3}} {
		arrived, let := make(chan struct{}, 10), make(chan struct{})
		s := handler(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			arrived <- struct{}{}
			<-let
			_, _ = io.WriteString(w, `null`)
		})
		o := options(t, nil)
		o.Traffic = NewTraffic(nil)
		tenant := &room{}
		tenant.left.Store(int32(most.tenant))
		o.Tenant = tenant
		made := call(t, s.URL, "Order")
		made.Action.Metadata.Definition.MaxConcurrency = most.action
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				if _, err := New(o).Call(t.Context(), made); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		for range 3 {
			<-arrived
		}
		fastest := time.Hour // of some: the machine may be busy
		for range 5 {
			started := time.Now()
			_, err := New(o).Call(t.Context(), made)
			fastest = min(fastest, time.Since(started))
			if e := public(t, err); e.Code != errcode.ActionOverloaded || e.Status() != 503 || e.Path != "$" {
				t.Errorf("%s: got %s at %s", name, e.Code, e.Path)
			}
		}
		if fastest > 10*time.Millisecond {
			t.Errorf("%s: refused after %v at the soonest", name, fastest)
		}
		close(let)
		wait.Wait()
		if _, err := New(o).Call(t.Context(), made); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
		if left := tenant.left.Load(); int(left) != most.tenant || o.Traffic.running.Load() != 0 {
			t.Errorf("%s: %d places left of %d", name, left, most.tenant)
		}
	}
}
