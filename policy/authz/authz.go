// Package authz asks Rego. A project's own modules (package authz) decide
// operations, root fields and actions of its GraphQL API; a module of ours
// decides who may call what of the control API. It is the only importer of OPA.
//
// Compile runs when a change is saved or a project is loaded; Decide runs in
// the path of a request, after authentication and limits, and only where the
// module has a rule to ask. Whatever goes wrong while deciding denies.
package authz

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"tenantry/api/errcode"
	"tenantry/api/session"
)

// Module is one Rego file of a project.
type Module struct{ Name, Text string }

// Point names what is being decided. A rule that the modules do not have is not
// asked, so a point without a rule costs nothing.
type Point string

// The points. Operation asks allow_operation, root fields and actions ask allow,
// columns allow_column and masks, rows ask filter.
const (
	PointOperation   Point = "operation"
	PointRootField   Point = "root_field"
	PointAction      Point = "action"
	PointColumn      Point = "column"
	PointRowFilter   Point = "row_filter"
	PointInsertCheck Point = "insert_check"
	PointUpdateCheck Point = "update_check"
)

// Operation is what a policy sees of the GraphQL operation.
type Operation struct {
	Type string // query, mutation, subscription
	Name string // may be empty
	Hash string // of the normalised text
}

// Resource is what a policy sees of the thing that a root field reaches.
type Resource struct {
	Kind    string // table, action, function, remote, rest
	Source  string
	Schema  string
	Name    string
	Field   string // the root field as the schema names it
	Columns []string
}

// Request is one question. Args are the field's coerced arguments, as JSON
// values. The request is only read.
type Request struct {
	Point     Point
	Project   string
	Session   session.Session
	Operation Operation
	Resource  Resource
	Args      map[string]any
	// Path is the place in the operation for errors; policies do not see it.
	Path string
}

// Decision is the answer to one question.
type Decision struct {
	Allowed bool
	// ID names the decision in logs, audit and the client's error. Empty when
	// nothing was asked.
	ID string
	// Reasons are the module's own words for a denial, sorted. For
	// administrators only.
	Reasons []string
	// Asked is false when no rule exists for the point, or the role is admin.
	Asked bool
	// Rule is the one that was asked, such as authz.allow, and Took what that took.
	Rule string
	Took time.Duration

	input ast.Value
}

// Denied is the error for the client; path is the place in the operation, and
// the whole operation when empty.
func (d Decision) Denied(path string) *errcode.Error {
	e := d.refusal(errcode.PermissionDenied, "not permitted", path)
	if len(d.Reasons) > 0 {
		e = e.WithInternal(map[string]any{"reasons": d.Reasons})
	}
	return e
}

func (d Decision) refusal(code errcode.Code, message, path string) *errcode.Error {
	if path == "" {
		path = "$"
	}
	return errcode.New(code, "%s", message).At(path).WithExtensions(
		map[string]any{"path": path, "code": string(code), "decision_id": d.ID})
}

// Policy is a project's modules. It is safe for concurrent use and never changes;
// a new revision of the modules is a new Policy.
type Policy struct {
	hash    string
	modules []Module
	data    []byte
	has     map[string]bool // rules of package authz
	gate    *gate
	late    *registry
	fault   Fault

	// counts and late are shared with the policies that differ in their data alone.
	*counts
	observer Observer
}

// counts are what policies count.
type counts struct{ evaluations, transients atomic.Int64 }

// WithData is the policy with other data. Filters and decisions that were planned
// with either can be used with both: data is unknown when an operation is planned,
// and only values that were evaluated for sessions depend on it. The error is a
// *CompileError about the data. Tests are not run.
func (p *Policy) WithData(ctx context.Context, data []byte) (*Policy, error) {
	other := &Policy{hash: hashOf(p.modules, data), modules: p.modules, data: data, has: p.has, gate: p.gate, fault: p.fault, counts: p.counts, late: p.late}
	if len(p.modules) == 0 {
		return other, nil
	}
	store, err := openData(data)
	if err != nil {
		return nil, err
	}
	own, err := p.engine(ctx)
	if err != nil {
		return nil, err
	}
	other.keep(&engine{compiler: own.compiler, store: store, queries: map[string]*rego.PreparedEvalQuery{}, partials: map[string]*rego.PreparedPartialQuery{}})
	return other, nil
}

// Observer hears of evaluations for requests; its functions may be nil.
type Observer struct {
	// Evaluated is called before each of them.
	Evaluated func()
	// Bound is called after values of a session were evaluated for filters and for
	// decisions that depend on the session alone. Those are kept for a minute, so
	// that most requests have none of it.
	Bound func(Bound)
	// Stuck is called when an evaluation could not be stopped. The policy then denies
	// until its modules change, also where Project has the same ones compiled again.
	Stuck   func()
	Project string
}

// Observe has an observer told. It is called before the policy is used.
func (p *Policy) Observe(o Observer) {
	p.observer = o
	p.gate.belongs(owner{o.Project, hashOf(p.modules, nil)}, o.Stuck)
}

func (p *Policy) count() {
	p.evaluations.Add(1)
	if p.observer.Evaluated != nil {
		p.observer.Evaluated()
	}
}

// Hash identifies modules and data; equal policies have equal hashes.
func (p *Policy) Hash() string { return p.hash }

// Asks reports whether the modules have a rule for a point.
func (p *Policy) Asks(point Point) bool { return p.has[ruleAt(point)] }

// Evaluations counts how often Rego ran for requests: for decisions and for values
// that depend on the session. It does not count what happens when an operation is
// planned.
func (p *Policy) Evaluations() int64 { return p.evaluations.Load() }

// Transients counts how often something took too long to be made of the policy;
// what was planned meanwhile should be planned again.
func (p *Policy) Transients() int64 { return p.transients.Load() }

// ruleAt is the rule that a point asks.
func ruleAt(point Point) string {
	switch point {
	case PointOperation:
		return "allow_operation"
	case PointColumn:
		return "allow_column"
	case PointRowFilter, PointInsertCheck, PointUpdateCheck:
		return "filter"
	}
	return "allow"
}

// Problem is one mistake in a module. Row and Col count from 1; 0 means the
// whole module.
type Problem struct {
	Module   string
	Row, Col int
	Message  string
}

// CompileError lists the mistakes that kept modules from compiling.
type CompileError struct{ Errors []Problem }

// Error prints one mistake a line, as file:row:column: message.
func (e *CompileError) Error() string {
	lines := make([]string, len(e.Errors))
	for i, p := range e.Errors {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", p.Module, p.Row, p.Col, p.Message)
	}
	return strings.Join(lines, "\n")
}

func hashOf(modules []Module, data []byte) string {
	h := sha256.New()
	for _, m := range modules {
		_, _ = fmt.Fprintf(h, "%d:%s%d:", len(m.Name), m.Name, len(m.Text))
		_, _ = io.WriteString(h, m.Text)
	}
	_, _ = fmt.Fprintf(h, "data%d:", len(data))
	_, _ = h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
