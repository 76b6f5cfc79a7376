package action

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"tenantry/api/errcode"
)

// The kinds of failures after which a synchronous call may be made again, beside
// the statuses 502, 503 and 504.
const (
	failureConnect = "connect"
	failureTimeout = "timeout"
)

// attempts calls until the handler answers, or the failure is final, or there is
// no time for another attempt. It returns the last exchange and how many reached
// out to the handler.
func (c *Caller) attempts(ctx context.Context, call *Call, started time.Time) (x *exchange, output any, made int, err *errcode.Error) {
	most, left := 1, c.timeout(call.Action)
	deadline := started.Add(left)
	if !call.Action.Async { // a run is delivered again by its worker
		most = call.Action.Attempts()
	}
	for attempt := 1; ; attempt++ {
		x = &exchange{caller: c, call: call, timeout: share(call, left, most-attempt+1)}
		output, err = x.run(ctx)
		if x.called {
			made++
		}
		if err == nil || attempt == most || ctx.Err() != nil || !call.Action.Retries(syncFailure(x.status, err)) {
			return x, output, made, err
		}
		wait := time.Duration(float64(call.Action.Backoff(attempt)) * (0.8 + 0.4*rand.Float64()))
		if wait >= time.Until(deadline) {
			return x, output, made, err
		}
		select {
		case <-ctx.Done():
			return x, nil, made, ended(ctx)
		case <-time.After(wait):
		}
		left = time.Until(deadline)
	}
}

// share is the time of an attempt: all that is left, or, where timeouts are
// retried, as much as the later attempts get too.
func share(call *Call, left time.Duration, attempts int) time.Duration {
	if attempts > 1 && call.Action.Retries(failureTimeout) {
		return left / time.Duration(attempts)
	}
	return left
}

// syncFailure is the name of a failure in the "on" of a synchronous action's retry;
// empty for what is never retried.
func syncFailure(status int, err *errcode.Error) string {
	switch {
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return strconv.Itoa(status)
	case err.Foreign:
		return ""
	case err.Code == errcode.ActionTimeout:
		return failureTimeout
	case err.Code == errcode.ActionUnreachable:
		return failureConnect
	}
	return ""
}
