package authz

import (
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// The bounds of one translation.
const (
	maxSupport   = 64 // rules of a residual
	maxNodes     = 2000
	maxDeep      = 32 // bodies in bodies
	maxExists    = 16
	maxParams    = 64
	maxTranslate = slack * 50 * time.Millisecond
)

// translator makes a filter of what partial evaluation left. Every form that it
// does not know is a problem, never skipped. What it returns counts only if
// there are no problems.
type translator struct {
	root     *scope
	rules    map[string][]*ast.Rule
	overRows map[string]bool         // of rules: a row has a part in them
	types    map[string]catalog.Type // of the database, by name
	original func(ast.Ref) *ast.Location
	late     *lateModule
	// missing are columns that tables do not have.
	missing  []missing
	problems []Problem
	until    time.Time
	fault    Fault

	nodes, deep, exists int
	params              map[string]bool // each value is bound once
	crowded             bool
}

// missing is a name that is neither column nor relationship of a table.
type missing struct {
	Problem
	name  string
	table *model.Table
}

func (t *translator) fail(at *ast.Location, format string, args ...any) {
	p := Problem{Message: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Module, p.Row, p.Col = at.File, at.Row, at.Col
	}
	if !slices.Contains(t.problems, p) {
		t.problems = append(t.problems, p)
	}
}

func (t *translator) node(at *ast.Location) {
	if t.nodes++; t.nodes == maxNodes {
		t.fail(at, "the filter is too large: more than %d conditions", maxNodes)
	}
}

// body is a conjunction of expressions in the making.
type body struct {
	*translator
	outer *body // whose variables it sees; nil for that of a rule
	at    *scope
	vars  map[ast.Var]value
	// free are the variables that no row has a part in.
	free     map[ast.Var]bool
	groups   []*group
	scopes   []*scope
	bindings []boundTo
	pending  []pending
}

type boundTo struct {
	boundValue
	at *ast.Location
}

// pending is a condition that is written once it is known how rows nest. uses are
// the rows that it is about.
type pending struct {
	uses []*scope
	make func(at *scope) filter.Expr
}

// conjunction translates expressions about the row at; more adds conditions that
// need its variables.
func (t *translator) conjunction(outer *body, at *scope, vars map[ast.Var]value, exprs []*ast.Expr, more func(*body)) filter.Expr {
	place := exprs[0].Location
	exprs = slices.DeleteFunc(slices.Clone(exprs), func(e *ast.Expr) bool { return always(e) || t.holds(ast.Body{e}) })
	if t.deep++; t.deep > maxDeep {
		t.fail(place, "the rules are nested deeper than %d levels", maxDeep)
	}
	defer func() { t.deep-- }()
	if time.Now().After(t.until) {
		t.fail(place, "the filter takes too long to translate")
	}
	if len(t.problems) > 0 {
		return filter.False
	}
	if vars == nil {
		vars = map[ast.Var]value{}
	}
	b := &body{translator: t, outer: outer, at: at, vars: vars, free: map[ast.Var]bool{}}
	over, free := b.split(exprs)
	b.group(over, free)
	for _, e := range b.bind(over) {
		b.condition(e)
	}
	if more != nil {
		more(b)
	}
	return b.assemble(place)
}

// always reports a constant that stands alone and is not false.
func always(e *ast.Expr) bool {
	t, ok := e.Terms.(*ast.Term)
	return ok && !e.Negated && ast.IsConstant(t.Value) && t.Value.Compare(ast.Boolean(false)) != 0
}

// lookup finds a variable of this body or one around it.
func (b *body) lookup(v ast.Var) (value, bool) {
	for ; b != nil; b = b.outer {
		if found, ok := b.vars[v]; ok {
			return found, true
		}
	}
	return nil, false
}

// split tells the expressions that rows have a part in from the others. A
// variable that the others can bind is free.
func (b *body) split(exprs []*ast.Expr) (over, free []*ast.Expr) {
	open := map[ast.Var]bool{} // used outside comprehensions
	for _, e := range exprs {
		walk{variable: func(v ast.Var, inside bool) {
			if !inside {
				open[v] = true
			}
		}, reference: func(ast.Ref) {}}.expr(e)
	}
	defined := b.rowDefined(exprs)
	for grown := true; grown; {
		grown = false
		for _, e := range exprs {
			if !e.Negated && b.frees(e, open, defined) {
				grown = true
			}
		}
	}
	for _, e := range exprs {
		b.check(e)
		if b.touches(func(w walk) { w.expr(e) }, open) {
			over = append(over, e)
		} else {
			free = append(free, e)
		}
	}
	return over, free
}

// rowDefined are the variables that some expression defines by rows.
func (b *body) rowDefined(exprs []*ast.Expr) map[ast.Var]bool {
	defined := map[ast.Var]bool{}
	rows := func(terms ...*ast.Term) (found bool) {
		for _, t := range terms {
			walk{variable: func(v ast.Var, _ bool) {
				known, ok := b.lookup(v)
				_, free := known.(freeValue)
				found = found || defined[v] || ok && !free
			}, reference: func(r ast.Ref) { found = found || ofRow(r) || b.overRows[b.ruleOf(r)] }}.term(t)
		}
		return found
	}
	for grown := true; grown; {
		grown = false
		for _, e := range exprs {
			terms, ok := e.Terms.([]*ast.Term)
			if !ok || e.Negated || len(terms) < 2 {
				continue
			}
			operands, last := terms[1:], len(terms)-2
			for i, side := range operands {
				v, is := side.Value.(ast.Var)
				switch {
				case !is || defined[v]:
				case e.IsEquality() && last == 1 && rows(operands[1-i]),
					i == last && b.returns(e.Operator(), last) && (rows(operands[:last]...) || b.overRows[b.ruleOf(e.Operator())]):
					defined[v], grown = true, true
				}
			}
		}
	}
	return defined
}

// check refuses what no body may hold.
func (t *translator) check(e *ast.Expr) {
	if len(e.With) > 0 {
		t.fail(e.Location, "with cannot be used where rows are filtered")
	}
	walk{variable: func(ast.Var, bool) {}, reference: func(r ast.Ref) {
		switch {
		case r.HasPrefix(tenantRef), r.HasPrefix(ast.InputRootRef) && (ofRow(r) || knownLate(r)):
		case r.HasPrefix(ast.InputRootRef):
			t.fail(e.Location, "%s is not known where rows are filtered", r)
		case t.ruleOf(r) != "":
		default:
			t.fail(t.place(r, e.Location), "%s cannot be translated: it has else, or it is used where its rules are not looked into (in every, say); write its conditions here", shown(r))
		}
	}}.expr(e)
}

// place is where a rule that was left alone stands, or the expression itself.
func (t *translator) place(r ast.Ref, at *ast.Location) *ast.Location {
	if t.original != nil {
		if found := t.original(r); found != nil {
			return found
		}
	}
	return at
}

// ruleOf is the key of the residual's rule that a reference is to.
func (t *translator) ruleOf(r ast.Ref) string {
	for n := len(r); n > 1; n-- {
		key := r[:n].String()
		if _, ok := t.rules[key]; ok {
			return key
		}
	}
	return ""
}

// touches reports whether a row has a part in what visit walks over.
func (b *body) touches(visit func(walk), open map[ast.Var]bool) bool {
	found := false
	visit(walk{
		variable: func(v ast.Var, inside bool) {
			if known, ok := b.lookup(v); ok {
				_, is := known.(freeValue)
				found = found || !is
				return
			}
			if inside && !open[v] {
				return // its own
			}
			found = found || !b.free[v]
		},
		reference: func(r ast.Ref) {
			found = found || ofRow(r) || b.overRows[b.ruleOf(r)]
		},
	})
	return found
}

// frees adds the variables that an expression binds if no row has a part in what
// it binds them to. Those that rows define too are rather compared with what
// else they are, if that is a constant or another variable.
func (b *body) frees(e *ast.Expr, open, defined map[ast.Var]bool) (grown bool) {
	add := func(v ast.Var) {
		if _, known := b.lookup(v); !known && !b.free[v] {
			b.free[v], grown = true, true
		}
	}
	pure := func(t *ast.Term) bool { return !b.touches(func(w walk) { w.term(t) }, open) }
	// Variables in brackets run over what is left of them.
	walk{variable: func(ast.Var, bool) {}, reference: func(ast.Ref) {}, index: func(v ast.Var, r ast.Ref, inside bool) bool {
		for i, part := range r {
			if part.Value.Compare(v) == 0 && i > 0 && (!inside || open[v]) && !defined[v] && pure(ast.NewTerm(r[:i])) {
				add(v)
			}
		}
		return false
	}}.expr(e)
	terms, ok := e.Terms.([]*ast.Term)
	if !ok {
		return grown
	}
	operands := terms[1:]
	switch {
	case e.IsEquality() && len(operands) == 2:
		for i, side := range operands {
			v, is := side.Value.(ast.Var)
			if is && (defined[v] && weak(operands[1-i]) || ast.IsConstant(operands[1-i].Value)) {
				continue
			}
			if pattern(side) && pure(operands[1-i]) {
				walk{variable: func(v ast.Var, _ bool) { add(v) }, reference: func(ast.Ref) {}}.term(side)
			}
		}
	case len(operands) > 0:
		out, is := operands[len(operands)-1].Value.(ast.Var)
		last := len(operands) - 1
		if is && b.returns(e.Operator(), last) && !b.overRows[b.ruleOf(e.Operator())] && !slices.ContainsFunc(operands[:last], func(t *ast.Term) bool { return !pure(t) }) {
			add(out)
		}
	}
	return grown
}

func weak(t *ast.Term) bool { _, is := t.Value.(ast.Var); return is }

// pattern reports whether an equality can bind the variables of a term.
func pattern(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Var, *ast.Array, ast.Object:
		return true
	}
	return false
}

