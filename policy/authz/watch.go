package authz

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	maxLines = 50  // of what was not satisfied
	maxShown = 200 // bytes of one of them
)

// watcher sees an evaluation: what was looked at, and what did not hold. It makes
// an evaluation about twice as dear, so requests are never watched.
type watcher struct {
	evaluated map[line]bool
	unmet     []string
}

// line is one of a module.
type line struct {
	module string
	row    int
}

func lineOf(at *ast.Location) line { return line{at.File, at.Row} }

// Enabled makes watcher a topdown.QueryTracer.
func (w *watcher) Enabled() bool { return true }

// Config asks for no values: they may be the session's.
func (w *watcher) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent takes note.
func (w *watcher) TraceEvent(e topdown.Event) {
	switch node := e.Node.(type) {
	case *ast.Rule:
		if e.Op == topdown.ExitOp && node.Location != nil {
			w.evaluated[lineOf(node.Location)] = true
		}
	case *ast.Expr:
		if node.Location == nil || node.Location.File == "" {
			return // the query, which is ours
		}
		switch e.Op {
		case topdown.EvalOp:
			w.evaluated[lineOf(node.Location)] = true
		case topdown.FailOp:
			w.fail(node)
		}
	}
}

func (w *watcher) fail(e *ast.Expr) {
	text, _, more := strings.Cut(strings.TrimSpace(string(e.Location.Text)), "\n")
	if len(text) > maxShown {
		text, more = strings.ToValidUTF8(text[:maxShown], ""), true
	}
	if more {
		text += " …"
	}
	said := fmt.Sprintf("%s:%d: %s is not satisfied", e.Location.File, e.Location.Row, text)
	if len(w.unmet) < maxLines && !slices.Contains(w.unmet, said) {
		w.unmet = append(w.unmet, said)
	}
}

// watch runs a query and sees how. All rules are looked at, also those that an
// index would leave out.
func (g *gate) watch(ctx context.Context, q *rego.PreparedEvalQuery, in ast.Value, w *watcher) (rego.ResultSet, error) {
	if w.evaluated == nil {
		w.evaluated = map[line]bool{}
	}
	return within(ctx, g, func(cancel topdown.Cancel) (rego.ResultSet, error) {
		return q.Eval(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(cancel), rego.EvalQueryTracer(w), rego.EvalRuleIndexing(false))
	})
}

// Unmet are the conditions that kept the rule of a point from holding, as
// "module:line: condition is not satisfied"; none when it holds or is not asked. It
// is a second, dearer evaluation for administrators.
func (p *Policy) Unmet(ctx context.Context, r Request) ([]string, error) {
	if !p.Asks(r.Point) || r.Session.IsAdmin() {
		return nil, nil
	}
	in, err := input(r)
	if err != nil {
		return nil, err
	}
	e, err := p.engine(ctx)
	if err != nil {
		return nil, err
	}
	q, err := e.query(ctx, root+"."+ruleAt(r.Point))
	if err != nil {
		return nil, err
	}
	w := &watcher{}
	results, err := p.gate.watch(ctx, q, in, w)
	if err != nil || results.Allowed() {
		return nil, err
	}
	return w.unmet, nil
}
