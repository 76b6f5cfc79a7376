package instance

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/services/engine/action"
	"tenantry/tenants/model"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// RunStore keeps the runs of asynchronous actions; *store.Store is one.
type RunStore interface {
	AddRun(ctx context.Context, r store.NewRun) error
	Run(ctx context.Context, projectID, id string) (store.Run, error)
	CompleteRun(ctx context.Context, projectID, id string, result store.RunResult) (bool, error)
}

// runs are those of one project, as the executor asks for them.
type runs struct {
	store   RunStore
	project string
	// identity are the session variables that tell, beside the role, whose run it is.
	identity []string
}

// identityOf is what of a session says who it is, in variables of those names.
func identityOf(s session.Session, names []string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if value, ok := s.Lookup(name); ok {
			out[name] = value
		}
	}
	return out
}

// sentRun is the sealed part of a run that lasts as long as the run is kept.
type sentRun struct {
	Input       map[string]any  `json:"input"`
	Session     session.Session `json:"session"`
	Query       string          `json:"query"`
	RequestID   string          `json:"request_id"`
	TraceParent string          `json:"trace_parent"`
	// IdempotencyKey is the client's; empty for none.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	// Token is the same for all deliveries: a handler that knows the run from an
	// earlier one may report with what it was told then.
	Token string `json:"token"`
}

// Queue keeps a call. Headers are kept only if the handler is to have them.
func (r runs) Queue(ctx context.Context, call action.Call) (string, error) {
	// Random, not ordered by time: for sessions without an identity the id is all
	// that keeps others from the result.
	id := call.ID
	if id == "" { // else it follows from one that is random
		id = uuid.NewString()
	}
	token, _ := vault.Token("ct_")
	if call.Session.IssuedAt.IsZero() {
		// What is revoked later counts for the run, also where nothing but the request
		// tells when the caller was let in.
		call.Session.IssuedAt = time.Now()
	}
	request, err := json.Marshal(sentRun{call.Input, call.Session, call.Query, call.RequestID, call.TraceParent, call.IdempotencyKey, token.Reveal()})
	if err != nil {
		return "", err
	}
	var forwarded []graphqlhttp.Header
	if call.Action.Metadata.Definition.ForwardClientHeaders {
		forwarded = call.ClientHeaders
	}
	headers, err := json.Marshal(forwarded)
	if err != nil {
		return "", err
	}
	return id, r.store.AddRun(ctx, store.NewRun{
		ID: id, ProjectID: r.project, Action: call.Action.Name, Role: call.Session.Role, Identity: identityOf(call.Session, r.identity),
		Request: request, Headers: headers, Token: token, MaxAge: call.Action.MaxAge(),
	})
}

// Find shows a run to its creator and to admins; for others there is none.
func (r runs) Find(ctx context.Context, name, id string, s session.Session) (map[string]any, error) {
	found, err := r.store.Run(ctx, r.project, strings.ToLower(id))
	if err != nil {
		if errcode.From(err).Code == errcode.NotFound {
			return nil, nil
		}
		return nil, err
	}
	own := found.Role == s.Role && maps.Equal(found.Identity, identityOf(s, r.identity))
	if found.Action != name || !own && !s.IsAdmin() {
		return nil, nil
	}
	out := map[string]any{model.RunID: found.ID, model.RunCreatedAt: found.CreatedAt.Format("2006-01-02T15:04:05.999999-07:00")}
	if out[model.RunErrors], err = decodeJSON(found.Errors); err == nil {
		out[model.RunOutput], err = decodeJSON(found.Output)
	}
	return out, err
}

