package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// list plans a field with the select arguments: a root list or an array
// relationship.
func (p *planner) list(t *model.Table, f *operation.Field, path string) (*plan.Select, error) {
	s, err := p.rows(t, f, path)
	if err != nil {
		return nil, err
	}
	s.Shape = plan.List
	return s, p.selectArguments(s, t, f.Arguments, path+".args")
}

func (p *planner) byPK(t *model.Table, f *operation.Field, path string) (*plan.Select, error) {
	s, err := p.rows(t, f, path)
	if err != nil {
		return nil, err
	}
	s.Shape, s.Single = plan.Object, true
	key, err := p.keyCondition(t, func(name string) (input, bool) { return p.argument(f.Arguments, name) }, path+".args")
	s.Where = filter.Both(key, s.Where)
	return s, err
}

// rows plans what is read of each row, under the role's filter.
func (p *planner) rows(t *model.Table, f *operation.Field, path string) (*plan.Select, error) {
	allowed := p.role.Table(t).Select
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	output, err := p.output(t, f.Selections, path)
	if err != nil {
		return nil, err
	}
	s := &plan.Select{Source: t.Source, Table: t.Name, Output: output, Where: allowed.Filter}
	if allowed.Limit > 0 {
		s.Limit = []plan.Bound{{Number: allowed.Limit}}
	}
	return s, nil
}

