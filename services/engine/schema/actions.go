package schema

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// shows reports whether the role has the action's field under the root of op. An
// asynchronous action has three: the mutation queues a run, the query and the
// subscription find it.
func (s *Schema) shows(a *model.Action, op ast.Operation) bool {
	switch op {
	case ast.Query:
		return (a.Query || a.Async) && s.role.Action(a)
	case ast.Mutation:
		return !a.Query && s.role.Action(a)
	case ast.Subscription:
		return a.Async && s.role.Action(a)
	}
	return false
}

func actionField(a *model.Action, op ast.Operation) *ast.FieldDefinition {
	f := &ast.FieldDefinition{Name: a.Name, Description: a.Comment, Type: refType(a.Output)}
	if a.Async {
		f.Type = nonNull(uuidScalar)
		if op != ast.Mutation {
			f.Type = named(a.Name)
			f.Arguments = ast.ArgumentDefinitionList{{Name: model.RunID, Description: "the unique id of an action", Type: nonNull(uuidScalar)}}
			return f
		}
	}
	for _, arg := range a.Arguments {
		f.Arguments = append(f.Arguments, &ast.ArgumentDefinition{Name: arg.Name, Description: arg.Description, Type: refType(arg.Type)})
	}
	sortArguments(f.Arguments)
	return f
}

// runScalars are the scalars of a run's own fields.
var runScalars = []string{uuidScalar, "timestamptz", "json"}

const uuidScalar = "uuid"

// asyncAction is the asynchronous action of that name that the role may call; nil
// if there is none.
func (s *Schema) asyncAction(name string) *model.Action {
	for _, a := range s.model.Actions {
		if a.Async && a.Name == name && s.role.Action(a) {
			return a
		}
	}
	return nil
}

// runType is the type of the runs of an action.
func runType(a *model.Action) *ast.Definition {
	output := a.Output
	output.NonNull = false // there is none before the run has ended
	return &ast.Definition{Kind: ast.Object, Name: a.Name, Description: "fields of action: \"" + a.Name + "\"", Fields: ast.FieldList{
		{Name: model.RunCreatedAt, Description: "the time at which this action was created", Type: nonNull("timestamptz")},
		{Name: model.RunErrors, Description: "errors related to the invocation", Type: named("json")},
		{Name: model.RunID, Description: "the unique id of an action", Type: nonNull(uuidScalar)},
		{Name: model.RunOutput, Description: "the output fields of this action", Type: refType(output)},
	}}
}

// hasRuns reports whether the role has an asynchronous action.
func (s *Schema) hasRuns() bool {
	return slices.ContainsFunc(s.model.Actions, func(a *model.Action) bool { return a.Async && s.role.Action(a) })
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
			d.Fields = append(d.Fields, s.typeRelationship(r)...)
		}
		sortFields(d.Fields)
	}
	return d
}

// typeRelationship are the fields that join an output object to a table; none if
// the role can't read it.
func (s *Schema) typeRelationship(r *model.TypeRelationship) ast.FieldList {
	if !s.selectable(r.Target) {
		return nil
	}
	if !r.Array {
		// Nullable always: nothing makes the handler name a row that exists.
		return ast.FieldList{{Name: r.Name, Type: named(r.Target.Type)}}
	}
	fields := ast.FieldList{{Name: r.Name, Type: nonNullListOf(r.Target.Type), Arguments: selectArguments(r.Target)}}
	if r.AggregateName != "" && s.aggregates(r.Target) {
		fields = append(fields, &ast.FieldDefinition{Name: r.AggregateName, Description: "An aggregate relationship",
			Type: nonNull(r.Target.TypeName(aggregateSuffix)), Arguments: selectArguments(r.Target)})
	}
	return fields
}
