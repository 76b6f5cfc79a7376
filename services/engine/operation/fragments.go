package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
)

// path is a place in an operation; it becomes text only for an error.
type path struct {
	up   *path
	name string // with its leading dot or brackets
}

func (p *path) key(name string) *path { return &path{p, "." + name} }

// selection is the path of a field in the selection set of p.
func (p *path) selection(name string) *path { return &path{&path{p, ".selectionSet"}, "." + name} }

func (p *path) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		parts = append(parts, p.name)
	}
	var b strings.Builder
	b.WriteByte('$')
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
		if b.Len() > 2000 { // nested by a client who wants a long answer
			b.WriteString("…")
			break
		}
	}
	return b.String()
}

func fragmentsByName(doc *ast.QueryDocument) map[string]*ast.FragmentDefinition {
	m := make(map[string]*ast.FragmentDefinition, len(doc.Fragments))
	for _, f := range doc.Fragments {
		if m[f.Name] == nil {
			m[f.Name] = f
		}
	}
	return m
}

// extract is the document with only the picked operation and its fragments. It
// refuses fragments that are unknown, form a cycle, have one name, or that no
// operation of the document uses.
func extract(doc *ast.QueryDocument, def *ast.OperationDefinition) (*ast.QueryDocument, error) {
	x := extraction{fragments: fragmentsByName(doc), state: map[string]int{}}
	if len(x.fragments) != len(doc.Fragments) {
		return nil, invalid("$", "there are several fragments with the same name")
	}
	if err := x.walk(def.SelectionSet, nil); err != nil {
		return nil, err
	}
	out := &ast.QueryDocument{Operations: ast.OperationList{def}, Position: doc.Position}
	for _, f := range doc.Fragments {
		if x.state[f.Name] != 0 {
			out.Fragments = append(out.Fragments, f)
		}
	}
	for _, other := range doc.Operations {
		if other != def {
			if err := x.walk(other.SelectionSet, nil); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range doc.Fragments {
		if x.state[f.Name] == 0 {
			return nil, invalid("$", "the fragment definition '%s' is not used", f.Name)
		}
	}
	return out, nil
}

// extraction walks every fragment once.
type extraction struct {
	fragments map[string]*ast.FragmentDefinition
	state     map[string]int // 0 not seen, 1 being walked, 2 done
	stack     []string
}

func (x *extraction) walk(set ast.SelectionSet, at *path) error {
	for _, s := range set {
		var err error
		switch s := s.(type) {
		case *ast.Field:
			err = x.walk(s.SelectionSet, at.selection(s.Name))
		case *ast.InlineFragment:
			err = x.walk(s.SelectionSet, at)
		case *ast.FragmentSpread:
			err = x.spread(s.Name, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) spread(name string, at *path) error {
	f := x.fragments[name]
	switch {
	case f == nil:
		return invalid((&path{at, ".selectionSet"}).String(), "reference to undefined fragment %q", name)
	case x.state[name] == 1:
		return x.cycle(name, at)
	case x.state[name] == 2:
		return nil
	}
	x.state[name] = 1
	x.stack = append(x.stack, name)
	if err := x.walk(f.SelectionSet, at.selection(name)); err != nil {
		return err
	}
	x.stack = x.stack[:len(x.stack)-1]
	x.state[name] = 2
	return nil
}

func (x *extraction) cycle(name string, at *path) *errcode.Error {
	i := len(x.stack) - 1
	for x.stack[i] != name {
		i--
	}
	names := x.stack[i:]
	list := names[len(names)-1]
	if len(names) > 1 {
		list = strings.Join(names[:len(names)-1], ", ") + " and " + list
	}
	return invalid((&path{at, ".selectionSet"}).String(), "the fragment definition(s) %s form a cycle", shorten(list))
}
