package operation

import "github.com/vektah/gqlparser/v2/ast"

// Declared is what the text of one operation says of itself, without a schema.
type Declared struct {
	// Type is query, mutation or subscription.
	Type      string
	Variables []Declaration
}

// Declaration is a variable of an operation.
type Declaration struct {
	Name string
	// Type is the named type, inside of any lists.
	Type          string
	List, NonNull bool
	// HasDefault is true when the declaration has a default value: Default, as
	// plain JSON.
	HasDefault bool
	Default    any
}

// Declare reads a text with exactly one operation. The error is a *errcode.Error.
func Declare(query string) (Declared, error) {
	doc, _, err := parse(query)
	if err != nil {
		return Declared{}, err
	}
	def, err := pick(doc, "")
	if err != nil {
		return Declared{}, err
	}
	out := Declared{Type: string(def.Operation)}
	for _, v := range def.VariableDefinitions {
		out.Variables = append(out.Variables, declaration(v))
	}
	return out, nil
}

func declaration(v *ast.VariableDefinition) Declaration {
	d := Declaration{Name: v.Variable, Type: v.Type.Name(), List: v.Type.Elem != nil, NonNull: v.Type.NonNull}
	if v.DefaultValue != nil {
		d.HasDefault, d.Default = true, constant(v.DefaultValue)
	}
	return d
}
