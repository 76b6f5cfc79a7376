package planner

import (
	"fmt"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

func (p *planner) update(field *plan.Field, t *model.Table, f *operation.Field, path string, byPK bool) (*plan.Update, error) {
	allowed := p.role.Table(t).Update
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	where, err := p.target(t, f, path, byPK)
	if err != nil {
		return nil, err
	}
	u := &plan.Update{Source: t.Source, Table: t.Name, Where: filter.Both(allowed.Filter, where), Check: allowed.Check, Most: allowed.MaxAffectedRows}
	field.Validations = validation(field.Validations, allowed.Validation, plan.Validation{})
	operators := func(name string) (input, bool) { return p.argument(f.Arguments, name) }
	if u.Set, err = p.assignments(t, operators, allowed, path+".args"); err != nil {
		return nil, err
	}
	u.Returning, err = p.returning(t, f, path, byPK)
	return u, err
}

// updateMany plans the updates of one field; each has rows and operators of its
// own.
func (p *planner) updateMany(field *plan.Field, t *model.Table, f *operation.Field, path string) ([]*plan.Update, error) {
	allowed := p.role.Table(t).Update
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	in, ok := p.argument(f.Arguments, schema.Updates)
	if !ok || in.null() {
		return nil, unexpectedNull(t.TypeName("_updates"), path+".args.updates")
	}
	field.Validations = validation(field.Validations, allowed.Validation, plan.Validation{Argument: schema.Updates})
	returning, err := p.returning(t, f, path, false)
	if err != nil {
		return nil, err
	}
	out := []*plan.Update{}
	for i, item := range in.items() {
		place := fmt.Sprintf("%s.args.updates[%d]", path, i)
		if err := p.piece(place); err != nil {
			return nil, err
		}
		where, ok := item.field(schema.Where)
		if !ok || where.null() {
			return nil, unexpectedNull(t.TypeName("_bool_exp"), place+".where")
		}
		chosen, err := p.where(t, where, place+".where")
		if err != nil {
			return nil, err
		}
		u := &plan.Update{Source: t.Source, Table: t.Name, Where: filter.Both(allowed.Filter, chosen), Check: allowed.Check, Returning: returning, Most: allowed.MaxAffectedRows}
		if u.Set, err = p.assignments(t, item.field, allowed, place); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func (p *planner) delete(field *plan.Field, t *model.Table, f *operation.Field, path string, byPK bool) (*plan.Delete, error) {
	allowed := p.role.Table(t).Delete
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	where, err := p.target(t, f, path, byPK)
	if err != nil {
		return nil, err
	}
	d := &plan.Delete{Source: t.Source, Table: t.Name, Where: filter.Both(allowed.Filter, where), Most: allowed.MaxAffectedRows}
	input := plan.Validation{}
	if byPK {
		input.Key = schema.PKColumns
	}
	field.Validations = validation(field.Validations, allowed.Validation, input)
	d.Returning, err = p.returning(t, f, path, byPK)
	return d, err
}

// validation adds a webhook that must accept the input, if there is one.
func validation(all []plan.Validation, hook *metadata.InputValidationHook, v plan.Validation) []plan.Validation {
	if hook == nil {
		return all
	}
	v.Definition = hook
	return append(all, v)
}

// target is the client's choice of rows: where, the pk_columns of an update, or
// the key arguments of a delete.
func (p *planner) target(t *model.Table, f *operation.Field, path string, byPK bool) (filter.Expr, error) {
	if !byPK {
		in, ok := p.argument(f.Arguments, "where")
		if !ok || in.null() {
			return nil, unexpectedNull(t.TypeName("_bool_exp"), path+".args.where")
		}
		return p.where(t, in, path+".args.where")
	}
	if key, ok := p.argument(f.Arguments, "pk_columns"); ok {
		return p.keyCondition(t, key.field, path+".args.pk_columns")
	}
	return p.keyCondition(t, func(name string) (input, bool) { return p.argument(f.Arguments, name) }, path+".args")
}

// updateOperators in the order in which they are written.
var updateOperators = []struct {
	argument string
	op       plan.AssignmentOp
}{
	{"_set", plan.Set}, {"_inc", plan.Inc}, {"_append", plan.Append}, {"_prepend", plan.Prepend},
	{"_delete_key", plan.DeleteKey}, {"_delete_elem", plan.DeleteElem}, {"_delete_at_path", plan.DeleteAtPath},
}

// assignments are what the client changes, and then the presets, which may also
// stand alone.
func (p *planner) assignments(t *model.Table, operators func(name string) (input, bool), allowed *access.Update, path string) ([]plan.Assignment, error) {
	var out []plan.Assignment
	seen := map[string]bool{}
	for _, operator := range updateOperators {
		in, ok := operators(operator.argument)
		if !ok || in.null() {
			continue
		}
		for _, f := range in.fields() {
			c, ok := t.Column(f.name)
			if !ok {
				return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.name).At(path + "." + operator.argument)
			}
			if seen[f.name] {
				return nil, errcode.New(errcode.ValidationFailed, "Column found in multiple operators: ['%s'].", f.name).At(path)
			}
			seen[f.name] = true
			a, err := p.assignment(c, operator.op, f.in, path+"."+operator.argument+"."+f.name)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
	}
	out = append(out, plan.Presets(allowed.Presets)...)
	if len(out) == 0 {
		return nil, errcode.New(errcode.ValidationFailed, "at least one update operator must be provided").At(path)
	}
	return out, nil
}

func (p *planner) assignment(c *model.Column, op plan.AssignmentOp, in input, path string) (plan.Assignment, error) {
	t := c.Type
	switch op {
	case plan.DeleteKey:
		t = textType
	case plan.DeleteElem:
		t.Schema, t.Name = "pg_catalog", "int4"
	case plan.DeleteAtPath:
		t = listOf(textType)
	}
	v, err := in.param(t, path)
	return plan.Assignment{Column: plan.Column{Name: c.StoredName(), Type: c.Type}, Op: op, Value: v}, err
}

// returning plans what a mutation answers.
func (p *planner) returning(t *model.Table, f *operation.Field, path string, one bool) (plan.Returning, error) {
	out := plan.Returning{One: one}
	if one {
		rows, err := p.output(t, f.Selections, path)
		out.Members = []plan.Member{{Rows: rows}}
		return out, err
	}
	typeName := t.TypeName("_mutation_response")
	for _, m := range p.op.Fields(f.Selections, p.vars, typeName) {
		member := plan.Member{Key: m.Key}
		switch schema.Canonical(m.Name) {
		case "__typename":
			member.Text = &typeName
		case "affected_rows":
			member.AffectedRows = true
		default:
			rows, err := p.output(t, m.Selections, path+".selectionSet."+m.Name)
			if err != nil {
				return out, err
			}
			member.Rows = rows
		}
		out.Members = append(out.Members, member)
	}
	return out, nil
}
