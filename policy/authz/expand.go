package authz

import (
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// sizing finds the sizes of what compiled rules build, each once for the same
// replacements.
type sizing struct {
	compiler *ast.Compiler
	found    map[sizeKey]size
	open     map[sizeKey]bool
	left     int // of visits
	failed   *ast.Error
}

// sizeKey is a document, or a function with the sizes of its arguments, among
// replacements.
type sizeKey struct {
	node      *ast.TreeNode
	arguments string
	replaced  string
}

// sizedRule is one rule, or what stands after an else, with the replacements that
// hold in it.
type sizedRule struct {
	*sizing
	at       *ast.Location
	replaced []replacement
	key      string
}

// sized is a stage of the compiler that refuses values that grow too large.
var sized = ast.CompilerStageDefinition{Name: "BoundSizes", MetricName: "bound_sizes", Stage: func(c *ast.Compiler) *ast.Error {
	s := &sizing{compiler: c, found: map[sizeKey]size{}, open: map[sizeKey]bool{}, left: maxVisits}
	for _, name := range slices.Sorted(maps.Keys(c.Modules)) {
		for _, rule := range c.Modules[name].Rules {
			node := c.RuleTree.Find(rule.Ref().GroundPrefix())
			if node == nil {
				continue
			}
			if r := (sizedRule{sizing: s, at: rule.Location}); len(rule.Head.Args) > 0 {
				r.function(node, slices.Repeat([]size{unknown}, len(rule.Head.Args)))
			} else {
				r.document(node)
			}
			if s.failed != nil {
				return s.failed
			}
		}
	}
	return nil
}}

func (r sizedRule) fail(message string) size {
	if r.failed == nil {
		r.failed = ast.NewError(ast.CompileErr, r.at, "%s", message)
	}
	return unknown
}

// once finds a size that was not found yet.
func (r sizedRule) once(node *ast.TreeNode, arguments string, find func() size) size {
	key := sizeKey{node, arguments, r.key}
	if s, ok := r.found[key]; ok {
		return s
	}
	if r.open[key] {
		return r.fail("what this builds cannot be bounded: it needs itself")
	}
	r.open[key] = true
	s := find()
	delete(r.open, key)
	r.found[key] = s
	return s
}

// document is the size of all rules at and below a node.
func (r sizedRule) document(node *ast.TreeNode) size {
	return r.once(node, "", func() size {
		var whole size
		for _, rule := range node.Values {
			if len(rule.Head.Args) > 0 {
				continue
			}
			s, dynamic := r.rule(rule, nil)
			switch {
			case dynamic > 1:
				whole = whole.and(s)
			case dynamic == 1:
				whole = whole.with(s)
			default:
				whole = whole.or(s)
			}
		}
		for _, child := range node.Children {
			whole = whole.with(r.document(child).inside(1))
		}
		return whole.or(unknown)
	})
}

// function is the size of a function's result.
func (r sizedRule) function(node *ast.TreeNode, arguments []size) size {
	return r.once(node, fmt.Sprint(arguments), func() size {
		s := unknown
		for _, rule := range node.Values {
			one, _ := r.rule(rule, arguments)
			s = s.or(one)
		}
		return s
	})
}

// rule is the size of what a rule adds to its document, and how many levels of
// members it makes.
func (r sizedRule) rule(rule *ast.Rule, arguments []size) (s size, dynamic int) {
	ref := rule.Head.Ref()
	rest := ref[len(ref.GroundPrefix()):]
	for ; rule != nil; rule = rule.Else {
		r.at = rule.Location
		v := &variables{sizes: map[ast.Var]size{}}
		for i, argument := range rule.Head.Args {
			if i < len(arguments) {
				v.assign(argument, arguments[i])
			}
		}
		r.body(rule.Body, v, false)
		one := unknown
		switch {
		case rule.Head.RuleKind() == ast.MultiValue:
			one = r.term(rule.Head.Key, v, false).inside(times(rule.Head.Key))
			dynamic = len(rest) + 1
		default:
			one = r.term(rule.Head.Value, v, false)
			dynamic = len(rest)
		}
		for _, key := range slices.Backward(rest) {
			one = r.term(key, v, false).inside(times(key)).with(one.inside(times(key)))
		}
		s = s.or(r.checked(one))
	}
	return s, dynamic
}

// times is how many members a rule makes with a key.
func times(key *ast.Term) int {
	if key.IsGround() {
		return 1
	}
	return loops
}

func (r sizedRule) checked(s size) size {
	if s[0] > maxExpanded {
		return r.fail(fmt.Sprintf("a value that is built here can have more than %d members, those within members counted each time they occur", maxExpanded))
	}
	return s
}

// body finds the sizes of a body's variables. A comprehension within another that
// is made anew in each loop makes no more loops than there is time for in all.
func (r sizedRule) body(b ast.Body, v *variables, inner bool) {
	last := -1
	if inner {
		for i, e := range b {
			if iterates(e) {
				last = i
			}
		}
	}
	for i, e := range b {
		if r.failed != nil {
			return
		}
		r.expr(e, v, inner && i > last)
	}
}

// iterates reports whether an expression may hold in several ways.
func iterates(e *ast.Expr) bool {
	found := false
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every:
			return true
		case ast.Ref:
			found = found || !x.IsGround() // of its keys
		}
		return found
	})
	visitor.Walk(e)
	return found
}

