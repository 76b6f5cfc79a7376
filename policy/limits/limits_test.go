package limits_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/limits"
	"tenantry/tenants/metadata"
)

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func as(role string) session.Session { return session.Session{Role: role} }

func rate(global int, params ...string) *metadata.APILimits {
	return &metadata.APILimits{RateLimit: &metadata.RateLimit{Global: metadata.RateRule{MaxRequestsPerMinute: global, UniqueParams: params}}}
}

func allowed(t *testing.T, l *limits.Limiter, at time.Time, cfg *metadata.APILimits, s session.Session) bool {
	t.Helper()
	_, err := l.Allow(context.Background(), at, cfg, s)
	if err != nil && errcode.From(err).Code != errcode.RateLimitExceeded {
		t.Fatal(err)
	}
	return err == nil
}

func TestNoMinuteSeesMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	l, cfg := limits.NewLimiter(), rate(7)
	var passed []time.Time
	for at := start; at.Before(start.Add(10 * time.Minute)); at = at.Add(1370 * time.Millisecond) {
		if allowed(t, l, at, cfg, as("user")) {
			passed = append(passed, at)
		}
	}
	for i := 7; i < len(passed); i++ {
		if passed[i].Sub(passed[i-7]) < time.Minute {
			t.Fatalf("8 requests within %s", passed[i].Sub(passed[i-7]))
		}
	}
	if len(passed) < 60 {
		t.Errorf("only %d of about 70 requests passed", len(passed))
	}
}

func TestTheDecisionNamesLimitRemainderAndReset(t *testing.T) {
	t.Parallel()
	l, cfg := limits.NewLimiter(), rate(2)
	d, err := l.Allow(context.Background(), start, cfg, as("user"))
	if err != nil || d != (limits.Decision{Applies: true, Limit: 2, Remaining: 1, Reset: 61 * time.Second}) {
		t.Errorf("%+v %v", d, err)
	}
	_, _ = l.Allow(context.Background(), start.Add(time.Second), cfg, as("user"))
	d, err = l.Allow(context.Background(), start.Add(11*time.Second), cfg, as("user"))
	e := errcode.From(err)
	if e == nil || e.Code != errcode.RateLimitExceeded || !strings.Contains(e.Message, "2 requests") || !strings.Contains(e.Message, "request 3") ||
		d != (limits.Decision{Applies: true, Limit: 2, Reset: 50 * time.Second}) {
		t.Errorf("%+v %v", d, err)
	}
	if allowed(t, l, start, rate(0), as("other")) {
		t.Error("a limit of 0 let a request pass")
	}
	for name, cfg := range map[string]*metadata.APILimits{"nil": nil, "none": {}, "disabled": {Disabled: true, RateLimit: rate(0).RateLimit}} {
		if d, err := l.Allow(context.Background(), start, cfg, as("user")); err != nil || d.Applies {
			t.Errorf("%s: %+v %v", name, d, err)
		}
	}
}

func TestRolesAddressesAndVariablesAreCountedApart(t *testing.T) {
	t.Parallel()
	from := func(ip string, variables ...string) session.Session {
		s := session.Session{Role: "user", IP: ip, Variables: map[string]string{}}
		for i := 0; i+1 < len(variables); i += 2 {
			s.Variables[variables[i]] = variables[i+1]
		}
		return s
	}
	perRole := rate(1)
	perRole.RateLimit.PerRole = map[string]metadata.RateRule{"editor": {MaxRequestsPerMinute: 2}}
	org := rate(1, "X-Hasura-Org", "x-hasura-team")
	for _, test := range []struct {
		name     string
		cfg      *metadata.APILimits
		sessions []session.Session
		want     []bool
	}{
		{"roles", perRole, []session.Session{as("user"), as("user"), as("guest"), as("editor"), as("editor"), as("editor"), as("admin"), as("admin"), as(""), as("")}, []bool{true, false, true, true, true, false, true, true, true, false}},
		{"addresses", rate(1, "IP"), []session.Session{from("192.0.2.1"), from("192.0.2.1"), from("::ffff:192.0.2.1"), from("192.0.2.2"), from("2001:db8::1"), from("2001:db8::2"), from("2001:db8:0:1::1")}, []bool{true, false, false, true, true, false, true}},
		{"variables", org, []session.Session{from("", "x-hasura-org", "a"), from("1", "x-hasura-org", "a"), from("", "x-hasura-org", "b"), from("", "x-hasura-org", "a", "x-hasura-team", ""), from(""), from("", "x-hasura-org", "")}, []bool{true, false, true, true, true, true}},
	} {
		l := limits.NewLimiter()
		for i, s := range test.sessions {
			if got := allowed(t, l, start, test.cfg, s); got != test.want[i] {
				t.Errorf("%s: request %d: got %v", test.name, i, got)
			}
		}
	}
}

