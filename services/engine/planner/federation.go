package planner

import (
	"encoding/json"

	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// service plans the root field that tells the role's schema to what composes
// subgraphs.
func (p *planner) service(out plan.Field, f *operation.Field) (plan.Field, error) {
	typeName := f.Definition.Type.Name()
	text := []byte{'{'}
	for i, m := range p.op.Fields(f.Selections, p.vars, typeName) {
		value := typeName
		if m.Name == schema.ServiceSDL {
			value = p.schema.Subgraph()
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return out, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), m.Key...), '"', ':')
		text = append(text, encoded...)
	}
	out.Constant = append(text, '}')
	return out, nil
}

// entities plans the root field that finds rows by type and key. A type of which
// the client wants no field is not looked for.
func (p *planner) entities(out plan.Field, f *operation.Field, path string) (plan.Field, error) {
	out.Entities = &plan.Entities{Argument: schema.Representations}
	for _, t := range p.schema.Entities() {
		if len(p.op.Fields(f.Selections, p.vars, t.Type)) == 0 {
			continue
		}
		entity, err := p.entity(t, f, path)
		if err != nil {
			return out, err
		}
		out.Entities.Types = append(out.Entities.Types, entity)
		resource := plan.Resource{Kind: "table", Source: t.Source, Schema: t.Name.Schema, Name: t.Name.Name, Columns: entity.Columns()}
		if out.Resource.Kind == "" {
			out.Resource = resource
		} else {
			out.Nested = append(out.Nested, resource)
		}
	}
	return out, nil
}

func (p *planner) entity(t *model.Table, f *operation.Field, path string) (plan.Entity, error) {
	join := &plan.Join{}
	for _, c := range t.PrimaryKey {
		join.Fields = append(join.Fields, c.Name)
		join.Keys = append(join.Keys, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	var err error
	join.Select, err = p.related(t, false, keyPairs(join.Keys), f, path)
	return plan.Entity{Name: t.Type, Join: join}, err
}
