package action

import (
	"sync"
	"time"
)

// When a circuit opens: of the calls that ended within the window, so many failed,
// and at least so large a share. After openFor one call may find out whether the
// handler is back.
const (
	breakerWindow   = 30 * time.Second
	breakerFailures = 20
	breakerPercent  = 50
	openFor         = 5 * time.Second
)

// breakerSlots is how fine the window moves on.
const breakerSlots = 6

// breaker keeps calls from an origin that fails. Safe for concurrent use.
type breaker struct {
	mu    sync.Mutex
	slots [breakerSlots]struct{ calls, failures int }
	slot  int64 // the newest of the window, counted since 1970

	opened  time.Time // zero while calls pass
	probing bool      // a call finds out whether the origin is back
}

// allow asks whether a call may be made; done must follow it. probe says that it
// is the one that finds out.
func (b *breaker) allow(now time.Time) (allowed, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.opened.IsZero():
		return true, false
	case b.probing || now.Sub(b.opened) < openFor:
		return false, false
	}
	b.probing = true
	return true, true
}

// done counts a call that ended, and tells whether it opened or closed the circuit.
func (b *breaker) done(now time.Time, probe bool, v verdict) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
		switch v {
		case healthy:
			b.opened = time.Time{}
			clear(b.slots[:])
			return false, true
		case failing:
			b.opened = now
		}
		return false, false
	}
	if v == unknown || !b.opened.IsZero() {
		return false, false // calls that began before it opened say nothing new
	}
	b.move(now)
	at := &b.slots[b.slot%breakerSlots]
	at.calls++
	if v == failing {
		at.failures++
	}
	calls, failures := 0, 0
	for _, s := range b.slots {
		calls += s.calls
		failures += s.failures
	}
	if v != failing || failures < breakerFailures || failures*100 < calls*breakerPercent {
		return false, false
	}
	b.opened = now
	return true, false
}

// move forgets what is older than the window.
func (b *breaker) move(now time.Time) {
	slot := now.UnixNano() / int64(breakerWindow/breakerSlots)
	for n := min(slot-b.slot, breakerSlots); n > 0; n-- {
		b.slots[(slot-n+1)%breakerSlots] = struct{ calls, failures int }{}
	}
	b.slot = max(slot, b.slot)
}

// idle reports whether nothing would be lost with b, and whether it is open.
func (b *breaker) idle(now time.Time) (idle, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened.IsZero() {
		return now.Sub(b.opened) > breakerWindow && !b.probing, true
	}
	b.move(now)
	for _, s := range b.slots {
		if s.failures > 0 {
			return false, false
		}
	}
	return true, false
}
