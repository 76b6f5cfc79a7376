package planner

import (
	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// compared is the left side of comparisons.
type compared struct {
	left filter.Operand
	of   catalog.TypeRef
	// scalar is the GraphQL type, for messages.
	scalar string
	list   bool
}

var (
	integer = catalog.TypeRef{Schema: "pg_catalog", Name: "int8"}
	truth   = catalog.TypeRef{Schema: "pg_catalog", Name: "bool"}
)

// textType is what patterns and keys are read as, whatever the column is.
var textType = catalog.TypeRef{Schema: "pg_catalog", Name: "text"}

// operatorType says how the right side of an operator is read; operators that
// are not listed take the column's own type.
var operatorType = map[filter.Op]func(column catalog.TypeRef) catalog.TypeRef{
	filter.In: listOf, filter.NotIn: listOf,
	filter.Like: textOnly, filter.NotLike: textOnly, filter.ILike: textOnly, filter.NotILike: textOnly,
	filter.Similar: textOnly, filter.NotSimilar: textOnly,
	filter.Regex: textOnly, filter.NotRegex: textOnly, filter.IRegex: textOnly, filter.NotIRegex: textOnly,
	filter.HasKey: textOnly, filter.HasKeysAny: textList, filter.HasKeysAll: textList,
	filter.AncestorAny: listOf, filter.DescendantAny: listOf,
	filter.Matches: sibling("lquery"), filter.MatchesFulltext: sibling("ltxtquery"),
	filter.MatchesAny: func(t catalog.TypeRef) catalog.TypeRef { return listOf(sibling("lquery")(t)) },
}

func listOf(t catalog.TypeRef) catalog.TypeRef { t.Dimensions++; return t }

func textOnly(catalog.TypeRef) catalog.TypeRef { return textType }

func textList(catalog.TypeRef) catalog.TypeRef { return listOf(textType) }

// sibling is another type of the same extension.
func sibling(name string) func(catalog.TypeRef) catalog.TypeRef {
	return func(t catalog.TypeRef) catalog.TypeRef { return catalog.TypeRef{Schema: t.Schema, Name: name} }
}

func (p *planner) comparisons(c *model.Column, column filter.Column, in input, path string) (filter.Expr, error) {
	return p.compare(compared{left: column, of: c.Type, scalar: c.Scalar, list: c.List()}, in, path)
}

// compareOperand compiles comparisons of anything that has a type.
func (p *planner) compareOperand(left filter.Operand, t catalog.TypeRef, scalar string, in input, path string) (filter.Expr, error) {
	return p.compare(compared{left: left, of: t, scalar: scalar, list: t.Array()}, in, path)
}

func (p *planner) compare(c compared, in input, path string) (filter.Expr, error) {
	if in.null() {
		return p.nullCondition(c.scalar+"_comparison_exp", path)
	}
	var all filter.And
	for _, f := range in.fields() {
		e, err := p.comparison(c, f, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		if !filter.IsTrue(e) {
			all = append(all, e)
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *planner) comparison(c compared, f field, path string) (filter.Expr, error) {
	if f.in.null() {
		return p.nullCondition(c.scalar, path)
	}
	name := schema.Canonical(f.name)
	switch {
	case name == "_is_null":
		return filter.IsNull{Of: c.left, Negated: !f.in.boolean()}, nil
	case name == schema.Cast:
		return p.compareCast(c, f.in, path)
	case spatial[name] != nil:
		return spatial[name](c, f.in, path)
	}
	op := filter.Op(name[1:])
	t := c.of
	if special, ok := operatorType[op]; ok {
		t = special(t)
	}
	if op == filter.In || op == filter.NotIn {
		if c.list {
			return p.memberOfLists(c, op, f.in, path)
		}
		for _, item := range f.in.items() {
			if item.null() {
				return nil, unexpectedNull(c.scalar, path)
			}
		}
	}
	value, err := f.in.param(t, path)
	if err != nil {
		return nil, err
	}
	return filter.Compare{Left: c.left, Op: op, Right: value}, nil
}

// compareCast compares the value as another type.
func (p *planner) compareCast(c compared, in input, path string) (filter.Expr, error) {
	var all filter.And
	for _, f := range in.fields() {
		to := textType
		if f.name != "String" {
			to = sibling(f.name)(c.of)
		}
		e, err := p.compare(compared{left: filter.Cast{Of: c.left, To: to}, of: to, scalar: f.name}, f.in, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// memberOfLists is _in over an array column: Postgres has no array of arrays of
// different lengths, so each element is a comparison of its own.
func (p *planner) memberOfLists(c compared, op filter.Op, in input, path string) (filter.Expr, error) {
	items := []filter.Expr{}
	each := filter.Eq
	if op == filter.NotIn {
		each = filter.Neq
	}
	for _, item := range in.items() {
		value, err := item.param(c.of, path)
		if err != nil {
			return nil, err
		}
		items = append(items, filter.Compare{Left: c.left, Op: each, Right: value})
	}
	if op == filter.NotIn {
		return filter.And(items), nil
	}
	return filter.Or(items), nil
}

// nullCondition is an explicit null where a condition is wanted: refused, unless
// the project asks for the old behaviour, in which it is true.
func (p *planner) nullCondition(typeName, path string) (filter.Expr, error) {
	if p.schema.CollapsesNull() {
		return filter.True, nil
	}
	return nil, unexpectedNull(typeName, path)
}

func unexpectedNull(typeName, path string) error {
	return errcode.New(errcode.ValidationFailed, "unexpected null value for type '%s'", typeName).At(path)
}