func TestAFloodOfAddressesNeitherGrowsForeverNorFreesTheOthers(t *testing.T) {
	t.Parallel()
	l, cfg := limits.NewLimiter(), rate(5, "IP")
	client := session.Session{Role: "user", IP: "192.0.2.1"}
	for range 5 {
		allowed(t, l, start, cfg, client)
	}
	passed := 0
	for i := range 50_000 {
		if allowed(t, l, start.Add(time.Second), cfg, session.Session{Role: "user", IP: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}) {
			passed++
		}
	}
	if passed > 10_005 {
		t.Errorf("%d addresses were counted apart", passed)
	}
	if allowed(t, l, start.Add(2*time.Second), cfg, client) {
		t.Error("the flood freed a client from its limit")
	}
	if !allowed(t, l, start.Add(2*time.Minute), cfg, session.Session{Role: "user", IP: "172.16.0.1"}) {
		t.Error("the flood still refuses others two minutes later")
	}
}

func TestConcurrentRequestsAreCountedExactly(t *testing.T) {
	t.Parallel()
	l, cfg := limits.NewLimiter(), rate(100)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := l.Allow(context.Background(), start, cfg, as("user")); err == nil {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d of 400 passed", passed.Load())
	}
}

func TestDepthNodesBatchAndTimeNameLimitAndActualValue(t *testing.T) {
	t.Parallel()
	l := func(n int) *metadata.IntLimit {
		return &metadata.IntLimit{Global: n, PerRole: map[string]int{"editor": n * 2}}
	}
	cfg := &metadata.APILimits{DepthLimit: l(3), NodeLimit: l(10), BatchLimit: l(2), TimeLimit: l(5)}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"within", limits.Check(cfg, as("user"), limits.Measure{Depth: 3, Nodes: 10}), ""},
		{"depth", limits.Check(cfg, as("user"), limits.Measure{Depth: 4}), "depth-limit-exceeded: depth limit exceeded: the limit is 3, the operation has depth 4"},
		{"nodes", limits.Check(cfg, as("user"), limits.Measure{Nodes: 11}), "node-limit-exceeded: node limit exceeded: the limit is 10, the operation has 11 nodes"},
		{"per role", limits.Check(cfg, as("editor"), limits.Measure{Depth: 6, Nodes: 20}), ""},
		{"above the role's", limits.Check(cfg, as("editor"), limits.Measure{Depth: 7}), "depth-limit-exceeded: depth limit exceeded: the limit is 6, the operation has depth 7"},
		{"admin", limits.Check(cfg, as("admin"), limits.Measure{Depth: 99, Nodes: 99}), ""},
		{"no limits", limits.Check(nil, as("user"), limits.Measure{Depth: 99}), ""},
		{"batch", limits.CheckBatch(cfg, as("user"), 3), "batch-limit-exceeded: batch limit exceeded: the limit is 2, the batch has 3 operations"},
		{"batch within", limits.CheckBatch(cfg, as("user"), 2), ""},
		{"batch of admin", limits.CheckBatch(cfg, as("admin"), 99), ""},
		{"time", limits.TimeExceeded(5*time.Second, 5100*time.Millisecond), "time-limit-exceeded: time limit exceeded: the limit is 5 seconds, the operation was stopped after 5.1 seconds"},
	} {
		got := ""
		if e := errcode.From(test.err); e != nil {
			got = string(e.Code) + ": " + e.Message
		}
		if got != test.want {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
	for role, want := range map[string]time.Duration{"user": 5 * time.Second, "editor": 10 * time.Second, "admin": 0} {
		if got := limits.TimeLimit(cfg, as(role)); got != want {
			t.Errorf("time of %s: %s", role, got)
		}
	}
	if got := limits.TimeLimit(&metadata.APILimits{TimeLimit: l(0)}, as("user")); got != 1 {
		t.Errorf("a limit of 0 seconds gave %s", got)
	}
}
