// Package timetest measures in tests what code costs, on machines that do other
// things meanwhile: those take from a measurement and never give to one, so the least
// of a few tries counts, and a bound that one of them keeps is kept.
package timetest

import (
	"syscall"
	"testing"
	"time"
)

// tries of something whose cost is measured, and rounds in which two are compared.
const (
	tries  = 5
	rounds = 2000
)

// CPU is the processor time that this process has used so far. Other tests of the
// process use it too: who asks for it is not parallel.
func CPU(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Slowed is a bound for this build: factor times as much with the race detector.
func Slowed(bound time.Duration, factor int) time.Duration {
	if Raced {
		return bound * time.Duration(factor)
	}
	return bound
}

// Least is the least that cost answers in a few tries, numbered from 0; the first that
// is within bound is the last.
func Least(bound time.Duration, cost func(try int) time.Duration) time.Duration {
	least := cost(0)
	for try := 1; try < tries && least > bound; try++ {
		least = min(least, cost(try))
	}
	return least
}

// Ratio is what b costs to what a costs, in time: of the least that each of them took,
// by turns. It ends when the ratio is within bound.
func Ratio(bound float64, a, b func()) float64 {
	leastA, leastB, ratio := time.Hour, time.Hour, 0.0
	for n := range rounds {
		leastA, leastB = min(leastA, elapsed(a)), min(leastB, elapsed(b))
		if ratio = float64(leastB) / float64(leastA); n >= 20 && ratio <= bound {
			break
		}
	}
	return ratio
}

func elapsed(f func()) time.Duration {
	started := time.Now()
	f()
	return time.Since(started)
}
