package jsonquery

import (
	"fmt"
	"maps"
	"slices"

	"tenantry/api/errcode"
	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/model"
)

// rowsVariable holds an insert's rows with the keys of the database.
const rowsVariable = "$rows"

// insert plans insert.
func (p *planning) insert() error {
	t, args := p.table, p.command.args
	p.field.Name = t.Root.Insert.Name
	value, ok := args.given("objects")
	if !ok {
		return missing("objects")
	}
	allowed := p.Role.Table(t).Insert
	if err := p.writable(t.Insertable, allowed != nil, allowed != nil && allowed.BackendOnly); err != nil {
		return err
	}
	in := &plan.Insert{Source: t.Source, Table: t.Name, Check: allowed.Check, Most: allowed.MaxAffectedRows}
	p.field.Insert = in
	if err := p.returning(&in.Returning, `; "returning" can only be used if the role has "select" permission on the table`); err != nil {
		return err
	}
	rows, err := objects(value)
	if err != nil {
		return err
	}
	columns, err := p.inserted(rows, allowed)
	if err != nil {
		return err
	}
	if err := p.fill(in, columns, rows, allowed); err != nil {
		return err
	}
	if allowed.Validation != nil {
		p.field.Validations = []plan.Validation{{Definition: allowed.Validation, Argument: "objects"}}
	}
	if conflict, ok := args.given("on_conflict"); ok {
		in.Conflict, err = p.conflict(conflict, columns)
	}
	return err
}

func objects(value any) ([]object, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, wrongForm("$.args.objects", "a list of objects")
	}
	if len(list) == 0 {
		return nil, errcode.New(errcode.UnexpectedPayload, "objects should not be empty").At("$.args.objects")
	}
	rows := make([]object, len(list))
	for i, item := range list {
		row, ok := item.(map[string]any)
		if !ok {
			return nil, wrongForm(fmt.Sprintf("$.args.objects[%d]", i), "an object")
		}
		rows[i] = row
	}
	return rows, nil
}

// inserted are the columns that some row names, in the table's order.
func (p *planning) inserted(rows []object, allowed *access.Insert) ([]*model.Column, error) {
	named := map[string]bool{}
	for i, row := range rows {
		for _, name := range slices.Sorted(maps.Keys(row)) {
			if named[name] {
				continue
			}
			if err := p.mayInsert(name, allowed, fmt.Sprintf("$.args.objects[%d]", i)); err != nil {
				return nil, err
			}
			named[name] = true
		}
	}
	var out []*model.Column
	for _, own := range p.table.Catalog.Columns {
		if c, ok := p.table.Stored(own.Name); ok && named[own.Name] {
			out = append(out, c)
		}
	}
	return out, nil
}

func (p *planning) mayInsert(name string, allowed *access.Insert, path string) error {
	c, ok := p.table.Stored(name)
	_, related := p.table.Relationship(name)
	switch {
	case ok && p.mayWrite(c, allowed.Columns):
		return nil
	case isPreset(allowed.Presets, name):
		return errcode.New(errcode.NotSupported, "column %q is not insertable for role %q; its value is predefined in permission", name, p.Role.Name).At(path)
	case !p.Role.Admin:
		return errcode.New(errcode.PermissionDenied, "role %q does not have permission to insert column %q", p.Role.Name, name).At(path)
	case ok:
		return errcode.New(errcode.NotSupported, "column %q can't be written", name).At(path)
	case related:
		return errcode.New(errcode.UnexpectedPayload, "relationships can't be inserted").At(path)
	}
	return errcode.New(errcode.NotExists, "column %q does not exist", name).At(path)
}

// mayWrite reports whether a permission to write is for a column too.
func (p *planning) mayWrite(c *model.Column, allowed access.ColumnSet) bool {
	return c.Writable() && (p.Role.Admin || allowed.Has(c))
}

func isPreset(presets []access.Preset, name string) bool {
	return slices.ContainsFunc(presets, func(preset access.Preset) bool { return preset.Column.StoredName() == name })
}

// fill gives the insert its values: one JSON parameter for several rows that name
// the same columns, else a parameter each.
func (p *planning) fill(in *plan.Insert, columns []*model.Column, rows []object, allowed *access.Insert) error {
	for _, c := range columns {
		in.Columns = append(in.Columns, plan.Column{Name: c.StoredName(), Type: c.Type})
	}
	for _, preset := range allowed.Presets {
		in.Columns = append(in.Columns, plan.Column{Name: preset.Column.StoredName(), Type: preset.Column.Type})
	}
	whole := !slices.ContainsFunc(rows, func(row object) bool { return len(row) != len(columns) })
	if whole && len(rows) > 1 && len(columns) > 0 {
		p.records(in, columns, rows, allowed)
		return nil
	}
	for i, row := range rows {
		values, err := insertValues(columns, row, allowed, fmt.Sprintf("$.args.objects[%d]", i))
		if err != nil {
			return err
		}
		in.Rows = append(in.Rows, values)
	}
	if !in.SpellDefaults(p.table.Catalog.Columns) {
		return errcode.New(errcode.NotSupported, "several rows of a table without columns can't be inserted at once").At("$.args.objects")
	}
	return nil
}

