package authz

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/filter"
)

// group is expressions without rows that share variables: they hold together, so
// they are asked together.
type group struct {
	body  *body
	exprs []*ast.Expr
	// many is true when the expressions may have more than one solution.
	many bool
	// uses counts the conditions over rows that use a solution, strict that one of
	// them fails without one.
	uses   int
	strict bool
}

// guard is the condition that a group has a solution, where nothing else says so.
func (g *group) guard() filter.Expr {
	if len(g.exprs) == 0 || g.strict || g.many && g.uses > 0 {
		return filter.True
	}
	if name, ok := claimOnly(g.exprs); ok {
		return filter.IsNull{Of: g.body.claim(name, system("text")), Negated: true}
	}
	return filter.Guard{Param: g.body.lateGuard(g.exprs[0].Location, g.body.definition(g.exprs...))}
}

// group puts the free expressions, and the free terms in the others, together by
// their variables.
func (b *body) group(over, free []*ast.Expr) {
	parent := map[ast.Var]ast.Var{}
	var find func(v ast.Var) ast.Var
	find = func(v ast.Var) ast.Var {
		if p, ok := parent[v]; ok && p != v {
			parent[v] = find(p)
			return parent[v]
		}
		parent[v] = v
		return v
	}
	union := func(vars []ast.Var) {
		for _, v := range vars[min(1, len(vars)):] {
			parent[find(v)] = find(vars[0])
		}
		if len(vars) == 1 {
			find(vars[0])
		}
	}
	for _, e := range free {
		union(b.ownFree(func(w walk) { w.expr(e) }))
	}
	for _, e := range over {
		for _, r := range b.freeRefs(e) {
			union(b.ownFree(func(w walk) { w.ref(r) }))
		}
	}
	groups := map[ast.Var]*group{}
	of := func(v ast.Var) *group {
		root := find(v)
		if groups[root] == nil {
			groups[root] = &group{body: b}
			b.groups = append(b.groups, groups[root])
		}
		return groups[root]
	}
	for _, e := range free {
		vars := b.ownFree(func(w walk) { w.expr(e) })
		if len(vars) == 0 {
			b.groups = append(b.groups, &group{body: b, exprs: []*ast.Expr{e}})
			continue
		}
		g := of(vars[0])
		g.exprs = append(g.exprs, e)
	}
	settled := b.settled(free)
	for v := range b.free {
		g := of(v)
		g.many = g.many || !settled[v]
		b.vars[v] = freeValue{ast.NewTerm(v), g}
	}
}

// ownFree are the free variables of this body in what visit walks over.
func (b *body) ownFree(visit func(walk)) []ast.Var {
	var vars []ast.Var
	visit(walk{variable: func(v ast.Var, _ bool) {
		if b.free[v] && !slices.Contains(vars, v) {
			vars = append(vars, v)
		}
	}, reference: func(ast.Ref) {}})
	return vars
}

// freeRefs are the references of an expression in which no row has a part.
func (b *body) freeRefs(e *ast.Expr) []ast.Ref {
	var refs []ast.Ref
	ast.WalkRefs(e, func(r ast.Ref) bool {
		if len(r) > 1 && !b.touches(func(w walk) { w.ref(r) }, nil) {
			refs = append(refs, r)
			return true
		}
		return false
	})
	return refs
}

// settled are the free variables that can have one value only.
func (b *body) settled(free []*ast.Expr) map[ast.Var]bool {
	settled := map[ast.Var]bool{}
	one := func(t *ast.Term) bool {
		single := true
		walk{variable: func(v ast.Var, inside bool) {
			if b.free[v] {
				single = single && settled[v]
			} else if known, ok := b.lookup(v); ok {
				outer, is := known.(freeValue)
				single = single && is && !outer.many
			} else {
				single = single && inside
			}
		}, reference: func(ast.Ref) {}}.term(t)
		return single
	}
	for grown := true; grown; {
		grown = false
		add := func(v ast.Var, _ bool) {
			if b.free[v] && !settled[v] {
				settled[v], grown = true, true
			}
		}
		for _, e := range free {
			terms, ok := e.Terms.([]*ast.Term)
			if !ok || e.Negated || len(terms) < 2 {
				continue
			}
			operands := terms[1:]
			last := len(operands) - 1
			if e.IsEquality() {
				for i, side := range operands {
					if pattern(side) && one(operands[1-i]) {
						walk{variable: add, reference: func(ast.Ref) {}}.term(side)
					}
				}
			} else if out, is := operands[last].Value.(ast.Var); is && b.returns(e.Operator(), last) && !slices.ContainsFunc(operands[:last], func(t *ast.Term) bool { return !one(t) }) {
				add(out, false)
			}
		}
	}
	return settled
}

