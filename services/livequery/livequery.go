// Package livequery keeps the answers of subscriptions up to date: it reads an
// answer again when it may be another, and pushes it when it is. What is read and
// how it is sent it is told; it knows intervals, bounds and differences.
//
// An answer that may change at any time is read at each interval. One that says
// what will wake it costs nothing until then: Runs tells of the runs of asynchronous
// actions, and asks for all that a node waits for at once.
package livequery

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/metrics"
)

// Limits bound what subscriptions may cost; a zero value takes the default.
type Limits struct {
	// Interval is after what time an answer is read again; 1 s.
	Interval time.Duration
	// PerProject is how many subscriptions a project may have on this node; 10,000.
	PerProject int
	// Readings is how many answers of a project are read at a time; 16. Where that
	// is not enough the intervals become longer.
	Readings int
}

func (l Limits) withDefaults() Limits {
	if l.Interval == 0 {
		l.Interval = time.Second
	}
	if l.PerProject == 0 {
		l.PerProject = 10_000
	}
	if l.Readings == 0 {
		l.Readings = 16
	}
	return l
}

// Hub holds the subscriptions of this node. Safe for concurrent use.
type Hub struct {
	limits Limits

	mu       sync.Mutex
	projects map[string]*project
}

// project is what the subscriptions of one project have in common.
type project struct {
	subscriptions int
	readings      chan struct{} // as many as may run
}

// NewHub makes a hub without subscriptions.
func NewHub(l Limits) *Hub {
	return &Hub{limits: l.withDefaults(), projects: map[string]*project{}}
}

// Answer is what a subscription answers at one moment.
type Answer struct {
	// Body is compared: what is the same is not pushed.
	Body []byte
	// Failed says that the body tells of an error.
	Failed bool
	// Lasts says that the answer stays until something wakes the subscription.
	Lasts bool
	// Last says that no other will come.
	Last bool
}

// Query is something to be kept up to date.
type Query struct {
	// Project is the id by which subscriptions are bounded.
	Project string
	Metrics *metrics.Project
	// Read reads the answer anew. Its error ends the subscription.
	Read func(ctx context.Context) (Answer, error)
	// Outdated reports that an answer which lasts has to be read anyway: what it
	// follows from has changed. It is asked at each interval, so it is cheap.
	Outdated func(ctx context.Context) bool
	// Watch, when set, calls wake when the answer may have changed, until stop is
	// called.
	Watch func(wake func()) (stop func())
	// Send pushes an answer; it may block.
	Send func(body []byte)
}

// Follow pushes every answer that differs from the one before, beginning after
// first, which the client has. It returns when ctx ends or the last answer was
// pushed, or with the error of Read, or with an *errcode.Error when the project has
// too many subscriptions. Nothing of it runs any more then.
func (h *Hub) Follow(ctx context.Context, q Query, first Answer) error {
	p, err := h.enter(q.Project)
	if err != nil {
		return err
	}
	defer h.leave(q.Project)
	defer q.Metrics.SubscriptionOpened()()
	woken := make(chan struct{}, 1)
	if q.Watch != nil {
		defer q.Watch(func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})()
	}
	f := follower{Query: q, readings: p.readings, lasts: first.Lasts, sent: sha256.Sum256(first.Body)}
	timer := time.NewTimer(h.limits.Interval)
	defer timer.Stop()
	for {
		due := true
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		case <-timer.C:
			due = !f.lasts || q.Outdated(ctx)
		}
		if due {
			if last, err := f.read(ctx); last || err != nil {
				return err
			}
		}
		timer.Reset(h.limits.Interval)
	}
}

// follower is a subscription that is followed.
type follower struct {
	Query
	readings chan struct{}
	lasts    bool
	sent     [sha256.Size]byte // hash of what the client has
}

// read reads the answer once and pushes it if it is another.
func (f *follower) read(ctx context.Context) (last bool, err error) {
	a, err := f.answer(ctx)
	select {
	case <-ctx.Done(): // what was broken off says nothing
		return true, nil
	default:
	}
	if err != nil {
		return true, err
	}
	f.lasts = a.Lasts
	hash := sha256.Sum256(a.Body)
	changed := hash != f.sent
	f.Metrics.SubscriptionRead(changed, a.Failed)
	if changed {
		f.sent = hash
		f.Send(a.Body)
	}
	return a.Last, nil
}

// answer reads the answer when the project has a place for that.
func (f *follower) answer(ctx context.Context) (Answer, error) {
	select {
	case f.readings <- struct{}{}:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	defer func() { <-f.readings }()
	return f.Read(ctx)
}

func (h *Hub) enter(id string) (*project, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.projects[id]
	if p == nil {
		p = &project{readings: make(chan struct{}, h.limits.Readings)}
		h.projects[id] = p
	}
	if p.subscriptions >= h.limits.PerProject {
		return nil, errcode.New(errcode.Busy, "the project has %d subscriptions on this node, at most %d are allowed", p.subscriptions, h.limits.PerProject).At("$")
	}
	p.subscriptions++
	return p, nil
}

func (h *Hub) leave(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.projects[id]; p != nil {
		if p.subscriptions--; p.subscriptions == 0 {
			delete(h.projects, id)
		}
	}
}
