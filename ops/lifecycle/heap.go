package lifecycle

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// SmallHeap is the memory, in bytes, within which garbage may gather freely. What
// lives of a program with few projects is a few MiB, and Go would collect each
// time it has doubled: dozens of times a second under load, for memory that nobody
// misses.
const SmallHeap = 40 << 20

// Garbage that may gather, in percent of what lives: within SmallHeap, and where
// more lives, Go's own.
const (
	smallPercent = 400
	largePercent = 100
)

// TuneHeap lets garbage gather within SmallHeap, or until what lives has doubled,
// whichever is more, from now on. Where the operator has set GOGC or GOMEMLIMIT, it
// does nothing. Further calls do nothing.
var TuneHeap = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		tuneHeap()
	}
})

func tuneHeap() {
	t := &tuner{}
	t.set(true)
	t.afterCollection()
}

type tuner struct{ small bool }

// afterCollection tunes again each time garbage was collected: then, an object
// that nobody holds is found.
func (t *tuner) afterCollection() {
	found := new(struct{ _ [16]byte }) // not of the size of those that share an allocation
	runtime.SetFinalizer(found, func(*struct{ _ [16]byte }) {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		if small := sample[0].Value.Uint64() < SmallHeap*2/5; small != t.small {
			t.set(small)
		}
		t.afterCollection()
	})
}

// set bounds a small heap by the limit, which holds also while more comes to live
// than at the last collection. A large heap must not have it: it would be collected
// without end.
func (t *tuner) set(small bool) {
	t.small = small
	if small {
		debug.SetMemoryLimit(SmallHeap)
		debug.SetGCPercent(smallPercent)
	} else {
		debug.SetGCPercent(largePercent)
		debug.SetMemoryLimit(math.MaxInt64)
	}
}
