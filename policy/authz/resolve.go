package authz

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// resolve finds what a term stands for.
func (b *body) resolve(t *ast.Term, at *ast.Location) value {
	if t.Location != nil {
		at = t.Location
	}
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return constantValue{t.Value}
	case ast.Var:
		if known, ok := b.lookup(v); ok {
			return known
		}
		b.fail(at, "the place of a row in a relationship, or its key, cannot be used as a value")
		return missingValue{}
	}
	if !b.touches(func(w walk) { w.term(t) }, nil) {
		if ast.IsConstant(t.Value) {
			return constantValue{t.Value}
		}
		return b.freeTerm(t)
	}
	if r, ok := t.Value.(ast.Ref); ok {
		return b.reference(r, at)
	}
	b.fail(at, "%s over rows cannot be translated to SQL", termKind(t))
	return missingValue{}
}

// termKind is what a term is, for messages.
func termKind(t *ast.Term) string {
	switch t.Value.(type) {
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return "a comprehension"
	case *ast.Array:
		return "an array"
	case ast.Set:
		return "a set"
	case ast.Object:
		return "an object"
	case *ast.TemplateString:
		return "a template string"
	}
	return "this term"
}

// freeTerm is a term in which no row has a part.
func (b *body) freeTerm(t *ast.Term) value {
	g := &group{body: b}
	walk{variable: func(v ast.Var, _ bool) {
		if known, ok := b.lookup(v); ok {
			if free, is := known.(freeValue); is {
				if free.body == b {
					g = free.group
				} else if free.many {
					g.many = true
				}
			}
		}
	}, reference: func(ast.Ref) {}}.term(t)
	return freeValue{t, g}
}

// reference follows a reference that begins with the row, a variable bound to a
// row, or a rule over rows.
func (b *body) reference(r ast.Ref, at *ast.Location) value {
	if key := b.ruleOf(r); key != "" {
		rules := b.rules[key]
		if key != r.String() || rules[0].Head.Key != nil {
			b.fail(at, "sets and objects of rules over rows cannot be translated to SQL: %s", shown(r))
			return missingValue{}
		}
		return ruleValue{rules: rules, at: at}
	}
	if ofRow(r) {
		if len(r) == 1 {
			b.fail(at, "the whole input cannot be translated to SQL")
			return missingValue{}
		}
		if _, ok := r[1].Value.(ast.String); !ok {
			b.fail(at, "a member of the input with a computed name cannot be translated to SQL")
			return missingValue{}
		}
		return b.path(b.root, r[2:], at)
	}
	head, ok := r[0].Value.(ast.Var)
	known, bound := b.lookup(head)
	if !ok || !bound {
		b.fail(at, "%s looks data up by a column, which cannot be translated to SQL; write some … in %s and compare", shown(r), r[0])
		return missingValue{}
	}
	switch v := plain(known).(type) {
	case rowValue:
		return b.path(v.of, r[1:], at)
	case relatedValue:
		return b.step(v.of, v.via, r[1:], at)
	case missingValue:
		return v
	}
	b.fail(at, "what is inside a column, a rule's value or a constant cannot be reached where rows are filtered")
	return missingValue{}
}

// path follows names from a row.
func (b *body) path(s *scope, path ast.Ref, at *ast.Location) value {
	for len(path) > 0 {
		name, ok := path[0].Value.(ast.String)
		if !ok {
			b.fail(at, "a column with a computed name cannot be translated to SQL")
			return missingValue{}
		}
		if column, ok := s.table.Stored(string(name)); ok {
			if len(path) > 1 {
				b.fail(at, "what is inside the column %q cannot be reached where rows are filtered", name)
				return missingValue{}
			}
			return columnValue{s, column}
		}
		via, ok := s.table.Relationship(string(name))
		if !ok {
			b.lacks(s.table, string(name), at)
			return missingValue{}
		}
		if via.Array {
			return b.step(s, via, path[1:], at)
		}
		s, path = b.row(s, via, ""), path[1:]
	}
	return rowValue{s}
}

// step enters an array relationship.
func (b *body) step(s *scope, via *model.Relationship, path ast.Ref, at *ast.Location) value {
	if len(path) == 0 {
		return relatedValue{s, via}
	}
	v, ok := path[0].Value.(ast.Var)
	if known, bound := b.lookup(v); !ok || bound && known != nil {
		b.fail(at, "rows of the relationship %q have no numbers: write some row in …", via.Name)
		return missingValue{}
	}
	return b.path(b.row(s, via, v), path[1:], at)
}

// row is the row that a relationship leads to: the same for the same variable.
func (b *body) row(s *scope, via *model.Relationship, key ast.Var) *scope {
	for _, known := range b.scopes {
		if known.key == key && (known.parent == s && known.via == via) {
			return known
		}
		if known.key == key && key != "" {
			b.fail(nil, "the variable %s runs over two relationships: rows have no numbers", key)
		}
	}
	found := &scope{table: via.Target, parent: s, via: via, key: key, nest: b.at}
	for _, known := range b.scopes {
		if known == s {
			found.nest = s
		}
	}
	b.scopes = append(b.scopes, found)
	return found
}

func (t *translator) lacks(table *model.Table, name string, at *ast.Location) {
	m := missing{name: name, table: table}
	m.Module, m.Row, m.Col = at.File, at.Row, at.Col
	t.missing = append(t.missing, m)
}

