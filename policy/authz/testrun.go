package authz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// maxTesting bounds all test_ rules of a project together.
const maxTesting = 5 * time.Second

// TestRun is what came of the test_ rules of modules.
type TestRun struct {
	Results []TestResult
	// Coverage is by module, sorted by name.
	Coverage []Coverage
}

// TestResult is what came of one test_ rule.
type TestResult struct {
	Name     string // such as authz.test_small_orders
	Module   string
	Row, Col int
	Passed   bool
	// Failure says why it did not pass, Unmet which conditions did not hold on the
	// way, as module:line: condition.
	Failure string
	Unmet   []string
	Took    time.Duration
}

// Coverage tells which lines of a module's rules the tests have looked at; the
// test_ rules themselves don't count. A line with a condition counts when the
// condition was evaluated, one with the head of a rule when the rule held.
type Coverage struct {
	Module string
	Lines  int
	Missed []int
}

// Passed reports whether all tests passed.
func (r TestRun) Passed() bool {
	return !slices.ContainsFunc(r.Results, func(t TestResult) bool { return !t.Passed })
}

// Test runs the test_ rules of modules, with the limits and the builtin functions
// of other evaluations. Modules that do not compile are a *CompileError; a test
// that fails is a result.
func Test(ctx context.Context, modules []Module, data []byte) (TestRun, error) {
	var run TestRun
	if len(modules) == 0 {
		return run, nil
	}
	e, found, err := build(ctx, modules, data)
	if err != nil {
		return run, err
	}
	w := &watcher{evaluated: map[line]bool{}}
	g := newGate()
	run.Results, err = found.run(ctx, g, e, w)
	if !errors.Is(g.resting(), errStuck) { // else somebody still writes
		run.Coverage = found.coverage(w.evaluated)
	}
	return run, err
}

// run runs the tests in the order of the modules. With a watcher it tells why a
// test fails. The error is the context's.
func (r *rules) run(ctx context.Context, g *gate, e *engine, w *watcher) ([]TestResult, error) {
	slices.SortFunc(r.tests, func(a, b test) int { return order(a.at, b.at) })
	end := time.Now().Add(maxTesting)
	results := make([]TestResult, 0, len(r.tests))
	for _, t := range r.tests {
		started := time.Now()
		result := TestResult{Name: strings.TrimPrefix(t.path, "data."), Module: t.at.File, Row: t.at.Row, Col: t.at.Col}
		if started.After(end) {
			result.Failure = fmt.Sprintf("the tests together took longer than %s, so this one was not run", maxTesting)
		} else if err := t.run(ctx, g, e, w, &result); err != nil {
			return nil, err
		}
		result.Took = time.Since(started)
		results = append(results, result)
	}
	return results, nil
}

func (t test) run(ctx context.Context, g *gate, e *engine, w *watcher, into *TestResult) error {
	var held rego.ResultSet
	q, err := e.query(ctx, t.path)
	switch {
	case err != nil:
	case w == nil:
		held, err = g.eval(ctx, q, ast.NewObject())
	case errors.Is(g.resting(), errStuck):
		err = errStuck
	default:
		w.unmet = nil
		held, err = g.watch(ctx, q, ast.NewObject(), w)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		into.Failure = "the test failed: " + err.Error()
	case !held.Allowed():
		into.Failure = "the test failed"
	}
	if into.Passed = into.Failure == ""; !into.Passed && w != nil && !errors.Is(err, errStuck) {
		into.Unmet = w.unmet
	}
	return nil
}

// coverage compares the lines of rules with those that were looked at.
func (r *rules) coverage(evaluated map[line]bool) []Coverage {
	var out []Coverage
	for _, name := range slices.Sorted(maps.Keys(r.modules)) {
		rows := map[int]bool{}
		for _, rule := range r.modules[name].Rules {
			if !isTest(rule) {
				rowsOf(rule, rows)
			}
		}
		if len(rows) == 0 {
			continue
		}
		one := Coverage{Module: name, Lines: len(rows), Missed: []int{}}
		for _, row := range slices.Sorted(maps.Keys(rows)) {
			if !evaluated[line{name, row}] {
				one.Missed = append(one.Missed, row)
			}
		}
		out = append(out, one)
	}
	return out
}

// rowsOf notes the lines of a rule's head and conditions.
func rowsOf(rule *ast.Rule, rows map[int]bool) {
	for ; rule != nil; rule = rule.Else {
		if rule.Location != nil && !rule.Default {
			rows[rule.Location.Row] = true
		}
		for _, e := range rule.Body {
			if e.Location != nil && !rule.Default {
				rows[e.Location.Row] = true
			}
		}
	}
}

// failed are the tests that failed, as mistakes of their modules.
func failed(results []TestResult) error {
	var problems []Problem
	for _, r := range results {
		if !r.Passed {
			problems = append(problems, Problem{Module: r.Module, Row: r.Row, Col: r.Col, Message: r.Failure})
		}
	}
	if problems == nil {
		return nil
	}
	return &CompileError{problems}
}