// output plans a selection set over a table's rows.
func (p *planner) output(t *model.Table, set ast.SelectionSet, path string) ([]plan.Output, error) {
	var out []plan.Output
	for _, f := range p.op.Fields(set, p.vars, t.Type) {
		o, err := p.member(t, f, path+".selectionSet."+f.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (p *planner) member(t *model.Table, f *operation.Field, path string) (plan.Output, error) {
	if f.Name == "__typename" {
		name := t.Type
		return plan.Output{Key: f.Key, Text: &name}, nil
	}
	if o, ok, err := p.relayMember(t, f, path); ok {
		return o, err
	}
	if c, ok := t.Column(f.Name); ok {
		column, err := p.answered(t, c, f, path)
		return plan.Output{Key: f.Key, Column: &column}, err
	}
	if r, ok := t.Aggregated(f.Name); ok {
		nested, err := p.aggregate(r.Target, f, path)
		if nested != nil {
			nested.On = pairs(r.Mapping)
			nested.Aggregate.Tie(nested.On)
		}
		return plan.Output{Key: f.Key, Nested: nested}, err
	}
	if o, ok, err := p.derived(t, f, path); ok {
		return o, err
	}
	if o, ok, err := p.remote(t, f, path); ok {
		return o, err
	}
	r, ok := t.Relationship(f.Name)
	if !ok { // validated before
		return plan.Output{}, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", f.Name, t.Type).At(path)
	}
	nested, err := p.related(r.Target, r.Array, pairs(r.Mapping), f, path)
	return plan.Output{Key: f.Key, Nested: nested}, err
}

// related plans a relationship's field: rows of target that On ties to the row
// around them.
func (p *planner) related(target *model.Table, array bool, on []filter.Pair, f *operation.Field, path string) (*plan.Select, error) {
	var nested *plan.Select
	var err error
	if array {
		nested, err = p.list(target, f, path)
	} else if nested, err = p.rows(target, f, path); err == nil {
		nested.Shape, nested.Single = plan.Object, isKey(target, on)
	}
	if err != nil {
		return nil, err
	}
	nested.On = on
	return nested, nil
}

func (p *planner) selectArguments(s *plan.Select, t *model.Table, args ast.ArgumentList, path string) error {
	if in, ok := p.argument(args, "where"); ok {
		where, err := p.where(t, in, path+".where")
		if err != nil {
			return err
		}
		s.Where = filter.Both(s.Where, where)
	}
	if in, ok := p.argument(args, "order_by"); ok && !in.null() {
		order, err := p.orderBy(t, in, path+".order_by")
		if err != nil {
			return err
		}
		s.OrderBy = order
	}
	if err := p.limits(s, args, path); err != nil {
		return err
	}
	if in, ok := p.argument(args, "distinct_on"); ok && !in.null() {
		return p.distinctOn(s, t, in, path)
	}
	return nil
}

var bigint = catalog.TypeRef{Schema: "pg_catalog", Name: "int8"}

func (p *planner) limits(s *plan.Select, args ast.ArgumentList, path string) error {
	if in, ok := p.argument(args, "limit"); ok && !in.null() {
		v, err := in.param(bigint, path+".limit")
		if err != nil {
			return err
		}
		s.Limit = append(s.Limit, bound(v))
	}
	if in, ok := p.argument(args, "offset"); ok && !in.null() {
		v, err := in.param(bigint, path+".offset")
		if err != nil {
			return err
		}
		offset := bound(v)
		s.Offset = &offset
	}
	return nil
}

// bound is a limit or offset; a whole number that the operation's text says is
// part of the plan.
func bound(v filter.Param) plan.Bound {
	if v.From == filter.Literal {
		if n, err := strconv.ParseUint(v.Name, 10, 31); err == nil {
			return plan.Bound{Number: int(n)}
		}
	}
	return plan.Bound{Param: &v}
}

// isKey reports whether on ties all columns of a key of target.
func isKey(target *model.Table, on []filter.Pair) bool {
	return slices.ContainsFunc(target.Constraints, func(c catalog.Constraint) bool {
		return !slices.ContainsFunc(c.Columns, func(name string) bool {
			return !slices.ContainsFunc(on, func(pair filter.Pair) bool { return pair.Inner == name })
		})
	})
}

func (p *planner) distinctOn(s *plan.Select, t *model.Table, in input, path string) error {
	wanted := map[string]bool{}
	for _, item := range in.items() {
		if item.symbol() == schema.Placeholder {
			continue // the role sees no column
		}
		c, ok := t.Column(item.symbol())
		if !ok {
			return errcode.New(errcode.ValidationFailed, "column '%s' not found in table '%s'", item.symbol(), t.Type).At(path + ".distinct_on")
		}
		if !c.Can("sort") {
			return errcode.New(errcode.ValidationFailed, "rows can't be told apart by column '%s' of type '%s'", item.symbol(), c.Scalar).At(path + ".distinct_on")
		}
		if !wanted[c.StoredName()] {
			wanted[c.StoredName()] = true
			s.DistinctOn = append(s.DistinctOn, p.read(t, c))
		}
	}
	// Postgres demands the same; saying it here gives the dialect's error.
	for i, key := range s.OrderBy {
		if i >= len(s.DistinctOn) {
			break
		}
		if len(key.Path) > 0 || key.Aggregate != nil || !wanted[key.Column.Name] {
			return errcode.New(errcode.ValidationFailed, `"distinct_on" columns must match initial "order_by" columns`).At(path)
		}
	}
	return nil
}

func (p *planner) orderBy(t *model.Table, in input, path string) ([]plan.Order, error) {
	var out []plan.Order
	for _, item := range in.items() {
		if err := p.piece(path); err != nil {
			return nil, err
		}
		keys, err := p.orderKeys(t, nil, item, path)
		if err != nil {
			return nil, err
		}
		out = append(out, keys...)
	}
	return withoutRepeats(out), nil
}

// withoutRepeats leaves out columns that were sorted by before: they change
// nothing, and DISTINCT ON counts its columns without them.
func withoutRepeats(keys []plan.Order) []plan.Order {
	seen := map[string]bool{}
	return slices.DeleteFunc(keys, func(k plan.Order) bool {
		if len(k.Path) > 0 || k.Aggregate != nil {
			return false
		}
		again := seen[k.Column.Name]
		seen[k.Column.Name] = true
		return again
	})
}

func (p *planner) orderKeys(t *model.Table, hops []plan.Hop, in input, path string) ([]plan.Order, error) {
	var out []plan.Order
	for _, f := range in.fields() {
		if f.in.null() {
			continue
		}
		if c, ok := t.Column(f.name); ok {
			out = append(out, orderKey(hops, p.read(t, c), direction(f.in)))
			continue
		}
		if c, ok := p.sorted(t, f.name); ok {
			out = append(out, orderKey(hops, c, direction(f.in)))
			continue
		}
		if r, ok := t.Aggregated(f.name); ok {
			keys, err := p.orderByAggregate(r, hops, f.in, path+"."+f.name)
			if err != nil {
				return nil, err
			}
			out = append(out, keys...)
			continue
		}
		r, ok := t.Relationship(f.name)
		if !ok || r.Array {
			return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s_order_by'", f.name, t.Type).At(path + "." + f.name)
		}
		allowed := p.role.Table(r.Target).Select
		if allowed == nil {
			return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s_order_by'", f.name, t.Type).At(path + "." + f.name)
		}
		next := append(hops[:len(hops):len(hops)], plan.Hop{Table: r.Target.Name, On: pairs(r.Mapping), Where: allowed.Filter})
		keys, err := p.orderKeys(r.Target, next, f.in, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		out = append(out, keys...)
	}
	return out, nil
}

// direction is a value of order_by, in the spelling of either convention.
func direction(in input) string { return strings.ToLower(in.symbol()) }

func orderKey(hops []plan.Hop, c plan.Column, direction string) plan.Order {
	o := plan.Order{Path: hops, Column: c}
	switch direction {
	case "asc_nulls_first":
		o.NullsFirst = true
	case "desc", "desc_nulls_first":
		o.Descending, o.NullsFirst = true, true
	case "desc_nulls_last":
		o.Descending = true
	}
	return o
}
