package executor

import (
	"context"
	"time"

	"tenantry/api/errcode"
	"tenantry/services/engine/action"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// example writes part i as if the handler had answered what stands for its answer.
// For the query of an asynchronous action, that is the output of the run.
func (r *run) example(ctx context.Context, i int, a *plan.Action, call action.Call) error {
	body, ok := r.request.Examples[call.Action.Name]
	if !ok || call.Action.Async && r.program.Plan.Mutation {
		return errcode.New(errcode.NotSupported, "no answer stands for that of the action %q", call.Action.Name).At("$")
	}
	output, err := r.Caller.Example(ctx, call, body)
	if err != nil {
		return at(err, "$")
	}
	if call.Action.Async {
		output = map[string]any{
			model.RunID: call.Input[model.RunID], model.RunCreatedAt: time.Now().Format(time.RFC3339Nano), model.RunErrors: nil, model.RunOutput: output,
		}
	}
	return r.answer(ctx, i, a, output)
}