// decodeJSON reads JSON as the executor writes it: numbers keep their digits.
func decodeJSON(text []byte) (value any, err error) {
	if text == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// asyncAction finds an asynchronous action.
func (i *Instance) asyncAction(name string) (*model.Action, *errcode.Error) {
	n := slices.IndexFunc(i.Model.Actions, func(a *model.Action) bool { return a.Async && a.Name == name })
	if n < 0 {
		return nil, errcode.New(errcode.NotFound, "there is no asynchronous action %q any more", name).At("$")
	}
	return i.Model.Actions[n], nil
}

// DeliverRun calls the handler of a run once. The action is nil when the project
// has it no more. An error is an *errcode.Error, as that of a synchronous call.
func (i *Instance) DeliverRun(ctx context.Context, d store.Delivery) (*model.Action, action.Result, error) {
	a, gone := i.asyncAction(d.Action)
	if gone != nil {
		return nil, action.Result{}, gone
	}
	var sent sentRun
	decoder := json.NewDecoder(bytes.NewReader(d.Request))
	decoder.UseNumber()
	err := d.Broken
	if err == nil {
		err = decoder.Decode(&sent)
	}
	var headers []graphqlhttp.Header
	if err == nil && d.Headers != nil {
		err = json.Unmarshal(d.Headers, &headers)
	}
	if err != nil {
		return a, action.Result{}, errcode.New(errcode.Unexpected, "internal error").Because(err).At("$")
	}
	result, err := i.executor.Deliver(ctx, action.Call{
		Action: a, Types: i.Model.Types, Input: sent.Input, Session: sent.Session, Query: sent.Query, ID: d.ID,
		RequestID: sent.RequestID, TraceParent: sent.TraceParent, ClientHeaders: headers, IdempotencyKey: sent.IdempotencyKey, Completion: vault.NewSecret(sent.Token),
	})
	return a, result, err
}

// Completion is a handler's report of a run's result.
type Completion struct {
	// Run is the id, and Token the proof that the handler was given.
	Run, Token string
	// Body is {"output": …} or {"errors": {message, code?, extensions?}}.
	Body          []byte
	RequestID, IP string
}

// CompleteRun ends a run as its handler reports. Whoever can't prove to be the
// handler learns nothing, not even whether there is such a run.
func (i *Instance) CompleteRun(ctx context.Context, c Completion) error {
	name, err := i.completeRun(ctx, c)
	event := audit.Event{
		Kind: audit.KindAction, TenantID: i.Project.TenantID, ProjectID: i.Project.ID, Actor: audit.Actor{Kind: "handler"},
		Action: "action.complete", Target: name, Outcome: audit.OK, RequestID: c.RequestID, IP: c.IP,
	}
	if err != nil {
		e := errcode.From(err)
		event.Outcome, event.Code = audit.Failed, string(e.Code)
		if Denied(e) {
			event.Outcome = audit.Denied
		}
	}
	i.outside.Recorder.Record(event)
	return err
}

// completeRun also names the action, if the handler is its own.
func (i *Instance) completeRun(ctx context.Context, c Completion) (name string, err error) {
	refused := errcode.New(errcode.AccessDenied, "the completion token is not that of the run")
	run, err := i.outside.Runs.Run(ctx, i.Project.ID, strings.ToLower(c.Run))
	if err != nil {
		if errcode.From(err).Code == errcode.NotFound {
			return "", refused
		}
		return "", err
	}
	if run.Deliveries == 0 || subtle.ConstantTimeCompare(vault.Hash(c.Token), run.TokenHash) == 0 {
		return "", refused
	}
	if len(c.Body) > action.DefaultMaxResponse {
		return run.Action, errcode.New(errcode.ActionResponseTooLarge, "the result is larger than the limit of %d bytes", action.DefaultMaxResponse).
			WithStatus(http.StatusRequestEntityTooLarge)
	}
	result, err := i.report(run, c.Body)
	if err != nil {
		return run.Action, err
	}
	ended, err := i.outside.Runs.CompleteRun(ctx, i.Project.ID, run.ID, result)
	if err == nil && !ended {
		err = errcode.New(errcode.Conflict, "the run has ended already")
	}
	return run.Action, err
}

// report checks what a handler reported against the action's contract.
func (i *Instance) report(run store.Run, body []byte) (store.RunResult, error) {
	var none store.RunResult
	a, gone := i.asyncAction(run.Action)
	if gone != nil {
		return none, gone
	}
	value, err := decodeJSON(body)
	report, ok := value.(map[string]any)
	if err != nil || !ok {
		return none, errcode.New(errcode.ValidationFailed, `expected a JSON object with "output" or "errors"`)
	}
	output, succeeded := report["output"]
	failure, failed := report["errors"]
	if succeeded == failed {
		return none, errcode.New(errcode.ValidationFailed, `expected exactly one of "output" and "errors"`)
	}
	if failed {
		refusal, mistake := action.Refusal(failure)
		if mistake != "" {
			return none, errcode.New(errcode.ValidationFailed, "errors: %s", mistake)
		}
		return store.RunResult{State: store.RunFailed, Errors: action.RunErrors(refusal)}, nil
	}
	if err := action.Check(i.Model.Types, a.Output, output); err != nil {
		return none, errcode.New(errcode.ValidationFailed, "output: %s", err.Error())
	}
	text, err := json.Marshal(output)
	return store.RunResult{State: store.RunCompleted, Output: text}, err
}
