package jsonquery

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// The bounds of a selection: stars expand to many columns, and each nested
// selection is a subquery.
const (
	maxOutputs = 20_000
	maxDepth   = 64
)

// selection plans select.
func (p *planning) selection() error {
	p.field.Name = p.table.Root.Select.Name
	if _, err := p.readable(""); err != nil {
		return err
	}
	s, err := p.rows(p.table, p.command.args, place{form: "$", at: "$.args"}, 1)
	if err != nil {
		return err
	}
	p.field.Select = s
	return p.refine(s, p.table, p.command.args, place{form: "$", at: "$.args"})
}

// place is where a selection stands: for what is wrong with its form, and for
// what is refused.
type place struct{ form, at string }

func (at place) column(i int) place {
	step := fmt.Sprintf(".columns[%d]", i)
	return place{at.form + step, at.at + step}
}

// rows plans what is read of each row of t, under the role's filter.
func (p *planning) rows(t *model.Table, q object, at place, depth int) (*plan.Select, error) {
	if depth > maxDepth {
		return nil, errcode.New(errcode.NotSupported, "relationships are nested deeper than %d levels", maxDepth).At(at.at)
	}
	p.depth, p.nodes = max(p.depth, depth), p.nodes+1
	allowed := p.Role.Table(t).Select
	s := &plan.Select{Source: t.Source, Table: t.Name, Shape: plan.List, Where: allowed.Filter}
	if allowed.Limit > 0 {
		s.Limit = []plan.Bound{{Number: allowed.Limit}}
	}
	list, ok := q.given("columns")
	if !ok {
		return nil, missing("columns")
	}
	columns, ok := list.([]any)
	if !ok {
		return nil, wrongForm(at.form+".columns", "a list")
	}
	output, err := p.output(t, columns, at, depth)
	s.Output = output
	return s, err
}

// output plans the members of a row: those that are named, then what stars add.
func (p *planning) output(t *model.Table, columns []any, at place, depth int) ([]plan.Output, error) {
	var out []plan.Output
	stars := 0
	for i, column := range columns {
		if text, ok := column.(string); ok {
			if n := starsIn(text); n > 0 {
				stars = max(stars, n)
				continue
			}
		}
		o, err := p.member(t, column, at.column(i), depth)
		if err != nil {
			return nil, err
		}
		if j := slices.IndexFunc(out, func(other plan.Output) bool { return other.Key == o.Key }); j < 0 {
			out = append(out, o)
		} else if out[j].Nested != nil || o.Nested != nil {
			return nil, errcode.New(errcode.UnexpectedPayload, "%q is selected twice", o.Key).At(at.column(i).at)
		}
	}
	if stars == 0 {
		return out, p.counted(len(columns), at)
	}
	more, err := p.everything(t, stars, at, depth)
	for _, o := range more {
		if !slices.ContainsFunc(out, func(other plan.Output) bool { return other.Key == o.Key }) {
			out = append(out, o)
		}
	}
	return out, err
}

// counted bounds what a command selects.
func (p *planning) counted(n int, at place) error {
	if p.outputs += n; p.outputs > maxOutputs {
		return errcode.New(errcode.NotSupported, "the command selects more than %d columns", maxOutputs).At(at.at)
	}
	return nil
}

// starsIn counts the stars of * or *.* and so on; 0 for a name.
func starsIn(text string) int {
	parts := strings.Split(text, ".")
	if slices.ContainsFunc(parts, func(part string) bool { return part != "*" }) {
		return 0
	}
	return len(parts)
}

// everything is all columns that the role may read and, for more than one star,
// everything of the related rows that it may read.
func (p *planning) everything(t *model.Table, stars int, at place, depth int) ([]plan.Output, error) {
	var out []plan.Output
	for _, own := range t.Catalog.Columns {
		if c, ok := t.Stored(own.Name); ok && p.Role.Reads(t, c) {
			out = append(out, p.column(t, c))
		}
	}
	if err := p.counted(len(out), at); err != nil || stars == 1 {
		return out, err
	}
	for _, r := range t.Relationships {
		if p.Role.Table(r.Target).Select == nil {
			continue
		}
		q := object{"columns": []any{strings.TrimSuffix(strings.Repeat("*.", stars-1), ".")}}
		nested, err := p.related(r, q, at, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, plan.Output{Key: r.Name, Nested: nested})
	}
	return out, nil
}

// member plans one element of columns: a name, or a relationship with its own.
func (p *planning) member(t *model.Table, column any, at place, depth int) (plan.Output, error) {
	switch column := column.(type) {
	case string:
		c, ok := t.Stored(column)
		if !ok || !p.Role.Reads(t, c) {
			return plan.Output{}, p.unreadable(column, at.at)
		}
		return p.column(t, c), nil
	case map[string]any:
		return p.relationship(t, column, at, depth)
	}
	return plan.Output{}, wrongForm(at.form, "a column or {name, columns}")
}

// unreadable is the refusal of a column that the role does not see.
func (p *planning) unreadable(column, path string) error {
	if p.Role.Admin {
		return errcode.New(errcode.PermissionDenied, "no such column exists : %q", column).At(path)
	}
	return errcode.New(errcode.PermissionDenied, "role %q does not have permission to select column %q", p.Role.Name, column).At(path)
}

func (p *planning) column(t *model.Table, c *model.Column) plan.Output {
	answered := p.read(t, c).Answered(c.Base, p.Stringify)
	return plan.Output{Key: c.StoredName(), Column: &answered}
}

