package instance

import (
	"context"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/policy/allowlist"
	"tenantry/policy/filter"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// Explained is one root field of an explained query.
type Explained struct {
	executor.Explanation
	// Permissions are the rules that the role's permissions add to the rows that
	// the field reads; empty for admin.
	Permissions []AppliedPermission `json:"permissions"`
}

// AppliedPermission is a select permission that a field is read under.
type AppliedPermission struct {
	Role   string `json:"role"`
	Source string `json:"source"`
	Table  string `json:"table"`
	// Filter is the rule as people read it; session(…) is a session variable.
	Filter string `json:"filter"`
	// Limit on rows; 0 means none.
	Limit int `json:"limit,omitempty"`
}

// Explain tells how a query of a session would be answered: statements, the
// databases' plans for them, and the permissions in them. Nothing runs. Errors
// are *errcode.Error.
func (i *Instance) Explain(ctx context.Context, s session.Session, r graphqlhttp.Request) ([]Explained, error) {
	p, err := i.prepare(s, Request{Request: r}, allowlist.NotChecked)
	if err != nil {
		return nil, err
	}
	vars, err := p.operation.Coerce(r.Variables)
	if err != nil {
		return nil, err
	}
	program, err := i.program(p, vars)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, i.timeLimit(s, program.Program))
	defer cancel()
	fields, err := i.executor.Explain(ctx, program.Program, executor.Request{Session: s, Variables: vars})
	if err != nil {
		return nil, err
	}
	out := make([]Explained, len(fields))
	for n, f := range fields {
		out[n] = Explained{Explanation: f, Permissions: i.permissionsOf(s.Role, program.Plan.Fields[n])}
	}
	return out, nil
}

func (i *Instance) permissionsOf(role string, f plan.Field) []AppliedPermission {
	out := []AppliedPermission{}
	r, ok := i.Access.Role(role)
	if f.Select == nil || !ok || r.Admin {
		return out
	}
	r = i.narrowed(r, "query")
	seen := map[readTable]bool{}
	for _, read := range tablesOf(f.Select) {
		t, tracked := i.Model.Table(read.source, read.name)
		if seen[read] || !tracked {
			continue
		}
		seen[read] = true
		if rule := r.Table(t).Select; rule != nil {
			out = append(out, AppliedPermission{
				Role: role, Source: t.Source, Table: read.name.Schema + "." + read.name.Name, Filter: filter.String(rule.Filter), Limit: rule.Limit,
			})
		}
	}
	return out
}

// readTable is a table that a selection reads rows of.
type readTable struct {
	source string
	name   catalog.Name
}

// tablesOf lists the tables that a selection reads rows of, the outermost first.
func tablesOf(s *plan.Select) []readTable {
	out := []readTable{{s.Source, s.Table}}
	for _, key := range s.OrderBy {
		for _, hop := range key.Path {
			out = append(out, readTable{s.Source, hop.Table})
		}
	}
	if s.Shape == plan.Aggregated {
		for _, m := range s.Aggregate.Members {
			if m.Nodes != nil {
				out = append(out, tablesOf(m.Nodes)...)
			}
		}
	}
	for _, output := range append(s.Connection.Nodes(), s.Output) {
		for _, o := range output {
			switch {
			case o.Nested != nil:
				out = append(out, tablesOf(o.Nested)...)
			case o.Join != nil:
				out = append(out, tablesOf(o.Join.Select)...)
			}
		}
	}
	return out
}
