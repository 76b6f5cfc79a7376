package planner

import (
	"encoding/json"

	"tenantry/api/errcode"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
)

// roots plans a root field: one, or those under a source's namespace.
func (p *planner) roots(f *operation.Field) ([]plan.Field, error) {
	n, ok := p.schema.Namespaced(p.op.Type, f.Name)
	if !ok {
		root, err := p.root(f)
		return []plan.Field{root}, err
	}
	path, typeName := "$.selectionSet."+f.Name, p.schema.TypeOf(n, p.op.Type)
	var out []plan.Field
	for _, child := range p.op.Fields(f.Selections, p.vars, typeName) {
		field := plan.Field{Key: child.Key, Group: f.Key, Name: child.Name, Arguments: arguments(child)}
		if child.Name == "__typename" {
			field.Constant, _ = json.Marshal(typeName) // a string
			out = append(out, field)
			continue
		}
		at := path + ".selectionSet." + child.Name
		root, ok := p.schema.RootOf(n, p.op.Type, child.Name)
		if !ok { // validated before
			return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", child.Name, typeName).At(at)
		}
		field, err := p.resolved(field, root, child, at)
		if err != nil {
			return nil, err
		}
		out = append(out, field)
	}
	if len(out) == 0 { // directives left everything out
		return []plan.Field{{Key: f.Key, Name: f.Name, Constant: []byte("{}")}}, nil
	}
	return out, nil
}
