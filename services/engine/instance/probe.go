package instance

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/services/engine/action"
	"tenantry/tenants/model"
)

// Verification says how a handler is tried out.
type Verification struct {
	Action string
	// Full and Minimal are arguments that fit the contract: all, and those that must
	// be there.
	Full, Minimal map[string]any
	// Role is the caller's in the probes; the action's first when empty.
	Role      string
	Variables map[string]string // session variables
	Probes    []string          // names; all when empty
	RequestID string
}

// ProbeResult is what came of one probe.
type ProbeResult struct {
	Probe  string `json:"probe"`
	Passed bool   `json:"passed"`
	Status int    `json:"status" doc:"Of the handler's answer; 0 when there was none."`
	// Fits says whether the answer has the form that the contract demands: the output
	// type, or a refusal.
	Fits         bool    `json:"fits" doc:"The answer has the output type, or is a refusal with a message."`
	Milliseconds float64 `json:"milliseconds"`
	Wrong        string  `json:"wrong,omitempty" doc:"What is wrong."`
	Note         string  `json:"note,omitempty" doc:"What is allowed, and may surprise."`
}

// staleness is how old a call is that a handler has to refuse; five minutes are
// usual.
const staleness = time.Hour

// probe is one way to try out a handler.
type probe struct {
	name  string
	shape func(p *action.Probe, v Verification)
	judge func(a *model.Action, got action.Probed, before []action.Probed) (wrong, note string)
}

// probes in the order in which they are made. The last repeats the first.
var probes = []probe{
	{"full", func(p *action.Probe, v Verification) { p.Input = v.Full }, judgeGood},
	{"minimal", func(p *action.Probe, v Verification) { p.Input, p.ID = v.Minimal, uuid.NewString() }, judgeGood},
	{"unsigned", func(p *action.Probe, v Verification) {
		p.Input, p.ID, p.Signature = v.Full, uuid.NewString(), action.Unsigned
	}, judgeBad("a call without a signature")},
	{"forged", func(p *action.Probe, v Verification) {
		p.Input, p.ID, p.Signature = v.Full, uuid.NewString(), action.Forged
	}, judgeBad("a call that another secret signed")},
	{"stale", func(p *action.Probe, v Verification) { p.Input, p.ID, p.Age = v.Full, uuid.NewString(), staleness }, judgeBad("a call that is an hour old")},
	{"repeated", func(p *action.Probe, v Verification) { p.Input = v.Full }, judgeRepeated},
}

// VerifyHandler tries out the handler of an action, one probe after the other. The
// handler is called for real.
func (i *Instance) VerifyHandler(ctx context.Context, v Verification) ([]ProbeResult, error) {
	at := slices.IndexFunc(i.Model.Actions, func(a *model.Action) bool { return a.Name == v.Action })
	if at < 0 {
		return nil, errcode.New(errcode.ValidationFailed, "the action %q is not served: its metadata is inconsistent", v.Action)
	}
	a := i.Model.Actions[at]
	role := v.Role
	if role == "" {
		role = session.Admin
		if len(a.Roles) > 0 {
			role = a.Roles[0]
		}
	}
	s := session.Session{Project: i.Project.ID, Role: role, Variables: map[string]string{}}
	for name, value := range v.Variables {
		if !session.IsVariable(name) {
			return nil, errcode.New(errcode.ValidationFailed, "expected names of session variables (x-hasura-…), found %.80q", name)
		}
		s.Variables[strings.ToLower(name)] = value
	}
	s.Variables[session.RoleVariable] = role
	out, first := []ProbeResult{}, uuid.NewString()
	var before []action.Probed
	for _, one := range probes {
		wanted := len(v.Probes) == 0 || slices.Contains(v.Probes, one.name)
		if !wanted || ctx.Err() != nil {
			continue
		}
		if one.name == "repeated" && !slices.Contains(named(out), "full") {
			continue // there is nothing to repeat
		}
		p := action.Probe{Name: one.name, Call: action.Call{Action: a, Types: i.Model.Types, Session: s, ID: first, RequestID: v.RequestID}}
		one.shape(&p, v)
		got := i.executor.Caller.Probe(ctx, p)
		result := ProbeResult{Probe: one.name, Status: got.Status, Fits: got.Fits || got.Refusal, Milliseconds: float64(got.Duration.Microseconds()) / 1000}
		result.Wrong, result.Note = one.judge(a, got, before)
		result.Passed = result.Wrong == ""
		out, before = append(out, result), append(before, got)
	}
	return out, nil
}

func named(results []ProbeResult) (names []string) {
	for _, r := range results {
		names = append(names, r.Probe)
	}
	return names
}

// judgeGood wants an answer of the contract: a result, or a refusal, since a made-up
// value may be one that the handler does not know.
func judgeGood(_ *model.Action, got action.Probed, _ []action.Probed) (wrong, note string) {
	switch {
	case got.Status == 401 || got.Status == 403:
		return fmt.Sprintf("a call with a valid signature is refused with %d: does the handler have the project's signing secret?", got.Status), ""
	case got.Wrong != "":
		return got.Wrong, ""
	case got.Refusal:
		return "", "the handler refuses the made-up arguments"
	}
	return "", ""
}

// judgeBad wants a refusal; any body will do.
func judgeBad(what string) func(*model.Action, action.Probed, []action.Probed) (wrong, note string) {
	return func(_ *model.Action, got action.Probed, _ []action.Probed) (wrong, note string) {
		switch {
		case got.Status == 0:
			return got.Wrong, ""
		case got.Status/100 == 4 && !got.Refusal:
			return "", "the refusal has no message"
		case got.Status/100 == 4:
			return "", ""
		}
		return fmt.Sprintf("%s has to be refused with 4xx, but the answer is %d", what, got.Status), ""
	}
}

// judgeRepeated wants that the handler knows a webhook-id again.
func judgeRepeated(a *model.Action, got action.Probed, before []action.Probed) (wrong, note string) {
	if wrong, note = judgeGood(a, got, nil); wrong != "" {
		return wrong, note
	}
	const differs = "the second answer to the same webhook-id differs from the first"
	switch same := got.Status == before[0].Status && reflect.DeepEqual(got.Output, before[0].Output); {
	case same:
		return "", note
	case a.Metadata.Definition.Idempotency:
		return differs + ", and the action says that its handler does a thing once", ""
	}
	return "", differs
}
