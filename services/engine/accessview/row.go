package accessview

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// RowKey names one row.
type RowKey struct {
	Table string         `json:"table" minLength:"1" doc:"schema.table, or source.schema.table."`
	Key   map[string]any `json:"primary_key" doc:"The columns of the primary key and their values; numbers of more than 15 digits as text."`
}

// RowAnswer tells which rules let a session reach one row.
type RowAnswer struct {
	Table string `json:"table"`
	Found bool   `json:"found" doc:"False when the table has no such row; nothing is said of rules then."`
	// Reached are the ways in which the session reaches the row.
	Reached []string  `json:"reached" nullable:"false" doc:"select, update, delete: the ways in which the session reaches the row."`
	Rules   []RowRule `json:"rules" nullable:"false" doc:"Every rule with its result for the row, and the conditions that it joins."`
	Error   string    `json:"error,omitempty" doc:"Why it can't be told, such as a session variable that is missing; the row is not reached then."`
}

// RowRule is a rule on rows with its result for one row.
type RowRule struct {
	Kind string `json:"kind" enum:"select,update,delete"`
	Rule string `json:"rule" enum:"permission,policy"`
	// Role whose permission it is, and Pointer its place in the metadata.
	Role    string     `json:"role,omitempty" doc:"The role whose permission it is: of an inherited role, one lets the row through if any does."`
	Pointer string     `json:"pointer,omitempty"`
	Filter  string     `json:"filter" doc:"With the session's values."`
	Result  string     `json:"result" enum:"matched,not matched"`
	Parts   []RowCheck `json:"parts,omitempty" doc:"The conditions that must hold together, when there are several."`
}

// RowCheck is one condition of a rule.
type RowCheck struct {
	Filter string `json:"filter"`
	Result string `json:"result" enum:"matched,not matched"`
}

// Row tells which rules let a session reach a row, to read, update and delete it. It
// reads the row, and nothing but the results is told of it. The error is for the author of
// the question, at /row.
func (p Project) Row(ctx context.Context, s session.Session, of RowKey) (RowAnswer, error) {
	t := p.tracked(of.Table)
	if t == nil || t.Logical != nil {
		return RowAnswer{}, errcode.New(errcode.NotExists, "the table %q is not tracked", of.Table).At("/row/table")
	}
	key, err := keyOf(t, of.Key)
	if err != nil {
		return RowAnswer{}, err
	}
	out := RowAnswer{Table: nameOf(t), Reached: []string{}, Rules: []RowRule{}}
	q := &rowQuestion{project: p, ctx: ctx, session: s, table: t, out: &out}
	for _, kind := range []string{"select", "update", "delete"} {
		q.kind(kind)
	}
	truths, found, err := p.Truths(ctx, s, t, key, q.conditions)
	if err != nil {
		public := errcode.From(err)
		if public.Code == errcode.DataException {
			return out, errcode.New(errcode.ValidationFailed, "%s", public.Message).At("/row/primary_key")
		}
		out.Error, out.Rules = public.Message, []RowRule{}
		return out, nil
	}
	if out.Found = found; !found {
		out.Rules = []RowRule{}
		return out, nil
	}
	for n, say := range q.says {
		say(truths[n])
	}
	return out, nil
}

// keyOf is the condition that finds a row.
func keyOf(t *model.Table, key map[string]any) (filter.Expr, error) {
	if len(t.PrimaryKey) == 0 {
		return nil, errcode.New(errcode.ValidationFailed, "the table has no primary key").At("/row/table")
	}
	wrong := func() error {
		var names []string
		for _, c := range t.PrimaryKey {
			names = append(names, c.StoredName())
		}
		return errcode.New(errcode.ValidationFailed, "expected the values of the primary key, which is %q", names).At("/row/primary_key")
	}
	var all filter.And
	for _, c := range t.PrimaryKey {
		var text string
		switch v := key[c.StoredName()].(type) {
		case string:
			text = v
		case float64:
			text = strconv.FormatFloat(v, 'f', -1, 64)
		case json.Number, bool:
			text = fmt.Sprint(v)
		default:
			return nil, wrong()
		}
		all = append(all, filter.Compare{
			Left: filter.Column{Name: c.StoredName(), Type: c.Type}, Op: filter.Eq, Right: filter.Param{From: filter.Literal, Name: text, Type: c.Type},
		})
	}
	if len(key) != len(all) {
		return nil, wrong()
	}
	return all, nil
}

// rowQuestion gathers conditions, and what becomes of their results.
type rowQuestion struct {
	project    Project
	ctx        context.Context //nolint:containedctx // lives for one answer
	session    session.Session
	table      *model.Table
	out        *RowAnswer
	conditions []filter.Expr
	says       []func(bool)
}

func (q *rowQuestion) ask(e filter.Expr, say func(bool)) {
	if e == nil {
		e = filter.True
	}
	q.conditions = append(q.conditions, e)
	q.says = append(q.says, say)
}

// kind asks about the rules of one way to reach rows.
func (q *rowQuestion) kind(kind string) {
	operation := "mutation"
	if kind == "select" {
		operation = "query"
	}
	whole, ok := filterOf(q.project.Narrowed(q.session.Role, operation).Table(q.table), kind)
	if !ok {
		return
	}
	q.ask(whole, func(held bool) {
		if held {
			q.out.Reached = append(q.out.Reached, kind)
		}
	})
	granted, _ := q.project.Access.Role(q.session.Role)
	if granted.Admin {
		return
	}
	for i, name := range rolesOf(q.table.Metadata, kind) {
		if name != q.session.Role && !granted.Includes(name) {
			continue
		}
		role, _ := q.project.Access.Role(name)
		if e, ok := filterOf(role.Table(q.table), kind); ok {
			q.rule(RowRule{Kind: kind, Rule: "permission", Role: name, Pointer: fmt.Sprintf("%s.%s_permissions[%d]", q.table.Pointer, kind, i)}, e)
		}
	}
	if !slices.Contains(q.project.Points(), authz.PointRowFilter) {
		return
	}
	e, err := q.project.PolicyRows(q.ctx, q.session.Role, operation, authz.PointRowFilter, q.table)
	if err != nil {
		e = filter.False // as it is when it serves
	}
	q.rule(RowRule{Kind: kind, Rule: "policy"}, e)
}

// rule asks about a rule and the conditions that it joins.
func (q *rowQuestion) rule(r RowRule, e filter.Expr) {
	w := q.project.writer(q.ctx, &q.session)
	r.Filter = w.expr(e)
	at := len(q.out.Rules)
	joined, _ := e.(filter.And)
	for _, part := range joined {
		if len(joined) > 1 {
			r.Parts = append(r.Parts, RowCheck{Filter: w.expr(part)})
		}
	}
	q.out.Rules = append(q.out.Rules, r)
	q.ask(e, func(held bool) { q.out.Rules[at].Result = resultOf(held) })
	for i := range r.Parts {
		q.ask(joined[i], func(held bool) { q.out.Rules[at].Parts[i].Result = resultOf(held) })
	}
}

func resultOf(held bool) string {
	if held {
		return matched
	}
	return notMatched
}

// filterOf is the condition on rows of one kind of permission.
func filterOf(t *access.Table, kind string) (filter.Expr, bool) {
	switch {
	case kind == "select" && t.Select != nil:
		return t.Select.Filter, true
	case kind == "update" && t.Update != nil:
		return t.Update.Filter, true
	case kind == "delete" && t.Delete != nil:
		return t.Delete.Filter, true
	}
	return nil, false
}
