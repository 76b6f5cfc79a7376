package instance

import (
	"context"
	"slices"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/allowlist"
	"tenantry/policy/authz"
	"tenantry/policy/limits"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// Stage is a step on the way of a request that can refuse it.
type Stage string

// The stages, in their order.
const (
	StageAllowlist Stage = "allowlist"
	StageOperation Stage = "operation"
	StageLimits    Stage = "limits"
	StageVariables Stage = "variables"
	StagePlan      Stage = "plan"
	StagePolicy    Stage = "policy"
	StageSession   Stage = "session"
)

// Judgement is what becomes of an operation up to the point where it would run.
type Judgement struct {
	// Stage refused the operation with Err; empty when none did.
	Stage Stage
	Err   *errcode.Error
	// Type is query, mutation or subscription; empty when the text is not valid for the role.
	Type      string
	Decisions []Decision
	// Tables are those that the operation touches, each once.
	Tables []Touched
	// Statements are what the sources would be sent.
	Statements []string
	// Harmless says that running the operation changes nothing anywhere: no
	// mutation, action or function that may have effects.
	Harmless bool

	program *program
	about   authz.Operation
	vars    map[string]any
}

// Judge takes an operation the way that Execute takes it and stops before it
// would run. It counts against no rate limit and is in no metric. All questions to
// the policy are asked, also after one that it denies.
func (i *Instance) Judge(ctx context.Context, s session.Session, r Request) Judgement {
	if err := i.listed(s, r); err != nil {
		return Judgement{Stage: StageAllowlist, Err: errcode.From(err)}
	}
	return i.judge(ctx, s, r)
}

// judge is Judge after the allow-list.
func (i *Instance) judge(ctx context.Context, s session.Session, r Request) Judgement {
	var j Judgement
	refused := func(stage Stage, err error) Judgement {
		j.Stage, j.Err = stage, errcode.From(err)
		return j
	}
	p, err := i.prepare(s, r, allowlist.NotChecked)
	if err != nil {
		return refused(StageOperation, err)
	}
	j.Type, j.about = string(p.operation.Type), p.about()
	onTrial := limits.OnTrial(i.Document.APILimits)
	if err := limits.Check(i.Document.APILimits, s, i.measure(p)); err != nil && !onTrial {
		return refused(StageLimits, err)
	}
	if j.vars, err = p.operation.Coerce(r.Variables); err != nil {
		return refused(StageVariables, err)
	}
	if j.program, err = i.program(p, j.vars); err != nil {
		return refused(StagePlan, err)
	}
	if limit, ok := limits.Cost(i.Document.APILimits, s); ok && !onTrial {
		if err := limits.CheckCost(limit, j.program.Plan.Cost(j.vars)); err != nil {
			return refused(StageLimits, err)
		}
	}
	j.Tables, j.Statements = i.tablesIn(j.program.Plan), j.program.Statements()
	j.Harmless = j.Type == "query" && !j.program.Actions && !i.callsVolatile(j.program.Plan)
	if err := i.judgePolicy(ctx, s, p, &j); err != nil {
		return refused(StagePolicy, err)
	}
	if err := i.executor.Bindable(ctx, j.program.Program, executor.Request{Session: s, Variables: j.vars}); err != nil {
		return refused(StageSession, err)
	}
	return j
}

// listed is checkAllowlist without its traces.
func (i *Instance) listed(s session.Session, r Request) error {
	if !i.allowlist.Active(s.Role) {
		return nil
	}
	shape, err := operation.ShapeOf(r.Query, r.OperationName, allowlist.Match(i.Settings.AllowlistMatch))
	if err != nil {
		return err
	}
	_, err = i.allowlist.Check(s.Role, shape)
	return err
}

// judgePolicy asks what the plan leaves open; the first denial counts.
func (i *Instance) judgePolicy(ctx context.Context, s session.Session, p *prepared, j *Judgement) (refusal error) {
	for _, a := range j.program.asks {
		r := i.request(a, s, p.about(), j.vars)
		d, err := i.policy.Decide(ctx, r)
		j.Decisions = append(j.Decisions, Decision{
			Point: string(r.Point), Resource: r.Resource.Name, ID: d.ID, Allowed: err == nil && d.Allowed, Reasons: d.Reasons,
		})
		if err == nil && !d.Allowed {
			err = d.Denied(r.Path)
		}
		if refusal == nil {
			refusal = err
		}
	}
	return refusal
}

// Touched is a table that an operation reads rows of or writes.
type Touched struct {
	Table *model.Table
	// Writes are insert, update and delete, as far as the operation does it.
	Writes []string
}

// tablesIn are the tables that a plan touches.
func (i *Instance) tablesIn(p *plan.Plan) []Touched {
	var out []Touched
	add := func(source string, name catalog.Name, writes ...string) {
		t, ok := i.Model.Table(source, name)
		if !ok {
			return
		}
		at := slices.IndexFunc(out, func(known Touched) bool { return known.Table == t })
		if at < 0 {
			at = len(out)
			out = append(out, Touched{Table: t})
		}
		for _, kind := range writes {
			if !slices.Contains(out[at].Writes, kind) {
				out[at].Writes = append(out[at].Writes, kind)
			}
		}
	}
	for _, f := range p.Fields {
		for _, r := range append([]plan.Resource{f.Resource}, f.Nested...) {
			if r.Kind == "table" {
				add(r.Source, catalog.Name{Schema: r.Schema, Name: r.Name}, writesOf(f)...)
			}
		}
		for _, selected := range []*plan.Select{f.Select, f.Call} {
			if selected != nil {
				for _, read := range tablesOf(selected) {
					add(read.source, read.name)
				}
			}
		}
	}
	return out
}

// writesOf is how a root field writes its table.
func writesOf(f plan.Field) []string {
	switch {
	case f.Insert != nil && f.Insert.Conflict != nil:
		return []string{"insert", "update"}
	case f.Insert != nil:
		return []string{"insert"}
	case f.Update != nil, f.Updates != nil:
		return []string{"update"}
	case f.Delete != nil:
		return []string{"delete"}
	}
	return nil
}

// callsVolatile reports whether a root field is a function that may have effects.
func (i *Instance) callsVolatile(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Fields, func(f plan.Field) bool {
		r := f.Resource
		return r.Kind == "function" && slices.ContainsFunc(i.Model.Functions, func(fn *model.Function) bool {
			return fn.Source == r.Source && fn.Name.Schema == r.Schema && fn.Name.Name == r.Name && !fn.Infer
		})
	})
}

// Narrowed is a role as the project's policy leaves it for operations of a type.
func (i *Instance) Narrowed(role, operation string) *access.Role {
	r, _ := i.Access.Role(role)
	return i.narrowed(r, operation)
}

// Points are those that the project's policy has a rule for.
func (i *Instance) Points() []authz.Point {
	all := []authz.Point{authz.PointOperation, authz.PointRootField, authz.PointAction, authz.PointColumn,
		authz.PointRowFilter, authz.PointInsertCheck, authz.PointUpdateCheck}
	return slices.DeleteFunc(all, func(p authz.Point) bool { return !i.policy.Asks(p) })
}

// Late is a value that the policy yields for a session, by its name in a filter;
// nil when it is undefined. An error is a denial.
func (i *Instance) Late(ctx context.Context, s session.Session, name string) (*string, error) {
	return i.policy.Late(ctx, s, name)
}
