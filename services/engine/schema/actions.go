package schema

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// shows reports whether the role has the action's field under the root of op.
// An asynchronous action has none: its answer is a run, not its output.
func (s *Schema) shows(a *model.Action, op ast.Operation) bool {
	return !a.Async && a.Query == (op == ast.Query) && (op == ast.Query || op == ast.Mutation) && s.role.Action(a)
}

func actionField(a *model.Action) *ast.FieldDefinition {
	f := &ast.FieldDefinition{Name: a.Name, Description: a.Comment, Type: refType(a.Output)}
	for _, arg := range a.Arguments {
		f.Arguments = append(f.Arguments, &ast.ArgumentDefinition{Name: arg.Name, Description: arg.Description, Type: refType(arg.Type)})
	}
	sortArguments(f.Arguments)
	return f
}

// customType is a type that the tenant declared for actions.
func (s *Schema) customType(t *model.Type) *ast.Definition {
	d := &ast.Definition{Name: t.Name, Description: t.Description}
	switch t.Kind {
	case model.Scalar:
		d.Kind = ast.Scalar
	case model.Enum:
		d.Kind = ast.Enum
		for _, v := range t.Values {
			value := &ast.EnumValueDefinition{Name: v.Value, Description: v.Description}
			if v.IsDeprecated {
				value.Directives = ast.DirectiveList{{Name: "deprecated"}}
			}
			d.EnumValues = append(d.EnumValues, value)
		}
	case model.Input, model.Object:
		d.Kind = ast.InputObject
		if t.Kind == model.Object {
			d.Kind = ast.Object
		}
		for _, f := range t.Fields {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: f.Name, Description: f.Description, Type: refType(f.Type)})
		}
		for _, r := range t.Relationships {
			if f := s.typeRelationship(r); f != nil {
				d.Fields = append(d.Fields, f)
			}
		}
		sortFields(d.Fields)
	}
	return d
}

// typeRelationship joins an output object to a table; nil if the role can't read it.
func (s *Schema) typeRelationship(r *model.TypeRelationship) *ast.FieldDefinition {
	if !s.selectable(r.Target) {
		return nil
	}
	if r.Array {
		return &ast.FieldDefinition{Name: r.Name, Type: nonNullListOf(r.Target.Type), Arguments: selectArguments(r.Target)}
	}
	// Nullable always: nothing makes the handler name a row that exists.
	return &ast.FieldDefinition{Name: r.Name, Type: named(r.Target.Type)}
}
