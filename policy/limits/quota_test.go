package limits_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/redistest"
	"tenantry/policy/limits"
)

func TestAPlanBoundsATenantWhateverItsProjectsAllow(t *testing.T) {
	t.Parallel()
	store := shared(t, redistest.Start(t), nil)
	now := start
	store.SetClock(func() time.Time { return now })
	for name, through := range map[string]*limits.Shared{"memory": nil, "store": store} {
		plan := limits.Plan{Requests: 3, Concurrent: 2, Actions: 2}
		usage := &limits.Usage{}
		one, other := limits.NewQuota(plan, usage, through, "t1"), limits.NewQuota(plan, usage, through, "t1")
		stranger := limits.NewQuota(plan, &limits.Usage{}, through, "t2")
		enter := func(q *limits.Quota, want string) {
			t.Helper()
			d, err := q.Enter(t.Context(), now)
			got := ""
			if e := errcode.From(err); e != nil {
				got = e.Message
				if e.Code != errcode.QuotaExceeded || e.Status() != 429 || !d.Applies || d.Reset <= 0 {
					t.Errorf("%s: %+v %+v", name, e, d)
				}
			}
			if got != want {
				t.Errorf("%s: %q, expected %q", name, got, want)
			}
		}
		now = start
		enter(one, "")
		enter(other, "") // another project of the same tenant
		enter(one, "quota exceeded: the plan allows 2 operations at a time")
		enter(stranger, "")
		one.Leave()
		other.Leave()
		enter(one, "")
		one.Leave()
		enter(other, "quota exceeded: the plan allows 3 operations per second")
		now = start.Add(400 * time.Millisecond) // a third of a second makes room for one
		enter(other, "")
		other.Leave()
		enter(one, "quota exceeded: the plan allows 3 operations per second")

		if _, err := one.AllowActions(t.Context(), now, 2); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := other.AllowActions(t.Context(), now, 1); err == nil || !strings.Contains(err.Error(), "2 calls of actions per minute") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := store.Stats().Fallbacks; n > 0 {
		t.Errorf("%d were not counted by the store", n)
	}
}

func TestATenantWithoutAPlanIsNotBound(t *testing.T) {
	t.Parallel()
	q := limits.NewQuota(limits.Plan{}, &limits.Usage{}, nil, "t")
	for range 1000 {
		if _, err := q.Enter(t.Context(), start); err != nil {
			t.Fatal(err)
		}
		q.Leave()
	}
	if _, err := q.AllowActions(t.Context(), start, 1000); err != nil || q.SocketsAllowed() != 0 {
		t.Error(err)
	}
}

func TestOperationsThatRunTogetherAreCountedExactly(t *testing.T) {
	t.Parallel()
	q := limits.NewQuota(limits.Plan{Concurrent: 7}, &limits.Usage{}, nil, "t")
	var work sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 100 {
		work.Go(func() {
			if _, err := q.Enter(t.Context(), start); err == nil {
				mu.Lock()
				defer mu.Unlock()
				passed++
			}
		})
	}
	work.Wait()
	if passed != 7 {
		t.Errorf("%d run at a time", passed)
	}
}

func TestCallsOfHandlersThatRunTogetherAreBounded(t *testing.T) {
	t.Parallel()
	plan, usage := limits.Plan{Calls: 2}, &limits.Usage{}
	one, other := limits.NewQuota(plan, usage, nil, "t1"), limits.NewQuota(plan, usage, nil, "t1")
	if !one.EnterCall() || !other.EnterCall() || one.EnterCall() {
		t.Fatal("expected two calls of the tenant's projects together and no third")
	}
	other.LeaveCall()
	if !one.EnterCall() {
		t.Error("a call that ended left no room")
	}
	if free := limits.NewQuota(limits.Plan{Requests: 1}, usage, nil, "t2"); !free.EnterCall() {
		t.Error("a plan without a bound refused")
	}
	if none := (*limits.Quota)(nil); !none.EnterCall() || none.CallTimeout() != 0 {
		t.Error("a tenant without a plan was refused")
	}
	if _, p, err := limits.ReadPlan("slow calls=2 timeout=7"); err != nil || limits.NewQuota(p, usage, nil, "t3").CallTimeout() != 7*time.Second {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatCallsMoveIsBoundedByTheMinute(t *testing.T) {
	t.Parallel()
	store := shared(t, redistest.Start(t), nil)
	now := start
	store.SetClock(func() time.Time { return now })
	for name, through := range map[string]*limits.Shared{"memory": nil, "store": store} {
		now = start
		plan, usage := limits.Plan{Egress: 60}, &limits.Usage{}
		one, other := limits.NewQuota(plan, usage, through, "t1"), limits.NewQuota(plan, usage, through, "t1")
		if err := one.AllowEgress(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		one.ChargeEgress(t.Context(), now, 90<<10) // more than there was
		err := errcode.From(other.AllowEgress(t.Context(), now))
		if err == nil || err.Code != errcode.QuotaExceeded || err.Message != "quota exceeded: the plan allows calls of 60 KiB per minute" {
			t.Errorf("%s: %v", name, err)
		}
		now = start.Add(30 * time.Second) // a KiB a second: the debt is paid
		if err := other.AllowEgress(t.Context(), now); err == nil {
			t.Errorf("%s: allowed while there is nothing left", name)
		}
		now = start.Add(32 * time.Second)
		if err := other.AllowEgress(t.Context(), now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := limits.NewQuota(plan, &limits.Usage{}, through, "t2").AllowEgress(t.Context(), now); err != nil {
			t.Errorf("%s: another tenant: %v", name, err)
		}
	}
}

func TestAProjectIsBoundedByItself(t *testing.T) {
	t.Parallel()
	store := shared(t, redistest.Start(t), nil)
	now := start
	store.SetClock(func() time.Time { return now })
	for name, through := range map[string]*limits.Shared{"memory": nil, "store": store} {
		now = start
		tenant, one, other := &limits.Usage{}, &limits.Usage{}, &limits.Usage{}
		quota := func(id string, u *limits.Usage) *limits.Quota {
			return limits.NewQuota(limits.Plan{Egress: 200, ProjectEgress: 60}, tenant, through, "t1").ForProject(id, u)
		}
		if err := quota("p1", one).AllowEgress(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		quota("p1", one).ChargeEgress(t.Context(), now, 60<<10)
		err := errcode.From(quota("p1", one).AllowEgress(t.Context(), now))
		if err == nil || err.Code != errcode.QuotaExceeded || err.Message != "quota exceeded: the plan allows a project calls of 60 KiB per minute" {
			t.Errorf("%s: %v", name, err)
		}
		if err := quota("p2", other).AllowEgress(t.Context(), now); err != nil {
			t.Errorf("%s: the other project: %v", name, err)
		}
		quota("p2", other).ChargeEgress(t.Context(), now, 150<<10) // and with it all of them
		now = start.Add(2 * time.Second)                           // the first has paid
		err = errcode.From(quota("p1", one).AllowEgress(t.Context(), now))
		if err == nil || err.Message != "quota exceeded: the plan allows calls of 200 KiB per minute" {
			t.Errorf("%s: all together: %v", name, err)
		}
	}
	if q := limits.NewQuota(limits.Plan{Connections: 5}, &limits.Usage{}, nil, "t1"); q.CapConnections(0, 8) != 5 || q.CapConnections(3, 8) != 3 || q.CapConnections(50, 8) != 5 {
		t.Error("connections are not bounded by the plan")
	}
	if (*limits.Quota)(nil).CapConnections(50, 8) != 50 || (*limits.Quota)(nil).CapConnections(0, 8) != 8 {
		t.Error("connections are bounded without a plan")
	}
}

func TestBoundsOfATenantStandInThePlaceOfThePlans(t *testing.T) {
	t.Parallel()
	name, plan, err := limits.ReadPlan("free requests=10 sockets=3 egress=100")
	if err != nil || name != "free" {
		t.Fatal(name, err)
	}
	got := plan.With(map[string]int{"requests": 20, "sockets": 0, "speed": 1})
	if got != (limits.Plan{Requests: 20, Egress: 100}) || len(got.Bounds()) != 2 || got.Bounds()["egress"] != 100 {
		t.Errorf("%+v %v", got, got.Bounds())
	}
	wrong := limits.CheckBounds(map[string]int{"requests": 1, "actions": 0, "calls": -1, "egress": 1_000_001, "speed": 1})
	if len(wrong) != 3 || wrong["calls"] == "" || wrong["egress"] == "" || !strings.Contains(wrong["speed"], "actions, calls, concurrent, connections, egress, project-egress, requests, sockets, timeout") {
		t.Errorf("%v", wrong)
	}
}
