package limits_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/ops/redistest"
	"tenantry/policy/limits"
	"tenantry/tenants/metadata"
	"tenantry/tenants/vault"
)

func bucket(perMinute, burst int) *metadata.APILimits {
	return &metadata.APILimits{RateLimit: &metadata.RateLimit{Global: metadata.RateRule{
		MaxRequestsPerMinute: perMinute, Algorithm: metadata.TokenBucket, Burst: burst,
	}}}
}

func shared(t *testing.T, server *redistest.Server, log *bytes.Buffer) *limits.Shared {
	t.Helper()
	if log == nil {
		log = &bytes.Buffer{}
	}
	s, err := limits.OpenShared(vault.NewSecret(server.URL()), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// steps are requests at times after the start, and what becomes of each.
var steps = map[string]struct {
	cfg  *metadata.APILimits
	at   []time.Duration
	want string // + passes, - is refused
	// last is the decision about the last request.
	last limits.Decision
}{
	"a window slides": {
		rate(3), []time.Duration{0, 30e9, 30e9, 59e9, 60e9 - 1e3, 61e9, 61e9, 90e9, 91e9, 91e9, 91e9, time.Hour}, "+++--+--++-+",
		limits.Decision{Applies: true, Limit: 3, Remaining: 2, Reset: 61 * time.Second},
	},
	"a refusal tells when the oldest request leaves the window": {
		rate(2), []time.Duration{0, 1e9, 11e9}, "++-", limits.Decision{Applies: true, Limit: 2, Reset: 50 * time.Second},
	},
	"a limit of 0 lets nothing pass": {rate(0), []time.Duration{0}, "-", limits.Decision{Applies: true, Reset: time.Minute}},
	"a bucket lets its burst pass and then keeps the pace": {
		bucket(60, 3), []time.Duration{0, 0, 0, 0, 999e6, 1e9, 1e9, 2500e6, 2500e6, 10e9, 10e9, 10e9, 10e9}, "+++--+-+-+++-",
		limits.Decision{Applies: true, Limit: 60, Reset: time.Second},
	},
	"a bucket tells how many tokens are left": {
		bucket(60, 5), []time.Duration{0, 0, 1500e6}, "+++", limits.Decision{Applies: true, Limit: 60, Remaining: 3, Reset: 500 * time.Millisecond},
	},
	"a bucket without a burst holds a minute": {
		bucket(2, 0), []time.Duration{0, 0, 0, 29e9, 30e9}, "++--+", limits.Decision{Applies: true, Limit: 2, Reset: 30 * time.Second},
	},
	"a bucket of 0 lets nothing pass": {bucket(0, 3), []time.Duration{0, time.Hour}, "--", limits.Decision{Applies: true, Reset: time.Minute}},
}

func TestMemoryAndStoreCountAlike(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, test := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := shared(t, server, nil)
			now := start
			store.SetClock(func() time.Time { return now })
			for kind, l := range map[string]*limits.Limiter{"memory": limits.NewLimiter(), "store": limits.NewSharedLimiter(store, name)} {
				got := ""
				var last limits.Decision
				for _, at := range test.at {
					now = start.Add(at)
					d, err := l.Allow(t.Context(), now, test.cfg, as("user"))
					if last = d; err == nil {
						got += "+"
					} else if errcode.From(err).Code == errcode.RateLimitExceeded {
						got += "-"
					} else {
						t.Fatal(err)
					}
				}
				if got != test.want {
					t.Errorf("%s: %s, expected %s", kind, got, test.want)
				}
				if last != test.last {
					t.Errorf("%s: the last decision is %+v", kind, last)
				}
			}
			if n := store.Stats().Fallbacks; n > 0 {
				t.Errorf("%d requests were not counted by the store", n)
			}
		})
	}
}

func TestTwoNodesTogetherLetPassWhatTheLimitSays(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, cfg := range map[string]*metadata.APILimits{"window": rate(500), "bucket": bucket(60, 500)} {
		var nodes []*limits.Limiter
		for range 2 {
			nodes = append(nodes, limits.NewSharedLimiter(shared(t, server, nil), name))
		}
		var passed atomic.Int64
		var work sync.WaitGroup
		began := time.Now()
		for i := range 8 {
			work.Go(func() {
				for range 250 {
					if _, err := nodes[i%2].Allow(context.Background(), time.Now(), cfg, as("user")); err == nil {
						passed.Add(1)
					}
				}
			})
		}
		work.Wait()
		want := 500 + int64(time.Since(began).Seconds()) // the bucket gains a token a second
		if n := passed.Load(); n < want*95/100 || n > want*105/100 {
			t.Errorf("%s: %d of 2000 requests passed, expected %d", name, n, want)
		}
	}
}

