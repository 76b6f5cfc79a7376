// Package worker delivers the runs of asynchronous actions. Runs are rows of the
// control plane's Postgres: a worker leases due ones, fairly over the projects,
// calls their handlers as a synchronous action would be called, and writes what
// came of it.
//
// A lease is renewed while the worker lives. The runs of one that died are
// delivered again by any other, with the same webhook-id; so nothing is lost, and
// a crash costs at most one more delivery of each run that was under way.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"tenantry/ops/metrics"
	"tenantry/services/live"
	"tenantry/tenants/store"
)

// DefaultConcurrency is how many runs a worker delivers at a time.
const DefaultConcurrency = 64

const (
	renewInterval = store.Lease / 3
	renewRetry    = time.Second // after a failure
	sweepInterval = 5 * time.Second
	pollInterval  = time.Second // what a lost notice costs, and how late a retry may come
	pruneInterval = time.Hour
	// unsure is how long leases are trusted that could not be renewed: less than
	// they last, so that no other worker has the run yet.
	unsure = store.Lease - 3*time.Second
	// settleTime is how long the result of a delivery is tried to be written.
	settleTime = time.Minute
)

// Deps are the collaborators of a worker.
type Deps struct {
	Store   *store.Store
	Live    *live.Registry
	Metrics *metrics.Metrics
	Logger  *slog.Logger
	// Concurrency is how many runs are delivered at a time; 0 means
	// DefaultConcurrency.
	Concurrency int
	// MostRetention is how many days runs that have ended are kept at most, whatever
	// their project says; 0 means store.MostRunRetention.
	MostRetention int
}

// Worker delivers runs. Run it once.
type Worker struct {
	Deps
	id   string
	wake chan struct{}
	// runs are deliveries under way.
	runs sync.WaitGroup

	mu       sync.Mutex
	held     map[string]*held // by run
	draining bool
	idle     chan struct{} // closed when draining and nothing is held
}

// held is a run that this worker has leased.
type held struct {
	project string
	leased  time.Time // when the lease was given or renewed, or before
	stop    context.CancelCauseFunc
}

// Why a delivery is broken off.
var (
	errLost    = errors.New("the run is another's, or was ended")
	errStopped = errors.New("the worker stops")
)

// New makes a worker.
func New(d Deps) *Worker {
	if d.Concurrency <= 0 {
		d.Concurrency = DefaultConcurrency
	}
	if d.MostRetention <= 0 {
		d.MostRetention = store.MostRunRetention
	}
	return &Worker{Deps: d, id: uuid.NewString(), wake: make(chan struct{}, 1), held: map[string]*held{}, idle: make(chan struct{})}
}

// Run works until ctx ends, and returns when nothing of it runs any more. What is
// under way then is broken off and left to other workers, as if this one had
// died; Drain first to end in order.
func (w *Worker) Run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { w.Store.WatchRuns(ctx, w.noticed) })
	parts.Go(func() { w.every(ctx, renewInterval, w.renew) })
	parts.Go(func() { w.every(ctx, sweepInterval, w.sweeper()) })
	w.deliverAll(ctx)
	parts.Wait()
	w.runs.Wait()
}

// Drain takes no more runs and waits for those under way. What still runs when
// ctx ends is broken off and queued for other workers. Run must be ended
// afterwards.
func (w *Worker) Drain(ctx context.Context) {
	w.mu.Lock()
	w.draining = true
	w.checkIdle()
	w.mu.Unlock()
	select {
	case <-w.idle:
		return
	case <-ctx.Done():
	}
	w.mu.Lock()
	for _, h := range w.held {
		h.stop(errStopped)
	}
	w.mu.Unlock()
	select {
	case <-w.idle:
	case <-time.After(5 * time.Second):
	}
}

// checkIdle tells Drain, with mu held, that nothing is under way.
func (w *Worker) checkIdle() {
	if w.draining && len(w.held) == 0 {
		select {
		case <-w.idle:
		default:
			close(w.idle)
		}
	}
}

// noticed hears of runs: new ones, or one that was ended from outside.
func (w *Worker) noticed(id string) {
	if id == "" {
		w.rouse()
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.held[id]; h != nil {
		h.stop(errLost)
	}
}

// rouse makes the worker look for runs.
func (w *Worker) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Worker) every(ctx context.Context, interval time.Duration, f func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renew prolongs the leases, and breaks off what is no longer this worker's. Where
// that fails it is tried again soon.
func (w *Worker) renew(ctx context.Context) {
	for !w.tryRenew(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewRetry):
		}
	}
}

func (w *Worker) tryRenew(ctx context.Context) bool {
	ids := w.ids()
	if len(ids) == 0 {
		return true
	}
	started := time.Now()
	asking, cancel := context.WithTimeout(ctx, renewInterval-renewRetry)
	defer cancel()
	own, err := w.Store.RenewRuns(asking, w.id, ids)
	if err != nil {
		if ctx.Err() == nil {
			w.Logger.Warn("leases of runs were not renewed", "type", "worker", "runs", len(ids), "error", err)
		}
		w.loseUnsure(time.Now())
		return false
	}
	w.keep(own, started)
	var lost []string
	for _, id := range ids {
		if !slices.Contains(own, id) {
			lost = append(lost, id)
		}
	}
	w.lose(lost)
	return true
}

// keep notes when leases were renewed.
func (w *Worker) keep(ids []string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if h := w.held[id]; h != nil {
			h.leased = at
		}
	}
}

// loseUnsure breaks off the runs whose leases may have run out before the next try.
func (w *Worker) loseUnsure(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.held {
		if now.Sub(h.leased) > unsure-renewInterval {
			h.stop(errLost)
		}
	}
}

func (w *Worker) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, 0, len(w.held))
	for id := range w.held {
		out = append(out, id)
	}
	return out
}

func (w *Worker) lose(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if h := w.held[id]; h != nil {
			h.stop(errLost)
		}
	}
}

// sweeper takes over what dead workers held, ends what is too old, and counts.
func (w *Worker) sweeper() func(context.Context) {
	var pruned time.Time
	return func(ctx context.Context) {
		failed := func(what string, err error) {
			if err != nil && ctx.Err() == nil {
				w.Logger.Warn(what, "type", "worker", "error", err)
			}
		}
		taken, err := w.Store.TakeOverRuns(ctx, w.id, w.ids())
		failed("runs of dead workers were not taken over", err)
		if taken > 0 {
			w.Logger.Warn("runs of dead workers are delivered again", "type", "worker", "runs", taken)
			w.Metrics.RunsTakenOver(int(taken))
			w.rouse()
		}
		_, err = w.Store.ExpireRuns(ctx, expired)
		failed("old runs were not ended", err)
		if time.Since(pruned) > pruneInterval {
			deleted, err := w.Store.PruneRuns(ctx, w.MostRetention)
			failed("ended runs were not deleted", err)
			if deleted < store.PrunedAtOnce { // else there are more, for the next sweep
				pruned = time.Now()
			}
		}
		counts, err := w.Store.CountRuns(ctx)
		failed("runs were not counted", err)
		if err == nil {
			w.Metrics.SetRuns(metrics.Runs{Queued: counts.Queued, Running: counts.Running, Pending: counts.Pending, Oldest: counts.Oldest})
		}
	}
}
