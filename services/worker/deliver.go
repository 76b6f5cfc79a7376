package worker

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"tenantry/api/errcode"
	"tenantry/services/engine/action"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/store"
)

// What the creator of a run sees of one that was not delivered in time.
var expired = action.RunErrors(errcode.New(errcode.ActionExpired, "the action was not completed in time"))

// results of a delivery, for the metrics.
const (
	completed   = "completed"
	failed      = "failed"
	retried     = "retried"
	pending     = "pending"
	interrupted = "interrupted"
	deferred    = "deferred"
)

// roomWait is how long, and at most twice as long, a run waits whose handler may not
// be called just now.
const roomWait = time.Second

// deliver calls the handler of a run once and writes what came of it. It stops
// with delivering; with ctx everything ends at once, and the lease is left.
func (w *Worker) deliver(ctx, delivering context.Context, d store.Delivery) {
	started := time.Now()
	a, result, err := w.call(delivering, d)
	if ctx.Err() != nil {
		return
	}
	if delivering.Err() != nil && err != nil {
		// What broke it off says more than what the call says of it.
		w.Metrics.RunDelivered(interrupted)
		if errors.Is(context.Cause(delivering), errStopped) {
			w.settle(ctx, func(ctx context.Context) (bool, error) { return true, w.Store.ReleaseRuns(ctx, w.id, d.ID) })
		}
		return
	}
	attempt := store.RunAttempt{At: started.UTC(), Millis: time.Since(started).Milliseconds(), Status: result.Status}
	if err != nil {
		attempt.Code = string(errcode.From(err).Code)
	}
	name, write := w.outcome(d, a, result, err, attempt)
	if w.settle(ctx, write) {
		w.Metrics.RunDelivered(name)
	}
}

// call finds the project and calls the handler as the project is now. Whatever
// keeps a project from being loaded passes, so it is as a handler that is away.
func (w *Worker) call(ctx context.Context, d store.Delivery) (*model.Action, action.Result, error) {
	entry, err := w.Live.Get(ctx, d.ProjectID)
	if err != nil {
		return nil, action.Result{}, errcode.New(errcode.ActionUnreachable, "the project could not be loaded").Because(err)
	}
	return entry.Current().Instance.DeliverRun(ctx, d)
}

// outcome decides what a delivery means for the run, and says how to write it.
func (w *Worker) outcome(d store.Delivery, a *model.Action, result action.Result, err error, attempt store.RunAttempt) (string, func(context.Context) (bool, error)) {
	finish := func(r store.RunResult) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) { return w.Store.FinishRun(ctx, w.id, d.ID, r, attempt) }
	}
	switch {
	case err == nil && result.Pending:
		return pending, func(ctx context.Context) (bool, error) { return w.Store.AwaitRun(ctx, w.id, d.ID, attempt) }
	case err == nil:
		output, _ := json.Marshal(result.Output) // came from JSON
		return completed, finish(store.RunResult{State: store.RunCompleted, Output: output})
	}
	if action.NotCalled(result, err) {
		return deferred, func(ctx context.Context) (bool, error) {
			return w.Store.DeferRun(ctx, w.id, d.ID, roomWait+rand.N(roomWait))
		}
	}
	if wait, again := retry(d, a, result, err); again {
		return retried, func(ctx context.Context) (bool, error) { return w.Store.RetryRun(ctx, w.id, d.ID, wait, attempt) }
	}
	return failed, finish(store.RunResult{State: store.RunFailed, Errors: action.RunErrors(errcode.From(err))})
}

// absent stands for an action that the project does not have now.
var absent = &model.Action{Async: true, Metadata: &metadata.Action{}}

// retry says whether and after what time a failed run is delivered again. An
// action that is gone may come back: metadata is replaced in steps.
func retry(d store.Delivery, a *model.Action, result action.Result, err error) (time.Duration, bool) {
	if a == nil {
		a = absent
	} else if kind := action.Failure(result, err); kind == "" || !a.Retries(kind) {
		return 0, false
	}
	attempts := d.Attempt + 1
	if attempts >= a.Attempts() {
		return 0, false
	}
	// Spread by a fifth, so that what failed together does not come back together.
	wait := time.Duration(float64(a.Backoff(attempts)) * (0.8 + 0.4*rand.Float64()))
	return wait, time.Now().Add(wait).Before(d.Deadline)
}

// settle writes the result of a delivery; while Postgres can't be reached it tries
// again, because the handler has been called and must not be once more. False
// means that the run was not this worker's any more.
func (w *Worker) settle(ctx context.Context, write func(context.Context) (bool, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		own, err := write(ctx)
		if err == nil {
			return own
		}
		select {
		case <-ctx.Done():
			w.Logger.Error("the result of a run was not written", "type", "worker", "error", err)
			return false
		case <-time.After(wait):
		}
	}
}
