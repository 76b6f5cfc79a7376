package timetest_test

import (
	"testing"
	"time"

	"tenantry/ops/timetest"
)

func TestOneTryWithinTheBoundIsEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		costs []time.Duration
		want  time.Duration
		tried int
	}{
		"the first":    {[]time.Duration{3, 1, 1, 1, 1}, 3, 1},
		"the third":    {[]time.Duration{9, 8, 2, 1, 1}, 2, 3},
		"none":         {[]time.Duration{9, 6, 8, 9, 7}, 6, 5},
		"one too late": {[]time.Duration{9, 9, 9, 9, 9, 1}, 9, 5},
	} {
		tried := 0
		got := timetest.Least(3, func(try int) time.Duration { tried++; return c.costs[try] })
		if got != c.want || tried != c.tried {
			t.Errorf("%s: %d after %d tries, want %d after %d", name, got, tried, c.want, c.tried)
		}
	}
}

func TestARatioIsThatOfTheLeastOfEach(t *testing.T) {
	t.Parallel()
	calls := 0
	slow := func() { time.Sleep(3 * time.Millisecond) }
	quickOnce := func() {
		if calls++; calls != 3 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	if ratio := timetest.Ratio(1, slow, quickOnce); ratio > 1 || calls != 21 {
		t.Errorf("got %.2f after %d rounds", ratio, calls)
	}
}

func TestProcessorTimeIsUsedByWorkAndNotByWaiting(t *testing.T) {
	spent := func(f func()) time.Duration {
		before := timetest.CPU(t)
		f()
		return timetest.CPU(t) - before
	}
	const most = 50 * time.Millisecond
	if waited := timetest.Least(most, func(int) time.Duration { return spent(func() { time.Sleep(100 * time.Millisecond) }) }); waited > most {
		t.Errorf("waiting took %s", waited)
	}
	worked := spent(func() {
		for end := timetest.CPU(t) + most; timetest.CPU(t) < end; { //nolint:revive // work is what is wanted
		}
	})
	if worked < most {
		t.Errorf("work took %s", worked)
	}
}
