package authz

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// lateVar is a variable that no residual has.
const lateVar = "__late__"

// lateModule holds what a filter leaves to be evaluated for each session: values
// and conditions in which no row has a part.
type lateModule struct {
	id     string
	rules  []*ast.Rule
	values map[string]lateValue // by the name of the rule
	// support are the residual's rules that they may use.
	support []*ast.Module
	// request is what partial evaluation knew.
	request Request
	// variables are the session variables that they depend on, sorted; auth, ip and
	// now tell of the rest.
	variables     []string
	auth, ip, now bool
	// all is true when they may depend on any variable, beyond when on more than the
	// session and the time.
	all, beyond bool
}

// lateValue says what becomes of the value of a rule.
type lateValue struct {
	form   lateForm
	base   catalog.TypeRef
	kind   kind
	strict bool // a value that does not fit is an error, not NULL
	// op is the comparison that a strict value is for: next to an integer, a
	// fraction is as good as the integer beside it.
	op filter.Op
}

type lateForm uint8

const (
	lateGuardForm lateForm = iota
	lateScalarForm
	lateListForm
)

// add makes a rule of late values.
func (b *body) add(place *ast.Location, v lateValue, head *ast.Term, exprs []*ast.Expr) string {
	m := b.late
	name := fmt.Sprintf("v%d", len(m.rules))
	copies := make([]*ast.Expr, 0, len(exprs))
	for _, e := range exprs {
		copied := e.Copy()
		copied.With = nil
		copies = append(copies, copied)
	}
	at := place
	if at == nil {
		at = ast.NewLocation(nil, "", 1, 1)
	}
	rule := &ast.Rule{Location: at, Body: ast.NewBody(copies...), Head: ast.NewHead(ast.Var(name), nil, head)}
	if v.form == lateListForm {
		rule.Head = ast.NewHead(ast.Var(name), nil, ast.ArrayComprehensionTerm(head, ast.NewBody(copies...)))
		rule.Body = ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))
	}
	rule.Head.Location = at
	m.rules = append(m.rules, rule)
	m.values[name] = v
	return m.id + "." + name
}

func (b *body) lateGuard(place *ast.Location, exprs []*ast.Expr) filter.Param {
	name := b.add(place, lateValue{form: lateGuardForm, base: system("bool")}, ast.BooleanTerm(true), exprs)
	return b.param(filter.Param{From: filter.Late, Name: name, Type: system("bool")}, place)
}

// lateScalar is the value of a term; strict when it has to fit the type.
func (b *body) lateScalar(left side, op filter.Op, strict bool, place *ast.Location, y freeValue) filter.Param {
	base, k := left.base, left.kind
	if k == enumKind {
		base, k = system("text"), textKind
	}
	x := ast.VarTerm(lateVar)
	name := b.add(place, lateValue{lateScalarForm, base, k, strict, op}, x, y.body.definition(ast.Equality.Expr(x, y.term)))
	return b.param(filter.Param{From: filter.Late, Name: name, Type: base}, place)
}

// lateList is all values that lateVar can have.
func (b *body) lateList(left side, place *ast.Location, exprs []*ast.Expr) filter.Param {
	base, k := left.base, left.kind
	if k == enumKind {
		base, k = system("text"), textKind
	}
	name := b.add(place, lateValue{form: lateListForm, base: base, kind: k}, ast.VarTerm(lateVar), exprs)
	return b.param(filter.Param{From: filter.Late, Name: name, Type: listOf(base)}, place)
}

// claim is a session variable, bound as it is.
func (t *translator) claim(name string, base catalog.TypeRef) filter.Param {
	return filter.Param{From: filter.Claim, Name: name, Type: base}
}

// claim reports whether a value is a session variable and nothing else.
func (v freeValue) claim() (string, bool) {
	if name, ok := claimOf(v.term); ok {
		return name, true
	}
	if _, ok := v.term.Value.(ast.Var); !ok {
		return "", false
	}
	if len(v.exprs) != 1 || !v.exprs[0].IsEquality() || v.exprs[0].Operand(0).Value.Compare(v.term.Value) != 0 {
		return "", false
	}
	return claimOnly(v.exprs)
}

// claimOnly reports whether a group does nothing but name a session variable.
func claimOnly(exprs []*ast.Expr) (string, bool) {
	if len(exprs) != 1 || exprs[0].Negated || !exprs[0].IsEquality() {
		return "", false
	}
	if _, ok := exprs[0].Operand(0).Value.(ast.Var); !ok {
		return "", false
	}
	return claimOf(exprs[0].Operand(1))
}

func claimOf(t *ast.Term) (string, bool) {
	r, ok := t.Value.(ast.Ref)
	if !ok || len(r) != 4 || !r.HasPrefix(variablesRef) {
		return "", false
	}
	name, ok := r[3].Value.(ast.String)
	// Names in a session are in lower case; another is undefined.
	return string(name), ok && string(name) == strings.ToLower(string(name))
}

// text is a late value as Postgres reads it; nil is NULL.
func (v lateValue) text(of ast.Value) (*string, error) {
	if v.form == lateGuardForm {
		held := "false"
		if of != nil {
			held = "true"
		}
		return &held, nil
	}
	if of == nil {
		return nil, nil
	}
	if v.form == lateListForm {
		items, _ := elements(of)
		list := []any{}
		for _, item := range items {
			if text, ok := fitting(v.base, v.kind, item.Value); ok && !slices.Contains(list, any(text)) {
				list = append(list, text)
			}
		}
		text, _ := access.Literal(listOf(v.base), list)
		return &text, nil
	}
	text, ok := fitting(v.base, v.kind, of)
	if !ok && v.strict {
		if n, is := of.(ast.Number); is && v.kind == numberKind {
			text, ok = beside(v.base, json.Number(n), v.op)
		}
	}
	switch {
	case ok:
		return &text, nil
	case v.strict:
		return nil, fmt.Errorf("a value is not %s", v.kind)
	}
	return nil, nil
}

// beside is the number of a column's type that compares by order with those of the
// type as n does, which is none of them.
func beside(base catalog.TypeRef, n json.Number, op filter.Op) (string, bool) {
	if small(ast.NewTerm(ast.Number(n))) != nil {
		return "", false
	}
	above := op == filter.Lt || op == filter.Gte
	if binary(base) {
		return besideFloat(base, n, above)
	}
	if _, integer := integers[base.Name]; !integer {
		return "", false
	}
	exact, ok := new(big.Rat).SetString(n.String())
	if !ok || exact.IsInt() {
		return "", false
	}
	floor := new(big.Int).Div(exact.Num(), exact.Denom())
	if above {
		floor.Add(floor, big.NewInt(1))
	}
	return number(base, json.Number(floor.String()))
}

func besideFloat(base catalog.TypeRef, n json.Number, above bool) (string, bool) {
	text, order := nearest(base, n)
	switch {
	case order == 2:
		return "", false
	case above == (order > 0):
		return text, true
	}
	to := math.Inf(-1)
	if above {
		to = math.Inf(1)
	}
	if base.Name == "float4" {
		value, _ := strconv.ParseFloat(text, 32)
		next := float64(math.Nextafter32(float32(value), float32(to)))
		return strconv.FormatFloat(next, 'g', -1, 32), !math.IsInf(next, 0)
	}
	value, _ := strconv.ParseFloat(text, 64)
	next := math.Nextafter(value, to)
	return strconv.FormatFloat(next, 'g', -1, 64), !math.IsInf(next, 0)
}
