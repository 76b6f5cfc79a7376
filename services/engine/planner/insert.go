package planner

import (
	"maps"
	"slices"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

func (p *planner) insert(field *plan.Field, t *model.Table, f *operation.Field, path string, one bool) (*plan.Insert, error) {
	allowed := p.role.Table(t).Insert
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field '%s' not found", f.Name).At(path)
	}
	name := "objects"
	if one {
		name = "object"
	}
	in, ok := p.argument(f.Arguments, name)
	if !ok || in.null() {
		return nil, unexpectedNull(t.TypeName("_insert_input"), path+".args."+name)
	}
	out := &plan.Insert{Source: t.Source, Table: t.Name, Check: allowed.Check, Most: allowed.MaxAffectedRows}
	field.Validations = validation(field.Validations, allowed.Validation, plan.Validation{Argument: name})
	var err error
	if conflict, ok := p.argument(f.Arguments, "on_conflict"); ok && !conflict.null() {
		if out.Conflict, err = p.conflict(t, conflict, path+".args.on_conflict"); err != nil {
			return nil, err
		}
	}
	if rows := in.items(); nests(t, rows) {
		if out.Tree, err = p.tree(field, t, rows, out.Conflict, path+".args", name); err != nil {
			return nil, err
		}
		out.Columns = out.Tree.Forms[out.Tree.Rows[0].Form].Columns
	} else if err := p.insertRows(out, t, in, allowed, path+".args."+name); err != nil {
		return nil, err
	}
	out.Returning, err = p.returning(t, f, path, one)
	return out, err
}

// insertRows chooses the form of the rows: one JSON parameter when a variable
// brings several rows of the same keys, else a parameter per value.
func (p *planner) insertRows(out *plan.Insert, t *model.Table, in input, allowed *access.Insert, path string) error {
	rows := in.items()
	if keys := recordKeys(t, in); keys != nil {
		return p.records(out, t, in, keys, allowed, path)
	}
	columns, err := insertColumns(t, rows, allowed, path)
	if err != nil {
		return err
	}
	for _, c := range columns {
		out.Columns = append(out.Columns, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	for _, row := range rows {
		values, err := insertValues(columns, row, allowed, path)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, values)
	}
	if !out.SpellDefaults(t.Catalog.Columns) {
		return errcode.New(errcode.NotSupported, "several rows of a table without columns can't be inserted at once").At(path)
	}
	return nil
}

func (p *planner) records(out *plan.Insert, t *model.Table, in input, keys []string, allowed *access.Insert, path string) error {
	out.Records = &plan.Records{Variable: in.variable, Path: in.path, Keys: keys}
	for _, key := range keys {
		c, ok := t.Column(key)
		if !ok {
			return unknownInsertField(t, key, path)
		}
		out.Columns = append(out.Columns, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	for _, preset := range allowed.Presets {
		out.Columns = append(out.Columns, plan.Column{Name: preset.Column.StoredName(), Type: preset.Column.Type})
		out.Records.Presets = append(out.Records.Presets, preset.Value)
	}
	return nil
}

// uniformKeys are the keys that all rows have, sorted; nil when rows differ, or
// there are no keys at all.
func uniformKeys(rows []any) []string {
	var keys []string
	for i, row := range rows {
		object, ok := row.(map[string]any)
		if !ok {
			return nil
		}
		own := slices.Sorted(maps.Keys(object))
		if i > 0 && !slices.Equal(own, keys) {
			return nil
		}
		keys = own
	}
	if len(keys) == 0 {
		return nil
	}
	return keys
}

// insertColumns are the columns that some row names, in the table's order, then
// the presets.
func insertColumns(t *model.Table, rows []input, allowed *access.Insert, path string) ([]*model.Column, error) {
	named := map[string]bool{}
	for _, row := range rows {
		for _, f := range row.fields() {
			if _, ok := t.Relationship(f.name); ok {
				continue // null: it brings nothing
			}
			if _, ok := t.Column(f.name); !ok {
				return nil, unknownInsertField(t, f.name, path)
			}
			named[f.name] = true
		}
	}
	var out []*model.Column
	for _, c := range t.Columns {
		if named[c.Name] {
			out = append(out, c)
		}
	}
	for _, preset := range allowed.Presets {
		out = append(out, preset.Column)
	}
	return out, nil
}

func insertValues(columns []*model.Column, row input, allowed *access.Insert, path string) ([]*filter.Param, error) {
	given := map[string]input{}
	for _, f := range row.fields() {
		given[f.name] = f.in
	}
	out := make([]*filter.Param, len(columns))
	own := len(columns) - len(allowed.Presets)
	for i, c := range columns {
		if i >= own {
			value := allowed.Presets[i-own].Value
			out[i] = &value
			continue
		}
		if in, ok := given[c.Name]; ok {
			v, err := in.param(c.Type, path+"."+c.Name)
			if err != nil {
				return nil, err
			}
			out[i] = &v
		}
	}
	return out, nil
}

func unknownInsertField(t *model.Table, name, path string) error {
	return errcode.New(errcode.ValidationFailed, "field '%s' not found in type: '%s'", name, t.TypeName("_insert_input")).At(path)
}

// conflict plans an upsert: the role's update permission restricts which rows
// it may change, and its presets are set.
func (p *planner) conflict(t *model.Table, in input, path string) (*plan.Conflict, error) {
	allowed := p.role.Table(t).Update
	if allowed == nil {
		return nil, errcode.New(errcode.ValidationFailed, "field 'on_conflict' not found").At(path)
	}
	out := &plan.Conflict{Where: allowed.Filter}
	for _, f := range in.fields() {
		switch schema.Canonical(f.name) {
		case "constraint":
			out.Constraint = f.in.symbol()
			for _, constraint := range t.Constraints {
				if constraint.Name == out.Constraint && constraint.Index {
					out.Columns = constraint.Columns
				}
			}
		case "update_columns":
			for _, item := range f.in.items() {
				c, ok := t.Column(item.symbol())
				if item.symbol() == schema.Placeholder {
					return nil, errcode.New(errcode.ValidationFailed, "erroneous column name").At(path)
				}
				if !ok || !allowed.Columns.Has(c) {
					return nil, errcode.New(errcode.ValidationFailed, "column '%s' can't be updated", item.symbol()).At(path)
				}
				if !slices.Contains(out.Update, c.StoredName()) { // Postgres refuses to set a column twice
					out.Update = append(out.Update, c.StoredName())
				}
			}
		case "where":
			where, err := p.where(t, f.in, path+".where")
			if err != nil {
				return nil, err
			}
			out.Where = filter.Both(out.Where, where)
		}
	}
	if len(out.Update) > 0 {
		out.Set, out.Check = plan.Presets(allowed.Presets), allowed.Check
	}
	return out, nil
}
