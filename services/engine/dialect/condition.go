package dialect

import (
	"fmt"
	"slices"
	"strconv"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// operators in SQL; In and NotIn are written apart.
var operators = map[filter.Op]string{
	filter.Eq: "=", filter.Neq: "<>", filter.Gt: ">", filter.Gte: ">=", filter.Lt: "<", filter.Lte: "<=",
	filter.Like: "LIKE", filter.NotLike: "NOT LIKE", filter.ILike: "ILIKE", filter.NotILike: "NOT ILIKE",
	filter.Similar: "SIMILAR TO", filter.NotSimilar: "NOT SIMILAR TO",
	filter.Regex: "~", filter.NotRegex: "!~", filter.IRegex: "~*", filter.NotIRegex: "!~*",
	filter.Contains: "@>", filter.ContainedIn: "<@",
	filter.HasKey: "?", filter.HasKeysAny: "?|", filter.HasKeysAll: "?&",
}

// condition writes e about row, in parentheses.
func (w *writer) condition(e filter.Expr, row *scope) {
	switch e := e.(type) {
	case nil:
		w.text("true")
	case filter.And:
		w.list(e, " AND ", "true", row)
	case filter.Or:
		w.list(e, " OR ", "false", row)
	case filter.Not:
		w.text("(NOT ")
		w.condition(e.Of, row)
		w.text(")")
	case filter.NotTrue:
		w.text("(")
		w.condition(e.Of, row)
		w.text(" IS NOT TRUE)")
	case filter.Compare:
		w.compare(e, row)
	case filter.IsNull:
		w.text("(")
		w.operand(e.Of, row)
		if e.Negated {
			w.text(" IS NOT NULL)")
		} else {
			w.text(" IS NULL)")
		}
	case filter.Exists:
		w.exists(e, row)
	case filter.Guard:
		w.value(e.Param)
	case filter.Predicate:
		w.predicate(e, row)
	default:
		// A new kind of expression without SQL is a bug, and must not widen access.
		panic(fmt.Sprintf("dialect: no SQL for %T", e))
	}
}

func (w *writer) list(items []filter.Expr, glue, empty string, row *scope) {
	if len(items) == 0 {
		w.text(empty)
		return
	}
	w.text("(")
	for i, item := range items {
		if i > 0 {
			w.text(glue)
		}
		w.condition(item, row)
	}
	w.text(")")
}

func (w *writer) compare(c filter.Compare, row *scope) {
	w.text("(")
	w.operand(c.Left, row)
	switch c.Op {
	case filter.In:
		w.text(" = ANY (")
		w.operand(c.Right, row)
		w.text(")")
	case filter.NotIn:
		w.text(" <> ALL (")
		w.operand(c.Right, row)
		w.text(")")
	default:
		if !w.operator(c.Op, c.Left) {
			panic(fmt.Sprintf("dialect: no SQL for operator %q", c.Op))
		}
		w.operand(c.Right, row)
	}
	w.text(")")
}

func (w *writer) exists(e filter.Exists, row *scope) {
	inner := &scope{alias: w.alias(), outer: row}
	w.text("EXISTS (SELECT 1 FROM ")
	if e.From != nil {
		w.call(e.From, row)
	} else {
		w.table(e.Table)
	}
	w.text(" AS " + quote(inner.alias))
	w.where(e.On, e.Where, inner)
	w.text(")")
}

func (w *writer) operand(o filter.Operand, row *scope) {
	switch o := o.(type) {
	case filter.Column:
		row.up(o.Up).compute(o.Name, o.Of)
		w.cell(row.up(o.Up), o.Name, o.Type, o.Cases)
	case filter.Param:
		w.value(o)
	case filter.Cast:
		w.operand(o.Of, row)
		w.text("::" + typeName(o.To))
	case filter.Aggregate:
		w.aggregateOperand(o, row)
	case filter.Call:
		w.plainCall(o, row)
	case filter.Bytes:
		w.text("(")
		w.operand(o.Of, row)
		w.text(` COLLATE "C")`)
	default:
		panic(fmt.Sprintf("dialect: no SQL for operand %T", o))
	}
}

// plainFunctions are those of Postgres that a condition may call.
var plainFunctions = []string{"lower", "upper", "right", "length", "strpos"}

func (w *writer) plainCall(c filter.Call, row *scope) {
	if !slices.Contains(plainFunctions, c.Function) {
		panic(fmt.Sprintf("dialect: no SQL for function %q", c.Function))
	}
	w.text(c.Function + "(")
	for i, a := range c.Arguments {
		w.comma(i)
		w.operand(a, row)
	}
	w.text(")")
}

// value writes a parameter cast to its type. The same value used twice is one
// parameter, so that a session variable is bound once. A Boolean of the operation's or
// a rule's own text is written as it is: Postgres plans otherwise for the one that is
// common than for the one that is rare, can use a partial index, and need not plan the
// statement for each run to do so.
func (w *writer) value(p filter.Param) {
	switch {
	case p.From == filter.Null:
		w.text("NULL::" + typeName(p.Type))
	case p.From == filter.Literal && p.Type == boolean && (p.Name == "true" || p.Name == "false"):
		w.text(p.Name)
	default:
		w.bind(Param{Value: &p}, p.Type)
	}
}

var boolean = catalog.TypeRef{Schema: "pg_catalog", Name: "bool"}

func (w *writer) bind(p Param, t catalog.TypeRef) {
	if spatial(t) && p.Value != nil {
		w.bindShape(p, t)
		return
	}
	w.text("$" + strconv.Itoa(w.number(p, t)) + "::" + typeName(t))
}

func (w *writer) number(p Param, t catalog.TypeRef) int {
	if p.Value == nil {
		w.params = append(w.params, p)
		return len(w.params)
	}
	identity := identify(*p.Value) + "\x00" + typeName(t)
	if n, ok := w.numbers[identity]; ok {
		return n
	}
	if w.numbers == nil {
		w.numbers = map[string]int{}
	}
	w.params = append(w.params, p)
	w.numbers[identity] = len(w.params)
	return len(w.params)
}

// identify tells values apart by where they come from, an array's elements
// included.
func identify(p filter.Param) string {
	out := fmt.Sprintf("%d\x00%q\x00%#v", p.From, p.Name, p.Path)
	for _, item := range p.Items {
		out += "\x00(" + identify(item) + ")"
	}
	return out
}
