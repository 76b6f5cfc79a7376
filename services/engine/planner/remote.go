package planner

import (
	"tenantry/api/errcode"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// remote plans a field that reads another source; false when there is none of
// its name. The values to join by are those that the role sees.
func (p *planner) remote(t *model.Table, f *operation.Field, path string) (plan.Output, bool, error) {
	out := plan.Output{Key: f.Key}
	r, aggregate, ok := t.Remote(f.Name)
	if !ok {
		return out, false, nil
	}
	out.Join = &plan.Join{}
	for i, pair := range r.Mapping {
		local, ok := t.Stored(pair.Local)
		if !ok { // the model has checked it
			return out, true, errcode.New(errcode.Unexpected, "internal error").At(path)
		}
		out.Join.Columns = append(out.Join.Columns, p.read(t, local))
		out.Join.Keys = append(out.Join.Keys, plan.Column{Name: pair.Remote, Type: r.Types[i]})
	}
	return out, true, p.joined(out.Join, r.Target, r.Array, aggregate, f, path)
}
