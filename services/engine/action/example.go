package action

import (
	"context"
	"net/http"

	"tenantry/policy/delegation"
)

// Example is what a call comes to when the handler answers 200 with a body: the
// request is made, with its transform, and not sent; the body goes through the
// transform of answers and is checked against the contract. The error is an
// *errcode.Error with the path "$".
func (c *Caller) Example(ctx context.Context, call Call, body []byte) (any, error) {
	if err := delegation.CheckCall(call.Session); err != nil {
		return nil, err.At("$")
	}
	x := &exchange{caller: c, call: &call, timeout: c.timeout(call.Action)}
	if _, err := x.request(ctx); err != nil {
		return nil, err.At("$")
	}
	x.status, x.answer, x.complete = http.StatusOK, body, true
	output, err := x.result()
	if err != nil {
		return nil, err.At("$")
	}
	return output, nil
}