// assemble decides how rows nest, writes the conditions, and puts them together.
func (b *body) assemble(place *ast.Location) filter.Expr {
	for _, p := range b.pending {
		b.link(p.uses)
	}
	for _, s := range b.scopes {
		b.settle(s)
	}
	conditions := map[*scope][]filter.Expr{}
	add := func(at *scope, e filter.Expr) {
		if !filter.IsTrue(e) {
			conditions[at] = append(conditions[at], e)
		}
	}
	for _, p := range b.pending {
		at := b.deepest(p.uses)
		add(at, p.make(at))
	}
	for _, v := range b.bindings {
		if !v.strict {
			at := b.deepest(v.rows())
			add(at, b.defined(at, v.value, v.at))
		}
	}
	for _, g := range b.groups {
		add(b.at, g.guard())
	}
	if b.exists > maxExists && !b.crowded { // told where it is found first, in the innermost rule
		b.crowded = true
		b.fail(place, "the filter looks into more than %d related tables", maxExists)
	}
	return b.nested(b.at, conditions)
}

// nested is the conjunction about a row, with the EXISTS of the rows inside.
func (b *body) nested(at *scope, conditions map[*scope][]filter.Expr) filter.Expr {
	all := conditions[at]
	for _, s := range b.scopes {
		if s.nest == at {
			all = append(all, b.existence(s, b.nested(s, conditions)))
		}
	}
	return allOf(all)
}

