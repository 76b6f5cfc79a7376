package executor

import (
	"context"
	"encoding/json"
	"fmt"

	"tenantry/api/session"
	"tenantry/policy/filter"
	"tenantry/services/engine/dialect"
	"tenantry/tenants/catalog"
)

// Shown is SQL text with the values that its parameters have, $1 first, as
// Postgres reads them; nil is NULL, or is not known before the rows are.
type Shown struct {
	SQL        string    `json:"sql"`
	Parameters []*string `json:"parameters" nullable:"false" doc:"The values of $1, $2 …, as text; null also for what only the rows tell."`
}

// Shown are the statements of a program with what a session and its variables
// bring, in the order of Statements. Nothing runs. The error is that of a value
// that can't be bound.
func (x *Executor) Shown(ctx context.Context, p *Program, r Request) ([]Shown, error) {
	v := values{session: &r.Session, variables: r.Variables, late: x.late(ctx, r.Session)}
	var out []Shown
	var failed error
	p.eachStatement(func(st dialect.Statement) {
		one, err := v.shown(st)
		if err != nil && failed == nil {
			failed = err
		}
		out = append(out, one)
	})
	return out, failed
}

// Condition is an expression about rows as SQL, with the values of a session.
func (x *Executor) Condition(ctx context.Context, s session.Session, e filter.Expr) (Shown, error) {
	return (&values{session: &s, late: x.late(ctx, s)}).shown(dialect.Condition(e))
}

func (v *values) shown(st dialect.Statement) (Shown, error) {
	out := Shown{SQL: st.SQL, Parameters: make([]*string, len(st.Params))}
	for i := range st.Params {
		p := &st.Params[i]
		if p.Written || p.Affected || p.Key > 0 {
			continue
		}
		text, err := v.parameter(p)
		if err != nil {
			return out, err
		}
		out.Parameters[i] = text
	}
	return out, nil
}

// Truths tells which expressions are true of the row that key finds; false when
// it finds none. They have the values of a session.
func (x *Executor) Truths(ctx context.Context, name string, table catalog.Name, key filter.Expr, of []filter.Expr, s session.Session) (truths []bool, found bool, err error) {
	src, err := (&run{Executor: x}).source(name)
	if err != nil {
		return nil, false, err
	}
	bound, err := (&values{session: &s, late: x.late(ctx, s)}).bind(dialect.Truths(table, key, of))
	if err != nil {
		return nil, false, err
	}
	text, err := src.One(ctx, bound)
	if err != nil {
		return nil, false, at(err, "$")
	}
	if len(text) == 0 || string(text) == "null" {
		return nil, false, nil
	}
	if err := json.Unmarshal(text, &truths); err != nil {
		return nil, false, fmt.Errorf("truths of a row: %w", err)
	}
	return truths, true, nil
}
