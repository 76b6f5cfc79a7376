package lifecycle

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// Not parallel: it sets what holds for the whole process.
func TestASmallHeapHasALimitAndALargeOneDoubles(t *testing.T) {
	t.Cleanup(func() {
		debug.SetGCPercent(largePercent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
	tuneHeap()
	if limit := debug.SetMemoryLimit(-1); limit != SmallHeap {
		t.Fatalf("at first the limit is %d", limit)
	}
	kept := make([]byte, SmallHeap)
	waitForLimit(t, math.MaxInt64)
	runtime.KeepAlive(kept)
	waitForLimit(t, SmallHeap)
}

func waitForLimit(t *testing.T, want int64) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for debug.SetMemoryLimit(-1) != want {
		if time.Now().After(deadline) {
			t.Fatalf("the limit is %d, want %d", debug.SetMemoryLimit(-1), want)
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}