// existence is the EXISTS of a row. When it stands inside another row than the
// one that leads to it, its join is part of the condition.
func (b *body) existence(s *scope, where filter.Expr) filter.Expr {
	b.exists++
	e := filter.Exists{Table: s.via.Target.Name, Where: where}
	var join []filter.Expr
	for _, pair := range s.via.Mapping {
		if s.nest == s.parent {
			e.On = append(e.On, filter.Pair{Outer: pair.Local, Inner: pair.Remote})
			continue
		}
		inner, ok1 := s.table.Stored(pair.Remote)
		outer, ok2 := s.parent.table.Stored(pair.Local)
		if !ok1 || !ok2 { // resolved by the model
			b.fail(nil, "the relationship %q has lost its columns", s.via.Name)
			continue
		}
		join = append(join, filter.Compare{Left: columnAt(s, columnValue{s, inner}), Op: filter.Eq, Right: columnAt(s, columnValue{s.parent, outer})})
	}
	if join != nil {
		e.Where = allOf(append(join, where))
	}
	return e
}

func allOf(all []filter.Expr) filter.Expr {
	all = slices.DeleteFunc(slices.Clone(all), filter.IsTrue)
	if slices.ContainsFunc(all, filter.IsFalse) {
		return filter.False
	}
	if len(all) == 1 {
		return all[0]
	}
	return filter.And(all)
}

func anyOf(all []filter.Expr) filter.Expr {
	all = slices.DeleteFunc(slices.Clone(all), filter.IsFalse)
	if slices.ContainsFunc(all, filter.IsTrue) {
		return filter.True
	}
	if len(all) == 1 {
		return all[0]
	}
	return filter.Or(all)
}

// notTrue is Rego's not. An EXISTS is never unknown, and Postgres plans a plain
// NOT of one better.
func (t *translator) notTrue(e filter.Expr) filter.Expr {
	switch _, exists := e.(filter.Exists); {
	case filter.IsTrue(e):
		return filter.False
	case filter.IsFalse(e):
		return filter.True
	case exists || t.fault == SQLNot:
		return filter.Not{Of: e}
	}
	return filter.NotTrue{Of: e}
}

// link makes the rows of a condition stand inside one another.
func (b *body) link(uses []*scope) {
	deepest := b.at
	for _, s := range uses {
		switch {
		case !slices.Contains(b.scopes, s) || deepest.within(s):
			continue
		case s.within(deepest):
		default:
			top := s
			for !deepest.within(top.nest) {
				top = top.nest
			}
			top.nest = deepest
		}
		deepest = s
	}
}

func (b *body) deepest(uses []*scope) *scope {
	deepest := b.at
	for _, s := range uses {
		if s.within(deepest) {
			deepest = s
		}
	}
	return deepest
}

// settle counts how deep a row stands.
func (b *body) settle(s *scope) {
	if s == b.at || !slices.Contains(b.scopes, s) {
		return
	}
	b.settle(s.nest)
	s.depth = s.nest.depth + 1
}

// columnAt is a column as a condition about the row at names it.
func columnAt(at *scope, v columnValue) filter.Column {
	return filter.Column{Name: v.column.StoredName(), Type: v.column.Type, Up: at.depth - v.of.depth}
}