func (r sizedRule) expr(e *ast.Expr, v *variables, fresh bool) {
	if e.Location != nil && e.Location.File != "" {
		r.at = e.Location
	}
	if len(e.With) > 0 {
		r = r.replacing(e.With, v)
	}
	switch terms := e.Terms.(type) {
	case *ast.Term:
		r.term(terms, v, fresh)
	case []*ast.Term:
		r.call(terms, v, fresh)
	case *ast.Every:
		domain := r.term(terms.Domain, v, fresh)
		own := &variables{v, map[ast.Var]size{}}
		for _, t := range []*ast.Term{terms.Key, terms.Value} {
			if t != nil {
				own.assign(t, domain.member())
			}
		}
		r.body(terms.Body, own, false)
	}
}

// replacing is the rule with what a with replaces.
func (r sizedRule) replacing(all []*ast.With, v *variables) sizedRule {
	inside := r
	for _, with := range all {
		target, ok := with.Target.Value.(ast.Ref)
		if !ok {
			continue
		}
		one := replacement{target: target, size: r.term(with.Value, v, false)}
		if ref, ok := with.Value.Value.(ast.Ref); ok && r.isFunction(ref) {
			one.function = ref
		}
		inside.replaced = append(slices.DeleteFunc(slices.Clone(inside.replaced), func(other replacement) bool { return other.target.Equal(target) }), one)
	}
	inside.left -= len(inside.replaced)
	inside.key = fmt.Sprint(inside.replaced)
	return inside
}

func (r sizedRule) isFunction(ref ast.Ref) bool {
	node := r.compiler.RuleTree.Find(ref)
	_, builtin := ast.BuiltinMap[ref.String()]
	return builtin || node != nil && len(node.Values) > 0 && len(node.Values[0].Head.Args) > 0
}

// term is the size of a term; fresh tells that nothing multiplies it.
func (r sizedRule) term(t *ast.Term, v *variables, fresh bool) size {
	if t == nil || r.failed != nil {
		return unknown
	}
	if r.left--; r.left < 0 {
		return r.fail("the modules call functions in too many ways to see how large their values are")
	}
	s := unknown
	all := func(terms ...*ast.Term) {
		for _, t := range terms {
			s = s.with(r.term(t, v, fresh).inside(1))
			s[0]-- // one collection, not one for each
		}
	}
	n := loops
	if fresh {
		n = 1
	}
	switch x := t.Value.(type) {
	case ast.Var:
		s, _ = v.find(x)
	case ast.Ref:
		s = r.ref(x, v)
	case ast.Call:
		s = r.call(x, v, fresh)
	case *ast.Array:
		x.Foreach(func(t *ast.Term) { all(t) })
	case ast.Set:
		x.Foreach(func(t *ast.Term) { all(t) })
	case ast.Object:
		x.Foreach(func(key, value *ast.Term) { all(key, value) })
	case *ast.ArrayComprehension:
		s = r.comprehension(x.Body, v, x.Term).inside(n)
	case *ast.SetComprehension:
		s = r.comprehension(x.Body, v, x.Term).inside(n)
	case *ast.ObjectComprehension:
		s = r.comprehension(x.Body, v, x.Key, x.Value).inside(n)
	}
	return r.checked(s)
}

