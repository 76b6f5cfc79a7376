// Package deadline bounds the time of requests and of what they call, for less than a
// timer each. The instance bounds requests by it, the caller of actions its calls.
package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// Shared hands out contexts with a deadline. Those of the same parent and limit that
// start within a hundredth of the limit share one: a timer for each request costs as
// much as binding its values, and a limit that is a hundredth longer for some is still
// that limit. The zero value is ready; safe for concurrent use.
//
// What is shared is not cancelled when one of the requests ends, so nothing that
// a request starts may wait for that.
type Shared struct {
	// Limits are few: those of sessions, and the timeouts of actions.
	slots [8]atomic.Pointer[sharedDeadline]
}

type sharedDeadline struct {
	ctx    context.Context
	cancel context.CancelFunc // of what nobody has used
	parent <-chan struct{}    // a parent is what ends it; contexts carry nothing else
	limit  time.Duration
	begin  time.Time
}

// sharing is the part of a limit within which requests share a deadline.
const sharing = 100

// Within returns a context that ends when parent does, or no earlier than limit
// after now and at most a hundredth of it later. cancel is called at the request's
// end.
func (d *Shared) Within(parent context.Context, limit time.Duration, now time.Time) (ctx context.Context, cancel context.CancelFunc) {
	slot := &d.slots[uint64(limit/time.Second)%uint64(len(d.slots))]
	last := slot.Load()
	if last.serves(parent, limit, now) {
		return last.ctx, func() {}
	}
	if last.fresh(now) { // another's, in use
		return context.WithDeadline(parent, now.Add(limit))
	}
	next := &sharedDeadline{parent: parent.Done(), limit: limit, begin: now}
	next.ctx, next.cancel = context.WithDeadline(parent, now.Add(limit+limit/sharing))
	if !slot.CompareAndSwap(last, next) {
		return next.ctx, next.cancel
	}
	return next.ctx, func() {}
}

func (s *sharedDeadline) serves(parent context.Context, limit time.Duration, now time.Time) bool {
	return s.fresh(now) && s.limit == limit && s.parent == parent.Done()
}

// fresh also keeps down how many there are: a hundred and one for each slot.
func (s *sharedDeadline) fresh(now time.Time) bool {
	if s == nil || s.ctx.Err() != nil {
		return false
	}
	age := now.Sub(s.begin)
	return age >= 0 && age <= s.limit/sharing
}
