package instance

import (
	"context"
	"fmt"
	"maps"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/planner"
	"tenantry/services/engine/schema"
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
	planned, err := planner.Plan(op, view, i.narrowed(granted, string(op.Type)), samples(op, view))
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

// samples are values for the variables that an operation requires. Plans read what
// structure values have, and no scalars but Booleans.
func samples(op *operation.Operation, view *schema.Schema) map[string]any {
	out := map[string]any{}
	for _, v := range op.Def.VariableDefinitions {
		if v.Type.NonNull && v.DefaultValue == nil {
			out[v.Variable] = sample(v.Type, view, map[string]bool{})
		}
	}
	return out
}

// sample is a value of a type; within are the input objects around it.
func sample(t *ast.Type, view *schema.Schema, within map[string]bool) any {
	if t.Elem != nil {
		return []any{}
	}
	d := view.Definition(t.NamedType)
	switch {
	case t.NamedType == "Boolean":
		return true
	case d == nil || within[d.Name]:
		return "1"
	case d.Kind == ast.Enum && len(d.EnumValues) > 0:
		return d.EnumValues[0].Name
	case d.Kind != ast.InputObject:
		return "1"
	}
	inner := maps.Clone(within)
	inner[d.Name] = true
	object := map[string]any{}
	for _, f := range d.Fields {
		if f.Type.NonNull && f.DefaultValue == nil {
			object[f.Name] = sample(f.Type, view, inner)
		}
	}
	return object
}
