package authz

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

var flipped = map[filter.Op]filter.Op{
	filter.Eq: filter.Eq, filter.Neq: filter.Neq, filter.Lt: filter.Gt, filter.Lte: filter.Gte, filter.Gt: filter.Lt, filter.Gte: filter.Lte,
}

func ordering(op filter.Op) bool { return op != filter.Eq && op != filter.Neq }

// compare is a comparison, true only if both sides are defined. Whether it is
// false or unknown otherwise makes no difference: nothing but IS TRUE and IS NOT
// TRUE looks at it.
func (b *body) compare(at *scope, op filter.Op, x, y value, place *ast.Location) filter.Expr {
	b.node(place)
	b.demands(x)
	b.demands(y)
	x, y = plain(x), plain(y)
	if rank(x) < rank(y) {
		x, y, op = y, x, flipped[op]
	}
	if _, missing := y.(missingValue); missing {
		return filter.False
	}
	switch x := x.(type) {
	case missingValue:
		return filter.False
	case ruleValue:
		return b.overRules(at, x, func(inner *body, row *scope, head value) filter.Expr { return inner.compare(row, op, head, y, place) })
	case truthValue:
		return b.compareTruth(at, op, x, y, place)
	case columnValue:
		return b.compareColumn(at, op, x, y, place)
	case textValue:
		return b.compareText(at, op, x, y, place)
	case rowValue, relatedValue:
		if c, ok := y.(constantValue); ok && op == filter.Neq && isNull(c) {
			return filter.True // a row that is not there has no condition
		}
		b.fail(place, "rows cannot be compared; compare their columns")
	case constantValue:
		if c, ok := y.(constantValue); ok {
			return folded(op, x.of.Compare(c.of))
		}
		b.fail(place, "this comparison cannot be translated to SQL")
	default:
		b.fail(place, "this comparison cannot be translated to SQL")
	}
	return filter.False
}

// rank puts the side that decides how to compare first.
func rank(v value) int {
	switch v.(type) {
	case ruleValue:
		return 6
	case truthValue:
		return 5
	case columnValue:
		return 4
	case textValue:
		return 3
	case rowValue, relatedValue:
		return 2
	case freeValue:
		return 1
	}
	return 0
}

func isNull(c constantValue) bool { _, ok := c.of.(ast.Null); return ok }

func folded(op filter.Op, order int) filter.Expr {
	holds := map[filter.Op]bool{
		filter.Eq: order == 0, filter.Neq: order != 0, filter.Lt: order < 0, filter.Lte: order <= 0, filter.Gt: order > 0, filter.Gte: order >= 0,
	}
	if holds[op] {
		return filter.True
	}
	return filter.False
}

// demands notes that a condition of the body itself fails without a value.
func (b *body) demands(v value) {
	switch v := v.(type) {
	case boundValue:
		if v.body == b {
			v.strict = true
		}
		b.demands(v.value)
	case textValue:
		b.demands(v.of)
	case freeValue:
		if v.body == b {
			v.strict = true
		}
	}
}

func (b *body) compareTruth(at *scope, op filter.Op, x truthValue, y value, place *ast.Location) filter.Expr {
	c, ok := y.(constantValue)
	truth, is := ast.Boolean(false), false
	if ok {
		truth, is = c.of.(ast.Boolean)
	}
	if !is || ordering(op) {
		b.fail(place, "the result of a comparison can only be compared with true or false")
		return filter.False
	}
	holds := b.compare(at, x.op, x.a, x.b, place)
	if bool(truth) == (op == filter.Eq) {
		return holds
	}
	return allOf([]filter.Expr{b.defined(at, x.a, place), b.defined(at, x.b, place), b.notTrue(holds)})
}

// side is one side of a comparison in SQL: an operand, its type and its kind.
type side struct {
	operand filter.Operand
	base    catalog.TypeRef
	kind    kind
	what    string // for messages
	column  *model.Column
}

func (b *body) side(at *scope, v value, place *ast.Location) (side, bool) {
	switch v := plain(v).(type) {
	case columnValue:
		return side{columnAt(at, v), v.column.Base, kindOf(v.column), fmt.Sprintf("the column %q of %q", v.column.StoredName(), v.of.table.Name.Name), v.column}, true
	case textValue:
		inner, ok := b.side(at, v.of, place)
		return side{filter.Call{Function: v.function, Arguments: []filter.Operand{inner.operand}}, system("text"), textKind, "a text", nil}, ok
	}
	return side{}, false
}

