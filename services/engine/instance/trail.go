package instance

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/policy/allowlist"
	"tenantry/policy/limits"
	"tenantry/services/engine/action"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/source"
)

// Trail tells what one operation did. The edge makes one audit event and the
// metrics of a request from it; it holds no values of the request.
type Trail struct {
	Role string
	// Type is query, mutation or subscription; empty when the operation did not get so far.
	Type string
	Name string
	// Hash of the normalised operation.
	Hash string
	// Fields are the root fields, by name; shared, not to be changed.
	Fields  []string
	Actions bool
	// Replayed says that nothing ran: the answer is that to an earlier request with the
	// same idempotency key.
	Replayed bool
	// Executed says that the operation began to run, now or when it was answered first:
	// what went wrong then is its result, not a refusal.
	Executed  bool
	Rate      limits.Decision
	Allowlist allowlist.Verdict
	Decisions []Decision
	// Cost of the operation and its limit; 0 where no limit asks.
	Cost, CostLimit int
	// Budget is what is left of the minute's costs.
	Budget limits.Decision
	// Exceeded are the limits that would have refused the operation, were they not
	// on trial.
	Exceeded []errcode.Code
	Err      *errcode.Error
	Duration time.Duration

	started   time.Time
	requestID string
	ownKey    bool // the idempotency key came with the operation, not with the request
}

// Decision is what the project's policy said.
type Decision struct {
	Point, Resource, ID string
	Allowed             bool
	Reasons             []string
}

// Refusal is the trail of a request that did not reach the engine.
func Refusal(s session.Session, e *errcode.Error) Trail { return Trail{Role: s.Role, Err: e} }

func (t *Trail) operation(op *operation.Operation) {
	t.Type, t.Name, t.Hash = string(op.Type), op.Name, op.Hash
}

func (t *Trail) program(p *executor.Program) {
	t.Fields, t.Actions = p.Fields, p.Actions
}

func (t *Trail) finish(err error) {
	t.Err = errcode.From(err)
	t.Duration = time.Since(t.started)
}

// denials are the codes with which a request is refused rather than failed.
var denials = map[errcode.Code]bool{
	errcode.AccessDenied: true, errcode.PermissionDenied: true, errcode.PermissionError: true, errcode.PolicyTimeout: true,
	errcode.RateLimitExceeded: true, errcode.DepthLimitExceeded: true, errcode.NodeLimitExceeded: true, errcode.CostLimitExceeded: true, errcode.DocumentLimitExceeded: true, errcode.BatchLimitExceeded: true,
	errcode.InvalidJWT: true, errcode.InvalidHeaders: true, errcode.JWTInvalidClaims: true, errcode.JWTMissingRoleClaims: true,
	errcode.QuotaExceeded: true, errcode.ProjectSuspended: true, errcode.BlockedEgress: true, errcode.ActionRecursionLimit: true,
}

// Outcome is ok, denied or error.
func (t *Trail) Outcome() string {
	switch {
	case t.Err == nil:
		return audit.OK
	case Denied(t.Err) || t.Allowlist == allowlist.Refused:
		return audit.Denied
	}
	return audit.Failed
}

// Denied reports whether an error refuses the caller, as against a failure. What
// a handler says, in whatever code, is no refusal of ours.
func Denied(e *errcode.Error) bool { return !e.Foreign && denials[e.Code] }

// Statement counts and times statements; it makes Instance an executor.Observer.
func (i *Instance) Statement(_ context.Context, s executor.Statement) {
	for range s.Count {
		i.outside.Metrics.RecordStatement(s.Source, s.Err == nil)
	}
	i.outside.Metrics.ObserveStatement(s.Took)
	if s.Err != nil {
		i.outside.Logger.Warn("statement failed", "type", "query-log", "project", i.Project.Slug, "source", s.Source, "error", operatorText(s.Err))
	}
	if i.outside.Outdated != nil && source.Outdated(s.Err) {
		i.outside.Outdated()
	}
}

// ActionStarted counts a webhook call that is under way.
func (i *Instance) ActionStarted() func() { return i.outside.Metrics.ActionStarted() }

// Sampled draws whether an ordinary request is audited.
func (i *Instance) Sampled() bool {
	sample := i.outside.AuditSample
	if own := i.Settings.AuditSample; own != nil {
		sample = *own
	}
	return rand.Float64() < sample
}

// Metrics are those of the project.
func (i *Instance) Metrics() *metrics.Project { return i.outside.Metrics }

// Action counts and logs a webhook call, and audits it: always, but for successful
// calls of actions that only read, which are audited by sample as other reads are.
func (i *Instance) Action(_ context.Context, call executor.ActionCall) {
	outcome, code := audit.OK, ""
	if call.Err != nil {
		e := errcode.From(call.Err)
		outcome, code = audit.Failed, string(e.Code)
		if Denied(e) {
			outcome = audit.Denied
		}
		i.outside.Logger.Warn("action failed", "type", "action-handler-log", "project", i.Project.Slug, "action", call.Action, "code", code,
			"status", call.Result.Status, "request_id", call.RequestID, "error", operatorText(call.Err))
	}
	i.count(call, outcome, code)
	if call.Err == nil && call.Query && !AdminUse(call.Session) && !i.Sampled() {
		return
	}
	i.outside.Recorder.Record(audit.Event{
		Kind: audit.KindAction, TenantID: i.Project.TenantID, ProjectID: i.Project.ID,
		Actor: Actor(call.Session), Role: call.Session.Role, Action: "action.call", Target: call.Action,
		Outcome: outcome, Code: code, RequestID: call.RequestID, IP: call.Session.IP,
		Detail: Delegated(call.Session, map[string]any{"status": call.Result.Status, "ms": call.Result.Duration.Milliseconds(), "attempts": call.Result.Attempts}),
	})
}

// count counts a call by what came of it, and apart from others those that were not
// made.
func (i *Instance) count(call executor.ActionCall, outcome, code string) {
	if call.Result.Attempts > 1 {
		i.outside.Metrics.RecordActionRetries(call.Result.Attempts - 1)
	}
	if action.NotCalled(call.Result, call.Err) {
		i.outside.Metrics.RecordActionRefusal(strings.TrimPrefix(code, "action-"))
		return
	}
	i.outside.Metrics.RecordAction(outcome, call.Result.Duration)
}
