package instance

import (
	"context"
	"fmt"

	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/planner"
)

// Refused says why nobody of a role can run an operation, whatever the session and the
// values are: it is not valid, it can't be planned, or the policy denies it. Empty when
// somebody may be able to. Nothing of it is kept.
func (i *Instance) Refused(ctx context.Context, role, text string) string {
	view, granted := i.schemaOf(role, true, false)
	op, err := operation.Prepare(view, text, "")
	if err != nil {
		return err.Error()
	}
	if role == session.Admin {
		return ""
	}
	transients := i.policy.Transients()
	planned, err := planner.Plan(op, view, i.narrowed(granted, string(op.Type)), planner.Samples(op, view))
	if i.policy.Transients() != transients { // the policy took too long; next time it may not
		return ""
	}
	if err != nil {
		return err.Error()
	}
	about := authz.Operation{Type: string(op.Type), Name: op.Name, Hash: op.Hash}
	for _, a := range questions(planned) {
		if !i.policy.Asks(a.point) {
			continue
		}
		r := authz.Request{Point: a.point, Project: i.Project.ID, Session: session.Session{Role: role}, Operation: about, Resource: a.resource}
		switch {
		case i.policy.Stand(ctx, r).Verdict != authz.Never:
		case a.resource.Field != "":
			return fmt.Sprintf("the policy denies the field '%s'", a.resource.Field)
		default:
			return "the policy denies the operation"
		}
	}
	return ""
}
