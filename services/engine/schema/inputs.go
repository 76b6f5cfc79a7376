package schema

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/access"
	"tenantry/tenants/model"
)

// insertable are the columns that an insert of the role may name; false when it
// may not insert.
func (s *Schema) insertable(t *model.Table) ([]*model.Column, bool) {
	p := s.role.Table(t).Insert
	if p == nil || !t.Insertable || p.BackendOnly && !s.options.BackendOnly {
		return nil, false
	}
	return writable(t, p.Columns, p.Presets), true
}

// updatable are the columns that an update of the role may name; false when it
// may not update, or there is nothing that an update could change.
func (s *Schema) updatable(t *model.Table) ([]*model.Column, bool) {
	p := s.role.Table(t).Update
	if p == nil || !t.Updatable || p.BackendOnly && !s.options.BackendOnly {
		return nil, false
	}
	columns := writable(t, p.Columns, p.Presets)
	return columns, len(columns) > 0 || len(p.Presets) > 0
}

func (s *Schema) deletable(t *model.Table) bool {
	p := s.role.Table(t).Delete
	return p != nil && t.Deletable && (!p.BackendOnly || s.options.BackendOnly)
}

// writable leaves out what the engine or the database sets.
func writable(t *model.Table, allowed access.ColumnSet, presets []access.Preset) []*model.Column {
	var list []*model.Column
next:
	for _, c := range t.Columns {
		if !allowed.Has(c) || !c.Writable() {
			continue
		}
		for _, p := range presets {
			if p.Column.StoredName() == c.StoredName() {
				continue next
			}
		}
		list = append(list, c)
	}
	return list
}

// insertInput is B_insert_input.
func (s *Schema) insertInput(t *model.Table, name string) *ast.Definition {
	columns, ok := s.insertable(t)
	if !ok {
		return nil
	}
	d := input(name, fmt.Sprintf("input type for inserting data into table %q", t.Name.Name), columns, columnType)
	d.Fields = sortFields(append(d.Fields, s.nestedInserts(t)...))
	return d
}

func input(name, description string, columns []*model.Column, typeOf func(*model.Column) *ast.Type) *ast.Definition {
	d := &ast.Definition{Kind: ast.InputObject, Name: name, Description: description}
	for _, c := range columns {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: c.Name, Description: c.Comment, Type: typeOf(c)})
	}
	sortFields(d.Fields)
	return d
}

// updateOperator is one argument of an update with its input type.
type updateOperator struct {
	argument, suffix, description string
	takes                         func(*model.Column) bool
	typeOf                        func(*model.Column) *ast.Type
}

var updateOperators = []updateOperator{
	{Set, setInputSuffix, "sets the columns of the filtered rows to the given values",
		func(*model.Column) bool { return true }, columnType},
	{Inc, incInputSuffix, "increments the numeric columns with given value of the filtered values",
		numeric, columnType},
	{Append, appendInputSuffix, "append existing jsonb value of filtered columns with new jsonb value",
		jsonb, columnType},
	{Prepend, prependInputSuffix, "prepend existing jsonb value of filtered columns with new jsonb value",
		jsonb, columnType},
	{DeleteKey, deleteKeyInputSuffix, "delete key/value pair or string element, matched by key",
		jsonb, func(*model.Column) *ast.Type { return named("String") }},
	{DeleteElem, deleteElemInputSuffix, "delete the array element with the given index (negative counts from the end)",
		jsonb, func(*model.Column) *ast.Type { return named("Int") }},
	{DeleteAtPath, deleteAtPathSuffix, "delete the field or element at the given path",
		jsonb, func(*model.Column) *ast.Type { return listOf("String") }},
}

func jsonb(c *model.Column) bool { return c.Scalar == "jsonb" && !c.List() }

// numericScalars are the scalars that can be incremented.
var numericScalars = map[string]bool{
	"Int": true, "smallint": true, "bigint": true, "numeric": true, "Float": true, "real": true, "float8": true, "money": true,
}

func numeric(c *model.Column) bool { return numericScalars[c.Scalar] && !c.List() }

