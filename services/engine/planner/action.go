package planner

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/api/errcode"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

func (p *planner) action(a *model.Action, f *operation.Field, path string) (*plan.Action, error) {
	out := &plan.Action{Action: a}
	if a.Async {
		return p.run(out, f, path)
	}
	object := p.schema.ObjectType(a.Output.Base())
	if object == nil {
		return out, nil
	}
	parts, err := p.parts(object, f.Selections, path, len(object.Relationships) == 0)
	out.Selection = parts
	return out, err
}

// run plans a field of an asynchronous action: the mutation has nothing to
// select, the query selects from a run as from an output object.
func (p *planner) run(out *plan.Action, f *operation.Field, path string) (*plan.Action, error) {
	if p.op.Type == ast.Mutation {
		return out, nil
	}
	a := out.Action
	for _, member := range p.op.Fields(f.Selections, p.vars, a.Name) {
		part := plan.Part{Key: member.Key, Field: member.Name}
		switch object := p.schema.ObjectType(a.Output.Base()); {
		case member.Name == "__typename":
			part.Field, part.Text = "", &a.Name
		case member.Name == model.RunOutput && object != nil:
			var err error
			if part.Parts, err = p.parts(object, member.Selections, path+".selectionSet."+member.Name, len(object.Relationships) == 0); err != nil {
				return nil, err
			}
		}
		out.Selection = append(out.Selection, part)
	}
	return out, nil
}

// parts plans the selection over an action's output object. As the dialect has
// it, objects that the handler left out stay out of the answer where the action's
// own type has no relationships (sparse), and are null where it has some.
func (p *planner) parts(object *model.Type, set ast.SelectionSet, path string, sparse bool) ([]plan.Part, error) {
	var out []plan.Part
	for _, f := range p.op.Fields(set, p.vars, object.Name) {
		part, err := p.part(object, f, path+".selectionSet."+f.Name, sparse)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

func (p *planner) part(object *model.Type, f *operation.Field, path string, sparse bool) (plan.Part, error) {
	out := plan.Part{Key: f.Key}
	if f.Name == "__typename" {
		out.Text = &object.Name
		return out, nil
	}
	if member, ok := object.Field(f.Name); ok {
		out.Field = f.Name
		var err error
		if nested := p.schema.ObjectType(member.Type.Base()); nested != nil {
			out.Sparse = sparse
			out.Parts, err = p.parts(nested, f.Selections, path, sparse)
		}
		return out, err
	}
	r, aggregate, ok := object.Related(f.Name)
	if !ok { // validated before
		return out, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", f.Name, object.Name).At(path)
	}
	join, err := p.join(r, aggregate, f, path)
	out.Join = join
	return out, err
}

// join plans one relationship level: its select is correlated with the keys
// that the output objects hold, so it runs once however many objects there are.
func (p *planner) join(r *model.TypeRelationship, aggregate bool, f *operation.Field, path string) (*plan.Join, error) {
	out := &plan.Join{}
	for _, pair := range r.Mapping {
		c, ok := r.Target.Stored(pair.Remote)
		if !ok {
			return nil, errcode.New(errcode.Unexpected, "internal error").At(path)
		}
		out.Fields = append(out.Fields, pair.Local)
		out.Keys = append(out.Keys, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	return out, p.joined(out, r.Target, r.Array, aggregate, f, path)
}

// joined plans what a join reads: rows, or an aggregate of them.
func (p *planner) joined(out *plan.Join, target *model.Table, array, aggregate bool, f *operation.Field, path string) (err error) {
	on := keyPairs(out.Keys)
	if !aggregate {
		out.Select, err = p.related(target, array, on, f, path)
		return err
	}
	if out.Select, err = p.aggregate(target, f, path); err == nil {
		out.Select.On = on
		out.Select.Aggregate.Tie(on)
	}
	return err
}

// keyPairs correlate a joined selection with its keys.
func keyPairs(keys []plan.Column) []filter.Pair {
	on := make([]filter.Pair, len(keys))
	for i, key := range keys {
		on[i] = filter.Pair{Outer: plan.JoinKey(i), Inner: key.Name}
	}
	return on
}
