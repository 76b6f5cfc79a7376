package instance

import (
	"context"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/limits"
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

func (i *Instance) violated(s session.Session, code errcode.Code) {
	i.outside.Metrics.RecordLimitViolation(string(code), s.Role, !limits.OnTrial(i.Document.APILimits))
}

// defaultTimeLimit bounds an operation of a project without a limit of its own.
const defaultTimeLimit = 60 * time.Second

// timeLimit is when an operation is stopped.
func (i *Instance) timeLimit(s session.Session) time.Duration {
	if d := limits.TimeLimit(i.Document.APILimits, s); d > 0 && !limits.OnTrial(i.Document.APILimits) {
		return d
	}
	return defaultTimeLimit
}

func (i *Instance) checkRate(ctx context.Context, s session.Session, trail *Trail) error {
	decision, err := i.outside.Limiter.Allow(ctx, time.Now(), i.Document.APILimits, s)
	trail.Rate = decision
	return i.rateLimited(s, trail, err)
}

// checkOperationRate counts against the rules that single operations have.
func (i *Instance) checkOperationRate(ctx context.Context, s session.Session, p *prepared, program *program, trail *Trail) error {
	decision, err := i.outside.Limiter.AllowOperation(ctx, time.Now(), i.Document.APILimits, s, limits.Operation{
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
