package deadline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tenantry/services/engine/deadline"
)

func TestRequestsThatStartTogetherShareADeadline(t *testing.T) {
	t.Parallel()
	var d deadline.Shared
	now := time.Now()
	first, end := d.Within(t.Context(), time.Minute, now)
	end()
	again, end := d.Within(t.Context(), time.Minute, now.Add(600*time.Millisecond))
	if again != first || again.Err() != nil {
		t.Errorf("a hundredth later: another context, or one that the first request has ended (%v)", again.Err())
	}
	end()
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, c := range []struct {
		name   string
		parent context.Context
		limit  time.Duration
		start  time.Time
	}{
		{"another limit", t.Context(), time.Second, now},
		{"another limit in the same slot", t.Context(), time.Minute + 8*time.Second, now},
		{"another parent", parent, time.Minute, now},
		{"a later start", t.Context(), time.Minute, now.Add(601 * time.Millisecond)},
	} {
		other, end := d.Within(c.parent, c.limit, c.start)
		if other == first {
			t.Errorf("%s: the same context", c.name)
		}
		end()
	}
	if first.Err() != nil {
		t.Errorf("the shared context has ended: %v", first.Err())
	}
}

func TestWhatIsNotSharedEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	var d deadline.Shared
	now := time.Now()
	d.Within(t.Context(), time.Minute, now)
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	own, end := d.Within(parent, time.Minute, now)
	end()
	if own.Err() == nil {
		t.Error("a context that nobody shares lives on, with its timer")
	}
}

func TestADeadlineIsNeverEarlyAndAtMostAHundredthLate(t *testing.T) {
	t.Parallel()
	var d deadline.Shared
	now := time.Now()
	for after := time.Duration(0); after < 3*time.Second; after += 37 * time.Millisecond {
		start := now.Add(after)
		ctx, end := d.Within(t.Context(), 10*time.Second, start)
		ends, ok := ctx.Deadline()
		if left := ends.Sub(start); !ok || left < 10*time.Second || left > 10*time.Second+100*time.Millisecond {
			t.Fatalf("after %s: %s are left", after, left)
		}
		end()
	}
}

func TestADeadlinePassesAndAParentEndsIt(t *testing.T) {
	t.Parallel()
	var d deadline.Shared
	ctx, end := d.Within(t.Context(), 20*time.Millisecond, time.Now())
	defer end()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("ended with %v", ctx.Err())
	}
	parent, cancel := context.WithCancel(t.Context())
	ctx, end = d.Within(parent, time.Hour, time.Now())
	defer end()
	cancel()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("ended with %v", ctx.Err())
	}
	if ctx, end = d.Within(parent, time.Hour, time.Now()); ctx.Err() == nil {
		t.Error("a parent that has ended gives a context that has not")
	}
	end()
}