func (p *planning) records(in *plan.Insert, columns []*model.Column, rows []object, allowed *access.Insert) {
	in.Records = &plan.Records{Variable: rowsVariable}
	for _, c := range columns {
		in.Records.Keys = append(in.Records.Keys, c.StoredName())
	}
	for _, preset := range allowed.Presets {
		in.Records.Presets = append(in.Records.Presets, preset.Value)
	}
	list := make([]any, len(rows))
	for i, row := range rows {
		list[i] = map[string]any(row)
	}
	p.variables[rowsVariable] = list
}

func insertValues(columns []*model.Column, row object, allowed *access.Insert, path string) ([]*filter.Param, error) {
	out := make([]*filter.Param, 0, len(columns)+len(allowed.Presets))
	for _, c := range columns {
		value, ok := row[c.StoredName()]
		if !ok {
			out = append(out, nil) // the column's default
			continue
		}
		v, err := param(c, value, access.JSONPath(path, c.StoredName()))
		if err != nil {
			return nil, err
		}
		out = append(out, &v)
	}
	for i := range allowed.Presets {
		out = append(out, &allowed.Presets[i].Value)
	}
	return out, nil
}

// param makes a value of the request a parameter.
func param(c *model.Column, value any, path string) (filter.Param, error) {
	if value == nil {
		return filter.Param{From: filter.Null, Type: c.Type}, nil
	}
	text, err := plan.Text(value, c.Type)
	if err != nil {
		return filter.Param{}, errcode.New(errcode.ParseFailed, "the value has the wrong form for type %q", c.Type.Name).At(path).Because(err)
	}
	return filter.Param{From: filter.Literal, Name: text, Type: c.Type}, nil
}

// conflict plans on_conflict: the role's permission to update restricts which rows
// and columns it may change.
func (p *planning) conflict(value any, columns []*model.Column) (*plan.Conflict, error) {
	const at = "$.args.on_conflict"
	given, ok := value.(map[string]any)
	if !ok {
		return nil, wrongForm("$.on_conflict", "an object")
	}
	q := object(given)
	allowed := p.Role.Table(p.table).Update
	if allowed == nil || allowed.BackendOnly && !p.BackendOnly {
		return nil, errcode.New(errcode.PermissionDenied, "upsert is not allowed for role %q since update permissions are not defined", p.Role.Name).At(at)
	}
	out := &plan.Conflict{Where: allowed.Filter}
	if err := p.conflictTarget(out, q, at); err != nil {
		return nil, err
	}
	switch action := q["action"]; {
	case action == "ignore":
		return out, nil
	case action == nil:
		return nil, missing("action")
	case action != "update":
		return nil, wrongForm("$.on_conflict.action", "'ignore' or 'update'")
	case out.Constraint == "" && len(out.Columns) == 0:
		return nil, errcode.New(errcode.UnexpectedPayload, "Expecting 'constraint' or 'constraint_on' when the 'action' is 'update'").At(at)
	}
	for _, c := range columns {
		if !p.mayWrite(c, allowed.Columns) {
			return nil, errcode.New(errcode.ValidationFailed, "column %q is not updatable for role %q", c.StoredName(), p.Role.Name).At(at)
		}
		out.Update = append(out.Update, c.StoredName())
	}
	if len(out.Update) > 0 {
		out.Set, out.Check = plan.Presets(allowed.Presets), allowed.Check
	}
	return out, nil
}

// conflictTarget reads which constraint is meant: by its name or by its columns.
func (p *planning) conflictTarget(out *plan.Conflict, q object, at string) error {
	columns, _, err := q.strings("constraint_on", "$.on_conflict", true)
	if err != nil {
		return err
	}
	name, named := q.given("constraint")
	if named && len(columns) > 0 {
		return errcode.New(errcode.UnexpectedPayload, "'constraint' and 'constraint_on' cannot be set at a time").At(at)
	}
	for i, column := range columns {
		if _, ok := p.table.Stored(column); !ok {
			return errcode.New(errcode.NotExists, "column %q does not exist", column).At(fmt.Sprintf("%s.constraint_on[%d]", at, i))
		}
	}
	out.Columns = columns
	if !named {
		return nil
	}
	for _, constraint := range p.table.Constraints {
		if constraint.Name != name {
			continue
		}
		out.Constraint = constraint.Name
		if constraint.Index {
			out.Columns = constraint.Columns
		}
		return nil
	}
	return errcode.New(errcode.Unexpected, "constraint %q for table %q does not exist", name, p.command.Table.String()).
		At(at + ".constraint").WithStatus(400)
}
