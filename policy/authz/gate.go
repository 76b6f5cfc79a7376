package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	deadline   = 50 * time.Millisecond  // of one evaluation
	patience   = 500 * time.Millisecond // for a free place
	perPolicy  = 2                      // evaluations of one project at a time
	tripsAfter = 5                      // time-outs in a row
	restsFor   = 5 * time.Second
)

var errTimeout = errors.New("policy evaluation timed out")

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
}

func newGate() *gate { return &gate{places: make(chan struct{}, perPolicy)} }

// eval runs a prepared query. The error is errTimeout (wrapped) when it took too
// long or no place came free.
func (g *gate) eval(ctx context.Context, q *rego.PreparedEvalQuery, in ast.Value) (rego.ResultSet, error) {
	return within(ctx, g, func(cancel topdown.Cancel) (rego.ResultSet, error) {
		return q.Eval(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(cancel))
	})
}

// within runs an evaluation with a place and a deadline.
func within[T any](ctx context.Context, g *gate, evaluate func(topdown.Cancel) (T, error)) (result T, err error) {
	if g.resting() {
		return result, fmt.Errorf("%w: too many time-outs in a row", errTimeout)
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return result, err
	}
	defer leave()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("policy evaluation failed: %v", r)
		}
	}()
	cancel := topdown.NewCancel()
	timer := time.AfterFunc(deadline, cancel.Cancel)
	defer timer.Stop()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	result, err = evaluate(cancel)
	if topdown.IsCancel(err) && ctx.Err() == nil {
		g.note(true)
		return result, fmt.Errorf("%w after %s", errTimeout, deadline)
	}
	g.note(false)
	return result, err
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

func (g *gate) resting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.closed)
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