func (b *body) compareColumn(at *scope, op filter.Op, x columnValue, y value, place *ast.Location) filter.Expr {
	left, _ := b.side(at, x, place)
	if c, ok := y.(constantValue); ok && isNull(c) {
		if ordering(op) {
			b.fail(place, "null has no order")
		}
		return filter.IsNull{Of: left.operand, Negated: op == filter.Neq}
	}
	if other, ok := y.(columnValue); ok {
		right, _ := b.side(at, other, place)
		if !comparable2(x.column, other.column) || ordering(op) && left.kind == enumKind {
			b.fail(place, "%s, %s, cannot be compared with %s, %s of type %s", left.what, left.kind, right.what, right.kind, other.column.Base.Name)
			return filter.False
		}
		return filter.Compare{Left: inOrder(op, left), Op: op, Right: right.operand}
	}
	return b.compareSide(at, op, left, y, place)
}

func (b *body) compareText(at *scope, op filter.Op, x textValue, y value, place *ast.Location) filter.Expr {
	left, _ := b.side(at, x, place)
	if other, ok := y.(textValue); ok {
		right, _ := b.side(at, other, place)
		return filter.Compare{Left: inOrder(op, left), Op: op, Right: right.operand}
	}
	if c, ok := y.(constantValue); ok && isNull(c) {
		if op == filter.Neq {
			return b.defined(at, x, place)
		}
		return filter.False
	}
	return b.compareSide(at, op, left, y, place)
}

// inOrder makes a text sort by its bytes, as Rego does.
func inOrder(op filter.Op, s side) filter.Operand {
	if ordering(op) && s.kind == textKind {
		return filter.Bytes{Of: s.operand}
	}
	return s.operand
}

// compareSide compares with what is no row's.
func (b *body) compareSide(at *scope, op filter.Op, left side, y value, place *ast.Location) filter.Expr {
	switch {
	case left.kind == opaqueKind:
		b.fail(place, "%s is %s (%s)", left.what, left.kind, left.base.Name)
		return filter.False
	case ordering(op) && (left.kind == enumKind || left.kind == booleanKind):
		b.fail(place, "%s is %s, which has no order", left.what, left.kind)
		return filter.False
	}
	switch y := y.(type) {
	case constantValue:
		return filter.Compare{Left: inOrder(op, left), Op: op, Right: b.literal(left, y.of, place)}
	case freeValue:
		return b.compareFree(at, op, left, y, place)
	}
	b.fail(place, "this comparison cannot be translated to SQL")
	return filter.False
}

// literal is a constant as a value of a side's type.
func (b *body) literal(left side, v ast.Value, place *ast.Location) filter.Param {
	text, ok := fitting(left.base, left.kind, v)
	if ok && left.kind == enumKind {
		ok = left.column == nil || b.enumHas(left.base, text)
	}
	if !ok {
		b.fail(place, "%s is %s; the value %v does not fit", left.what, left.kind, v)
	}
	return b.param(filter.Param{From: filter.Literal, Name: text, Type: left.base}, place)
}

func (b *body) param(p filter.Param, place *ast.Location) filter.Param {
	key := filter.String(filter.Guard{Param: p})
	if b.params == nil {
		b.params = map[string]bool{}
	}
	if b.params[key] {
		return p
	}
	if b.params[key] = true; len(b.params) == maxParams+1 {
		b.fail(place, "the filter has more than %d values", maxParams)
	}
	return p
}

func (t *translator) enumHas(base catalog.TypeRef, value string) bool {
	of, known := t.types[catalog.Name{Schema: base.Schema, Name: base.Name}.String()]
	return !known || slices.Contains(of.Values, value)
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// fitting is a value as Postgres reads it; false when no value of the type equals
// it.
func fitting(base catalog.TypeRef, k kind, v ast.Value) (string, bool) {
	switch v := v.(type) {
	case ast.String:
		text := string(v)
		switch k {
		case textKind, enumKind:
			return text, !strings.Contains(text, "\x00")
		case uuidKind:
			return text, uuidForm.MatchString(text)
		}
	case ast.Boolean:
		return fmt.Sprint(bool(v)), k == booleanKind
	case ast.Number:
		if k == numberKind {
			return number(base, json.Number(v))
		}
	}
	return "", false
}

// integers are the bits of the integer types.
var integers = map[string]int{"int2": 16, "int4": 32, "int8": 64}

func number(base catalog.TypeRef, n json.Number) (string, bool) {
	if err := small(ast.NewTerm(ast.Number(n))); err != nil {
		return "", false
	}
	bits, integer := integers[base.Name]
	if !integer {
		return n.String(), true
	}
	exact, ok := new(big.Rat).SetString(n.String())
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return "", false
	}
	value := exact.Num().Int64()
	most := int64(1)<<(bits-1) - 1
	return exact.Num().String(), value <= most && value >= -most-1
}

