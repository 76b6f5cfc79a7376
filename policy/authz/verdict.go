package authz

import (
	"context"
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"tenantry/api/session"
)

// Verdict is what a policy says of a point when an operation is planned.
type Verdict uint8

// The verdicts.
const (
	Maybe  Verdict = iota // it depends on the request
	Always                // whatever the session and the arguments are
	Never
)

// Standing is what is known of a decision before a request comes. It is made when
// an operation is planned and kept with the plan.
type Standing struct {
	Verdict Verdict
	// late has the value that decides when nothing but the session does.
	late *lateModule
	size int
}

// Size is how many bytes a standing takes that no other one shares.
func (st Standing) Size() int { return st.size }

// held is the rule of a standing's late module.
const held = "v0"

// Stand evaluates a decision as far as the role, the operation and the resource
// determine it; the session's variables, the arguments and data are unknown. What
// was found lately for the same request is not evaluated again.
func (p *Policy) Stand(ctx context.Context, r Request) Standing {
	if !p.Asks(r.Point) || r.Session.IsAdmin() {
		return Standing{Verdict: Always}
	}
	key := known(r)
	if found, ok := p.late.standing(key); ok {
		return found
	}
	left, _, err := p.partial(ctx, root+"."+ruleAt(r.Point)+" == true", undecided, r)
	if err != nil { // asked again, and then denied, when a request comes
		if errors.Is(err, errTimeout) { // the next time it may not take so long
			p.transients.Add(1)
		}
		return Standing{}
	}
	return p.late.stands(key, stand(r, left))
}

// stand is the standing of a decision of which so much is left.
func stand(r Request, left *rego.PartialQueries) Standing {
	if len(left.Queries) == 0 {
		return Standing{Verdict: Never}
	}
	t := &translator{rules: map[string][]*ast.Rule{}, overRows: map[string]bool{}}
	for _, m := range left.Support {
		for _, rule := range m.Rules {
			key := m.Package.Path.Extend(rule.Head.Ref().GroundPrefix()).String()
			t.rules[key] = append(t.rules[key], rule)
		}
	}
	if slices.ContainsFunc(left.Queries, t.holds) {
		return Standing{Verdict: Always}
	}
	if !t.sessionOnly(left.Queries) {
		return Standing{}
	}
	m := &lateModule{values: map[string]lateValue{}, request: r, support: left.Support}
	b := &body{translator: &translator{late: m}}
	b.add(nil, lateValue{form: lateGuardForm, base: system("bool")}, ast.BooleanTerm(true), left.Queries[0])
	for _, q := range left.Queries[1:] { // other ways to the same value
		rule := m.rules[0].Copy()
		rule.Body = q.Copy()
		m.rules = append(m.rules, rule)
	}
	m.settle(t.overRows)
	return Standing{late: m}
}

// holds reports whether a query is true whatever is unknown: nothing is left of
// it, or a rule that is always true.
func (t *translator) holds(q ast.Body) bool {
	return !slices.ContainsFunc(q, func(e *ast.Expr) bool {
		if always(e) {
			return false
		}
		if e.Negated || !e.IsEquality() || e.Operand(1).Value.Compare(ast.Boolean(true)) != 0 {
			return true
		}
		rules := t.rules[e.Operand(0).String()]
		return slices.ContainsFunc(rules, func(r *ast.Rule) bool {
			return r.Else != nil || r.Head.Value.Value.Compare(ast.Boolean(true)) != 0 && !r.Default
		}) ||
			!slices.ContainsFunc(rules, func(r *ast.Rule) bool {
				return !r.Default && !slices.ContainsFunc(r.Body, func(e *ast.Expr) bool { return !always(e) })
			})
	})
}

// sessionOnly reports whether what is left of a decision can be known for a
// session: it needs neither the arguments nor the time, and all rules are there.
func (t *translator) sessionOnly(queries []ast.Body) bool {
	only := true
	w := walk{variable: func(ast.Var, bool) {}, reference: func(r ast.Ref) {
		switch {
		case r.HasPrefix(ast.InputRootRef):
			only = only && len(r) > 1 && !r.HasPrefix(argsRef) && !r.HasPrefix(nowRef) && r[:2].IsGround()
		case r.HasPrefix(tenantRef), t.ruleOf(r) != "":
		default:
			only = false
		}
	}}
	for _, q := range queries {
		w.body(q)
	}
	for _, rules := range t.rules {
		for _, rule := range rules {
			for ; rule != nil; rule = rule.Else {
				w.body(rule.Body)
				w.term(rule.Head.Key)
				w.term(rule.Head.Value)
			}
		}
	}
	return only
}

// Stands reports whether a standing allows a session without evaluating anything
// for the request. False says that Decide has to be asked.
func (p *Policy) Stands(ctx context.Context, st Standing, s session.Session) bool {
	switch {
	case st.Verdict == Always:
		return true
	case st.late == nil:
		return false
	}
	values, err := p.values(ctx, s, st.late)
	if err != nil || values.errs[held] != nil {
		return false
	}
	text := values.texts[held]
	return text != nil && *text == "true"
}
