package limits

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
)

// Usage is what a tenant's projects on this node use together. It outlives
// revisions and changes of the plan.
type Usage struct {
	running, calls            atomic.Int64
	mu                        sync.Mutex
	requests, actions, egress counter
}

// Quota holds a tenant to its plan. A nil *Quota bounds nothing. Safe for
// concurrent use.
type Quota struct {
	Plan
	usage  *Usage
	shared *Shared
	tenant string
	// project is what bounds one project by itself; nil: nothing does.
	project *Quota
}

// NewQuota makes the quota of a tenant; shared may be nil. Without any bound it is
// nil.
func NewQuota(p Plan, u *Usage, shared *Shared, tenantID string) *Quota {
	if p == (Plan{}) {
		return nil
	}
	return &Quota{Plan: p, usage: u, shared: shared, tenant: tenantID}
}

// ForProject is q for the calls of one project, which may be bounded by itself; u is
// what the project uses.
func (q *Quota) ForProject(id string, u *Usage) *Quota {
	if q == nil || q.ProjectEgress == 0 {
		return q
	}
	one := *q
	one.project = &Quota{Plan: Plan{Egress: q.ProjectEgress}, usage: u, shared: q.shared, tenant: "project:" + id}
	return &one
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
	v := q.take(ctx, now, &q.usage.actions, "actions", bound{limit: q.Actions, period: time.Minute, bucket: true, burst: q.Actions, units: calls})
	if v.refused {
		return Decision{Applies: true, Limit: q.Actions, Reset: v.reset},
			quotaExceeded("quota exceeded: the plan allows %d calls of actions per minute", q.Actions)
	}
	return Decision{}, nil
}

// egressUnit is how many bytes are counted as one.
const egressUnit = 1 << 10

// AllowEgress refuses a call of a tenant's URL once those of the last minute have
// moved more than the plan allows, of the tenant or of the project. What a call
// moves is known when it has ended.
func (q *Quota) AllowEgress(ctx context.Context, now time.Time) error {
	if q == nil {
		return nil
	}
	if q.project.egressSpent(ctx, now) {
		return quotaExceeded("quota exceeded: the plan allows a project calls of %d KiB per minute", q.ProjectEgress)
	}
	if q.egressSpent(ctx, now) {
		return quotaExceeded("quota exceeded: the plan allows calls of %d KiB per minute", q.Egress)
	}
	return nil
}

// egressSpent takes the unit that every call costs, if it is there.
func (q *Quota) egressSpent(ctx context.Context, now time.Time) bool {
	return q != nil && q.Egress > 0 && q.take(ctx, now, &q.usage.egress, "egress", q.egress(1)).refused
}

// ChargeEgress counts what a call has moved beyond the unit that AllowEgress took.
func (q *Quota) ChargeEgress(ctx context.Context, now time.Time, bytes int64) {
	if q == nil || bytes <= egressUnit {
		return
	}
	q.project.ChargeEgress(ctx, now, bytes)
	if q.Egress == 0 {
		return
	}
	b := q.egress(int(min((bytes-1)/egressUnit, maxQuota)))
	b.done = true
	q.take(ctx, now, &q.usage.egress, "egress", b)
}

func (q *Quota) egress(units int) bound {
	return bound{limit: q.Egress, period: time.Minute, bucket: true, burst: q.Egress, units: units}
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

// CapConnections is how many connections a database of a project may have on this
// node, where wanted are asked for; 0 asks for as many as usual.
func (q *Quota) CapConnections(wanted, usual int) int {
	if wanted == 0 {
		wanted = usual
	}
	if q == nil || q.Connections == 0 {
		return wanted
	}
	return min(wanted, q.Connections)
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
	if q.shared != nil {
		b = q.shared.nodes.share(b)
	}
	q.usage.mu.Lock()
	defer q.usage.mu.Unlock()
	return c.take(now, b)
}

func quotaExceeded(format string, most int) *errcode.Error {
	return errcode.New(errcode.QuotaExceeded, format, most).WithStatus(429)
}
