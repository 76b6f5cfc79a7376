package worker

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A renewal that fails says nothing of a lease that was given a moment ago.
func TestOnlyLeasesThatMayRunOutAreLost(t *testing.T) {
	t.Parallel()
	w, now := New(Deps{}), time.Now()
	lost := map[time.Duration]bool{0: false, renewInterval: false, unsure: true, time.Hour: true}
	runs := map[time.Duration]context.Context{}
	for age := range lost {
		ctx, stop := context.WithCancelCause(t.Context())
		w.held[age.String()], runs[age] = &held{leased: now.Add(-age), stop: stop}, ctx
	}
	w.loseUnsure(now)
	for age, want := range lost {
		if got := errors.Is(context.Cause(runs[age]), errLost); got != want {
			t.Errorf("a lease of %s ago is lost: %v, want %v", age, got, want)
		}
	}
	w.keep([]string{renewInterval.String()}, now)
	if got := w.held[renewInterval.String()].leased; !got.Equal(now) {
		t.Errorf("a lease that was renewed at %v is of %v", now, got)
	}
}