// read is a column as the role sees it.
func (p *planning) read(t *model.Table, c *model.Column) plan.Column {
	return plan.Column{Name: c.StoredName(), Type: c.Type, Cases: p.Role.Table(t).Select.Cases(c)}
}

func (p *planning) relationship(t *model.Table, q object, at place, depth int) (plan.Output, error) {
	name, ok := q["name"].(string)
	if !ok {
		return plan.Output{}, missing("name")
	}
	key := name
	if alias, given := q.given("alias"); given {
		if key, ok = alias.(string); !ok || key == "" || strings.ContainsRune(key, 0) {
			return plan.Output{}, wrongForm(at.form+".alias", "a name")
		}
	}
	r, ok := t.Relationship(name)
	switch {
	case !ok && p.Role.Admin:
		if _, ok := t.Stored(name); ok {
			return plan.Output{}, errcode.New(errcode.UnexpectedPayload, "only relationships can be expanded").At(at.at + ".name")
		}
		return plan.Output{}, errcode.New(errcode.NotExists, "%q does not exist", name).At(at.at + ".name")
	case !ok || p.Role.Table(r.Target).Select == nil:
		return plan.Output{}, errcode.New(errcode.PermissionDenied, "role %q does not have permission to read relationship %q", p.Role.Name, name).At(at.at)
	}
	nested, err := p.related(r, q, at, depth+1)
	return plan.Output{Key: key, Nested: nested}, err
}

// related plans the rows that a relationship leads to.
func (p *planning) related(r *model.Relationship, q object, at place, depth int) (*plan.Select, error) {
	s, err := p.rows(r.Target, q, at, depth)
	if err != nil {
		return nil, err
	}
	for _, pair := range r.Mapping {
		s.On = append(s.On, filter.Pair{Outer: pair.Local, Inner: pair.Remote})
	}
	if r.Array {
		return s, p.refine(s, r.Target, q, at)
	}
	s.Shape = plan.Object
	for _, key := range []string{"where", "order_by", "limit", "offset"} {
		if _, ok := q.given(key); ok {
			return nil, errcode.New(errcode.UnexpectedPayload,
				"when selecting an 'obj_relationship' 'where', 'order_by', 'limit' and 'offset' can't be used").At(at.at)
		}
	}
	return s, nil
}

// refine adds what chooses among the rows.
func (p *planning) refine(s *plan.Select, t *model.Table, q object, at place) (err error) {
	if where, ok := q.given("where"); ok {
		chosen, err := p.where(t, where, at)
		if err != nil {
			return err
		}
		s.Where = filter.Both(s.Where, chosen)
	}
	if order, ok := q.given("order_by"); ok {
		if s.OrderBy, err = p.orderBy(t, order, at); err != nil {
			return err
		}
	}
	limit, err := bound(q, "limit", at)
	if limit != nil {
		s.Limit = append(s.Limit, *limit)
	}
	if err != nil {
		return err
	}
	s.Offset, err = bound(q, "offset", at)
	return err
}

func (p *planning) where(t *model.Table, value any, at place) (filter.Expr, error) {
	if _, ok := value.(map[string]any); !ok {
		return nil, wrongForm(at.form+".where", "a boolean expression, an object")
	}
	return p.Role.Where(p.Model, t, value, at.at+".where")
}

// bound reads limit or offset.
func bound(q object, key string, at place) (*plan.Bound, error) {
	value, ok := q.given(key)
	if !ok {
		return nil, nil //nolint:nilnil // there is none
	}
	number, _ := value.(json.Number)
	n, err := strconv.ParseInt(number.String(), 10, 64)
	switch {
	case err != nil:
		return nil, wrongForm(at.form+"."+key, "an integer")
	case n < 0:
		return nil, errcode.New(errcode.NotSupported, "unexpected negative value").At(at.at + "." + key)
	}
	return &plan.Bound{Param: &filter.Param{From: filter.Literal, Name: number.String(), Type: catalog.TypeRef{Schema: "pg_catalog", Name: "int8"}}}, nil
}

// aggregateKey and countKey are where count's number stands in its aggregate.
const (
	aggregateKey = "aggregate"
	countKey     = "count"
)

// count plans count: how many rows the role may read, or how many different ones.
func (p *planning) count() error {
	p.field.Name = p.table.Root.SelectAggregate.Name
	p.depth, p.nodes = 1, 1
	allowed, err := p.readable(`; "count" is only allowed if the role has "select" permissions on the table`)
	if err != nil {
		return err
	}
	s := &plan.Select{Source: p.table.Source, Table: p.table.Name, Shape: plan.Aggregated, Where: allowed.Filter}
	distinct, _, err := p.command.args.strings("distinct", "$", false)
	if err != nil {
		return err
	}
	for i, name := range distinct {
		c, ok := p.table.Stored(name)
		if !ok || !p.Role.Reads(p.table, c) {
			return p.unreadable(name, fmt.Sprintf("$.args.distinct[%d]", i))
		}
		s.DistinctOn = append(s.DistinctOn, p.read(p.table, c))
	}
	if where, ok := p.command.args.given("where"); ok {
		chosen, err := p.where(p.table, where, place{form: "$", at: "$.args"})
		if err != nil {
			return err
		}
		s.Where = filter.Both(s.Where, chosen)
	}
	s.Aggregate = &plan.Aggregate{Members: []plan.AggregateMember{{
		Key: aggregateKey, Values: []plan.AggregateValue{{Key: countKey, Function: "count"}},
	}}}
	p.field.Select = s
	return nil
}