// compareFree compares with a value that is bound when the request runs.
func (b *body) compareFree(at *scope, op filter.Op, left side, y freeValue, place *ast.Location) filter.Expr {
	if y.many {
		y.uses++
		if op != filter.Eq || y.body != b || y.uses > 1 {
			b.fail(place, "a variable that runs over data can be compared with one column only, by ==; write the others in the same loop over data")
			return filter.False
		}
		x := ast.VarTerm(lateVar)
		list := b.lateList(left, place, y.body.definition(ast.Equality.Expr(x, y.term)))
		return filter.Compare{Left: b.asText(left), Op: filter.In, Right: list}
	}
	claim, isClaim := y.claim()
	switch {
	case isClaim && (left.kind == numberKind || left.kind == booleanKind):
		b.fail(place, "%s is %s, and session variables are texts: write to_number(…)", left.what, left.kind)
		return filter.False
	case isClaim && (left.kind == textKind || left.kind == enumKind):
		return filter.Compare{Left: b.ordered(op, left), Op: op, Right: b.param(b.claim(claim, textBase(left)), place)}
	case ordering(op) && left.kind == uuidKind:
		b.fail(place, "a uuid can be compared by order with a constant or a column only")
		return filter.False
	}
	var right filter.Param
	if isClaim {
		right = b.param(b.claim(claim, left.base), place)
	} else {
		right = b.lateScalar(left, op, ordering(op), place, y)
	}
	equal := filter.Compare{Left: b.ordered(op, left), Op: op, Right: right}
	if op != filter.Neq {
		return equal
	}
	// A value that does not fit the type is NULL, and yet different.
	equal.Op = filter.Eq
	return allOf([]filter.Expr{
		filter.IsNull{Of: left.operand, Negated: true}, b.definedFree(y, place), b.notTrue(equal),
	})
}

// textBase is the type that a text is read as: an enum's comes as text.
func textBase(left side) catalog.TypeRef {
	if left.kind == enumKind {
		return system("text")
	}
	return left.base
}

// asText reads an enum as text, for values that may be none of its own.
func (b *body) asText(left side) filter.Operand {
	if left.kind == enumKind {
		return filter.Cast{Of: left.operand, To: system("text")}
	}
	return left.operand
}

func (b *body) ordered(op filter.Op, left side) filter.Operand {
	if left.kind == enumKind {
		return b.asText(left)
	}
	return inOrder(op, left)
}

// membership is x in y.
func (b *body) membership(e *ast.Expr, x, y value) {
	place := e.Location
	b.later(append(x.rows(), y.rows()...), func(at *scope) filter.Expr {
		b.demands(x)
		b.demands(y)
		for _, v := range []value{x, y} {
			if _, missing := plain(v).(missingValue); missing {
				return filter.False
			}
		}
		if r, ok := plain(x).(ruleValue); ok {
			return b.overRules(at, r, func(inner *body, row *scope, head value) filter.Expr {
				return inner.member(row, head, plain(y), place)
			})
		}
		return b.member(at, x, plain(y), place)
	})
}

