package action

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// DefaultValidationTimeout holds where a permission's input validation has no
// timeout of its own.
const DefaultValidationTimeout = 10 * time.Second

// Validation asks a permission's webhook whether a mutation's input is
// acceptable. The Caller reads it and keeps nothing of it.
type Validation struct {
	Hook *metadata.InputValidationHook
	// Input is what the client gave: objects, or the arguments.
	Input   []any
	Session session.Session
	// RequestID, TraceParent and ClientHeaders are as in Call.
	RequestID     string
	TraceParent   string
	ClientHeaders []graphqlhttp.Header
}

// Validate calls the webhook once, signed and guarded as an action's handler. It
// returns nil when the input is accepted, the webhook's own message as
// validation-failed when it is refused, and an internal error for everything
// else: without an answer nothing may be written.
func (c *Caller) Validate(ctx context.Context, v Validation) error {
	definition := metadata.ActionDefinition{
		Handler: v.Hook.URL, Headers: v.Hook.Headers, ForwardClientHeaders: v.Hook.ForwardClientHeaders,
	}
	x := &exchange{caller: c, timeout: DefaultValidationTimeout, call: &Call{
		Action:    &model.Action{Metadata: &metadata.Action{Definition: definition}},
		Session:   v.Session,
		RequestID: v.RequestID, TraceParent: v.TraceParent, ClientHeaders: v.ClientHeaders,
	}}
	if own := v.Hook.Timeout; own > 0 {
		x.timeout = time.Duration(min(int64(own), int64(c.MaxTimeout/time.Second))) * time.Second
	}
	var err *errcode.Error
	x.body, err = encode(webhook.ValidationPayload{
		Version: 1, Role: v.Session.Role, SessionVariables: variables(v.Session), Data: webhook.ValidationData{Input: v.Input},
	})
	if err == nil {
		err = x.send(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return err.At("$")
		}
		return internal(err).WithInternal(err.Internal).At("$")
	}
	if err := x.verdict(); err != nil {
		return err.At("$")
	}
	return nil
}

// verdict reads the webhook's answer; nil accepts the input.
func (x *exchange) verdict() *errcode.Error {
	switch x.status {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest:
		if value, err := decode(x.answer); err == nil && x.complete {
			answer, _ := value.(map[string]any)
			if message, ok := answer["message"].(string); ok {
				return plain(errcode.ValidationFailed, message)
			}
		}
		return errcode.New(errcode.ValidationFailed, "input validation failed")
	}
	reason := fmt.Sprintf("expecting 200 or 400 status code, but found %d", x.status)
	return internal(errors.New(reason)).WithInternal(x.detail(reason))
}
