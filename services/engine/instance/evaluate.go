package instance

import (
	"context"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/policy/filter"
	"tenantry/services/engine/executor"
	"tenantry/tenants/model"
)

// PointDecision is what the policy says at a point of an operation.
type PointDecision struct {
	Point    string `json:"point" enum:"operation,root_field,action"`
	Path     string `json:"path" doc:"The place in the operation."`
	Resource string `json:"resource,omitempty" doc:"The table, action or function."`
	Allowed  bool   `json:"allowed"`
	// Known tells when the decision is made.
	Known string `json:"known" enum:"planned,asked" doc:"planned: for the role alone, when the operation is planned; asked: for each session or request."`
	Code  string `json:"code,omitempty" doc:"The code of the refusal, when the policy could not decide."`
	// Reasons are the policy's own words, Unmet the conditions that did not hold.
	Reasons []string `json:"reasons,omitempty" doc:"The policy's own words."`
	Unmet   []string `json:"unmet,omitempty" doc:"Conditions that did not hold, as module:line: condition."`
}

// Shown is SQL text with the values that its parameters have.
type Shown = executor.Shown

// Decide asks the policy at every point of an operation that Judge could plan,
// also where its answer is known beforehand or one before it is a denial.
func (i *Instance) Decide(ctx context.Context, s session.Session, j Judgement) []PointDecision {
	out := []PointDecision{}
	if j.program == nil || s.IsAdmin() {
		return out
	}
	for _, a := range questions(j.program.Plan) {
		if !i.policy.Asks(a.point) {
			continue
		}
		r := i.request(a, s, j.about, j.vars)
		one := PointDecision{Point: string(a.point), Path: r.Path, Resource: r.Resource.Name, Known: "asked"}
		known := r
		known.Session, known.Args = session.Session{Role: s.Role}, nil
		if i.policy.Stand(ctx, known).Verdict != authz.Maybe {
			one.Known = "planned"
		}
		d, err := i.policy.Decide(ctx, r)
		one.Allowed, one.Reasons = err == nil && d.Allowed, d.Reasons
		if err != nil {
			one.Code = string(errcode.From(err).Code)
		}
		if !one.Allowed {
			// A denial stands whether or not it can be told why.
			one.Unmet, _ = i.policy.Unmet(ctx, r)
		}
		out = append(out, one)
	}
	return out
}

// PolicyRows is what the project's policy says of a table's rows at a point, for
// operations of a type; true where it has no such rule.
func (i *Instance) PolicyRows(ctx context.Context, role, operation string, point authz.Point, t *model.Table) (filter.Expr, error) {
	key := policyRows{role, operation, point, t}
	i.mu.Lock()
	found, ok := i.told[key]
	i.mu.Unlock()
	if ok {
		return found, nil
	}
	e, err := i.policy.RowsAt(ctx, role, point, i.rows(operation), t)
	if err != nil {
		return e, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, known := i.Access.Role(role); known || len(i.told) < maxSchemas {
		i.told[key] = e
	}
	return e, nil
}

// policyRows finds what the policy alone says of rows: kept because its late-bound
// values are.
type policyRows struct {
	role, operation string
	point           authz.Point
	table           *model.Table
}

// rowTime bounds looking at one row.
const rowTime = 5 * time.Second

// Truths tells which conditions are true of the row of a table that key finds; false
// when it finds none.
func (i *Instance) Truths(ctx context.Context, s session.Session, t *model.Table, key filter.Expr, of []filter.Expr) ([]bool, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, rowTime)
	defer cancel()
	return i.executor.Truths(ctx, t.Source, t.Name, key, of, s)
}

// Condition is an expression about rows as SQL, with the values of a session.
func (i *Instance) Condition(ctx context.Context, s session.Session, e filter.Expr) (Shown, error) {
	return i.executor.Condition(ctx, s, e)
}

// Shown are the statements of a judged operation with the values that the session
// and the variables have. The error is that of a value that can't be bound.
func (i *Instance) Shown(ctx context.Context, s session.Session, j Judgement) ([]Shown, error) {
	if j.program == nil {
		return nil, nil
	}
	return i.executor.Shown(ctx, j.program.Program, executor.Request{Session: s, Variables: j.vars})
}

// CheckPolicy makes every filter, check and mask that roles can come to need, as
// when a policy is saved; the error is an *authz.CompileError.
func (i *Instance) CheckPolicy(ctx context.Context) ([]authz.Problem, error) {
	return i.policy.Check(ctx, i.Model, i.Access, i.Project.ID)
}
