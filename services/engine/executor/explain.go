package executor

import (
	"context"

	"tenantry/api/errcode"
)

// Explanation tells how one root field of a query is answered.
type Explanation struct {
	Field string `json:"field"`
	// SQL and Plan are null for what no database is asked for.
	SQL  *string  `json:"sql"`
	Plan []string `json:"plan"`
}

// Explain asks the databases how they would run the statements of a query. No
// statement runs and no action is called.
func (x *Executor) Explain(ctx context.Context, p *Program, r Request) ([]Explanation, error) {
	if p.Plan.Mutation {
		return nil, errcode.New(errcode.InvalidParams, "only queries can be explained").At("$")
	}
	v := values{session: r.Session, variables: r.Variables}
	out := make([]Explanation, len(p.Plan.Fields))
	for i, f := range p.Plan.Fields {
		out[i].Field = f.Name
		step := p.steps[i]
		if step.statement.SQL == "" {
			continue
		}
		src, ok := x.Sources[step.source]
		if !ok {
			return nil, errcode.New(errcode.ConnectionFailed, "source %q has no connection", step.source).At("$")
		}
		bound, err := v.bind(step.statement)
		if err != nil {
			return nil, err
		}
		if out[i].Plan, err = src.Explain(ctx, bound); err != nil {
			return nil, at(err, "$")
		}
		out[i].SQL = &bound.SQL
	}
	return out, nil
}
