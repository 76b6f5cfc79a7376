package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/allowlist"
)

// ShapeOf is what an allow-list compares of an operation, as far as a match needs
// it. It needs no schema. The error is a *errcode.Error.
func ShapeOf(query, operationName string, match allowlist.Match) (allowlist.Shape, error) {
	doc, _, err := parse(query)
	if err != nil {
		return allowlist.Shape{}, err
	}
	def, err := pick(doc, operationName)
	if err != nil {
		return allowlist.Shape{}, err
	}
	if doc, err = extract(doc, def); err != nil {
		return allowlist.Shape{}, err
	}
	shape := allowlist.Shape{Name: def.Name}
	if match != allowlist.Normalized && match != allowlist.Subset {
		shape.Hash = hash(normalise(doc))
		return shape, nil
	}
	l := loosening{fragments: fragmentsByName(doc)}
	head, roots, err := l.operation(def)
	if err != nil {
		return allowlist.Shape{}, err
	}
	if match == allowlist.Normalized {
		shape.Loose = hash(printLoose(head, roots))
		return shape, nil
	}
	shape.Tree = &allowlist.Tree{Ordered: def.Operation == ast.Mutation}
	for i := range roots {
		// The kind of the operation and its directives are part of each root field.
		roots[i].printed = head + " " + roots[i].printed
		shape.Tree.Roots = append(shape.Tree.Roots, roots[i].node())
	}
	if !shape.Tree.Ordered {
		allowlist.Sort(shape.Tree.Roots)
	}
	return shape, nil
}

// loosening makes the loose form of an operation: its fragments expanded, fields
// of one key joined, arguments in order, names of operation and variables left
// out, and values left out: ? stands for a literal and for a variable alike.
type loosening struct {
	fragments map[string]*ast.FragmentDefinition
	visited   int
}

// looseField is a field, or a fragment that is kept, with what is below it.
type looseField struct {
	printed string
	below   []looseField
}

func (f looseField) node() allowlist.Node {
	n := allowlist.Node{Field: allowlist.FieldOf(f.printed)}
	for _, b := range f.below {
		n.Children = append(n.Children, b.node())
	}
	allowlist.Sort(n.Children)
	return n
}

func (l *loosening) operation(def *ast.OperationDefinition) (head string, roots []looseField, err error) {
	p := printer{loose: true}
	p.word(string(def.Operation))
	p.directives(def.Directives)
	roots, err = l.fields([]ast.SelectionSet{def.SelectionSet}, false, true)
	return p.String(), roots, err
}

// interfaces are the root fields whose objects may be of several types: there the
// type that a fragment is on says what is read. Elsewhere it is the one that the
// object has.
var interfaces = map[string]bool{"node": true, "nodes": true, "_entities": true}

// fields expands and joins selection sets of one object. typed keeps the types of
// fragments.
func (l *loosening) fields(sets []ast.SelectionSet, typed, root bool) ([]looseField, error) {
	j := joined{loosening: l, typed: typed, at: map[string]int{}}
	for _, set := range sets {
		if err := j.add(set); err != nil {
			return nil, err
		}
	}
	out := make([]looseField, len(j.fields))
	for i, f := range j.fields {
		below, err := l.fields(f.sets, root && interfaces[f.name], false)
		if err != nil {
			return nil, err
		}
		out[i] = looseField{f.printed, below}
	}
	return out, nil
}

type joined struct {
	*loosening
	typed  bool
	fields []joinedField
	at     map[string]int
}

type joinedField struct {
	name, printed string
	sets          []ast.SelectionSet
}

func (j *joined) add(set ast.SelectionSet) error {
	for _, s := range set {
		if j.visited++; j.visited > MaxSelections {
			return invalid("$.query", "the operation selects more than %d fields", MaxSelections)
		}
		var err error
		switch s := s.(type) {
		case *ast.Field:
			if s.Name != "__typename" {
				j.join(s.Name, printField(s), s.SelectionSet)
			}
		case *ast.InlineFragment:
			err = j.fragment(s.TypeCondition, s.Directives, s.SelectionSet)
		case *ast.FragmentSpread:
			f := j.fragments[s.Name]
			err = j.fragment(f.TypeCondition, append(append(ast.DirectiveList{}, s.Directives...), f.Directives...), f.SelectionSet)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fragment expands a fragment, unless what it says is more than its fields.
func (j *joined) fragment(on string, directives ast.DirectiveList, set ast.SelectionSet) error {
	typed := j.typed && on != ""
	if !typed && len(directives) == 0 {
		return j.add(set)
	}
	p := printer{loose: true}
	p.token("...")
	if typed {
		p.word(on)
	}
	p.directives(directives)
	j.join("", p.String(), set)
	return nil
}

func (j *joined) join(name, printed string, set ast.SelectionSet) {
	i, ok := j.at[printed]
	if !ok {
		i = len(j.fields)
		j.at[printed] = i
		j.fields = append(j.fields, joinedField{name: name, printed: printed})
	}
	if len(set) > 0 {
		j.fields[i].sets = append(j.fields[i].sets, set)
	}
}

// printField prints a field without what is below it.
func printField(f *ast.Field) string {
	p := printer{loose: true}
	if f.Alias != f.Name {
		p.word(f.Alias)
		p.token(":")
	}
	p.word(f.Name)
	p.arguments(f.Arguments)
	p.directives(f.Directives)
	return p.String()
}

func printLoose(head string, fields []looseField) string {
	var b strings.Builder
	var write func(fields []looseField)
	write = func(fields []looseField) {
		b.WriteByte('{')
		for _, f := range fields {
			b.WriteString(f.printed)
			b.WriteByte('\n')
			if len(f.below) > 0 {
				write(f.below)
			}
		}
		b.WriteByte('}')
	}
	b.WriteString(head)
	write(fields)
	return b.String()
}

// replaceable reports whether a variable could stand for a value. What decides which
// columns, rows or order are meant is none: names of enums, null, the keys of objects,
// empty lists.
func replaceable(v *ast.Value) bool {
	switch v.Kind {
	case ast.Variable, ast.IntValue, ast.FloatValue, ast.StringValue, ast.BlockValue, ast.BooleanValue:
		return true
	case ast.ListValue:
		return scalars(v)
	}
	return false
}

// scalars reports whether a list is of scalars alone, so that a variable could stand
// for the whole.
func scalars(list *ast.Value) bool {
	for _, c := range list.Children {
		switch c.Value.Kind {
		case ast.IntValue, ast.FloatValue, ast.StringValue, ast.BlockValue, ast.BooleanValue:
		default:
			return false
		}
	}
	return len(list.Children) > 0
}

// WithoutValues is the operation's text with other values in place of its own: a
// text that may be kept. values tells whether there were any.
func (op *Operation) WithoutValues() (text string, values bool) {
	p := printer{blank: true}
	p.document(op.Doc)
	return p.String(), p.blanked
}

// blankValue prints a scalar that is none of the client's.
func (p *printer) blankValue(v *ast.Value) bool {
	switch v.Kind {
	case ast.IntValue, ast.FloatValue:
		p.word("0")
	case ast.StringValue, ast.BlockValue:
		p.word(`""`)
	default:
		return false
	}
	p.blanked = true
	return true
}
