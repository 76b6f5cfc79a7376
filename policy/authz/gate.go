package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	deadline   = slack * 50 * time.Millisecond  // of one evaluation
	patience   = slack * 500 * time.Millisecond // for a free place
	perPolicy  = 2                              // evaluations of one project at a time
	tripsAfter = 5                              // time-outs in a row
	restsFor   = 5 * time.Second

	// An evaluation that goes on after its deadline is looked at so often, so far
	// apart, before it is given up: a process that stands still does not look.
	looks     = 10
	lookEvery = 100 * time.Millisecond
)

var (
	errTimeout = errors.New("policy evaluation timed out")
	errStuck   = fmt.Errorf("%w: an evaluation did not stop, so nothing is asked of this policy until its modules change", errTimeout)
)

// evaluating bounds evaluations in the process, so that policies leave a core
// to everything else. Waiters are served in the order in which they came.
var evaluating = make(chan struct{}, max(1, runtime.NumCPU()-1))

// gate bounds what the policy of one project may cost the others. After several
// time-outs in a row it denies at once for a while: a policy that always takes
// too long would otherwise hold its places all the time.
type gate struct {
	places chan struct{}

	mu       sync.Mutex
	timeouts int
	closed   time.Time
	// stuck is set for good when an evaluation does not stop.
	stuck bool
	owner owner
	told  func() // of a stuck evaluation; may be nil
}

// owner is a project and the hash of its modules.
type owner struct{ project, modules string }

// stuckOwners have had an evaluation that did not stop. Each of them has cost the
// process a core, so there are few.
var stuckOwners = struct {
	sync.Mutex
	all map[owner]bool
}{all: map[owner]bool{}}

func newGate() *gate { return &gate{places: make(chan struct{}, perPolicy)} }

// belongs makes the gate that of a project's modules: shut if these got stuck
// before, and with somebody to tell when they do.
func (g *gate) belongs(to owner, told func()) {
	stuckOwners.Lock()
	before := stuckOwners.all[to]
	stuckOwners.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owner, g.told = to, told
	g.stuck = g.stuck || before && to.project != ""
}

// shut closes the gate for good.
func (g *gate) shut() {
	g.mu.Lock()
	of, told, before := g.owner, g.told, g.stuck
	g.stuck = true
	g.mu.Unlock()
	if before {
		return
	}
	slog.Error("an evaluation of a policy did not stop; the policy denies until its modules change", "project", of.project, "modules", of.modules)
	if of.project != "" {
		stuckOwners.Lock()
		stuckOwners.all[of] = true
		stuckOwners.Unlock()
	}
	if told != nil {
		told()
	}
}

// eval runs a prepared query. The error is errTimeout (wrapped) when it took too
// long or no place came free.
func (g *gate) eval(ctx context.Context, q *rego.PreparedEvalQuery, in ast.Value) (rego.ResultSet, error) {
	return within(ctx, g, func(cancel topdown.Cancel) (rego.ResultSet, error) {
		return q.Eval(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(cancel))
	})
}

// within runs an evaluation with a place and a deadline. One that cannot be stopped
// is left behind: its place is others', and its policy is not asked again.
func within[T any](ctx context.Context, g *gate, evaluate func(topdown.Cancel) (T, error)) (result T, err error) {
	if err := g.resting(); err != nil {
		return result, err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return result, err
	}
	defer leave()
	cancel := topdown.NewCancel()
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	done := make(chan outcome[T], 1)
	run(func() { done <- guarded(cancel, evaluate) })
	for left := looks; ; left-- {
		select {
		case end := <-done:
			if topdown.IsCancel(end.err) && ctx.Err() == nil {
				g.note(true)
				return end.result, fmt.Errorf("%w after %s", errTimeout, deadline)
			}
			g.note(false)
			return end.result, end.err
		case <-timer.C:
			if left == 0 {
				g.shut()
				return result, errStuck
			}
			cancel.Cancel()
			timer.Reset(lookEvery)
		}
	}
}

// evaluators wait for the next evaluation: a stack that has grown is worth more than
// the evaluation itself.
var evaluators = make(chan func())

// evaluatorsWait is how long they do.
const evaluatorsWait = 10 * time.Second

func run(f func()) {
	select {
	case evaluators <- f:
	default:
		go evaluator(f)
	}
}

func evaluator(f func()) {
	timer := time.NewTimer(evaluatorsWait)
	defer timer.Stop()
	for {
		f()
		timer.Reset(evaluatorsWait)
		select {
		case f = <-evaluators:
		case <-timer.C:
			return
		}
	}
}

type outcome[T any] struct {
	result T
	err    error
}

func guarded[T any](cancel topdown.Cancel, evaluate func(topdown.Cancel) (T, error)) (end outcome[T]) {
	defer func() {
		if r := recover(); r != nil {
			end.err = fmt.Errorf("policy evaluation failed: %v", r)
		}
	}()
	end.result, end.err = evaluate(cancel)
	return end
}

func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, place := range []chan struct{}{g.places, evaluating} {
		select {
		case place <- struct{}{}:
			continue
		case <-timer.C:
			err = fmt.Errorf("%w: no place in %s", errTimeout, patience)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if place == evaluating {
			<-g.places
		}
		return nil, err
	}
	return func() { <-evaluating; <-g.places }, nil
}

// resting is why nothing is asked at present.
func (g *gate) resting() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stuck:
		return errStuck
	case time.Now().Before(g.closed):
		return fmt.Errorf("%w: too many time-outs in a row", errTimeout)
	}
	return nil
}

func (g *gate) note(timeout bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !timeout {
		g.timeouts = 0
		return
	}
	if g.timeouts++; g.timeouts >= tripsAfter {
		g.timeouts, g.closed = 0, time.Now().Add(restsFor)
	}
}
