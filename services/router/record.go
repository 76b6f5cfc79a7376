package router

import (
	"cmp"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/policy/allowlist"
	"tenantry/services/engine/instance"
	"tenantry/services/live"
)

// record turns a trail into metrics and at most one audit event: always for
// denials and uses of an admin secret, for other requests by sample.
func (r *router) record(x exchange, s session.Session, t instance.Trail) {
	g := x.generation
	outcome := t.Outcome()
	g.Instance.Metrics().RecordRequest(operationType(t.Type), t.Role, metricOutcome(outcome, t.Err), t.Duration)
	if t.Err != nil && t.Err.Code == errcode.Unexpected && errors.Unwrap(t.Err) != nil {
		r.Logger.Error("request failed", "type", "http-log", "project", g.Project.Slug, "request_id", x.id, "error", chain(t.Err))
	}
	kind, ok := r.kind(g, s, t, outcome)
	if !ok && len(t.Exceeded) == 0 {
		return
	}
	event := audit.Event{
		Kind: kind, TenantID: g.Project.TenantID, ProjectID: g.Project.ID, Actor: instance.Actor(s), Role: s.Role,
		Action: cmp.Or(x.surface, "graphql"), Target: strings.Join(t.Fields, ","), Outcome: outcome, RequestID: x.id, IP: x.ip,
		Detail: instance.Delegated(s, map[string]any{"type": t.Type, "name": t.Name, "hash": t.Hash, "ms": t.Duration.Milliseconds()}),
	}
	if t.Allowlist == allowlist.WouldRefuse {
		event.Detail["allowlist"] = string(t.Allowlist)
	}
	if t.Err != nil {
		event.Code = string(t.Err.Code)
	}
	if t.Replayed {
		event.Detail["replayed"] = true
	}
	if len(t.Exceeded) > 0 {
		event.Detail["exceeded"] = t.Exceeded
	}
	if len(t.Decisions) > 0 {
		last := t.Decisions[len(t.Decisions)-1]
		event.Detail["decision_id"] = last.ID
		event.Detail["reasons"] = last.Reasons
	}
	r.Recorder.Record(event)
}

func (r *router) kind(g *live.Generation, s session.Session, t instance.Trail, outcome string) (string, bool) {
	switch {
	case outcome == audit.Denied:
		return audit.KindDenial, true
	case t.Allowlist == allowlist.WouldRefuse:
		return audit.KindRequest, true
	case instance.AdminUse(s):
		return audit.KindAdmin, true
	}
	return audit.KindRequest, g.Instance.Sampled()
}

// denied records a request that was refused before its session was known.
func (r *router) denied(c *fiber.Ctx, g *live.Generation, e *errcode.Error) {
	x := exchange{generation: g, id: requestID(c), ip: r.ClientIP(c)}
	s := session.Session{IP: x.ip}
	r.record(x, s, instance.Refusal(s, e))
}

// metricOutcome tells a client's own mistakes apart from failures, so that no
// alert fires on them.
func metricOutcome(outcome string, e *errcode.Error) string {
	if outcome == audit.Failed && e.Status() < fiber.StatusInternalServerError {
		return metrics.OutcomeInvalid
	}
	return outcome
}

func operationType(t string) string {
	if t == "" {
		return "unknown"
	}
	return t
}

// chain is an error with its private causes, for operators.
func chain(err error) string {
	out := err.Error()
	for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		out += ": " + err.Error()
	}
	return out
}
