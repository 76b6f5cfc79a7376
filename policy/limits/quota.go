package limits

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
)

// Plan is what the operator grants to each tenant of a plan, beside the limits
// that tenants set themselves; 0 is no bound. All projects of a tenant count
// together, and nobody is exempt.
type Plan struct {
	Requests   int // operations per second, as many at once
	Concurrent int // operations that run at a time, on each node
	Actions    int // calls of actions per minute, as many at once
	Sockets    int // open WebSockets, on each node
	Calls      int // calls of action handlers that run at a time, on each node
	Timeout    int // seconds that a call of a handler may take at most
}

// ReadPlan reads a text such as "free requests=10 concurrent=4"; the error
// completes "expected …".
func ReadPlan(text string) (name string, p Plan, err error) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return "", p, fmt.Errorf("expected a plan such as free requests=10 concurrent=4 actions=60 sockets=20 calls=50 timeout=60, got %q", text)
	}
	bounds := map[string]*int{"requests": &p.Requests, "concurrent": &p.Concurrent, "actions": &p.Actions, "sockets": &p.Sockets, "calls": &p.Calls, "timeout": &p.Timeout}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		bound := bounds[key]
		if bound == nil {
			return "", p, fmt.Errorf("expected requests, concurrent, actions, sockets, calls or timeout in the plan %s, got %q", fields[0], field)
		}
		if *bound, err = strconv.Atoi(value); err != nil || *bound < 1 || *bound > maxQuota {
			return "", p, fmt.Errorf("expected a number from 1 to %d in the plan %s, got %q", maxQuota, fields[0], field)
		}
	}
	return fields[0], p, nil
}

// maxQuota keeps the pace of a bucket above a microsecond.
const maxQuota = 1_000_000

// Usage is what a tenant's projects on this node use together. It outlives
// revisions and changes of the plan.
type Usage struct {
	running, calls    atomic.Int64
	mu                sync.Mutex
	requests, actions counter
}

// Quota holds a tenant to its plan. A nil *Quota bounds nothing. Safe for
// concurrent use.
type Quota struct {
	Plan
	usage  *Usage
	shared *Shared
	tenant string
}

// NewQuota makes the quota of a tenant; shared may be nil. Without any bound it is
// nil.
func NewQuota(p Plan, u *Usage, shared *Shared, tenantID string) *Quota {
	if p == (Plan{}) {
		return nil
	}
	return &Quota{Plan: p, usage: u, shared: shared, tenant: tenantID}
}

// Enter counts an operation that begins; Leave must follow when it ended, unless
// it was refused. The error is an *errcode.Error; the decision applies only then.
func (q *Quota) Enter(ctx context.Context, now time.Time) (Decision, error) {
	if q == nil {
		return Decision{}, nil
	}
	if n := q.usage.running.Add(1); q.Concurrent > 0 && n > int64(q.Concurrent) {
		q.Leave()
		return Decision{Applies: true, Limit: q.Concurrent, Reset: time.Second},
			quotaExceeded("quota exceeded: the plan allows %d operations at a time", q.Concurrent)
	}
	if q.Requests == 0 {
		return Decision{}, nil
	}
	v := q.take(ctx, now, &q.usage.requests, "requests", bound{limit: q.Requests, period: time.Second, bucket: true, burst: q.Requests})
	if v.refused {
		q.Leave()
		return Decision{Applies: true, Limit: q.Requests, Reset: v.reset},
			quotaExceeded("quota exceeded: the plan allows %d operations per second", q.Requests)
	}
	return Decision{}, nil
}

// Leave ends an operation.
func (q *Quota) Leave() {
	if q != nil {
		q.usage.running.Add(-1)
	}
}

// AllowActions counts calls of actions that an operation is about to make.
func (q *Quota) AllowActions(ctx context.Context, now time.Time, calls int) (Decision, error) {
	if q == nil || q.Actions == 0 {
		return Decision{}, nil
	}
	for range calls {
		v := q.take(ctx, now, &q.usage.actions, "actions", bound{limit: q.Actions, period: time.Minute, bucket: true, burst: q.Actions})
		if v.refused {
			return Decision{Applies: true, Limit: q.Actions, Reset: v.reset},
				quotaExceeded("quota exceeded: the plan allows %d calls of actions per minute", q.Actions)
		}
	}
	return Decision{}, nil
}

// EnterCall counts a call of a handler that begins, unless as many run as the plan
// allows; LeaveCall must follow when it ended.
func (q *Quota) EnterCall() bool {
	if q == nil || q.Calls == 0 {
		return true
	}
	if q.usage.calls.Add(1) > int64(q.Calls) {
		q.usage.calls.Add(-1)
		return false
	}
	return true
}

// LeaveCall ends a call.
func (q *Quota) LeaveCall() {
	if q != nil && q.Calls > 0 {
		q.usage.calls.Add(-1)
	}
}

// CallTimeout is how long a call of a handler may take at most; 0 is what the
// platform allows.
func (q *Quota) CallTimeout() time.Duration {
	if q == nil {
		return 0
	}
	return time.Duration(q.Timeout) * time.Second
}

// SocketsAllowed is how many sockets the tenant may have on this node; 0 is any
// number.
func (q *Quota) SocketsAllowed() int {
	if q == nil {
		return 0
	}
	return q.Sockets
}

func (q *Quota) take(ctx context.Context, now time.Time, c *counter, what string, b bound) verdict {
	if v, ok := q.shared.take(ctx, q.tenant, []byte(what), b); ok {
		return v
	}
	q.usage.mu.Lock()
	defer q.usage.mu.Unlock()
	return c.take(now, b)
}

func quotaExceeded(format string, most int) *errcode.Error {
	return errcode.New(errcode.QuotaExceeded, format, most).WithStatus(429)
}
