package instance

import (
	"context"
	"errors"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/limits"
	"tenantry/services/engine/executor"
)

// Request is one GraphQL operation with what the edge knows of it.
type Request struct {
	graphqlhttp.Request
	ID            string // x-request-id
	TraceParent   string
	ClientHeaders []graphqlhttp.Header
	// ReadOnly refuses mutations: the request came by GET.
	ReadOnly bool
	// Relay asks the Relay flavour of the schema.
	Relay bool
	// Saved says that the text is the project's own: the client named it.
	Saved bool

	// lasting says that the client can be sent more than one answer.
	lasting bool
}

// Execute runs one operation for a session: text → operation → allow-list →
// limits → plan → policy → steps. The trail tells what happened, for audit and
// metrics; it is complete also when the response is a refusal.
func (i *Instance) Execute(ctx context.Context, s session.Session, r Request) (graphqlhttp.Response, Trail) {
	trail := Trail{Role: s.Role, started: time.Now(), requestID: r.ID}
	result, _, err := i.execute(ctx, s, r, &trail)
	return i.respond(s, result, err, &trail), trail
}

// respond ends the trail of an operation and answers it.
func (i *Instance) respond(s session.Session, result executor.Result, err error, trail *Trail) graphqlhttp.Response {
	trail.finish(err)
	i.logRefusal(s, trail.requestID, trail)
	if err != nil {
		return graphqlhttp.Response{Body: graphqlhttp.ErrorBody(trail.Err, s.IsAdmin() || i.Settings.DevMode), Err: trail.Err, Headers: result.Headers, Extensions: trail.replayed()}
	}
	return graphqlhttp.Response{Body: result.Body, Headers: result.Headers, Extensions: trail.extensions()}
}

// admitted is an operation that is allowed as far as its text, variables and size
// tell.
type admitted struct {
	*prepared
	program *program
	vars    map[string]any
}

func (i *Instance) execute(ctx context.Context, s session.Session, r Request, trail *Trail) (none executor.Result, a admitted, err error) {
	if err := i.enter(ctx, trail); err != nil {
		return none, a, err
	}
	defer i.outside.Quota.Leave()
	if err := i.checkRate(ctx, s, trail); err != nil {
		return none, a, err
	}
	if a, err = i.admit(s, &r, trail); err != nil {
		return none, a, err
	}
	if err := i.checkOperationRate(ctx, s, a.prepared, a.program, trail); err != nil {
		return none, a, err
	}
	if err := i.spend(ctx, s, trail); err != nil {
		return none, a, err
	}
	if err := i.decide(ctx, s, a.about(), a.program.asks, a.vars, trail); err != nil {
		return none, a, err
	}
	for _, d := range a.program.differs {
		i.disagrees(d)
	}
	request := a.request(s, r)
	if a.program.Plan.Mutation {
		key, own, err := idempotencyKey(r)
		if err != nil {
			return none, a, err
		}
		if key != "" {
			trail.ownKey = own
			result, err := i.once(ctx, key, r, trail, request, func(keyed executor.Request) (executor.Result, error) {
				return i.run(ctx, s, a.program.Program, keyed, trail)
			})
			return result, a, err
		}
	}
	result, err := i.run(ctx, s, a.program.Program, request, trail)
	return result, a, err
}

// admit reads an operation, plans it and looks at its size; it counts nothing. The
// text of a document that is named by its id is put into r.
func (i *Instance) admit(s session.Session, r *Request, trail *Trail) (a admitted, err error) {
	if err := i.findDocument(s, r); err != nil {
		return a, err
	}
	if err := i.checkAllowlist(s, *r, trail); err != nil {
		return a, err
	}
	p, err := i.prepare(s, *r, trail.Allowlist)
	if err != nil {
		return a, err
	}
	p.seen.Again(trail.started)
	trail.operation(p.operation)
	if r.ReadOnly && string(p.operation.Type) != "query" {
		return a, errcode.New(errcode.MethodNotAllowed, "only queries may be sent by GET").At("$")
	}
	if !r.lasting && p.subscribes() {
		return a, errcode.New(errcode.NotSupported, "subscriptions are not supported over HTTP, use websockets instead").At("$")
	}
	if err := i.limited(s, trail, limits.Check(i.Document.APILimits, s, i.measure(p))); err != nil {
		return a, err
	}
	vars, err := p.operation.Coerce(r.Variables)
	if err != nil {
		return a, err
	}
	program, err := i.program(p, vars)
	if err != nil {
		return a, err
	}
	trail.program(program.Program)
	return admitted{p, program, vars}, i.checkCost(s, program.Plan, vars, trail)
}

// request is what the operation runs with.
func (a admitted) request(s session.Session, r Request) executor.Request {
	return executor.Request{
		Session: s, Variables: a.vars, Query: r.Query, RequestID: r.ID, TraceParent: r.TraceParent, ClientHeaders: r.ClientHeaders,
	}
}

// run runs a program within the time that the session has.
func (i *Instance) run(ctx context.Context, s session.Session, program *executor.Program, r executor.Request, trail *Trail) (executor.Result, error) {
	limit := i.timeLimit(s, program)
	ctx, cancel := i.deadlines.Within(ctx, limit, trail.started)
	defer cancel()
	trail.Executed = true
	result, err := i.executor.Run(ctx, program, r)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && errcode.From(err).Code == errcode.TimeLimitExceeded {
		exceeded := limits.TimeExceeded(limit, time.Since(trail.started)).At("$").Because(err)
		i.violated(s, exceeded.Code)
		return result, exceeded
	}
	if own := limits.TimeLimit(i.Document.APILimits, s); own > 0 && own < limit && time.Since(trail.started) > own {
		_ = i.limited(s, trail, limits.TimeExceeded(own, time.Since(trail.started)))
	}
	return result, err
}
