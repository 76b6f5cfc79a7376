package source

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// cancellations counts what a watch sends and ends.
type cancellations struct{ sent, ended atomic.Int32 }

func (c *cancellations) HandleCancel(context.Context) { c.sent.Add(1) }

func (c *cancellations) HandleUnwatchAfterCancel() { c.ended.Add(1) }

func TestAWatchCancelsWhatIsUnderWayAndNothingElse(t *testing.T) {
	t.Parallel()
	seen := &cancellations{}
	w := &watch{handler: seen}
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	begin := func(ctx context.Context) {
		if err := w.begin(ctx); err != nil {
			t.Fatal(err)
		}
	}
	begin(first)
	w.end()
	begin(second) // another request's: the first is not listened to any more
	cancelFirst()
	time.Sleep(20 * time.Millisecond)
	if n := seen.sent.Load(); n != 0 {
		t.Errorf("%d cancellations for a request that has ended", n)
	}
	cancelSecond()
	for until := time.Now().Add(10 * time.Second); seen.sent.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the statement under way was not cancelled")
		}
	}
	w.end()
	if seen.sent.Load() != 1 || seen.ended.Load() != 1 || w.ctx != nil {
		t.Errorf("%d sent, %d ended, still registered with %v", seen.sent.Load(), seen.ended.Load(), w.ctx)
	}
	if err := w.begin(second); err == nil || w.busy {
		t.Errorf("a request that has ended began: %v", err)
	}
	begin(t.Context())
	w.end()
	if w.ctx == nil {
		t.Error("the next request of the same context registers anew")
	}
	if w.close(); w.ctx != nil || w.stop != nil {
		t.Error("a connection that is closed is still registered")
	}
}
