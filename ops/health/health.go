// Package health answers whether the program lives and whether it can serve.
//
// Parts that serving depends on register a check; the listeners present what
// Live and Ready say. While the program drains it is alive but not ready, so
// that load balancers turn away before the listener closes.
package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout bounds one check.
const checkTimeout = 2 * time.Second

// ErrDraining is the result of readiness while the program stops.
var ErrDraining = errors.New("draining")

// Result is what one check said. Its JSON form is for everybody; Err may name
// internals and is for the log.
type Result struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Err  error  `json:"-"`
}

// Checks is a registry of readiness checks. The zero value is ready to use, from
// several goroutines.
type Checks struct {
	mu       sync.Mutex
	checks   []check
	draining atomic.Bool
}

type check struct {
	name string
	run  func(context.Context) error
}

// Add registers a check. It should return soon after its context ends; one that
// does not counts as failed.
func (c *Checks) Add(name string, run func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks = append(c.checks, check{name, run})
}

// Drain switches readiness off, or on again.
func (c *Checks) Drain(draining bool) { c.draining.Store(draining) }

// Live reports that the program runs: that it can answer is the proof.
func (c *Checks) Live() bool { return true }

// Ready runs all checks at once, each for at most two seconds, and reports in
// the order of their registration. ok is true when all passed and the program
// does not drain; while it drains no check is run.
func (c *Checks) Ready(ctx context.Context) (ok bool, report []Result) {
	if c.draining.Load() {
		return false, []Result{{Name: "draining", Err: ErrDraining}}
	}
	c.mu.Lock()
	checks := c.checks[:len(c.checks):len(c.checks)]
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]chan error, len(checks))
	for i, check := range checks {
		results[i] = make(chan error, 1)
		go func() { results[i] <- check.safely(ctx) }()
	}
	ok, report = true, make([]Result, len(checks))
	for i, check := range checks {
		var err error
		select {
		case err = <-results[i]:
		case <-ctx.Done():
			select { // it may have answered in the same moment
			case err = <-results[i]:
			default:
				err = ctx.Err()
			}
		}
		report[i] = Result{Name: check.name, OK: err == nil, Err: err}
		ok = ok && err == nil
	}
	return ok, report
}

// safely makes a panic of a check its failure.
func (c check) safely(ctx context.Context) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return c.run(ctx)
}
