package accessview

import (
	"context"
	"slices"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/policy/filter"
	"tenantry/services/engine/instance"
	"tenantry/tenants/model"
)

// Evaluation tells what a policy says of an operation of a session. Nothing of it
// has run.
type Evaluation struct {
	Role     string    `json:"role"`
	Allowed  bool      `json:"allowed" doc:"Whether the operation would run, by the policy and everything else."`
	Stage    string    `json:"stage,omitempty" enum:"allowlist,operation,limits,variables,plan,policy,session" doc:"Where it is refused."`
	Code     string    `json:"code,omitempty" doc:"The code that the client sees."`
	Message  string    `json:"message,omitempty" doc:"The message that the client sees."`
	Refusals []Refusal `json:"refusals" nullable:"false" doc:"What of the operation the role's permissions or the policy's columns refuse."`
	// Decisions are those of the points that the policy has a rule for.
	Decisions  []instance.PointDecision `json:"decisions" nullable:"false" doc:"What the policy decides at each point that it has a rule for."`
	Filters    []PolicyFilter           `json:"filters" nullable:"false" doc:"What the policy leaves of the rows of each table."`
	Columns    []PolicyColumn           `json:"columns" nullable:"false" doc:"Columns that the policy denies, or shows otherwise."`
	Statements []instance.Shown         `json:"statements" nullable:"false" doc:"The statements that the databases would be sent."`
}

// PolicyFilter is the rule filter for a table at a point: what is AND-ed to the
// permission's own.
type PolicyFilter struct {
	Table     string         `json:"table"`
	Point     string         `json:"point" enum:"row_filter,insert_check,update_check"`
	Filter    string         `json:"filter" doc:"As people read it, with the session's values; true is all rows, false none."`
	Condition instance.Shown `json:"condition" doc:"The same in SQL."`
	Error     string         `json:"error,omitempty" doc:"Why it can't be told; rows are denied then."`
}

// PolicyColumn is a column that the role may read by its permission, and what the
// policy leaves of it.
type PolicyColumn struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	// Shown is empty for a column that the role does not have.
	Shown string `json:"shown,omitempty" doc:"What is seen of it; empty when the role does not have it."`
}

// Evaluate tells what the project's policy says of an operation.
func (p Project) Evaluate(ctx context.Context, s session.Session, request graphqlhttp.Request) Evaluation {
	r := instance.Request{Request: request}
	j := p.Judge(ctx, s, r)
	out := Evaluation{
		Role: s.Role, Allowed: j.Err == nil, Stage: string(j.Stage), Refusals: []Refusal{}, Decisions: p.Decide(ctx, s, j),
		Filters: []PolicyFilter{}, Columns: []PolicyColumn{}, Statements: []instance.Shown{},
	}
	if j.Stage == instance.StageOperation {
		out.Refusals = p.whatIsMissing(s, r, j)
	}
	if j.Err != nil {
		out.Code, out.Message = string(j.Err.Code), j.Err.Message
	}
	if !s.IsAdmin() {
		for _, t := range j.Tables {
			out.Filters = append(out.Filters, p.policyFilters(ctx, s, j.Type, t)...)
			out.Columns = append(out.Columns, p.policyColumns(ctx, s, t.Table)...)
		}
	}
	// A value that can't be bound is what the session stage tells of.
	if shown, _ := p.Shown(ctx, s, j); shown != nil {
		out.Statements = shown
	}
	return out
}

// policyFilters are those of the points at which a table is touched.
func (p Project) policyFilters(ctx context.Context, s session.Session, operation string, t instance.Touched) []PolicyFilter {
	points := []authz.Point{authz.PointRowFilter}
	if slices.Contains(t.Writes, "insert") {
		points = append(points, authz.PointInsertCheck)
	}
	if slices.Contains(t.Writes, "update") {
		points = append(points, authz.PointUpdateCheck)
	}
	var out []PolicyFilter
	for _, point := range points {
		one := PolicyFilter{Table: nameOf(t.Table), Point: string(point), Filter: "false", Condition: instance.Shown{SQL: "false", Parameters: []*string{}}}
		e, err := p.PolicyRows(ctx, s.Role, operation, point, t.Table)
		if err == nil {
			one.Filter = p.writer(ctx, &s).expr(e)
			one.Condition, err = p.Condition(ctx, s, e)
		}
		if err != nil {
			one.Error = err.Error()
		}
		out = append(out, one)
	}
	return out
}

// policyColumns are the columns of a table that the policy takes or changes.
func (p Project) policyColumns(ctx context.Context, s session.Session, t *model.Table) []PolicyColumn {
	plain, _ := p.Access.Role(s.Role)
	granted, left := plain.Table(t).Select, p.Narrowed(s.Role, "query").Table(t).Select
	if granted == nil {
		return nil
	}
	var out []PolicyColumn
	for _, c := range t.Columns {
		one := PolicyColumn{Table: nameOf(t), Column: c.StoredName()}
		switch {
		case !granted.Columns.Has(c):
			continue
		case left == nil || !left.Columns.Has(c):
		case sameCases(granted, left, c):
			continue
		default:
			one.Shown = p.writer(ctx, &s).operand(filter.Column{Name: one.Column, Type: c.Type, Cases: left.Cases(c)})
		}
		out = append(out, one)
	}
	return out
}

// sameCases reports whether as much is seen of a column under both permissions.
func sameCases(a, b *access.Select, c *model.Column) bool {
	shown := func(s *access.Select) string {
		return filter.String(filter.IsNull{Of: filter.Column{Name: c.StoredName(), Type: c.Type, Cases: s.Cases(c)}})
	}
	return shown(a) == shown(b)
}