// bind gives the variables that rows have a part in their values, and returns the
// expressions that are left as conditions.
func (b *body) bind(over []*ast.Expr) []*ast.Expr {
	for grown := true; grown; {
		grown = false
		over = slices.DeleteFunc(slices.Clone(over), func(e *ast.Expr) bool {
			bound := !e.Negated && b.binds(e)
			grown = grown || bound
			return bound
		})
	}
	return over
}

// binds takes an expression as the binding of a variable, if it can.
func (b *body) binds(e *ast.Expr) bool {
	terms, ok := e.Terms.([]*ast.Term)
	if !ok || len(terms) < 2 {
		return false
	}
	operands := terms[1:]
	if e.IsEquality() {
		for i, side := range operands {
			if v, ok := b.unbound(side); ok && b.ready(operands[1-i]) {
				b.set(v, b.resolve(operands[1-i], e.Location), e.Location)
				return true
			}
		}
		return false
	}
	last := len(operands) - 1
	v, ok := b.unbound(operands[last])
	if !ok || !b.returns(e.Operator(), last) || slices.ContainsFunc(operands[:last], func(t *ast.Term) bool { return !b.ready(t) }) {
		return false
	}
	b.set(v, b.call(e, operands[:last]), e.Location)
	return true
}

func (b *body) unbound(t *ast.Term) (ast.Var, bool) {
	v, ok := t.Value.(ast.Var)
	if ok {
		_, known := b.lookup(v)
		ok = !known
	}
	return v, ok
}

// returns reports whether a function takes so many arguments before its result.
func (b *body) returns(operator ast.Ref, arguments int) bool {
	if rules := b.rules[b.ruleOf(operator)]; rules != nil {
		return len(rules[0].Head.Args) == arguments
	}
	builtin, ok := ast.BuiltinMap[operator.String()]
	return ok && len(builtin.Decl.FuncArgs().Args) == arguments
}

// ready reports whether the variables of a term have values; those in brackets
// after a relationship run over it.
func (b *body) ready(t *ast.Term) bool {
	ready := true
	walk{variable: func(v ast.Var, inside bool) {
		_, known := b.lookup(v)
		ready = ready && (known || inside)
	}, reference: func(ast.Ref) {}, index: func(v ast.Var, _ ast.Ref, _ bool) bool {
		_, known := b.lookup(v)
		return !known
	}}.term(t)
	return ready
}

func (b *body) set(v ast.Var, to value, at *ast.Location) {
	bound := boundValue{to, &binding{body: b}}
	b.vars[v] = bound
	b.bindings = append(b.bindings, boundTo{bound, at})
}

// definition is all that expressions without rows depend on: with the groups of
// the variables in them, and of those in turn.
func (b *body) definition(exprs ...*ast.Expr) []*ast.Expr {
	var out []*ast.Expr
	seen := map[*group]bool{}
	owner := map[ast.Var]*group{}
	bound := map[ast.Var]bool{}
	var place *ast.Location
	beyond := false // a loop of a body around this one, each round of which is asked for itself
	var add func(from *body, exprs []*ast.Expr)
	add = func(from *body, exprs []*ast.Expr) {
		for _, e := range exprs {
			if slices.Contains(out, e) {
				continue
			}
			out = append(out, e)
			if place == nil || place.File == "" {
				place = e.Location
			}
			walk{variable: func(v ast.Var, _ bool) {
				known, _ := from.lookup(v)
				free, ok := known.(freeValue)
				if !ok {
					return
				}
				beyond = beyond || free.many && free.body != b
				if owner[v] == nil {
					owner[v] = free.group
				}
				if owner[v] != free.group {
					b.fail(e.Location, "the same condition on data is used twice; give it a rule of its own")
				}
				if free.term.Value.Compare(v) != 0 && !bound[v] { // an argument
					bound[v] = true
					add(free.body, []*ast.Expr{ast.Equality.Expr(ast.NewTerm(v), free.term)})
				}
				if !seen[free.group] {
					seen[free.group] = true
					add(free.body, free.exprs)
				}
			}, reference: func(ast.Ref) {}}.expr(e)
		}
	}
	add(b, exprs)
	if beyond {
		b.fail(place, "a variable that runs over data cannot be used in not, every or a function together with rows; write the loop over data there")
	}
	return out
}
