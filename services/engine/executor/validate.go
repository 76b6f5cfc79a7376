package executor

import (
	"context"

	"tenantry/services/engine/action"
	"tenantry/services/engine/plan"
)

// validate asks the webhooks that must accept the input of a mutation, before
// anything of it happens.
func (r *run) validate(ctx context.Context) error {
	for _, f := range r.program.Plan.Fields {
		for _, v := range f.Validations {
			input := validationInput(v, Arguments(f.Arguments, r.request.Variables))
			if len(input) == 0 {
				continue
			}
			err := r.Caller.Validate(ctx, action.Validation{
				Hook: v.Definition, Input: input, Session: r.request.Session,
				RequestID: r.request.RequestID, TraceParent: r.request.TraceParent, ClientHeaders: r.request.ClientHeaders,
			})
			if err != nil {
				return at(err, "$")
			}
		}
	}
	return nil
}

// validationInput is the part of a field's arguments that a webhook judges.
func validationInput(v plan.Validation, arguments map[string]any) []any {
	var given any = arguments
	switch {
	case v.Key != "":
		given = map[string]any{v.Key: arguments}
	case v.Argument != "":
		given = arguments[v.Argument]
	}
	objects := list(given)
	for _, name := range v.Relationships {
		var next []any
		for _, o := range objects {
			object, _ := o.(map[string]any)
			nested, _ := object[name].(map[string]any)
			next = append(next, list(nested["data"])...)
		}
		objects = next
	}
	return objects
}

// list is a value as a list; null is none.
func list(value any) []any {
	if value == nil {
		return nil
	}
	if l, ok := value.([]any); ok {
		return l
	}
	return []any{value}
}
