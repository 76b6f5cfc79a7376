package authz_test

import (
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"tenantry/ops/timetest"
	"tenantry/policy/authz"
)

const (
	// callTime is what one call may take beyond the deadline of its evaluation, so that
	// both are within attackTime.
	callTime = 100 * time.Millisecond
	deadline = 50 * time.Millisecond
	// combinations are tried of each function, spread evenly over all that there are.
	combinations = 320
)

// callLimit is callTime for this build. With the race detector less is tried.
var (
	callLimit = timetest.Slowed(callTime, 20)
	slower    = int(timetest.Slowed(1, 16))
)

// A builtin call cannot be interrupted, so what each of them takes at most is bounded by
// its arguments. Every function that modules may call is called with the worst of each
// type, in combinations.
func TestNoBuiltinCallOutlastsItsEvaluation(t *testing.T) {
	runtime.LockOSThread() // the time of this thread alone is measured
	defer runtime.UnlockOSThread()
	worst := worstValues()
	called := 0
	for _, name := range authz.Allowed {
		f := topdown.GetBuiltin(name)
		if f == nil { // compiled away
			continue
		}
		called++
		args := ast.BuiltinMap[name].Decl.FuncArgs().Args
		choices, all := make([][]value, len(args)), 1
		for i, arg := range args {
			choices[i] = slices.DeleteFunc(slices.Clone(worst), func(v value) bool { return !fits(arg, v.term.Value) })
			all *= len(choices[i])
		}
		tries := min(all, combinations/slower)
		for try := range tries {
			operands, names := combination(choices, try*(all/tries)+try%max(1, all/tries))
			took := timetest.Least(callLimit, func(int) time.Duration { return callOf(f, operands) })
			if took > callLimit {
				t.Errorf("%s(%s) took %s of a processor, want at most %s", name, strings.Join(names, ", "), took, callLimit)
			}
		}
	}
	if called < 80 {
		t.Errorf("%d functions were called", called)
	}
}

// combination is the nth of all combinations of operands.
func combination(choices [][]value, n int) (operands []*ast.Term, names []string) {
	for _, choice := range choices {
		v := choice[n%len(choice)]
		n /= len(choice)
		operands, names = append(operands, v.term), append(names, v.name)
	}
	return operands, names
}

func callOf(f topdown.BuiltinFunc, operands []*ast.Term) time.Duration {
	cancel := topdown.NewCancel()
	defer time.AfterFunc(deadline, cancel.Cancel).Stop()
	started := threadTime()
	// What is refused is an error, or a panic that an evaluation catches.
	func() {
		defer func() { _ = recover() }()
		_ = f(topdown.BuiltinContext{Cancel: cancel}, operands, func(*ast.Term) error { return nil })
	}()
	return threadTime() - started
}

func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	if err := syscall.Getrusage(thread, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// fits reports whether a value is of the type of an argument.
func fits(arg types.Type, v ast.Value) bool {
	switch arg := arg.(type) {
	case *types.NamedType:
		return fits(arg.Type, v)
	case types.Any:
		return len(arg) == 0 || slices.ContainsFunc(arg, func(of types.Type) bool { return fits(of, v) })
	case *types.Array:
		_, ok := v.(*ast.Array)
		return ok
	case *types.Set:
		_, ok := v.(ast.Set)
		return ok
	case *types.Object:
		_, ok := v.(ast.Object)
		return ok
	case types.String:
		_, ok := v.(ast.String)
		return ok
	case types.Number:
		_, ok := v.(ast.Number)
		return ok
	case types.Boolean:
		_, ok := v.(ast.Boolean)
		return ok
	}
	return false
}
