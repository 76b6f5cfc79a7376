// Package action calls the webhook of an action and checks what it answers.
//
// The executor hands over a Call: coerced arguments, the session and the text
// of the client's query. What comes back fits the action's contract, so that
// the executor can select from it and join it with the database; everything
// else is a public error. Nothing here knows plans or SQL.
//
// A Caller makes a signed HTTP exchange per Call, and more of them where the action
// is retried. Whoever calls again (an asynchronous run, say) passes the same ID, so
// that the handler can recognise the delivery. What calls have in common (how many
// run, which handlers fail) is in Traffic, which outlives the Caller.
package action

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/policy/delegation"
	"tenantry/services/engine/deadline"
	"tenantry/tenants/model"
	"tenantry/tenants/vault"
)

// The limits that hold where Options and metadata say nothing.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxTimeout  = 120 * time.Second
	DefaultMaxResponse = 10 << 20
)

// Options of a Caller: one project's settings and the guarded way out.
type Options struct {
	// Client is the way to the tenant's addresses, guarded against internal
	// ones. Only its Transport is used: redirects, cookies and timeouts are
	// decided here. Required.
	Client *http.Client
	// Variables finds a variable of the project; nil finds none.
	Variables func(name string) (value string, ok bool)
	// Expand fills in {{NAME}} templates and names the variables that are missing.
	Expand func(text string) (expanded string, missing []string)
	// SigningKeys are decoded signing secrets, one or, during a rotation, two; the last
	// one has no end.
	SigningKeys []webhook.SigningKey
	// Delegation makes the tokens by which handlers call back; nil makes none.
	Delegation *delegation.Keys
	// MaxResponse is the most bytes that an answer's body may have, after
	// decompression; 0 means DefaultMaxResponse.
	MaxResponse int64
	// MaxTimeout caps the timeout of every action; 0 means DefaultMaxTimeout, and more
	// than that is no more.
	MaxTimeout time.Duration
	// Version of the product, for User-Agent.
	Version string
	// Traffic is the project's; nil means one of the Caller's own.
	Traffic *Traffic
	// Tenant bounds what all projects of a tenant call together; may be nil.
	Tenant Tenant
	// ConfiguredFirst merges headers in the order configured > engine > client,
	// so that a client cannot replace a header that the tenant configured. False
	// is the dialect's historical order, client > engine > configured, for the
	// projects that ask for it.
	ConfiguredFirst bool
	// Now is the clock of webhook-timestamp; nil means time.Now.
	Now func() time.Time
}

// Caller calls handlers. It is safe for concurrent use.
type Caller struct {
	Options
	transport http.RoundTripper
	signer    *webhook.Signer
	agent     string
	deadlines deadline.Shared
	compiled  sync.Map // *model.Action → *transforms, as many as the project has actions
}

// New returns a Caller. It panics without a Client: falling back to an
// unguarded one would open the operator's network to tenants.
func New(o Options) *Caller {
	if o.Client == nil {
		panic("action: Options.Client is required")
	}
	if o.MaxResponse <= 0 {
		o.MaxResponse = DefaultMaxResponse
	}
	if o.MaxTimeout <= 0 || o.MaxTimeout > DefaultMaxTimeout {
		o.MaxTimeout = DefaultMaxTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Traffic == nil {
		o.Traffic = NewTraffic(nil)
	}
	if o.Variables == nil {
		o.Variables = func(string) (string, bool) { return "", false }
	}
	if o.Expand == nil {
		o.Expand = func(text string) (string, []string) { return text, templateNames(text) }
	}
	c := &Caller{Options: o, transport: o.Client.Transport, agent: webhook.Agent(o.Version), signer: webhook.NewSigner(o.SigningKeys)}
	if c.transport == nil {
		c.transport = http.DefaultTransport
	}
	return c
}

// Call is one call of one action. The Caller reads it and keeps nothing of it.
type Call struct {
	Action *model.Action
	// Types are the custom types of the project, by name.
	Types map[string]*model.Type
	// Input holds the coerced arguments: an absent argument has no key, an
	// explicit null is nil, numbers are json.Number.
	Input   map[string]any
	Session session.Session
	// Query is the client's text, verbatim.
	Query string
	// RequestID and TraceParent identify the client's request; a new one is
	// made where one is empty or malformed.
	RequestID   string
	TraceParent string
	// ClientHeaders are all headers of the client's request; what of them may
	// be forwarded is decided here.
	ClientHeaders []graphqlhttp.Header
	// ID is the webhook-id: the same for every attempt of one delivery. Empty
	// means a new one.
	ID string
	// IdempotencyKey is the client's, for the handler; may be empty.
	IdempotencyKey string
	// Completion is the token by which the handler may report its result later; only
	// where there is one may it answer that it will.
	Completion vault.Secret
}

// Result is a handler's answer.
type Result struct {
	// Output is decoded JSON that fits the action's output type; numbers are
	// json.Number. Members that the contract does not know are still in it.
	Output any
	// Headers belong to the client's response.
	Headers []graphqlhttp.Header
	// Pending is true when the handler will report its result later; there is no
	// Output then.
	Pending bool
	// Status of the handler's answer, 0 when there was none. Set beside an
	// error too, as is Duration.
	Status   int
	Duration time.Duration
	// Attempts is how often the handler was called: 0 when a cap or an open circuit
	// refused it, more than 1 when it was retried.
	Attempts int
}

// Call calls the handler of an action and checks the answer. It calls again as a
// synchronous action's retry says, all within the action's timeout.
//
// An error is always an *errcode.Error with the path "$". Its Internal, for
// admins, tells of the last exchange with all secrets masked; its cause, for logs,
// names neither URL nor headers. When ctx ends first, that is the caller's doing
// and not the handler's: the error wraps context.Cause(ctx).
func (c *Caller) Call(ctx context.Context, call Call) (Result, error) {
	started := time.Now()
	if err := delegation.CheckCall(call.Session); err != nil {
		return Result{}, err.At("$")
	}
	leave, err := c.enter(call.Action.Name, call.Action.Metadata.Definition.MaxConcurrency)
	if err != nil {
		return Result{}, err.At("$")
	}
	defer leave()
	if call.ID == "" || !webhook.ValidHeaderValue(call.ID) {
		call.ID = newID()
	}
	x, output, attempts, err := c.attempts(ctx, &call, started)
	result := Result{Status: x.status, Duration: time.Since(started), Pending: x.pending, Attempts: attempts}
	if err != nil {
		return result, err.At("$")
	}
	result.Output, result.Headers = output, x.clientHeaders()
	return result, nil
}

// clientHeaders are those of the answer that the client gets.
func (x *exchange) clientHeaders() (out []graphqlhttp.Header) {
	for _, value := range x.header.Values("Set-Cookie") {
		out = append(out, graphqlhttp.Header{Name: "Set-Cookie", Value: value})
	}
	for _, name := range x.call.Action.Metadata.Definition.ForwardResponseHeaders {
		if strings.EqualFold(name, "Set-Cookie") {
			continue
		}
		for _, value := range x.header.Values(name) {
			out = append(out, graphqlhttp.Header{Name: name, Value: value})
		}
	}
	return out
}

// timeout is the action's own, at most what the plan allows.
func (c *Caller) timeout(a *model.Action) time.Duration {
	timeout := DefaultTimeout
	if own := a.Metadata.Definition.Timeout; own > 0 {
		timeout = c.MaxTimeout
		if int64(own) < int64(timeout/time.Second) {
			timeout = time.Duration(own) * time.Second
		}
	}
	return min(timeout, c.MaxTimeout)
}
