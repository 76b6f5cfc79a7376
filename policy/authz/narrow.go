package authz

import (
	"context"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// Rows is what a policy needs to know to speak of rows.
type Rows struct {
	Project string
	Model   *model.Model
	// Operation is the type of the operation: query, mutation or subscription.
	Operation string
}

// Narrow is a role as the policy leaves it for operations of one type: with the
// rules filter, allow_column and masks in what tables grant. A filter that cannot
// be made denies when it is bound.
func (p *Policy) Narrow(role *access.Role, rows Rows) *access.Role {
	if !p.has["filter"] && !p.has["allow_column"] && !p.has["masks"] {
		return role
	}
	return role.Narrow(func(t *model.Table, granted *access.Table) (*access.Table, bool) {
		n := p.narrowing(role, rows, t)
		left := n.columns(granted)
		where := n.filter(PointRowFilter)
		if s := left.Select; s != nil {
			narrowed := *s
			narrowed.Filter = filter.Both(s.Filter, where)
			left.Select = &narrowed
		}
		if rows.Operation != "mutation" {
			left.Insert, left.Update, left.Delete = nil, nil, nil
			return left, n.before == p.transients.Load()
		}
		if i := left.Insert; i != nil {
			narrowed := *i
			narrowed.Check = filter.Both(i.Check, n.filter(PointInsertCheck))
			left.Insert = &narrowed
		}
		if u := left.Update; u != nil {
			narrowed := *u
			narrowed.Filter, narrowed.Check = filter.Both(u.Filter, where), filter.Both(u.Check, n.filter(PointUpdateCheck))
			left.Update = &narrowed
		}
		if d := left.Delete; d != nil {
			narrowed := *d
			narrowed.Filter = filter.Both(d.Filter, where)
			left.Delete = &narrowed
		}
		return left, n.before == p.transients.Load()
	})
}

// Shape is a role as its schema shows it: what the policy may hide can be null.
// Nothing may be planned with it.
func (p *Policy) Shape(role *access.Role, rows Rows) *access.Role {
	if !p.has["filter"] && !p.has["allow_column"] && !p.has["masks"] {
		return role
	}
	return role.Narrow(func(t *model.Table, granted *access.Table) (*access.Table, bool) {
		n := p.narrowing(role, rows, t)
		left := n.columns(granted)
		if s := left.Select; s != nil && p.has["filter"] {
			shown := *s
			shown.Filter = filter.Both(s.Filter, filter.Guard{Param: filter.Param{From: filter.Late, Type: system("bool")}})
			left.Select = &shown
		}
		return left, n.before == p.transients.Load()
	})
}

// narrowing asks about one table.
type narrowing struct {
	*Policy
	request Request
	table   *model.Table
	types   map[string]catalog.Type
	before  int64 // time-outs
}

func (p *Policy) narrowing(role *access.Role, rows Rows, t *model.Table) *narrowing {
	n := &narrowing{Policy: p, table: t, before: p.transients.Load(), request: Request{
		Project: rows.Project, Operation: Operation{Type: rows.Operation},
		Resource: Resource{Kind: "table", Source: t.Source, Schema: t.Name.Schema, Name: t.Name.Name},
	}}
	n.request.Session.Role = role.Name
	if t.Logical != nil {
		n.request.Resource.Kind = "native_query"
	}
	if c := rows.Model.Catalogs[t.Source]; c != nil {
		n.types = c.Types
	}
	return n
}

// RowsAt is what the rule filter says of a table's rows at a point, for operations
// of one type. Without the rule all rows pass.
func (p *Policy) RowsAt(ctx context.Context, role string, point Point, rows Rows, t *model.Table) (filter.Expr, error) {
	n := p.narrowing(&access.Role{Name: role}, rows, t)
	n.request.Point = point
	return p.Filter(ctx, n.request, t, n.types)
}

// denied is a condition that denies whoever binds it.
func (n *narrowing) denied(err error) filter.Expr {
	return filter.Guard{Param: filter.Param{From: filter.Late, Name: n.late.refuse(err), Type: system("bool")}}
}

func (n *narrowing) filter(point Point) filter.Expr {
	r := n.request
	r.Point = point
	e, err := n.Filter(context.Background(), r, n.table, n.types)
	if err != nil {
		return n.denied(err)
	}
	return e
}

// columns applies allow_column and masks. A column can be written only if that
// does not depend on the row or the session.
func (n *narrowing) columns(granted *access.Table) *access.Table {
	left := *granted
	if left.Select != nil {
		left.Select = n.readable(left.Select)
	}
	if !n.has["allow_column"] {
		return &left
	}
	if i := left.Insert; i != nil {
		left.Insert = i.Without(n.unwritable(i.Columns))
	}
	if u := left.Update; u != nil {
		left.Update = u.Without(n.unwritable(u.Columns))
	}
	return &left
}

func (n *narrowing) readable(s *access.Select) *access.Select {
	r := n.request
	r.Operation.Type = "query"
	masks, maskErr := n.Masks(context.Background(), r, n.table, n.types)
	hidden := access.ColumnSet{}
	for name := range s.Columns {
		when, err := n.Column(context.Background(), r, n.table, shownName(name), n.types)
		if err == nil {
			err = maskErr
		}
		switch {
		case err != nil:
			s = s.Veiled(name, n.denied(err), nil)
		case filter.IsFalse(when):
			hidden[name] = true
		case !filter.IsTrue(when) || masks[name] != nil:
			s = s.Veiled(name, when, masks[name])
		}
	}
	if len(hidden) > 0 {
		s = s.Without(n.table, hidden)
	}
	return s
}

// shownName is a column as policies name it; a computed field by its name in
// GraphQL.
func shownName(stored string) string {
	if len(stored) > 0 && stored[0] == 0 {
		return stored[1:]
	}
	return stored
}

func (n *narrowing) unwritable(columns access.ColumnSet) access.ColumnSet {
	r := n.request
	r.Operation.Type = "mutation"
	out := access.ColumnSet{}
	for name := range columns {
		if when, err := n.Column(context.Background(), r, n.table, shownName(name), n.types); err != nil || !filter.IsTrue(when) {
			out[name] = true
		}
	}
	return out
}