func (b *body) member(at *scope, x, y value, place *ast.Location) filter.Expr {
	left, ok := b.side(at, x, place)
	switch {
	case !ok:
		b.fail(place, "only a column can be looked for in a list")
		return filter.False
	case left.kind == opaqueKind:
		b.fail(place, "%s is %s (%s)", left.what, left.kind, left.base.Name)
		return filter.False
	}
	switch y := y.(type) {
	case constantValue:
		items, ok := elements(y.of)
		if !ok {
			b.fail(place, "expected a list or a set of values after in")
			return filter.False
		}
		var list []any
		for _, item := range items {
			list = append(list, b.literal(left, item.Value, place).Name)
		}
		if len(list) == 0 {
			return filter.False
		}
		text, _ := access.Literal(listOf(left.base), list)
		return filter.Compare{Left: left.operand, Op: filter.In, Right: b.param(filter.Param{From: filter.Literal, Name: text, Type: listOf(left.base)}, place)}
	case freeValue:
		if y.many {
			b.fail(place, "a variable that runs over data cannot stand after in")
			return filter.False
		}
		list, x := ast.VarTerm(lateVar+"list"), ast.VarTerm(lateVar)
		in := ast.Equality.Expr(x, ast.RefTerm(list, ast.VarTerm(lateVar+"key")))
		exprs := append(y.body.definition(ast.Equality.Expr(list, y.term)), in)
		return filter.Compare{Left: b.asText(left), Op: filter.In, Right: b.lateList(left, place, exprs)}
	}
	b.fail(place, "what a column is looked for in cannot be of rows; write some row in …")
	return filter.False
}

func elements(v ast.Value) ([]*ast.Term, bool) {
	switch v := v.(type) {
	case *ast.Array:
		var all []*ast.Term
		v.Foreach(func(t *ast.Term) { all = append(all, t) })
		return all, true
	case ast.Set:
		return v.Slice(), true
	case ast.Object:
		var all []*ast.Term
		v.Foreach(func(_, t *ast.Term) { all = append(all, t) })
		return all, true
	}
	return nil, false
}

// search is startswith, endswith or contains.
func (b *body) search(at *scope, name string, x, y value, place *ast.Location) filter.Expr {
	b.demands(x)
	b.demands(y)
	operands := make([]filter.Operand, 2)
	for i, v := range []value{x, y} {
		if _, missing := plain(v).(missingValue); missing {
			return filter.False
		}
		operand, ok := b.text(at, plain(v), place)
		if !ok {
			b.fail(place, "%s takes columns, session variables and constants that are texts", name)
			return filter.False
		}
		operands[i] = operand
	}
	switch name {
	case "startswith":
		return filter.Predicate{Schema: "pg_catalog", Function: "starts_with", Arguments: operands}
	case "endswith":
		length := filter.Call{Function: "length", Arguments: operands[1:]}
		return filter.Compare{Left: filter.Call{Function: "right", Arguments: []filter.Operand{operands[0], length}}, Op: filter.Eq, Right: operands[1]}
	}
	return filter.Compare{Left: filter.Call{Function: "strpos", Arguments: operands}, Op: filter.Gt,
		Right: filter.Param{From: filter.Literal, Name: "0", Type: system("int4")}}
}

// text is a value as a text.
func (b *body) text(at *scope, v value, place *ast.Location) (filter.Operand, bool) {
	text := side{base: system("text"), kind: textKind, what: "this"}
	switch v := v.(type) {
	case columnValue, textValue:
		s, _ := b.side(at, v, place)
		if s.kind == uuidKind || s.kind == enumKind {
			return filter.Cast{Of: s.operand, To: system("text")}, true
		}
		return s.operand, s.kind == textKind
	case constantValue:
		literal, ok := fitting(text.base, textKind, v.of)
		return b.param(filter.Param{From: filter.Literal, Name: literal, Type: text.base}, place), ok
	case freeValue:
		if name, ok := v.claim(); ok {
			return b.param(b.claim(name, text.base), place), true
		}
		if v.many {
			return nil, false
		}
		return b.lateScalar(text, filter.Eq, true, place, v), true
	}
	return nil, false
}

// truthy is a value that stands alone: neither undefined nor false.
func (b *body) truthy(at *scope, v value, place *ast.Location) filter.Expr {
	b.demands(v)
	switch v := plain(v).(type) {
	case columnValue:
		if kindOf(v.column) == booleanKind {
			return b.compare(at, filter.Eq, v, constantValue{ast.Boolean(true)}, place)
		}
	case ruleValue:
		return b.overRules(at, v, func(inner *body, row *scope, head value) filter.Expr { return inner.truthy(row, head, place) })
	case truthValue:
		return b.compare(at, v.op, v.a, v.b, place)
	case constantValue:
		if v.of.Compare(ast.Boolean(false)) == 0 {
			return filter.False
		}
		return filter.True
	case freeValue:
		b.fail(place, "a value that depends on the session alone cannot stand here; compare it")
		return filter.False
	}
	return b.defined(at, v, place)
}

