package model

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
)

// Bounds and defaults of how a handler is called again.
const (
	MaxAttempts     = 50
	DefaultAttempts = 5
	DefaultBackoff  = time.Second
	MaxBackoff      = time.Hour

	// Those of synchronous actions, whose client waits.
	MaxSyncAttempts     = 10
	DefaultSyncAttempts = 3
	DefaultSyncBackoff  = 200 * time.Millisecond
	MaxSyncBackoff      = 30 * time.Second

	// MaxConcurrency is the most that an action may ask for.
	MaxConcurrency = 10_000
)

// retryable are the failures after which a run may be delivered again, and
// retryableSync those after which a synchronous call may be made again.
var (
	retryable     = []string{"429", "5xx", "network"}
	retryableSync = []string{"connect", "timeout", "502", "503", "504"}
)

// calls checks what a definition says of the calls of its handler.
func (a *actionResolver) calls(found *Action) {
	def := &a.doc.Definition
	switch {
	case def.MaxAgeSeconds < 0:
		a.wrong(".definition.max_age_seconds", "the maximum age is negative")
	case def.MaxAgeSeconds > 0 && !found.Async:
		a.wrong(".definition.max_age_seconds", `expected no maximum age: only an action of the kind "asynchronous" has runs; a synchronous call is bounded by timeout`)
	}
	if def.Timeout < 0 {
		a.wrong(".definition.timeout", "the timeout is negative")
	}
	for i, h := range def.Headers {
		at := fmt.Sprintf(".definition.headers[%d]", i)
		if !webhook.ValidHeaderName(h.Name) {
			a.wrong(at+".name", "%q is not the name of a header", h.Name)
		}
		if !webhook.ValidHeaderValue(h.Value) {
			a.wrong(at+".value", "the header %q has a value that HTTP does not allow (a line break or control character)", h.Name)
		}
	}
	if def.MaxConcurrency < 0 || def.MaxConcurrency > MaxConcurrency {
		a.wrong(".definition.max_concurrency", "expected 0 to %d calls at a time, got %d", MaxConcurrency, def.MaxConcurrency)
	}
	for i, name := range def.ForwardResponseHeaders {
		if reason := unforwardable(name); reason != "" {
			a.wrong(fmt.Sprintf(".definition.forward_response_headers[%d]", i), "%q %s", name, reason)
		}
	}
	if def.Retry == nil {
		return
	}
	if found.Async {
		a.retry(def.Retry, MaxAttempts, MaxBackoff, retryable)
		return
	}
	if !found.Query && !def.Idempotency {
		a.wrong(".definition.retry", `a mutation may be retried only with "idempotency": true, which promises that its handler does a thing once for each webhook-id`)
	}
	a.retry(def.Retry, MaxSyncAttempts, MaxSyncBackoff, retryableSync)
}

func (a *actionResolver) retry(doc *metadata.ActionRetry, attempts int, backoff time.Duration, kinds []string) {
	if n := doc.MaxAttempts; n != nil && (*n < 1 || *n > attempts) {
		a.wrong(".definition.retry.max_attempts", "expected 1 to %d attempts, got %d", attempts, *n)
	}
	if doc.Backoff < 0 || doc.Backoff > int(backoff/time.Second) {
		a.wrong(".definition.retry.backoff", "expected 0 to %d seconds", int(backoff/time.Second))
	}
	for i, on := range doc.On {
		if !slices.Contains(kinds, on) {
			a.wrong(fmt.Sprintf(".definition.retry.on[%d]", i), "%q is none of %v", on, kinds)
		}
	}
}

// ownResponseHeaders are decided by the server alone: of the connection, the body,
// or what it says itself.
var ownResponseHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade", "Date", "Server", "X-Request-Id", "Idempotency-Replayed", "Vary",
}

// unforwardable says why a handler's header can't be the client's; empty if it can.
func unforwardable(name string) string {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !webhook.ValidHeaderName(name):
		return "is not the name of a header"
	case slices.ContainsFunc(ownResponseHeaders, func(own string) bool { return http.CanonicalHeaderKey(own) == canonical }),
		strings.HasPrefix(canonical, "Access-Control-"), strings.HasPrefix(canonical, "Ratelimit"):
		return "is a header that the server decides about"
	}
	return ""
}

// Attempts is how often the handler is called at most for one run or one request,
// if it fails.
func (a *Action) Attempts() int {
	r := a.Metadata.Definition.Retry
	switch {
	case r != nil && r.MaxAttempts != nil:
		return *r.MaxAttempts
	case a.Async:
		return DefaultAttempts
	case r != nil:
		return DefaultSyncAttempts
	}
	return 1
}

// Retries reports whether a failure, by its name in "on", is one that is tried
// again; one without a name never is.
func (a *Action) Retries(failure string) bool {
	r := a.Metadata.Definition.Retry
	if r == nil || failure == "" {
		return a.Async && failure != ""
	}
	return len(r.On) == 0 || slices.Contains(r.On, failure)
}

// Backoff is how long to wait after so many attempts, at least 1.
func (a *Action) Backoff(attempts int) time.Duration {
	wait, most := DefaultBackoff, MaxBackoff
	if !a.Async {
		wait, most = DefaultSyncBackoff, MaxSyncBackoff
	}
	if r := a.Metadata.Definition.Retry; r != nil && r.Backoff > 0 {
		wait = time.Duration(r.Backoff) * time.Second
	}
	for ; attempts > 1 && wait < most; attempts-- {
		wait *= 2
	}
	return min(wait, most)
}
