package derive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/metadata"
)

// output writes the type of a field, as far as it is selected.
func (d *deriver) output(f *ast.Field, t *ast.Type, name string, depth int) string {
	var out string
	switch {
	case t.Elem != nil:
		out = "[" + d.output(f, t.Elem, name, depth) + "]"
	case f.Name == "__typename":
		return "String!"
	default:
		switch definition := d.schema.Types[t.NamedType]; definition.Kind {
		case ast.Object:
			out = d.object(d.collect(f.SelectionSet, depth), name, depth+1)
		case ast.Enum:
			out = d.enum(definition)
		case ast.Scalar:
			out = t.NamedType
		default:
			panic(wrong(f.Position, "the field %s is of an interface or union, which an action can't answer", f.Alias))
		}
	}
	// A directive may leave the field out.
	if t.NonNull && f.Directives.ForName("include") == nil && f.Directives.ForName("skip") == nil {
		return out + "!"
	}
	return out
}

// object makes an output type of selected fields.
func (d *deriver) object(fields []*ast.Field, name string, depth int) string {
	if depth > maxDepth {
		panic(wrong(fields[0].Position, "the selection is deeper than %d levels", maxDepth))
	}
	name = d.take(name)
	at := len(d.out.Types.Objects)
	d.out.Types.Objects = append(d.out.Types.Objects, metadata.ObjectType{Name: name})
	var members []metadata.Argument
	for _, f := range fields {
		kind := f.Definition.Type
		inner := strings.TrimSuffix(name, "Output") + pascal(f.Alias)
		members = append(members, metadata.Argument{Name: f.Alias, Type: d.output(f, kind, inner, depth)})
	}
	d.out.Types.Objects[at].Fields = members
	return name
}

// enum copies an enum: those of the database can't be used by actions.
func (d *deriver) enum(t *ast.Definition) string {
	if name, ok := d.inputs[t.Name]; ok {
		return name
	}
	name := d.take(d.prefix + pascal(t.Name))
	d.inputs[t.Name] = name
	e := metadata.EnumType{Name: name}
	for _, v := range t.EnumValues {
		e.Values = append(e.Values, metadata.EnumValue{Value: v.Name, Description: v.Description})
	}
	d.out.Types.Enums = append(d.out.Types.Enums, e)
	return name
}

// input writes the type of a variable.
func (d *deriver) input(t *ast.Type) string {
	var out string
	if t.Elem != nil {
		out = "[" + d.input(t.Elem) + "]"
	} else {
		out = d.inputNamed(t.NamedType)
	}
	if t.NonNull {
		return out + "!"
	}
	return out
}

func (d *deriver) inputNamed(name string) string {
	t := d.schema.Types[name]
	switch {
	case t.Kind == ast.Enum:
		return d.enum(t)
	case t.Kind != ast.InputObject:
		return name
	}
	if known, ok := d.inputs[name]; ok {
		return known
	}
	if behind := d.behind(name, nil); len(behind) > maxInputs {
		d.note("%s stands for many types: any JSON in the action, checked when the operation runs", name)
		d.inputs[name] = "json"
		return "json"
	}
	own := d.take(d.prefix + pascal(name))
	d.inputs[name] = own // before its fields: types refer to themselves
	at := len(d.out.Types.InputObjects)
	d.out.Types.InputObjects = append(d.out.Types.InputObjects, metadata.InputType{Name: own, Description: t.Description})
	var fields []metadata.Argument
	for _, f := range t.Fields {
		kind := *f.Type
		if f.DefaultValue != nil {
			kind.NonNull = false
		}
		fields = append(fields, metadata.Argument{Name: f.Name, Type: d.input(&kind), Description: f.Description})
	}
	d.out.Types.InputObjects[at].Fields = fields
	return own
}

// behind are the input types that a type reaches, no more than one too many.
func (d *deriver) behind(name string, seen []string) []string {
	t := d.schema.Types[name]
	if t == nil || t.Kind != ast.InputObject || slices.Contains(seen, name) || len(seen) > maxInputs {
		return seen
	}
	seen = append(seen, name)
	for _, f := range t.Fields {
		seen = d.behind(f.Type.Name(), seen)
	}
	return seen
}

func (d *deriver) note(format string, args ...any) {
	d.out.Notes = append(d.out.Notes, fmt.Sprintf(format, args...))
}

// take gives a type a name that no other of the action has. One that the project has
// already is told when the action is registered: deriving it again gives the same
// names.
func (d *deriver) take(name string) string {
	if len(d.taken) >= maxTypes {
		panic(wrong(nil, "the operation needs more than %d types", maxTypes))
	}
	unique := name
	for n := 2; d.taken[unique]; n++ {
		unique = name + strconv.Itoa(n)
	}
	d.taken[unique] = true
	return unique
}

// pascal writes snake case as types are called.
func pascal(name string) string {
	var out strings.Builder
	for _, word := range strings.Split(name, "_") {
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return out.String()
}
