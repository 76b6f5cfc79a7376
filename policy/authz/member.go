package authz

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/access"
	"tenantry/policy/filter"
)

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
