package model

import (
	"fmt"
	"slices"
	"time"
)

// The fields of a run of an asynchronous action; RunID is also the argument by
// which it is found.
const (
	RunID        = "id"
	RunCreatedAt = "created_at"
	RunErrors    = "errors"
	RunOutput    = "output"
)

// retryable are the failures after which a run may be delivered again.
var retryable = []string{"429", "5xx", "network"}

func (a *actionResolver) retry() {
	if a.doc.Definition.MaxAgeSeconds < 0 {
		a.wrong(".definition.max_age_seconds", "the maximum age is negative")
	}
	doc := a.doc.Definition.Retry
	if doc == nil {
		return
	}
	if doc.MaxAttempts < 0 || doc.MaxAttempts > MaxAttempts {
		a.wrong(".definition.retry.max_attempts", "expected 1 to %d attempts, got %d", MaxAttempts, doc.MaxAttempts)
	}
	if doc.Backoff < 0 || doc.Backoff > int(MaxBackoff/time.Second) {
		a.wrong(".definition.retry.backoff", "expected 0 to %d seconds", int(MaxBackoff/time.Second))
	}
	for i, on := range doc.On {
		if !slices.Contains(retryable, on) {
			a.wrong(fmt.Sprintf(".definition.retry.on[%d]", i), "%q is none of %v", on, retryable)
		}
	}
}

// Bounds and defaults of how a run is delivered.
const (
	MaxAttempts     = 50
	DefaultAttempts = 5
	DefaultBackoff  = time.Second
	MaxBackoff      = time.Hour
	DefaultMaxAge   = 24 * time.Hour
)

// MaxAge is how long a run of an asynchronous action may wait for its result.
func (a *Action) MaxAge() time.Duration {
	if s := a.Metadata.Definition.MaxAgeSeconds; s > 0 {
		return time.Duration(s) * time.Second
	}
	return DefaultMaxAge
}

// Attempts is how often a run is delivered at most, if its handler fails.
func (a *Action) Attempts() int {
	if r := a.Metadata.Definition.Retry; r != nil && r.MaxAttempts > 0 {
		return r.MaxAttempts
	}
	return DefaultAttempts
}

// Retries reports whether a failure is one that is tried again: 429, 5xx or
// network.
func (a *Action) Retries(failure string) bool {
	r := a.Metadata.Definition.Retry
	return r == nil || len(r.On) == 0 || slices.Contains(r.On, failure)
}

// Backoff is how long to wait after so many attempts, at least 1.
func (a *Action) Backoff(attempts int) time.Duration {
	wait := DefaultBackoff
	if r := a.Metadata.Definition.Retry; r != nil && r.Backoff > 0 {
		wait = time.Duration(r.Backoff) * time.Second
	}
	for ; attempts > 1 && wait < MaxBackoff; attempts-- {
		wait *= 2
	}
	return min(wait, MaxBackoff)
}
