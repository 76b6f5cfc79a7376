package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"tenantry/tenants/store"
)

// deliverAll claims and delivers runs until ctx ends.
func (w *Worker) deliverAll(ctx context.Context) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		for ctx.Err() == nil {
			claimed, err := w.claim(ctx)
			if err != nil && ctx.Err() == nil {
				w.Logger.Warn("no runs were claimed", "type", "worker", "error", err)
			}
			if claimed == 0 {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-poll.C:
		}
	}
}

// claim leases due runs for the free places and starts to deliver them.
func (w *Worker) claim(ctx context.Context) (int, error) {
	free, byProject := w.places()
	if free == 0 {
		return 0, nil
	}
	due, err := w.Store.DueProjects(ctx)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	most := share(free, byProject, due)
	if len(most) == 0 {
		return 0, nil
	}
	asked := time.Now()
	claimed, err := w.Store.ClaimRuns(ctx, w.id, most)
	if err != nil {
		return 0, err
	}
	for _, d := range claimed {
		w.start(ctx, d, asked)
	}
	return len(claimed), nil
}

// places are how many more runs may be held, and how many each project has.
func (w *Worker) places() (free int, byProject map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return 0, nil
	}
	byProject = map[string]int{}
	for _, h := range w.held {
		byProject[h.project]++
	}
	return w.Concurrency - len(w.held), byProject
}

// share gives the free places to projects, one after the other to that which holds
// fewest. No project gets more than it leaves free: one alone has half of the
// places, two have a third each, so that there are always some for a project that
// comes later, however slow the handlers of the others are.
func share(free int, holds map[string]int, due []string) map[string]int {
	most := map[string]int{}
	for free > 0 && len(due) > 0 {
		next := due[0]
		for _, id := range due[1:] {
			if holds[id]+most[id] < holds[next]+most[next] {
				next = id
			}
		}
		if own := holds[next] + most[next]; own > 0 && own >= free {
			break
		}
		most[next]++
		free--
	}
	return most
}

// start delivers a run, claimed at a time, on a goroutine of its own.
func (w *Worker) start(ctx context.Context, d store.Delivery, leased time.Time) {
	delivering, stop := context.WithCancelCause(ctx)
	w.mu.Lock()
	w.held[d.ID] = &held{project: d.ProjectID, leased: leased, stop: stop}
	w.mu.Unlock()
	w.runs.Go(func() {
		defer func() {
			stop(nil)
			w.mu.Lock()
			delete(w.held, d.ID)
			w.checkIdle()
			w.mu.Unlock()
			w.rouse()
		}()
		w.deliver(ctx, delivering, d)
	})
}