func TestProjectsRolesAndAddressesAreApartInTheStore(t *testing.T) {
	t.Parallel()
	store := shared(t, redistest.Start(t), nil)
	one, other := limits.NewSharedLimiter(store, "one"), limits.NewSharedLimiter(store, "other")
	cfg := rate(1, "IP")
	for i, request := range []struct {
		l    *limits.Limiter
		s    session.Session
		want bool
	}{
		{one, session.Session{Role: "user", IP: "192.0.2.1"}, true}, {one, session.Session{Role: "user", IP: "192.0.2.1"}, false},
		{one, session.Session{Role: "user", IP: "192.0.2.2"}, true}, {one, session.Session{Role: "guest", IP: "192.0.2.1"}, true},
		{other, session.Session{Role: "user", IP: "192.0.2.1"}, true}, {other, session.Session{Role: "admin"}, true}, {other, session.Session{Role: "admin"}, true},
	} {
		if got := allowed(t, request.l, start, cfg, request.s); got != request.want {
			t.Errorf("request %d: %v", i, got)
		}
	}
}

func TestANodeCountsAloneWhileTheStoreIsGone(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*redistest.Server){
		"killed":  (*redistest.Server).Kill,
		"hanging": func(s *redistest.Server) { _ = syscall.Kill(s.Pid(), syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var log bytes.Buffer
			store := shared(t, server, &log)
			l, cfg := limits.NewSharedLimiter(store, "p"), rate(3)
			if !allowed(t, l, start, cfg, as("user")) || !store.Stats().Up || store.Stats().Fallbacks != 0 {
				t.Fatalf("the store is not asked: %+v", store.Stats())
			}
			stop(server)
			began, passed := time.Now(), 0
			for range 100 {
				if allowed(t, l, start, cfg, as("user")) {
					passed++
				}
			}
			if took := time.Since(began); passed != 3 || took > time.Second {
				t.Errorf("%d of 100 requests passed in %s", passed, took)
			}
			if s := store.Stats(); s.Up || s.Fallbacks != 100 {
				t.Errorf("%+v", s)
			}
			if n := strings.Count(log.String(), "counts alone"); n != 1 || strings.Contains(log.String(), "redis://") {
				t.Errorf("%d complaints:\n%s", n, log.String())
			}
			server.Restart(t)
			for deadline := time.Now().Add(10 * time.Second); !store.Stats().Up; {
				if time.Now().After(deadline) {
					t.Fatal("the store is not asked again")
				}
				_, _ = l.Allow(t.Context(), time.Now(), cfg, as("other"))
			}
		})
	}
}

func TestARequestThatLeavesIsNoFailureOfTheStore(t *testing.T) {
	t.Parallel()
	store := shared(t, redistest.Start(t), nil)
	l := limits.NewSharedLimiter(store, "p")
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := l.Allow(left, start, rate(1), as("user")); err != nil || !store.Stats().Up {
		t.Errorf("%v %+v", err, store.Stats())
	}
}

