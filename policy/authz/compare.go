package authz

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

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
	if binary(base) {
		_, exact := nearest(base, n)
		return n.String(), exact == 0
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

// nearest is the floating-point number of a type that is nearest to n, as Postgres
// writes it, which is what Rego sees of a column; the second result is how it
// compares with n, 2 when the type has none.
func nearest(base catalog.TypeRef, n json.Number) (text string, order int) {
	bits := 64
	if base.Name == "float4" {
		bits = 32
	}
	value, err := strconv.ParseFloat(n.String(), bits)
	exact, ok := new(big.Rat).SetString(n.String())
	if err != nil || !ok {
		return "", 2
	}
	text = strconv.FormatFloat(value, 'g', -1, bits)
	seen, ok := new(big.Rat).SetString(text)
	if !ok {
		return "", 2
	}
	return text, seen.Cmp(exact)
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
