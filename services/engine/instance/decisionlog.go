package instance

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/policy/authz"
)

// The decision log is the part of the audit with the answers of the project's
// policy: denials and time-outs always, others by sample. The event has the id that
// a client is told of a denial. Where Rego is not asked there is nothing to keep.

// logDecision keeps an answer to a question of a request.
func (i *Instance) logDecision(r authz.Request, d authz.Decision, err error, requestID string) {
	if !d.Asked || d.Allowed && err == nil && !i.keepsDecision() {
		return
	}
	e := i.decisionEvent(r.Session, d.ID, d.Rule, string(r.Point), resourceName(r.Resource), d.InputHash(i.inputKey()))
	e.RequestID = requestID
	if !d.Allowed || err != nil {
		e.Outcome, e.Code = audit.Denied, string(errcode.PermissionDenied)
	}
	if err != nil {
		e.Code = string(errcode.From(err).Code)
	}
	e.Detail["result"], e.Detail["ns"] = d.Allowed && err == nil, d.Took.Nanoseconds()
	if r.Operation.Hash != "" {
		e.Detail["operation"] = r.Operation.Hash
	}
	if len(d.Reasons) > 0 {
		e.Detail["reasons"] = d.Reasons
	}
	i.outside.Recorder.Record(e)
}

// logBound keeps that values of a session were evaluated for filters, if it is
// drawn.
func (i *Instance) logBound(b authz.Bound) {
	if !i.keepsDecision() {
		return
	}
	e := i.decisionEvent(b.Session, b.ID, "authz.filter", string(b.Point), resourceName(b.Resource), b.InputHash(i.inputKey()))
	e.Detail["ns"], e.Detail["rules"], e.Detail["values"], e.Detail["defined"] = b.Took.Nanoseconds(), b.Rules, b.Values, b.Defined
	i.outside.Recorder.Record(e)
}

// logRefusal keeps a denial that was found when values were bound: the policy could
// not decide what a session may see.
func (i *Instance) logRefusal(s session.Session, requestID string, trail *Trail) {
	if trail.Err == nil {
		return
	}
	id, _ := trail.Err.Extensions["decision_id"].(string)
	if id == "" {
		return
	}
	for _, d := range trail.Decisions {
		if d.ID == id {
			return
		}
	}
	trail.Decisions = append(trail.Decisions, Decision{Point: string(authz.PointRowFilter), ID: id})
	e := i.decisionEvent(s, id, "authz.filter", string(authz.PointRowFilter), strings.Join(trail.Fields, ","), "")
	e.RequestID, e.Outcome, e.Code = requestID, audit.Denied, string(trail.Err.Code)
	e.Detail["result"] = false
	if trail.Hash != "" {
		e.Detail["operation"] = trail.Hash
	}
	i.outside.Recorder.Record(e)
}

func (i *Instance) decisionEvent(s session.Session, id, rule, point, target, input string) audit.Event {
	e := audit.Event{
		ID: id, Kind: audit.KindDecision, TenantID: i.Project.TenantID, ProjectID: i.Project.ID, Actor: Actor(s), Role: s.Role,
		Action: "policy." + point, Target: target, Outcome: audit.OK, IP: s.IP,
		Detail: map[string]any{
			"decision_id": id, "path": rule, "point": point, "policy": i.policy.Hash(), "policy_revision": i.SettingsVersion, "session_variables": s.Names(),
		},
	}
	if input != "" {
		e.Detail["input"] = input
	}
	if i.Settings.DecisionLog.Values {
		e.Detail["session_values"] = s.Variables
	}
	return e
}

// keepsDecision draws whether an answer that allows is kept.
func (i *Instance) keepsDecision() bool {
	if sample := i.Settings.DecisionLog.Sample; sample != nil {
		return rand.Float64() < *sample
	}
	return i.Sampled()
}

// inputKey is what hashes of inputs are keyed with: the newest of the project's key
// pairs, so that all nodes have the same; other hashes come with another key.
func (i *Instance) inputKey() []byte {
	if keys := i.Settings.SigningKeys; len(keys) > 0 {
		return []byte(keys[len(keys)-1].Seed.Reveal())
	}
	return ownKey
}

// ownKey is for projects without a key pair: this process's alone.
var ownKey = []byte(cryptorand.Text())

func resourceName(r authz.Resource) string {
	if r.Schema == "" {
		return r.Name
	}
	return r.Source + "." + r.Schema + "." + r.Name
}