// defined is the condition that a value is not undefined.
func (b *body) defined(at *scope, v value, place *ast.Location) filter.Expr {
	switch v := plain(v).(type) {
	case missingValue:
		return filter.False
	case columnValue:
		return filter.IsNull{Of: columnAt(at, v), Negated: true}
	case textValue:
		return b.defined(at, v.of, place)
	case truthValue:
		return allOf([]filter.Expr{b.defined(at, v.a, place), b.defined(at, v.b, place)})
	case ruleValue:
		return b.overRules(at, v, func(inner *body, row *scope, head value) filter.Expr { return inner.defined(row, head, place) })
	case freeValue:
		return b.definedFree(v, place)
	}
	return filter.True
}

func (b *body) definedFree(v freeValue, place *ast.Location) filter.Expr {
	if name, ok := v.claim(); ok {
		return filter.IsNull{Of: b.claim(name, system("text")), Negated: true}
	}
	if v.many {
		b.fail(place, "a variable that runs over data can be compared with one column only, by ==")
		return filter.False
	}
	return filter.Guard{Param: b.lateGuard(place, v.body.definition(ast.Equality.Expr(ast.VarTerm(lateVar), v.term)))}
}

// overRules is what then says of the value of a rule or function.
func (b *body) overRules(at *scope, r ruleValue, then func(inner *body, row *scope, head value) filter.Expr) filter.Expr {
	var alternatives []filter.Expr
	var fallback, first *ast.Rule
	for _, rule := range r.rules {
		switch {
		case rule.Default:
			fallback = rule
			continue
		case rule.Else != nil:
			b.fail(rule.Location, "else cannot be translated to SQL; write the negated condition in another rule")
			return filter.False
		case rule.Head.Key != nil:
			b.fail(r.at, "sets and objects of rules over rows cannot be translated to SQL: %s", rule.Head.Name)
			return filter.False
		case first == nil:
			first = rule
		case rule.Head.Value.Value.Compare(first.Head.Value.Value) != 0 || !ast.IsConstant(rule.Head.Value.Value):
			b.fail(place(rule, r.at), "the rule %s can have several values for one row, which Rego makes an error; give every value a rule of its own name", rule.Head.Name)
			return filter.False
		}
		alternatives = append(alternatives, b.overRule(at, r, rule, then))
	}
	if fallback == nil {
		return anyOf(alternatives)
	}
	head := constantValue{fallback.Head.Value.Value}
	if !ast.IsConstant(head.of) {
		b.fail(place(fallback, r.at), "a default that is no constant cannot be translated to SQL")
		return filter.False
	}
	if otherwise := then(b, at, head); !filter.IsFalse(otherwise) {
		var holds []filter.Expr
		for _, rule := range r.rules {
			if !rule.Default {
				holds = append(holds, b.overRule(at, r, rule, func(*body, *scope, value) filter.Expr { return filter.True }))
			}
		}
		alternatives = append(alternatives, allOf([]filter.Expr{otherwise, b.notTrue(anyOf(holds))}))
	}
	return anyOf(alternatives)
}

// place is where a rule of a residual came from: its own place is lost, that of
// its body is not.
func place(rule *ast.Rule, otherwise *ast.Location) *ast.Location {
	for _, e := range rule.Body {
		if e.Location != nil && e.Location.File != "" {
			return e.Location
		}
	}
	return otherwise
}

func (b *body) overRule(at *scope, r ruleValue, rule *ast.Rule, then func(*body, *scope, value) filter.Expr) filter.Expr {
	vars := map[ast.Var]value{}
	var fixed []func(inner *body)
	for i, arg := range rule.Head.Args {
		given := r.args[i]
		switch v := arg.Value.(type) {
		case ast.Var:
			vars[v] = given
		case ast.Null, ast.Boolean, ast.Number, ast.String:
			fixed = append(fixed, func(inner *body) { inner.comparing(filter.Eq, given, constantValue{v}, r.at) })
		default:
			b.fail(r.at, "the function %s takes its argument apart, which cannot be translated to SQL", rule.Head.Name)
			return filter.False
		}
	}
	return b.conjunction(nil, at, vars, rule.Body, func(inner *body) {
		for _, add := range fixed {
			add(inner)
		}
		head := inner.resolve(rule.Head.Value, place(rule, r.at))
		inner.later(head.rows(), func(row *scope) filter.Expr { return then(inner, row, head) })
	})
}
