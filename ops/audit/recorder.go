package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Options of a Recorder; the zero Options are good.
type Options struct {
	Queue    int           // events held while the log is slow or down; default 65536
	Batch    int           // events per Append; default 512
	Interval time.Duration // how long events may gather before they are written; default 100 ms
	Patience time.Duration // the same while all of them are samples of what is ordinary; default 1 s
	Timeout  time.Duration // of one Append; default 10 s
	Logger   *slog.Logger  // default slog.Default()
}

func (o Options) withDefaults() Options {
	if o.Queue <= 0 {
		o.Queue = 1 << 16
	}
	if o.Batch <= 0 {
		o.Batch = 512
	}
	if o.Interval <= 0 {
		o.Interval = 100 * time.Millisecond
	}
	if o.Patience <= 0 {
		o.Patience = max(time.Second, o.Interval)
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// Recorder writes events to a Log in batches, from a goroutine of its own.
// While the log is down events wait in a bounded queue and are tried again;
// what does not fit is lost and counted. Safe for concurrent use.
type Recorder struct {
	log Log
	opt Options

	mu      sync.Mutex
	queue   []Event       // oldest first; the batch being written stays in it until it is kept
	in, out uint64        // events ever queued; events that left the queue
	written uint64        // of those, the ones kept
	lost    uint64        // full queue, rejected, or left at Close
	moved   chan struct{} // closed and replaced when out grows
	closed  bool
	last    error // of the last Append

	wake  chan struct{} // something is queued
	press chan struct{} // something is queued that is not ordinary
	flush chan struct{} // don't wait for more
	stop  context.CancelFunc
	done  chan struct{}
}

// NewRecorder starts a recorder; Close ends it.
func NewRecorder(log Log, opts Options) *Recorder {
	ctx, stop := context.WithCancel(context.Background())
	r := &Recorder{
		log: log, opt: opts.withDefaults(),
		moved: make(chan struct{}), wake: make(chan struct{}, 1), press: make(chan struct{}, 1), flush: make(chan struct{}, 1),
		stop: stop, done: make(chan struct{}),
	}
	go r.run(ctx)
	return r
}

// Record takes an event. It never blocks and never fails: an event that can't
// be held is counted in Lost. When the queue is three quarters full, sampled
// requests and decisions that allow are no longer taken, so that denials and
// changes still fit.
func (r *Recorder) Record(e Event) {
	e = e.Complete(time.Now())
	r.mu.Lock()
	room, common := r.opt.Queue, ordinary(e)
	if common {
		room = r.opt.Queue * 3 / 4
	}
	if r.closed || len(r.queue) >= room {
		r.lost++
		r.mu.Unlock()
		return
	}
	r.queue = append(r.queue, e)
	r.in++
	r.mu.Unlock()
	signal(r.wake)
	if !common {
		signal(r.press)
	}
}

// ordinary events are samples of what was allowed: others come first, and are written
// sooner.
func ordinary(e Event) bool {
	return e.Kind == KindRequest || e.Kind == KindDecision && e.Outcome == OK
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats are a recorder's counts since its start.
type Stats struct {
	Written uint64
	Lost    uint64
	Queued  int
}

// Stats returns the counts; metrics read them at each scrape.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Written: r.written, Lost: r.lost, Queued: len(r.queue)}
}

// Lost is the number of events that were not and will not be kept.
func (r *Recorder) Lost() uint64 { return r.Stats().Lost }

// Flush waits until everything recorded before the call is kept (or counted as
// lost). Its error is the context's, with that of the last write.
func (r *Recorder) Flush(ctx context.Context) error {
	r.mu.Lock()
	target := r.in
	r.mu.Unlock()
	for {
		signal(r.flush)
		r.mu.Lock()
		reached, moved, last := r.out >= target, r.moved, r.last
		r.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-r.done:
			return errors.New("audit: recorder is closed")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		}
	}
}

// Close takes no more events, writes what is queued for as long as ctx lasts,
// and ends the recorder. It returns an error when events were left behind.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	already := r.closed
	r.closed = true
	r.mu.Unlock()
	if already {
		<-r.done
		return nil
	}
	err := r.Flush(ctx)
	r.stop()
	<-r.done
	r.mu.Lock()
	left := len(r.queue)
	r.lost += uint64(left)
	r.queue = nil
	r.mu.Unlock()
	if left > 0 {
		return fmt.Errorf("audit: %d events were not written: %w", left, err)
	}
	return nil
}

func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	pause := firstPause
	for {
		if len(r.head()) == 0 {
			select {
			case <-r.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if len(r.head()) < r.opt.Batch {
			r.gather(ctx)
		}
		err := r.write(ctx, r.head())
		if ctx.Err() != nil && err != nil {
			return
		}
		if err == nil {
			pause = firstPause
			continue
		}
		r.opt.Logger.Warn("audit events wait: the log is not reachable", "waiting", r.Stats().Queued, "error", err, "cause", errors.Unwrap(err))
		// Not cut short by Flush: a log that is down is not helped by haste.
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(pause*2, maxPause)
	}
}

// gather lets events come together, until someone flushes: for as long as the
// patience lasts, or the interval after one that is not ordinary.
func (r *Recorder) gather(ctx context.Context) {
	enough := time.NewTimer(r.opt.Patience)
	defer enough.Stop()
	press := r.press
	for {
		select {
		case <-enough.C:
			return
		case <-press:
			press = nil
			enough.Reset(r.opt.Interval)
		case <-r.flush:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *Recorder) head() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue[:min(len(r.queue), r.opt.Batch)]
}

// write appends the batch. A batch that the log rejects is tried event by
// event, so that one bad event does not take the others with it.
func (r *Recorder) write(ctx context.Context, batch []Event) error {
	err := r.append(ctx, batch)
	switch {
	case err == nil:
		r.advance(len(batch), 0, nil)
	case !errors.Is(err, ErrRejected):
		r.advance(0, 0, err)
		return err
	case len(batch) == 1:
		r.opt.Logger.Error("audit event rejected", "id", batch[0].ID, "action", batch[0].Action, "error", err)
		r.advance(0, 1, err)
	default:
		for i := range batch {
			if err := r.write(ctx, batch[i:i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Recorder) append(ctx context.Context, batch []Event) error {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Timeout)
	defer cancel()
	return r.log.Append(ctx, batch)
}

// advance takes n written and m rejected events off the queue.
func (r *Recorder) advance(written, rejected int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := written + rejected
	clear(r.queue[:n]) // lets go of details
	r.queue = r.queue[n:]
	if len(r.queue) == 0 {
		r.queue = nil // a spill's memory is given back
	}
	r.out += uint64(n)
	r.written += uint64(written)
	r.lost += uint64(rejected)
	r.last = err
	if n > 0 {
		close(r.moved)
		r.moved = make(chan struct{})
	}
}