// comprehension is the size of what one loop adds.
func (r sizedRule) comprehension(b ast.Body, outer *variables, heads ...*ast.Term) size {
	v := &variables{outer, map[ast.Var]size{}}
	r.body(b, v, true)
	var s size
	for _, head := range heads {
		s = s.with(r.term(head, v, true))
	}
	return s
}

// ref is the size of what a reference reaches; its variables become known.
func (r sizedRule) ref(ref ast.Ref, v *variables) size {
	var s size
	from := 1
	switch {
	case ref.HasPrefix(ast.DefaultRootRef):
		s, from = r.reached(ref)
	case ref.HasPrefix(ast.InputRootRef):
		s = unknown
	default:
		s = r.term(ref[0], v, false)
	}
	for _, key := range ref[from:] {
		s = s.member()
		if !ast.IsConstant(key.Value) {
			r.term(key, v, false)
			v.assign(key, s)
		}
	}
	for _, one := range r.replaced {
		if one.function == nil {
			s = one.over(ref, s)
		}
	}
	return s
}

// reached follows a reference to rules, and tells how far they go.
func (r sizedRule) reached(ref ast.Ref) (s size, from int) {
	node := r.compiler.RuleTree
	for i, key := range ref {
		child := node.Child(key.Value)
		switch {
		case child != nil:
			node = child
		case len(node.Values) == 0 && ast.IsConstant(key.Value):
			return unknown, 1 // data
		default:
			return r.document(node), i
		}
	}
	return r.document(node), len(ref)
}

// call is the size of a function's result; a last operand more takes it.
func (r sizedRule) call(terms []*ast.Term, v *variables, fresh bool) size {
	operator, ok := terms[0].Value.(ast.Ref)
	if !ok {
		return unknown
	}
	operands := terms[1:]
	if name := operator.String(); len(operands) == 2 && (name == ast.Equality.Name || name == ast.Assign.Name) {
		r.unify(operands[0], operands[1], v, fresh)
		return unknown
	}
	arguments := make([]size, len(operands))
	for i, t := range operands {
		arguments[i] = r.term(t, v, fresh)
	}
	s, arity := r.result(operator, arguments)
	for _, one := range r.replaced {
		if one.target.Equal(operator) && one.function != nil {
			other, _ := r.result(one.function, arguments[:min(arity, len(arguments))])
			s = s.or(other)
		} else if one.target.Equal(operator) {
			s = s.or(one.size)
		}
	}
	if arity < len(operands) {
		v.assign(operands[arity], s)
	}
	return r.checked(s)
}

// result is the size of what a function makes of arguments, and how many it takes.
func (r sizedRule) result(operator ast.Ref, arguments []size) (s size, arity int) {
	if node := r.compiler.RuleTree.Find(operator); node != nil && len(node.Values) > 0 {
		arity = min(len(node.Values[0].Head.Args), len(arguments))
		return r.function(node, arguments[:arity]), arity
	}
	builtin, ok := ast.BuiltinMap[operator.String()]
	if !ok {
		return unknown, len(arguments)
	}
	arity = min(builtin.Decl.Arity(), len(arguments))
	switch builtin.Decl.Result().(type) {
	case nil, types.String, types.Number, types.Boolean, types.Null:
		return unknown, arity
	}
	// It is made of parts of the arguments.
	s = unknown
	for _, argument := range arguments[:arity] {
		s = s.and(argument)
	}
	return s, arity
}

// unify gives variables of both sides the sizes of what they stand for.
func (r sizedRule) unify(a, b *ast.Term, v *variables, fresh bool) {
	if x, ok := a.Value.(*ast.Array); ok {
		if y, ok := b.Value.(*ast.Array); ok && x.Len() == y.Len() {
			for i := range x.Len() {
				r.unify(x.Elem(i), y.Elem(i), v, fresh)
			}
		}
	}
	if x, ok := a.Value.(ast.Object); ok {
		if y, ok := b.Value.(ast.Object); ok {
			x.Foreach(func(key, value *ast.Term) {
				if other := y.Get(key); other != nil {
					r.unify(value, other, v, fresh)
				}
			})
		}
	}
	sa, sb := r.term(a, v, fresh), r.term(b, v, fresh)
	v.assign(a, sb)
	v.assign(b, sa)
}
