package instance

import (
	"context"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/plan"
)

// ask is a question to the project's policy about an operation or one of its root
// fields, and what is known of the answer before a request comes.
type ask struct {
	point    authz.Point
	field    *plan.Field // nil for the operation
	resource authz.Resource
	standing authz.Standing
	// shadow is the standing under the policy on trial.
	shadow authz.Standing
}

// asks are the questions about a plan. What the policy always allows is none.
func (i *Instance) asks(role string, about authz.Operation, planned *plan.Plan) []ask {
	if role == session.Admin {
		return nil
	}
	var out []ask
	for _, a := range questions(planned) {
		if !i.policy.Asks(a.point) && (i.shadow == nil || !i.shadow.Asks(a.point)) {
			continue
		}
		r := authz.Request{Point: a.point, Project: i.Project.ID, Session: session.Session{Role: role}, Operation: about, Resource: a.resource}
		a.standing = i.policy.Stand(context.Background(), r)
		if i.shadow != nil {
			a.shadow = i.shadow.Stand(context.Background(), r)
		}
		if a.standing.Verdict != authz.Always || i.shadow != nil && a.shadow.Verdict != authz.Always {
			out = append(out, a)
		}
	}
	return out
}

// questions are all that a plan can be asked about, the operation first.
func questions(planned *plan.Plan) []ask {
	out := []ask{{point: authz.PointOperation}}
	for n := range planned.Fields {
		f := &planned.Fields[n]
		if f.Constant != nil {
			continue
		}
		point := authz.PointRootField
		if f.Action != nil && !(f.Action.Action.Async && !planned.Mutation) { // the result of a run is read, nothing is done
			point = authz.PointAction
		}
		// A nested insert writes other tables too, and entities are of several: each of
		// them must be allowed.
		for _, r := range append([]plan.Resource{f.Resource}, f.Nested...) {
			if r.Kind == "" {
				continue // entities of no type
			}
			out = append(out, ask{point: point, field: f, resource: authz.Resource{
				Kind: r.Kind, Source: r.Source, Schema: r.Schema, Name: r.Name, Field: f.Name, Columns: r.Columns,
			}})
		}
	}
	return out
}

// request is a question as the policy is asked it, with the arguments.
func (i *Instance) request(a ask, s session.Session, about authz.Operation, vars map[string]any) authz.Request {
	r := authz.Request{Point: a.point, Project: i.Project.ID, Session: s, Operation: about, Resource: a.resource, Path: "$"}
	if a.field != nil {
		r.Args = executor.Arguments(a.field.Arguments, vars)
		r.Path = "$.selectionSet." + a.field.Name
	}
	return r
}

// decide asks the project's policy what its standing leaves open, before anything
// runs. An error while deciding is a denial.
func (i *Instance) decide(ctx context.Context, s session.Session, about authz.Operation, asks []ask, vars map[string]any, trail *Trail) error {
	for _, a := range asks {
		r, path := authz.Request{Point: a.point, Project: i.Project.ID, Session: s, Operation: about, Resource: a.resource}, "$"
		if a.field != nil {
			path = "$.selectionSet." + a.field.Name
		}
		stands := i.policy.Stands(ctx, a.standing, s)
		if a.field != nil && (!stands || i.shadow != nil) {
			r.Args = executor.Arguments(a.field.Arguments, vars)
		}
		var err error
		if stands {
			i.outside.Metrics.RecordPolicyDecision(string(a.point), true)
		} else {
			err = i.ask(ctx, r, path, trail)
		}
		if i.shadow != nil {
			i.compare(ctx, a, r, err == nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare counts where the policy on trial would decide otherwise. It has no part
// in the answer.
func (i *Instance) compare(ctx context.Context, a ask, r authz.Request, allowed bool) {
	other := i.shadow.Stands(ctx, a.shadow, r.Session)
	if !other {
		d, err := i.shadow.Decide(ctx, r)
		other = err == nil && d.Allowed
	}
	if other == allowed {
		return
	}
	found := disagreement{r.Session.Role, string(a.point), resourceName(r.Resource), trialDenies}
	if other {
		found.trial = trialAllows
	}
	if a.point == authz.PointOperation {
		found.resource = r.Operation.Name
	}
	i.disagrees(found)
}

func (i *Instance) ask(ctx context.Context, r authz.Request, path string, trail *Trail) error {
	r.Path = path
	d, err := i.policy.Decide(ctx, r)
	i.logDecision(r, d, err, trail.requestID)
	trail.Decisions = append(trail.Decisions, Decision{Point: string(r.Point), Resource: r.Resource.Name, ID: d.ID, Allowed: err == nil && d.Allowed, Reasons: d.Reasons})
	i.outside.Metrics.RecordPolicyDecision(string(r.Point), err == nil && d.Allowed)
	if err != nil {
		e := errcode.From(err)
		if e.Path == "" {
			e = e.At(path)
		}
		return e
	}
	if !d.Allowed {
		return d.Denied(path)
	}
	return nil
}

type narrowKey struct{ role, operation string }

// narrowed is a role as the project's policy leaves it for a type of operations.
func (i *Instance) narrowed(r *access.Role, operation string) *access.Role {
	if r.Admin {
		return r
	}
	return i.narrowedBy(i.policy, i.roles, r, operation)
}

// narrowedBy is a role as a policy leaves it, which is kept with those of the same
// policy.
func (i *Instance) narrowedBy(p *authz.Policy, kept map[narrowKey]*access.Role, r *access.Role, operation string) *access.Role {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := narrowKey{r.Name, operation}
	if found, ok := kept[key]; ok {
		return found
	}
	narrowed := p.Narrow(r, i.rows(operation))
	// What permissions name is kept in any case: its filters are, too.
	if _, known := i.Access.Role(r.Name); known || len(kept) < maxSchemas {
		kept[key] = narrowed
	}
	return narrowed
}

func (i *Instance) rows(operation string) authz.Rows {
	return authz.Rows{Project: i.Project.ID, Model: i.Model, Operation: operation}
}

// Work counts what a warm request does without.
type Work struct {
	// Validations of operations, Plans made and written as SQL, Evaluations of Rego
	// for requests, and Preparations of statements by Postgres.
	Validations, Plans, Evaluations, Preparations int64
	// Transients are what took too long to be made of the policy, and is made again.
	Transients int64
}

// Work is what was done since the instance was built; Preparations since its
// pools were opened.
func (i *Instance) Work() Work {
	w := Work{Validations: i.validations.Load(), Plans: i.plans.Load(), Evaluations: i.policy.Evaluations(), Transients: i.policy.Transients()}
	for _, s := range i.outside.Sources {
		w.Preparations += s.Stat().Prepared
	}
	return w
}
