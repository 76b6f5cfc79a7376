package authz

import "github.com/open-policy-agent/opa/v1/ast"

// walk visits what an expression or term speaks of: variables, and references
// from a document or a rule. inside is true in a comprehension or every, whose
// own variables are nobody else's.
type walk struct {
	variable  func(v ast.Var, inside bool)
	reference func(r ast.Ref) // begins with input or data
	// index hears of variables in brackets, before variable does; nil if nobody
	// wants to know. It returns true to keep them from variable.
	index  func(v ast.Var, of ast.Ref, inside bool) bool
	inside bool
}

func (w walk) expr(e *ast.Expr) {
	switch terms := e.Terms.(type) {
	case *ast.Term:
		w.term(terms)
	case []*ast.Term:
		w.call(terms)
	case *ast.Every:
		w.term(terms.Domain)
		w.inside = true
		w.term(terms.Key)
		w.term(terms.Value)
		w.body(terms.Body)
	}
	for _, with := range e.With {
		w.term(with.Target)
		w.term(with.Value)
	}
}

func (w walk) body(b ast.Body) {
	for _, e := range b {
		w.expr(e)
	}
}

// call visits an operator, which is a reference only when it is a rule, and its
// operands.
func (w walk) call(terms []*ast.Term) {
	if operator, ok := terms[0].Value.(ast.Ref); ok && operator.HasPrefix(ast.DefaultRootRef) {
		w.reference(operator)
	}
	for _, operand := range terms[1:] {
		w.term(operand)
	}
}

func (w walk) term(t *ast.Term) {
	if t == nil {
		return
	}
	switch v := t.Value.(type) {
	case ast.Var:
		w.variable(v, w.inside)
	case ast.Ref:
		w.ref(v)
	case *ast.Array:
		v.Foreach(w.term)
	case ast.Set:
		v.Foreach(w.term)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { w.term(key); w.term(value) })
	case ast.Call:
		w.call(v)
	case *ast.ArrayComprehension:
		w.inside = true
		w.term(v.Term)
		w.body(v.Body)
	case *ast.SetComprehension:
		w.inside = true
		w.term(v.Term)
		w.body(v.Body)
	case *ast.ObjectComprehension:
		w.inside = true
		w.term(v.Key)
		w.term(v.Value)
		w.body(v.Body)
	case *ast.TemplateString:
		for _, part := range v.Parts {
			switch p := part.(type) {
			case *ast.Term:
				w.term(p)
			case *ast.Expr:
				w.expr(p)
			}
		}
	}
}

func (w walk) ref(r ast.Ref) {
	switch head, ok := r[0].Value.(ast.Var); {
	case ok && (head.Equal(ast.InputRootDocument.Value) || head.Equal(ast.DefaultRootDocument.Value)):
		w.reference(r)
	default:
		w.term(r[0])
	}
	for _, part := range r[1:] {
		if v, ok := part.Value.(ast.Var); ok && w.index != nil && w.index(v, r, w.inside) {
			continue
		}
		w.term(part)
	}
}

// ofRow reports whether a reference reaches the row, or all of the input, which
// holds it.
func ofRow(r ast.Ref) bool {
	if !r.HasPrefix(ast.InputRootRef) {
		return false
	}
	if len(r) == 1 {
		return true
	}
	name, ok := r[1].Value.(ast.String)
	return !ok || name == "row"
}
