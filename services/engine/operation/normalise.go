package operation

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// normalise prints a document with one operation in the one form that equal
// documents share. The order of fields is kept: it decides the order of the answer.
func normalise(doc *ast.QueryDocument) string {
	var p printer
	p.document(doc)
	return p.String()
}

func (p *printer) document(doc *ast.QueryDocument) {
	op := doc.Operations[0]
	p.word(string(op.Operation))
	p.word(op.Name)
	if len(op.VariableDefinitions) > 0 {
		p.token("(")
		for _, v := range op.VariableDefinitions {
			p.word("$" + v.Variable)
			p.token(":")
			p.word(v.Type.String())
			if v.DefaultValue != nil {
				p.token("=")
				p.value(v.DefaultValue)
			}
			p.directives(v.Directives)
		}
		p.token(")")
	}
	p.directives(op.Directives)
	p.selections(op.SelectionSet)
	fragments := append(ast.FragmentDefinitionList{}, doc.Fragments...)
	sort.Slice(fragments, func(i, j int) bool { return fragments[i].Name < fragments[j].Name })
	for _, f := range fragments {
		p.word("fragment")
		p.word(f.Name)
		p.word("on")
		p.word(f.TypeCondition)
		p.directives(f.Directives)
		p.selections(f.SelectionSet)
	}
}

// printer writes GraphQL with a space only where two words would run together.
type printer struct {
	strings.Builder
	inWord bool
	loose  bool // arguments in order, ? for values
	// blank prints other values in place of the client's; blanked tells that there
	// were some.
	blank, blanked bool
}

func (p *printer) word(s string) {
	if s == "" {
		return
	}
	if p.inWord {
		p.WriteByte(' ')
	}
	p.WriteString(s)
	p.inWord = true
}

func (p *printer) token(s string) {
	p.WriteString(s)
	p.inWord = false
}

func (p *printer) selections(set ast.SelectionSet) {
	p.token("{")
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			p.field(s)
		case *ast.InlineFragment:
			p.token("...")
			if s.TypeCondition != "" {
				p.word("on")
				p.word(s.TypeCondition)
			}
			p.directives(s.Directives)
			p.selections(s.SelectionSet)
		case *ast.FragmentSpread:
			p.token("...")
			p.word(s.Name)
			p.directives(s.Directives)
		}
	}
	p.token("}")
}

func (p *printer) field(f *ast.Field) {
	if f.Name == "__typename" {
		return
	}
	if f.Alias != f.Name {
		p.word(f.Alias)
		p.token(":")
	}
	p.word(f.Name)
	p.arguments(f.Arguments)
	p.directives(f.Directives)
	if len(f.SelectionSet) > 0 {
		p.selections(f.SelectionSet)
	}
}

func (p *printer) arguments(args ast.ArgumentList) {
	if len(args) == 0 {
		return
	}
	if p.loose {
		args = sortedArguments(args)
	}
	p.token("(")
	for _, a := range args {
		p.word(a.Name)
		p.token(":")
		p.value(a.Value)
	}
	p.token(")")
}

func sortedArguments(args ast.ArgumentList) ast.ArgumentList {
	sorted := append(ast.ArgumentList{}, args...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	return sorted
}

func (p *printer) directives(list ast.DirectiveList) {
	for _, d := range list {
		p.token("@")
		p.word(d.Name)
		p.arguments(d.Arguments)
	}
}

func (p *printer) value(v *ast.Value) {
	switch {
	case p.loose && replaceable(v):
		p.word("?")
		return
	case p.blank && p.blankValue(v):
		return
	}
	switch v.Kind {
	case ast.ListValue:
		p.token("[")
		for _, c := range v.Children {
			p.value(c.Value)
		}
		p.token("]")
	case ast.ObjectValue:
		p.token("{")
		for _, c := range v.Children {
			p.word(c.Name)
			p.token(":")
			p.value(c.Value)
		}
		p.token("}")
	default: // String prints leaves as GraphQL, block strings as strings
		p.word(v.String())
	}
}