func TestTheAddressOfTheStoreIsNeverTold(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://:hunter2@host", "redis://:hunter2@host:notaport", "hunter2"} {
		if _, err := limits.OpenShared(vault.NewSecret(address), slog.Default()); err == nil || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"valkey://host:6379", "rediss://user:secret@host:6380/2", "unix:///run/redis.sock"} {
		if err := limits.CheckAddress(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestSingleOperationsHaveRulesOfTheirOwn(t *testing.T) {
	t.Parallel()
	l := limits.NewLimiter()
	cfg := rate(100)
	once := metadata.RateRule{MaxRequestsPerMinute: 1}
	cfg.RateLimit.PerOperation = map[string]metadata.RateRule{"search": once, "abc123": once}
	cfg.RateLimit.PerAction = map[string]metadata.RateRule{"charge": {MaxRequestsPerMinute: 2}}
	for i, step := range []struct {
		role string
		o    limits.Operation
		want string
	}{
		{"user", limits.Operation{Name: "search", Hash: "1"}, ""},
		{"user", limits.Operation{Name: "search", Hash: "2"}, `rate limit of the operation "search" exceeded: the limit is 1 requests per minute, this is request 2`},
		{"editor", limits.Operation{Name: "search", Hash: "2"}, ""},
		{"admin", limits.Operation{Name: "search", Hash: "2"}, ""},
		{"user", limits.Operation{Hash: "abc123"}, ""},
		{"user", limits.Operation{Name: "anything", Hash: "abc123"}, `rate limit of the operation "abc123" exceeded: the limit is 1 requests per minute, this is request 2`},
		{"user", limits.Operation{Actions: []string{"charge", "charge"}}, ""},
		{"user", limits.Operation{Actions: []string{"other", "charge"}}, `rate limit of the action "charge" exceeded: the limit is 2 requests per minute, this is request 3`},
		{"user", limits.Operation{Name: "other", Hash: "other"}, ""},
	} {
		_, err := l.AllowOperation(t.Context(), start, cfg, as(step.role), step.o)
		got := ""
		if err != nil {
			got = errcode.From(err).Message
		}
		if got != step.want {
			t.Errorf("step %d: %q", i, got)
		}
	}
}

func TestABudgetOfCostsIsSharedByTheNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := &metadata.APILimits{CostBudget: &metadata.CostBudget{Global: metadata.CostRule{MaxCostPerMinute: 100, UniqueParams: metadata.UniqueParams{"x-hasura-user-id"}}}}
	now := start
	for name, nodes := range map[string][]*limits.Limiter{
		"memory": {limits.NewLimiter()},
		"store":  {limits.NewSharedLimiter(clocked(t, server, &now), "p"), limits.NewSharedLimiter(clocked(t, server, &now), "p")},
	} {
		now = start
		for i, step := range []struct {
			after     time.Duration
			user      string
			cost      int
			refused   bool
			remaining int
		}{
			{0, "1", 60, false, 40}, {1e9, "1", 41, true, 40}, {1e9, "1", 40, false, 0}, {2e9, "1", 1, true, 0}, {2e9, "2", 100, false, 0},
			{61e9, "1", 61, true, 60}, {61e9, "1", 60, false, 0}, {61e9, "1", 0, false, 0},
		} {
			now = start.Add(step.after)
			s := as("user")
			s.Variables = map[string]string{"x-hasura-user-id": step.user}
			d, err := nodes[i%len(nodes)].Spend(t.Context(), now, cfg, s, step.cost)
			if (err != nil) != step.refused || d.Remaining != step.remaining {
				t.Errorf("%s, step %d: %+v %v", name, i, d, err)
			}
		}
	}
}

func clocked(t *testing.T, server *redistest.Server, now *time.Time) *limits.Shared {
	t.Helper()
	s := shared(t, server, nil)
	s.SetClock(func() time.Time { return *now })
	return s
}

func TestWhatThePlatformGrantsFailsClosedWithoutTheStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := shared(t, server, nil), shared(t, server, nil)
	for deadline := time.Now().Add(20 * time.Second); one.Stats().Nodes != 2 || other.Stats().Nodes != 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d and %d nodes", one.Stats().Nodes, other.Stats().Nodes)
		}
	}
	server.Kill()
	late := shared(t, server, nil) // has never reached the store
	plan := limits.Plan{Requests: 100}
	granted := func(s *limits.Shared) (n int) {
		q := limits.NewQuota(plan, &limits.Usage{}, s, "t")
		for range 150 {
			if _, err := q.Enter(t.Context(), start); err == nil {
				n++
				q.Leave()
			}
		}
		return n
	}
	if a, b := granted(one), granted(other); a != 50 || b != 50 {
		t.Errorf("two nodes granted %d and %d of 100", a, b)
	}
	if n := granted(late); n != 1 {
		t.Errorf("a node that knows of no others granted %d", n)
	}
	if n := granted(nil); n != 100 {
		t.Errorf("a node without a store granted %d of 100", n)
	}
	// A tenant's own limits are kept by each node as if it were alone.
	passed, l := 0, limits.NewSharedLimiter(one, "p")
	for range 50 {
		if allowed(t, l, start, rate(20), as("user")) {
			passed++
		}
	}
	if passed != 20 {
		t.Errorf("%d of 20 requests passed", passed)
	}
}
