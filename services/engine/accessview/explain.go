package accessview

import (
	"context"
	"slices"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/operation"
)

// Explanation tells what becomes of an operation of a session, and why. Nothing
// of it has run.
type Explanation struct {
	Role    string `json:"role"`
	Allowed bool   `json:"allowed" doc:"Whether the operation would run. The rows that it reaches are those of the filters."`
	// Stage is where it was refused.
	Stage    string    `json:"stage,omitempty" enum:"allowlist,operation,limits,variables,plan,policy,session" doc:"Where it is refused."`
	Code     string    `json:"code,omitempty" doc:"The code that the client sees."`
	Message  string    `json:"message,omitempty" doc:"The message that the client sees."`
	Refusals []Refusal `json:"refusals" nullable:"false" doc:"What of the operation is refused, and by which rule."`
	// Rules are those that count for the operation, those that let it pass among
	// them.
	Rules      []Rule     `json:"rules" nullable:"false" doc:"The rules that were looked at, with their results."`
	Missing    []string   `json:"missing,omitempty" doc:"Session variables that the rules need and the session does not have."`
	Points     []string   `json:"policy_points" nullable:"false" doc:"Points at which the project's Rego is asked."`
	Row        *RowAnswer `json:"row,omitempty" doc:"Which rules let the session reach the row that was asked about."`
	Statements []string   `json:"sql,omitempty" doc:"The statements that the databases would be sent; values are parameters."`
}

// Refusal is a part of an operation that the role may not use.
type Refusal struct {
	Path   string `json:"path" doc:"The place in the operation."`
	Rule   string `json:"rule" doc:"What kind of rule refuses it."`
	Reason string `json:"reason"`
	// Pointer is the place in the metadata where the rule is, or would be.
	Pointer string `json:"pointer,omitempty" doc:"Where the metadata has the rule, or would have it."`
}

// Rule is a rule that counts for an operation.
type Rule struct {
	Rule    string   `json:"rule" enum:"allowlist,limits,select,insert,update,delete,policy"`
	Subject string   `json:"subject,omitempty" doc:"The table, action or field that it is about."`
	Result  string   `json:"result" enum:"matched,not matched,filters rows"`
	Filter  string   `json:"filter,omitempty" doc:"The rows that it leaves, with the session's values."`
	Check   string   `json:"check,omitempty"`
	Reasons []string `json:"reasons,omitempty" doc:"The policy's own words."`
	Rules   []string `json:"rules,omitempty" doc:"Where the metadata has it."`
}

const (
	matched    = "matched"
	notMatched = "not matched"
	filters    = "filters rows"
)

// Explain tells what becomes of an operation.
func (p Project) Explain(ctx context.Context, s session.Session, request graphqlhttp.Request) Explanation {
	r := instance.Request{Request: request}
	out := Explanation{Role: s.Role, Refusals: []Refusal{}, Rules: []Rule{}, Points: p.points()}
	j := p.Judge(ctx, s, r)
	out.Allowed, out.Stage, out.Statements = j.Err == nil, string(j.Stage), j.Statements
	if j.Err != nil {
		out.Code, out.Message = string(j.Err.Code), j.Err.Message
	}
	switch j.Stage {
	case instance.StageOperation:
		out.Refusals = p.whatIsMissing(s, r, j)
		return out
	case instance.StageAllowlist:
		out.Rules = append(out.Rules, Rule{Rule: "allowlist", Result: notMatched})
	case instance.StageLimits:
		out.Rules = append(out.Rules, Rule{Rule: "limits", Result: notMatched})
	}
	for _, t := range j.Tables {
		view, _ := p.Schema(s.Role, s.BackendOnly)
		out.add(p.reach(ctx, s.Role, t.Table, view, &s), t.Writes)
	}
	for _, d := range j.Decisions {
		rule := Rule{Rule: "policy", Subject: d.Point + " " + d.Resource, Result: matched, Reasons: d.Reasons}
		if !d.Allowed {
			rule.Result = notMatched
		}
		out.Rules = append(out.Rules, rule)
	}
	if j.Err != nil {
		out.Refusals = append(out.Refusals, Refusal{Path: orRoot(j.Err.Path), Rule: string(j.Stage), Reason: j.Err.Message})
	}
	return out
}

func orRoot(path string) string {
	if path == "" {
		return "$"
	}
	return path
}

// add notes the rules about one table that count for an operation: those to read
// it, and those of the ways in which the operation writes it.
func (e *Explanation) add(t TableReach, kinds []string) {
	note := func(kind, where, check string, o Origin) {
		rule := Rule{Rule: kind, Subject: t.Table, Result: filters, Filter: where, Check: check, Rules: o.Rules}
		if where == "true" || where == "" {
			rule.Result = matched
		}
		if where == "false" {
			rule.Result = notMatched
		}
		e.Rules = append(e.Rules, rule)
		for _, name := range o.Missing {
			e.miss(name)
		}
	}
	if t.Select != nil {
		note("select", t.Select.Filter, "", t.Select.Origin)
	}
	for _, one := range []struct {
		kind string
		rule *WriteReach
	}{{"insert", t.Insert}, {"update", t.Update}, {"delete", t.Delete}} {
		if one.rule != nil && slices.Contains(kinds, one.kind) {
			note(one.kind, one.rule.Filter, one.rule.Check, one.rule.Origin)
		}
	}
}

func (e *Explanation) miss(name string) {
	if !slices.Contains(e.Missing, name) {
		e.Missing = append(e.Missing, name)
	}
}

// whatIsMissing compares an operation that is not valid for a role with what
// admin, who lacks nothing, could do with it.
func (p Project) whatIsMissing(s session.Session, r instance.Request, j instance.Judgement) []Refusal {
	all, _ := p.Schema(session.Admin, true)
	op, err := operation.Prepare(all, r.Query, r.OperationName)
	if err != nil {
		return []Refusal{{Path: orRoot(j.Err.Path), Rule: "operation", Reason: "it is valid for no role: " + j.Err.Message}}
	}
	own, _ := p.Schema(s.Role, s.BackendOnly)
	out := []Refusal{}
	for _, m := range op.Missing(own, r.Variables) {
		out = append(out, p.refusal(s, m, all))
	}
	if len(out) == 0 {
		out = append(out, Refusal{Path: orRoot(j.Err.Path), Rule: "operation", Reason: j.Err.Message})
	}
	return out
}
