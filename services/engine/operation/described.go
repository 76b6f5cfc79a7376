package operation

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/services/engine/schema"
)

// Described is the shape of what an operation takes and answers, as plain data
// for documents.
type Described struct {
	Variables []Variable
	// Fields are the members of the answer's data.
	Fields []Member
	// Inputs are the input objects that variables have, by name.
	Inputs map[string]*Shape
}

// Variable is a declared variable with the shape of its values.
type Variable struct {
	Declaration
	Shape *Shape
}

// Kind of a shape.
type Kind string

// The kinds of shapes.
const (
	ListShape   Kind = "list"
	ScalarShape Kind = "scalar"
	EnumShape   Kind = "enum"
	ObjectShape Kind = "object"
	// InputShape is an input object: Described.Inputs has its members, because
	// inputs refer to each other in circles.
	InputShape Kind = "input"
)

// Shape is the form of a value.
type Shape struct {
	Kind              Kind
	Name, Description string
	NonNull           bool
	Of                *Shape   // of a list
	Values            []string // of an enum
	Members           []Member
}

// Member is one member of an object.
type Member struct {
	Key   string
	Shape *Shape
}

// Describe reads a text with exactly one operation for a schema. The error is a
// *errcode.Error.
func Describe(s *schema.Schema, query string) (*Described, error) {
	op, err := Prepare(s, query, "")
	if err != nil {
		return nil, err
	}
	d := description{op: op, out: &Described{Inputs: map[string]*Shape{}}}
	for _, v := range op.Def.VariableDefinitions {
		d.out.Variables = append(d.out.Variables, Variable{declaration(v), d.input(v.Type)})
	}
	d.out.Fields = d.members(op.Def.SelectionSet, s.RootType(op.Type))
	return d.out, nil
}

type description struct {
	op  *Operation
	out *Described
}

func (d description) members(set ast.SelectionSet, typeName string) []Member {
	c := fieldCollector{op: d.op, typeName: typeName, parent: d.op.definition(typeName), index: map[string]*Field{}, all: true}
	c.add(set)
	var out []Member
	for _, f := range c.fields {
		if f.Definition != nil {
			out = append(out, Member{f.Key, d.output(f.Definition.Type, f.Selections)})
		}
	}
	return out
}

// output is the shape of a field of type t.
func (d description) output(t *ast.Type, set ast.SelectionSet) *Shape {
	if t.Elem != nil {
		return &Shape{Kind: ListShape, NonNull: t.NonNull, Of: d.output(t.Elem, set)}
	}
	out := d.leaf(t)
	if out.Kind == ObjectShape {
		out.Members = d.members(set, t.NamedType)
	}
	return out
}

// input is the shape of an argument of type t.
func (d description) input(t *ast.Type) *Shape {
	if t.Elem != nil {
		return &Shape{Kind: ListShape, NonNull: t.NonNull, Of: d.input(t.Elem)}
	}
	out := d.leaf(t)
	if out.Kind != InputShape || d.out.Inputs[t.NamedType] != nil {
		return out
	}
	object := &Shape{Kind: InputShape, Name: out.Name, Description: out.Description}
	d.out.Inputs[t.NamedType] = object
	for _, f := range d.op.definition(t.NamedType).Fields {
		object.Members = append(object.Members, Member{f.Name, d.input(f.Type)})
	}
	return out
}

func (d description) leaf(t *ast.Type) *Shape {
	out := &Shape{Kind: ScalarShape, Name: t.NamedType, NonNull: t.NonNull}
	def := d.op.definition(t.NamedType)
	if def == nil {
		return out
	}
	out.Description = def.Description
	switch def.Kind {
	case ast.Enum:
		out.Kind = EnumShape
		for _, v := range def.EnumValues {
			out.Values = append(out.Values, v.Name)
		}
	case ast.Object, ast.Interface, ast.Union:
		out.Kind = ObjectShape
	case ast.InputObject:
		out.Kind = InputShape
	}
	return out
}