// updateInput is B_set_input, B_inc_input and so on; nil without a fitting column.
func (s *Schema) updateInput(t *model.Table, name string, o updateOperator) *ast.Definition {
	columns := s.operatorColumns(t, o)
	if len(columns) == 0 {
		return nil
	}
	description := o.description
	if o.argument == Set {
		description = fmt.Sprintf("input type for updating data in table %q", t.Name.Name)
	}
	return input(name, description, columns, o.typeOf)
}

func (s *Schema) operatorColumns(t *model.Table, o updateOperator) []*model.Column {
	columns, ok := s.updatable(t)
	if !ok {
		return nil
	}
	var fitting []*model.Column
	for _, c := range columns {
		if o.takes(c) {
			fitting = append(fitting, c)
		}
	}
	return fitting
}

func (s *Schema) updateArguments(t *model.Table) ast.ArgumentDefinitionList {
	var args ast.ArgumentDefinitionList
	for _, o := range updateOperators {
		if len(s.operatorColumns(t, o)) > 0 {
			args = append(args, &ast.ArgumentDefinition{Name: t.Naming.Field(o.argument), Description: o.description, Type: named(t.TypeName(o.suffix))})
		}
	}
	return args
}

// pkColumnsInput is B_pk_columns_input.
func (s *Schema) pkColumnsInput(t *model.Table, name string) *ast.Definition {
	if _, ok := s.updatable(t); !ok || !s.keyVisible(t) {
		return nil
	}
	return input(name, fmt.Sprintf("primary key columns input for table: %s", t.Type), t.PrimaryKey,
		func(c *model.Column) *ast.Type { return must(columnType(c)) })
}

// mutationResponse is B_mutation_response.
func (s *Schema) mutationResponse(t *model.Table, name string) *ast.Definition {
	_, inserts := s.insertable(t)
	_, updates := s.updatable(t)
	if !inserts && !updates && !s.deletable(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.Object, Name: name,
		Description: fmt.Sprintf("response of any mutation on the table %q", t.Name.Name),
		Fields: ast.FieldList{
			{Name: t.Naming.Field(AffectedRows), Description: "number of rows affected by the mutation", Type: nonNull("Int")},
		}}
	if s.selectable(t) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: Returning,
			Description: "data from the rows affected by the mutation", Type: nonNullListOf(t.Type)})
	}
	return d
}

// upsertable reports whether inserts of the role may have on_conflict: it takes
// permission to update too, and a constraint whose name can be an enum value.
func (s *Schema) upsertable(t *model.Table) bool {
	if _, ok := s.insertable(t); !ok || len(constraintNames(t)) == 0 {
		return false
	}
	p := s.role.Table(t).Update
	return p != nil && t.Updatable && (!p.BackendOnly || s.options.BackendOnly)
}

func (s *Schema) onConflict(t *model.Table, name string) *ast.Definition {
	if !s.upsertable(t) {
		return nil
	}
	return &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: fmt.Sprintf("on_conflict condition type for table %q", t.Name.Name),
		Fields: ast.FieldList{
			{Name: Constraint, Type: nonNull(t.TypeName(constraintSuffix))},
			{Name: t.Naming.Field(UpdateColumns), Type: nonNullListOf(t.TypeName(updateColumnSuffix)), DefaultValue: &ast.Value{Kind: ast.ListValue}},
			{Name: Where, Type: named(t.TypeName(boolExpSuffix))},
		}}
}

func (s *Schema) constraintEnum(t *model.Table, name string) *ast.Definition {
	if !s.upsertable(t) {
		return nil
	}
	return enum(name, fmt.Sprintf("unique or primary key constraints on table %q", t.Name.Name), constraintNames(t))
}

func constraintNames(t *model.Table) []string {
	var names []string
	for _, c := range t.Constraints {
		if model.ValidName(c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

func (s *Schema) updateColumn(t *model.Table, name string) *ast.Definition {
	if !s.upsertable(t) {
		return nil
	}
	columns, _ := s.updatable(t)
	names := columnNames(columns)
	if len(names) == 0 {
		names = []string{Placeholder}
	}
	return enum(name, fmt.Sprintf("update columns of table %q", t.Name.Name), names)
}
