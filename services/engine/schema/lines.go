package schema

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Lines are the types of the role's schema and what they have, one line each: a
// type as "type author", a field as "author.name: String!", a value of an enum as
// "author_select_column.name". It costs what Full does.
func (s *Schema) Lines() map[string]bool {
	out := map[string]bool{}
	for name, d := range s.Full().Types {
		if strings.HasPrefix(name, "__") {
			continue
		}
		out[keyword(d.Kind)+" "+name] = true
		for _, f := range d.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				out[name+"."+fieldLine(f)] = true
			}
		}
		for _, v := range d.EnumValues {
			out[name+"."+v.Name] = true
		}
	}
	return out
}

// keyword is how SDL names a kind of type.
func keyword(kind ast.DefinitionKind) string {
	switch kind {
	case ast.Object:
		return "type"
	case ast.InputObject:
		return "input"
	}
	return strings.ToLower(string(kind))
}

// fieldLine is a field as SDL writes it.
func fieldLine(f *ast.FieldDefinition) string {
	line := f.Name
	if len(f.Arguments) > 0 {
		arguments := make([]string, len(f.Arguments))
		for i, a := range f.Arguments {
			arguments[i] = a.Name + ": " + a.Type.String()
		}
		line += "(" + strings.Join(arguments, ", ") + ")"
	}
	line += ": " + f.Type.String()
	if f.DefaultValue != nil {
		line += " = " + f.DefaultValue.String()
	}
	return line
}
