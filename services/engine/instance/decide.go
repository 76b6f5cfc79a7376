package instance

import (
	"context"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/plan"
)

// decide asks the project's policy about the operation and each root field,
// before anything runs. An error while deciding is a denial.
func (i *Instance) decide(ctx context.Context, s session.Session, about authz.Operation, planned *plan.Plan, vars map[string]any, trail *Trail) error {
	if s.IsAdmin() {
		return nil
	}
	request := authz.Request{Point: authz.PointOperation, Project: i.Project.ID, Session: s, Operation: about}
	if err := i.ask(ctx, request, "$", trail); err != nil {
		return err
	}
	for _, f := range planned.Fields {
		if f.Constant != nil {
			continue
		}
		request.Point = authz.PointRootField
		if f.Action != nil {
			request.Point = authz.PointAction
		}
		if !i.policy.Asks(request.Point) {
			continue
		}
		request.Args = executor.Arguments(f.Arguments, vars)
		// A nested insert writes other tables too: each of them must be allowed.
		for _, r := range append([]plan.Resource{f.Resource}, f.Nested...) {
			request.Resource = authz.Resource{Kind: r.Kind, Source: r.Source, Schema: r.Schema, Name: r.Name, Field: f.Name, Columns: r.Columns}
			if err := i.ask(ctx, request, "$.selectionSet."+f.Name, trail); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *Instance) ask(ctx context.Context, r authz.Request, path string, trail *Trail) error {
	if !i.policy.Asks(r.Point) {
		return nil
	}
	r.Path = path
	d, err := i.policy.Decide(ctx, r)
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
