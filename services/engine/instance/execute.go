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
}

// Execute runs one operation for a session: text → operation → allow-list →
// limits → plan → policy → steps. The trail tells what happened, for audit and
// metrics; it is complete also when the response is a refusal.
func (i *Instance) Execute(ctx context.Context, s session.Session, r Request) (graphqlhttp.Response, Trail) {
	trail := Trail{Role: s.Role, started: time.Now(), requestID: r.ID}
	result, err := i.execute(ctx, s, r, &trail)
	trail.finish(err)
	i.logRefusal(s, r.ID, &trail)
	if err != nil {
		return graphqlhttp.Response{Body: graphqlhttp.ErrorBody(trail.Err, s.IsAdmin() || i.Settings.DevMode), Err: trail.Err, Headers: result.Headers, Extensions: trail.replayed()}, trail
	}
	return graphqlhttp.Response{Body: result.Body, Headers: result.Headers, Extensions: trail.extensions()}, trail
}

func (i *Instance) execute(ctx context.Context, s session.Session, r Request, trail *Trail) (executor.Result, error) {
	var none executor.Result
	if err := i.enter(ctx, trail); err != nil {
		return none, err
	}
	defer i.outside.Quota.Leave()
	if err := i.checkRate(ctx, s, trail); err != nil {
		return none, err
	}
	if err := i.findDocument(s, &r); err != nil {
		return none, err
	}
	if err := i.checkAllowlist(s, r, trail); err != nil {
		return none, err
	}
	p, err := i.prepare(s, r, trail.Allowlist)
	if err != nil {
		return none, err
	}
	p.seen.Again(trail.started)
	trail.operation(p.operation)
	if r.ReadOnly && string(p.operation.Type) != "query" {
		return none, errcode.New(errcode.MethodNotAllowed, "only queries may be sent by GET").At("$")
	}
	if err := i.limited(s, trail, limits.Check(i.Document.APILimits, s, i.measure(p))); err != nil {
		return none, err
	}
	vars, err := p.operation.Coerce(r.Variables)
	if err != nil {
		return none, err
	}
	program, err := i.program(p, vars)
	if err != nil {
		return none, err
	}
	trail.program(program.Program)
	if err := i.checkCost(s, program.Plan, vars, trail); err != nil {
		return none, err
	}
	if err := i.checkOperationRate(ctx, s, p, program, trail); err != nil {
		return none, err
	}
	if err := i.spend(ctx, s, trail); err != nil {
		return none, err
	}
	if err := i.decide(ctx, s, p.about(), program.asks, vars, trail); err != nil {
		return none, err
	}
	request := executor.Request{
		Session: s, Variables: vars, Query: r.Query, RequestID: r.ID, TraceParent: r.TraceParent, ClientHeaders: r.ClientHeaders,
	}
	for _, d := range program.differs {
		i.disagrees(d)
	}
	if program.Plan.Mutation {
		key, own, err := idempotencyKey(r)
		if err != nil {
			return none, err
		}
		if key != "" {
			trail.ownKey = own
			return i.once(ctx, key, r, trail, request, func(keyed executor.Request) (executor.Result, error) {
				return i.run(ctx, s, program.Program, keyed, trail)
			})
		}
	}
	return i.run(ctx, s, program.Program, request, trail)
}

// run runs a program within the time that the session has.
func (i *Instance) run(ctx context.Context, s session.Session, program *executor.Program, r executor.Request, trail *Trail) (executor.Result, error) {
	limit := i.timeLimit(s, program)
	ctx, cancel := i.deadlines.within(ctx, limit, trail.started)
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
