package plan

import "tenantry/tenants/metadata"

// Validation is a webhook that must accept a mutation's input first.
type Validation struct {
	Definition *metadata.InputValidationHook
	// Argument of the root field that is the input, a list or a single value; all
	// arguments together when empty.
	Argument string
	// Relationships lead from the objects of the argument to nested ones.
	Relationships []string
	// Key, when set, is the member under which the arguments stand in the input.
	Key string
}
