package authz

import (
	"context"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// Column is what the rule allow_column says of a column: in which rows a role may
// see it, or write it when the operation of r is a mutation. Without the rule, in
// all of them.
func (p *Policy) Column(ctx context.Context, r Request, t *model.Table, column string, types map[string]catalog.Type) (filter.Expr, error) {
	if !p.has["allow_column"] {
		return filter.True, nil
	}
	e, _, err := p.column(ctx, r, t, column, types)
	return e, err
}

func (p *Policy) column(ctx context.Context, r Request, t *model.Table, column string, types map[string]catalog.Type) (filter.Expr, []missing, error) {
	r.Point, r.Resource.Columns = PointColumn, []string{column}
	tr, left, err := p.translator(ctx, root+".allow_column == true", unknownOfColumns, r, t, types)
	if err != nil {
		return filter.False, nil, err
	}
	e := tr.queries(left.Queries)
	return e, tr.missing, tr.finish(p)
}

// Masks are what the rule masks shows instead of columns, by column. Where several
// apply, the one that shows less comes first: nothing, a constant, a value.
func (p *Policy) Masks(ctx context.Context, r Request, t *model.Table, types map[string]catalog.Type) (map[string][]filter.Case, error) {
	cases, _, err := p.masked(ctx, r, t, types)
	return cases, err
}

func (p *Policy) masked(ctx context.Context, r Request, t *model.Table, types map[string]catalog.Type) (map[string][]filter.Case, []missing, error) {
	if !p.has["masks"] {
		return nil, nil, nil
	}
	r.Point = PointColumn
	tr, left, err := p.translator(ctx, root+".masks[column] = shown", unknownTerms, r, t, types)
	if err != nil {
		return nil, nil, err
	}
	found := map[string][]mask{}
	for _, q := range left.Queries {
		tr.masks(q, found)
	}
	out := map[string][]filter.Case{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list := found[name]
		slices.SortStableFunc(list, func(a, b mask) int { return a.shows - b.shows })
		for _, m := range list {
			out[name] = append(out[name], m.Case)
		}
	}
	return out, tr.missing, tr.finish(p)
}

// mask is one case of a column; shows is how much of it is seen.
type mask struct {
	filter.Case
	shows int
}

// masks takes in one way in which the rule may hold: the column and what it shows
// are variables of the query, and what it shows may be left to rules.
func (t *translator) masks(q ast.Body, found map[string][]mask) {
	var column, shown *ast.Term
	var rest []*ast.Expr
	for _, e := range q {
		switch {
		case e.IsEquality() && e.Operand(0).Value.Compare(ast.Var("column")) == 0:
			column = e.Operand(1)
		case e.IsEquality() && e.Operand(0).Value.Compare(ast.Var("shown")) == 0:
			shown = e.Operand(1)
		case e.IsEquality() && e.Operand(1).Value.Compare(ast.Var("shown")) == 0:
			shown = e.Operand(0)
		default:
			rest = append(rest, e)
		}
	}
	name, ok := ast.String(""), column != nil && shown != nil
	if ok {
		name, ok = column.Value.(ast.String)
	}
	if !ok {
		t.fail(nil, "this form of masks cannot be translated to SQL; expected masks.column := … if { … }")
		return
	}
	r, _ := shown.Value.(ast.Ref)
	rules := t.rules[r.String()]
	for _, rule := range rules {
		t.mask(string(name), rule.Head.Value, slices.Concat(rest, rule.Body), place(rule, nil), found)
	}
	if rules == nil {
		t.mask(string(name), shown, rest, shown.Location, found)
	}
}

// mask translates what one column shows, and when.
func (t *translator) mask(column string, shown *ast.Term, conditions []*ast.Expr, at *ast.Location, found map[string][]mask) {
	stored, ok := t.root.table.Stored(column)
	if !ok {
		m := missing{name: column, table: t.root.table}
		if at != nil {
			m.Module, m.Row, m.Col = at.File, at.Row, at.Col
		}
		t.missing = append(t.missing, m)
		return
	}
	if len(conditions) == 0 {
		conditions = []*ast.Expr{ast.NewExpr(ast.BooleanTerm(true))}
	}
	var made mask
	made.When = t.conjunction(nil, t.root, nil, conditions, func(b *body) {
		made.Case.Mask, made.Shows, made.shows = b.shows(stored, shown, at)
	})
	if !filter.IsFalse(made.When) {
		found[column] = append(found[column], made)
	}
}

// shows is what a mask's value is in SQL, and how much it shows.
func (b *body) shows(column *model.Column, shown *ast.Term, at *ast.Location) (filter.Mask, filter.Operand, int) {
	target := side{base: column.Base, kind: kindOf(column), what: "the column " + column.StoredName(), column: column}
	switch v := plain(b.resolve(shown, at)).(type) {
	case constantValue:
		if isNull(v) {
			return filter.Hidden, nil, 0
		}
		if target.kind == opaqueKind {
			break
		}
		return filter.Plain, b.literal(target, v.of, at), 1
	case columnValue:
		if v.of != b.root || v.column.Base != column.Base {
			break
		}
		return filter.Plain, columnAt(b.root, v), 2
	case textValue:
		inner, ok := plain(v.of).(columnValue)
		if !ok || inner.of != b.root || target.kind != textKind {
			break
		}
		s, _ := b.side(b.root, v, at)
		return filter.Plain, s.operand, 2
	case freeValue:
		if v.many || target.kind == opaqueKind {
			break
		}
		if name, ok := v.claim(); ok && target.kind == textKind {
			return filter.Plain, b.param(b.claim(name, column.Base), at), 1
		}
		return filter.Plain, b.lateScalar(target, filter.Eq, true, at, v), 1
	}
	b.fail(at, "what a mask of %q shows has to be null, or a constant, a value of the session or a column of the same type", column.StoredName())
	return filter.Hidden, nil, 0
}
