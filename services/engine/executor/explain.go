package executor

import (
	"context"

	"tenantry/api/errcode"
	"tenantry/services/engine/dialect"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// Explanation tells how one root field of a query is answered.
type Explanation struct {
	Field string `json:"field"`
	// SQL and Plan are null for what no database is asked for.
	SQL  *string  `json:"sql"`
	Plan []string `json:"plan"`
	// Joins are the statements that read what other sources add, each after what it
	// adds to.
	Joins []JoinExplanation `json:"joins,omitempty"`
}

// JoinExplanation tells how one relationship to another source is read, for all
// rows around it at once. The plan is one for a single value.
type JoinExplanation struct {
	// Path are the keys of the response that lead to the relationship.
	Path   string   `json:"path"`
	Source string   `json:"source"`
	SQL    string   `json:"sql"`
	Plan   []string `json:"plan"`
}

// Explain asks the databases how they would run the statements of a query. No
// statement runs and no action is called.
func (x *Executor) Explain(ctx context.Context, p *Program, r Request) ([]Explanation, error) {
	if p.Plan.Mutation {
		return nil, errcode.New(errcode.InvalidParams, "only queries can be explained").At("$")
	}
	v := values{session: &r.Session, variables: r.Variables, late: x.late(ctx, r.Session)}
	out := make([]Explanation, len(p.Plan.Fields))
	for i, f := range p.Plan.Fields {
		out[i].Field = f.Name
		step := p.steps[i]
		if step.statement.SQL == "" {
			continue
		}
		var err error
		if out[i].Plan, err = x.explain(ctx, step.source, step.statement, v); err != nil {
			return nil, err
		}
		out[i].SQL = &step.statement.SQL
		p.eachJoin(f.Key, step.places, func(path string, j *plan.Join) {
			if err != nil {
				return
			}
			one := JoinExplanation{Path: path, Source: j.Select.Source, SQL: p.joins[j].statement.SQL}
			one.Plan, err = x.explain(ctx, one.Source, p.joins[j].statement, v.withoutKeys(len(j.Keys)))
			out[i].Joins = append(out[i].Joins, one)
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// withoutKeys are the values of a join for a row whose keys are null.
func (v values) withoutKeys(n int) values {
	none := catalog.ArrayOf([]*string{nil})
	v.keys = make([]*string, n)
	for i := range v.keys {
		v.keys[i] = &none
	}
	return v
}

func (x *Executor) explain(ctx context.Context, name string, st dialect.Statement, v values) ([]string, error) {
	src, ok := x.Sources[name]
	if !ok {
		return nil, errcode.New(errcode.ConnectionFailed, "source %q has no connection", name).At("$")
	}
	bound, err := v.bind(st)
	if err != nil {
		return nil, err
	}
	lines, err := src.Explain(ctx, bound)
	if err != nil {
		return nil, at(err, "$")
	}
	return lines, nil
}
