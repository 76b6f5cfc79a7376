package livequery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tenantry/tenants/store"
)

// Runs tells of changes of runs of asynchronous actions. The ends of watched runs
// are heard of at once, whichever node writes them; at each interval all that are
// watched are looked at together, so that nothing is missed. Safe for concurrent
// use.
type Runs struct {
	store    *store.Store
	interval time.Duration
	logger   *slog.Logger
	// added says that there are new ones to look at.
	added chan struct{}

	mu      sync.Mutex
	watched map[string]*watched // by id of the run
}

// watched is a run that somebody waits for.
type watched struct {
	wakes   map[*func()]bool
	version string
	// seen says that version is known.
	seen bool
}

// NewRuns makes a Runs that watches nothing yet; run it to hear anything. The
// interval is that of subscriptions, 0 their default.
func NewRuns(s *store.Store, interval time.Duration, logger *slog.Logger) *Runs {
	return &Runs{store: s, interval: Limits{Interval: interval}.withDefaults().Interval, logger: logger,
		added: make(chan struct{}, 1), watched: map[string]*watched{}}
}

// Watch calls wake when the result of a run may have changed, once at least after
// the first look at it, until stop is called. wake must not block.
func (r *Runs) Watch(id string, wake func()) (stop func()) {
	id = strings.ToLower(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watched[id]
	if w == nil {
		w = &watched{wakes: map[*func()]bool{}}
		r.watched[id] = w
	}
	w.seen = false // it may have changed since whoever asks has read it
	w.wakes[&wake] = true
	select {
	case r.added <- struct{}{}:
	default:
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(w.wakes, &wake); len(w.wakes) == 0 && r.watched[id] == w {
			delete(r.watched, id)
		}
	}
}

// Run looks and listens until ctx ends.
func (r *Runs) Run(ctx context.Context) {
	var listening sync.WaitGroup
	listening.Go(func() { r.store.WatchRunResults(ctx, r.ended) })
	defer listening.Wait()
	tick := time.NewTicker(r.interval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-r.added:
			err = r.look(ctx, true)
		case <-tick.C:
			if err = r.look(ctx, true); err == nil { // what failed before
				err = r.look(ctx, false)
			}
		}
		if err != nil && ctx.Err() == nil {
			r.logger.Warn("runs that are waited for were not looked at", "type", "websocket-log", "error", err)
		}
	}
}

// atOnce is how many runs one statement looks at.
const atOnce = 5000

// look asks for the runs that are watched, or for those alone that were not looked
// at yet, and wakes who waits for one that is another.
func (r *Runs) look(ctx context.Context, fresh bool) error {
	ids := r.ids(fresh)
	for len(ids) > 0 {
		some := ids[:min(len(ids), atOnce)]
		ids = ids[len(some):]
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		versions, err := r.store.RunVersions(asking, some, fresh)
		cancel()
		if err != nil {
			return err
		}
		r.compare(some, versions)
	}
	return nil
}

func (r *Runs) ids(fresh bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.watched))
	for id, w := range r.watched {
		if !fresh || !w.seen {
			out = append(out, id)
		}
	}
	return out
}

func (r *Runs) compare(ids []string, versions map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		w := r.watched[id]
		if w == nil || w.seen && w.version == versions[id] {
			continue
		}
		w.seen, w.version = true, versions[id]
		w.wake()
	}
}

// ended hears of a run that ended; of all that may have, when some may have been
// missed.
func (r *Runs) ended(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.watched[id]; w != nil {
		w.wake()
	}
}

// wake is called with the lock held.
func (w *watched) wake() {
	for wake := range w.wakes {
		(*wake)()
	}
}
