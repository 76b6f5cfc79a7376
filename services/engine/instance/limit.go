package instance

import (
	"context"
	"fmt"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/limits"
	"tenantry/services/engine/action"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/plan"
)

// limited is what becomes of an operation that may be beyond a limit of the
// tenant: err refuses it, unless the limits are on trial. Then it is counted and
// told, and passes.
func (i *Instance) limited(s session.Session, trail *Trail, err error) error {
	if err == nil {
		return nil
	}
	code := errcode.From(err).Code
	i.violated(s, code)
	if !limits.OnTrial(i.Document.APILimits) {
		return err
	}
	trail.Exceeded = append(trail.Exceeded, code)
	return nil
}

// measure is the size of an operation as limits see it.
func (i *Instance) measure(p *prepared) limits.Measure {
	m, size := p.operation.Measure, p.operation.Size
	return limits.Measure{Depth: m.Depth, Nodes: m.Nodes, Tokens: p.tokens, Aliases: size.Aliases, RootFields: size.RootFields, Directives: size.Directives}
}

// checkCost counts the objects that an operation may touch where they are limited.
func (i *Instance) checkCost(s session.Session, p *plan.Plan, variables map[string]any, trail *Trail) error {
	limit, limited := limits.Cost(i.Document.APILimits, s)
	_, budgeted := limits.Budget(i.Document.APILimits, s)
	if !limited && !budgeted {
		return nil
	}
	trail.Cost = p.Cost(variables)
	if !limited {
		return nil
	}
	trail.CostLimit = limit
	return i.limited(s, trail, limits.CheckCost(limit, trail.Cost))
}

// spend takes what an operation costs from the budget of its session.
func (i *Instance) spend(ctx context.Context, s session.Session, trail *Trail) error {
	decision, err := i.outside.Limiter.Spend(ctx, trail.started, i.Document.APILimits, s, trail.Cost)
	trail.Budget = decision
	if err != nil {
		trail.Rate = decision
	}
	return i.rateLimited(s, trail, err)
}

// extensions tell the client what its operation cost, where that is limited.
func (t *Trail) extensions() []byte {
	if t.Cost == 0 {
		return t.replayed()
	}
	out := fmt.Appendf(nil, `{"cost":{"requested":%d`, t.Cost)
	if t.CostLimit > 0 {
		out = fmt.Appendf(out, `,"limit":%d`, t.CostLimit)
	}
	if t.Budget.Applies {
		out = fmt.Appendf(out, `,"budget":%d,"remaining":%d`, t.Budget.Limit, t.Budget.Remaining)
	}
	out = append(out, '}')
	if own := t.replayed(); own != nil {
		out = append(append(out, ','), own[1:len(own)-1]...)
	}
	return append(out, '}')
}

// replayed are the extensions of an answer that is given again to an operation with a
// key of its own: a header would tell it of all operations of a request, and a socket
// has none.
func (t *Trail) replayed() []byte {
	if !t.Replayed || !t.ownKey {
		return nil
	}
	return []byte(`{"idempotencyReplayed":true}`)
}

// CheckBody refuses a request whose body is larger than the role's limit.
func (i *Instance) CheckBody(s session.Session, bytes int) *errcode.Error {
	return i.refused(s, limits.CheckBody(i.Document.APILimits, s, bytes))
}

func (i *Instance) violated(s session.Session, code errcode.Code) {
	i.outside.Metrics.RecordLimitViolation(string(code), s.Role, !limits.OnTrial(i.Document.APILimits))
}

// defaultTimeLimit bounds an operation of a project without a limit of its own.
const defaultTimeLimit = 60 * time.Second

// timeLimit is when an operation is stopped. Handlers have timeouts of their own,
// which may be longer than what is enough for a database.
func (i *Instance) timeLimit(s session.Session, p *executor.Program) time.Duration {
	if d := limits.TimeLimit(i.Document.APILimits, s); d > 0 && !limits.OnTrial(i.Document.APILimits) {
		return d
	}
	if p.Actions {
		return defaultTimeLimit + action.DefaultMaxTimeout
	}
	return defaultTimeLimit
}

func (i *Instance) checkRate(ctx context.Context, s session.Session, trail *Trail) error {
	decision, err := i.outside.Limiter.Allow(ctx, trail.started, i.Document.APILimits, s)
	trail.Rate = decision
	return i.rateLimited(s, trail, err)
}

// enter counts an operation against the tenant's plan, for whoever it runs.
func (i *Instance) enter(ctx context.Context, trail *Trail) error {
	decision, err := i.outside.Quota.Enter(ctx, trail.started)
	return i.overQuota(trail, decision, err)
}

// overQuota tells of a quota that refuses.
func (i *Instance) overQuota(trail *Trail, d limits.Decision, err error) error {
	if err != nil {
		trail.Rate = d
		i.outside.Metrics.RecordQuotaRefusal()
	}
	return err
}

// SocketsAllowed is how many sockets the tenant's projects may have on this node
// together; 0 is any number.
func (i *Instance) SocketsAllowed() int { return i.outside.Quota.SocketsAllowed() }

// checkOperationRate counts against the rules that single operations have, and
// calls of actions against the plan.
func (i *Instance) checkOperationRate(ctx context.Context, s session.Session, p *prepared, program *program, trail *Trail) error {
	if calls := len(program.actions); calls > 0 {
		decision, err := i.outside.Quota.AllowActions(ctx, trail.started, calls)
		if err = i.overQuota(trail, decision, err); err != nil {
			return err
		}
	}
	decision, err := i.outside.Limiter.AllowOperation(ctx, trail.started, i.Document.APILimits, s, limits.Operation{
		Name: p.operation.Name, Hash: p.operation.Hash, Actions: program.actions,
	})
	trail.Rate = trail.Rate.And(decision)
	return i.rateLimited(s, trail, err)
}

func (i *Instance) rateLimited(s session.Session, trail *Trail, err error) error {
	err = i.limited(s, trail, err)
	if err != nil {
		i.outside.Metrics.RecordRateLimitRefusal(s.Role)
	}
	return err
}

// maxBatch bounds a batch whatever the limits say: each operation may cost as
// much as the largest document does.
const maxBatch = 100

// CheckBatch refuses a batch that is larger than the role's limit.
func (i *Instance) CheckBatch(s session.Session, n int) *errcode.Error {
	if n > maxBatch {
		return errcode.New(errcode.BatchLimitExceeded, "the batch has %d operations, at most %d are allowed", n, maxBatch)
	}
	return i.refused(s, limits.CheckBatch(i.Document.APILimits, s, n))
}

// refused is limited for requests that have no trail yet.
func (i *Instance) refused(s session.Session, err error) *errcode.Error {
	if err = i.limited(s, &Trail{}, err); err != nil {
		return errcode.From(err)
	}
	return nil
}