// call is the value of a function.
func (b *body) call(e *ast.Expr, operands []*ast.Term) value {
	args := make([]value, len(operands))
	for i, o := range operands {
		args[i] = b.resolve(o, e.Location)
	}
	operator := e.Operator()
	if rules := b.rules[b.ruleOf(operator)]; rules != nil {
		return ruleValue{rules: rules, args: args, at: e.Location}
	}
	name := operator.String()
	if op, ok := comparisons[name]; ok {
		return truthValue{op, args[0], args[1]}
	}
	switch name {
	case "lower", "upper":
		if _, missing := plain(args[0]).(missingValue); missing {
			return missingValue{}
		}
		if k := b.kindOf(args[0]); k != textKind {
			b.fail(e.Location, "%s takes a text; this is %s", name, k)
			return missingValue{}
		}
		return textValue{name, args[0]}
	}
	b.fail(e.Location, "%s over columns cannot be translated to SQL", name)
	return missingValue{}
}

var comparisons = map[string]filter.Op{
	"eq": filter.Eq, "equal": filter.Eq, "neq": filter.Neq,
	"lt": filter.Lt, "lte": filter.Lte, "gt": filter.Gt, "gte": filter.Gte,
}

// kindOf is the kind of a value over rows.
func (b *body) kindOf(v value) kind {
	switch v := plain(v).(type) {
	case columnValue:
		return kindOf(v.column)
	case textValue:
		return textKind
	}
	return opaqueKind
}

// condition takes an expression as a condition.
func (b *body) condition(e *ast.Expr) {
	b.node(e.Location)
	if e.Negated {
		inner := e.Copy()
		inner.Negated = false
		b.later(b.around(inner), func(at *scope) filter.Expr {
			return b.notTrue(b.conjunction(b, at, nil, []*ast.Expr{inner}, nil))
		})
		return
	}
	switch terms := e.Terms.(type) {
	case *ast.Term:
		v := b.resolve(terms, e.Location)
		b.later(v.rows(), func(at *scope) filter.Expr { return b.truthy(at, v, e.Location) })
	case *ast.Every:
		b.every(e, terms)
	case []*ast.Term:
		b.operation(e, terms[1:])
	default:
		b.fail(e.Location, "this expression cannot be translated to SQL")
	}
}

func (b *body) later(uses []*scope, write func(at *scope) filter.Expr) {
	b.pending = append(b.pending, pending{uses, write})
}

// around are the rows of this body that an expression is about.
func (b *body) around(e *ast.Expr) []*scope {
	var uses []*scope
	walk{variable: func(v ast.Var, _ bool) {
		if known, ok := b.lookup(v); ok {
			uses = append(uses, known.rows()...)
		}
	}, reference: func(ast.Ref) {}}.expr(e)
	return uses
}

// operation is a call whose result has to be true.
func (b *body) operation(e *ast.Expr, operands []*ast.Term) {
	operator := e.Operator()
	if last := len(operands) - 1; last > 0 && b.returns(operator, last) {
		result, want := b.call(e, operands[:last]), b.resolve(operands[last], e.Location)
		b.comparing(filter.Eq, result, want, e.Location)
		return
	}
	name := operator.String()
	if b.ruleOf(operator) != "" {
		v := b.call(e, operands)
		b.later(v.rows(), func(at *scope) filter.Expr { return b.truthy(at, v, e.Location) })
		return
	}
	if op, ok := comparisons[name]; ok && len(operands) == 2 {
		b.comparing(op, b.resolve(operands[0], e.Location), b.resolve(operands[1], e.Location), e.Location)
		return
	}
	switch name {
	case "internal.member_2":
		b.membership(e, b.resolve(operands[0], e.Location), b.resolve(operands[1], e.Location))
	case "startswith", "endswith", "contains":
		x, y := b.resolve(operands[0], e.Location), b.resolve(operands[1], e.Location)
		b.later(append(x.rows(), y.rows()...), func(at *scope) filter.Expr { return b.search(at, name, x, y, e.Location) })
	default:
		b.fail(e.Location, "%s over columns cannot be translated to SQL", name)
	}
}

func (b *body) comparing(op filter.Op, x, y value, at *ast.Location) {
	b.later(append(x.rows(), y.rows()...), func(row *scope) filter.Expr { return b.compare(row, op, x, y, at) })
}

// every is true unless a related row breaks the body.
func (b *body) every(e *ast.Expr, every *ast.Every) {
	of := plain(b.resolve(every.Domain, e.Location))
	if _, missing := of.(missingValue); missing {
		b.later(nil, func(*scope) filter.Expr { return filter.False })
		return
	}
	domain, ok := of.(relatedValue)
	if !ok {
		b.fail(e.Location, "every over rows is possible over an array relationship only")
		return
	}
	b.later(append(b.around(e), domain.of), func(at *scope) filter.Expr {
		s := &scope{table: domain.via.Target, parent: domain.of, via: domain.via, nest: at, depth: at.depth + 1}
		vars := map[ast.Var]value{}
		if v, ok := every.Value.Value.(ast.Var); ok {
			vars[v] = rowValue{s}
		}
		holds := b.conjunction(b, s, vars, every.Body, nil)
		return b.notTrue(b.existence(s, b.notTrue(holds)))
	})
}
