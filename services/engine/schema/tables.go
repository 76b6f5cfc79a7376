package schema

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// selectable reports whether the table's object type exists for the role. An
// object type without a column would have no fields, so it doesn't.
func (s *Schema) selectable(t *model.Table) bool {
	p := s.role.Table(t).Select
	return p != nil && (slices.ContainsFunc(t.Columns, p.Columns.Has) || s.computes(t))
}

// writes reports whether conditions on the table are needed although its rows
// can't be read: update and delete have a where.
func (s *Schema) writes(t *model.Table) bool {
	p := s.role.Table(t)
	return p.Update != nil || p.Delete != nil
}

// selected are the columns that the role may read.
func (s *Schema) selected(t *model.Table) []*model.Column {
	p := s.role.Table(t).Select
	if p == nil {
		return nil
	}
	var list []*model.Column
	for _, c := range t.Columns {
		if p.Columns.Has(c) {
			list = append(list, c)
		}
	}
	return list
}

// keyVisible reports whether the role may read all columns of the primary key.
func (s *Schema) keyVisible(t *model.Table) bool {
	p := s.role.Table(t).Select
	if p == nil || len(t.PrimaryKey) == 0 {
		return false
	}
	for _, c := range t.PrimaryKey {
		if !p.Columns.Has(c) {
			return false
		}
	}
	return true
}

// tableDescription is the tenant's comment, nothing if that is explicitly empty,
// else a sentence of ours.
func tableDescription(t *model.Table) string {
	if t.Comment != "" {
		return t.Comment
	}
	if m := t.Metadata; m != nil && m.Configuration != nil && m.Configuration.Comment != nil {
		return ""
	}
	return fmt.Sprintf("columns and relationships of %q", t.Name.Name)
}

// object is the type B.
func (s *Schema) object(t *model.Table) *ast.Definition {
	if !s.selectable(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.Object, Name: t.Type, Description: tableDescription(t)}
	for _, c := range s.selected(t) {
		ct := columnType(c)
		ct.NonNull = !s.role.Table(t).Select.Nullable(c)
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: c.Name, Description: c.Comment, Type: ct, Arguments: pathArgument(c)})
	}
	for _, r := range t.Relationships {
		if f := s.relationship(r); f != nil {
			d.Fields = append(d.Fields, f)
		}
		if f := s.relationshipAggregate(r); f != nil {
			d.Fields = append(d.Fields, f)
		}
	}
	d.Fields = append(d.Fields, s.derivedFields(t)...)
	d.Fields = append(d.Fields, s.remoteFields(t)...)
	if s.options.Relay {
		s.relayFields(t, d)
	}
	sortFields(d.Fields)
	return d
}

// pathArgument lets json columns be read in part.
func pathArgument(c *model.Column) ast.ArgumentDefinitionList {
	if c.List() || c.Scalar != "json" && c.Scalar != "jsonb" {
		return nil
	}
	return ast.ArgumentDefinitionList{{Name: Path, Description: "JSON select path", Type: named("String")}}
}

// relationship is the field of a relationship; nil if the role can't read the target.
func (s *Schema) relationship(r *model.Relationship) *ast.FieldDefinition {
	if !s.selectable(r.Target) {
		return nil
	}
	f := &ast.FieldDefinition{Name: r.Name, Description: r.Comment}
	if r.Array {
		f.Type, f.Arguments = nonNullListOf(r.Target.Type), selectArguments(r.Target)
		if f.Description == "" {
			f.Description = "An array relationship"
		}
		return f
	}
	f.Type = named(r.Target.Type)
	f.Type.NonNull = !r.Nullable && filter.IsTrue(s.role.Table(r.Target).Select.Filter)
	if f.Description == "" {
		f.Description = "An object relationship"
	}
	return f
}

// limitArgument and offsetArgument are shared, so that NonNegative and
// TakesBigInt recognise them.
var (
	limitArgument  = &ast.ArgumentDefinition{Name: Limit, Description: "limit the number of rows returned", Type: named("Int")}
	offsetArgument = &ast.ArgumentDefinition{Name: Offset, Description: "skip the first n rows; use with order_by", Type: named("Int")}
)

// NonNegative reports whether an argument refuses numbers below 0.
func NonNegative(a *ast.ArgumentDefinition) bool {
	return a == limitArgument || a == offsetArgument || a == firstArgument || a == lastArgument
}

// TakesBigInt reports whether an argument, though an Int, also takes a 64-bit
// integer, as a number or as a string.
func TakesBigInt(a *ast.ArgumentDefinition) bool { return a == offsetArgument }

func selectArguments(t *model.Table) ast.ArgumentDefinitionList {
	return ast.ArgumentDefinitionList{
		{Name: t.Naming.Field(DistinctOn), Description: "distinct select on columns", Type: listOf(t.TypeName(selectColumnSuffix))},
		limitArgument,
		offsetArgument,
		{Name: t.Naming.Field(OrderBy), Description: "sort the rows by one or more columns", Type: listOf(t.TypeName(orderBySuffix))},
		{Name: Where, Description: "filter the rows returned", Type: named(t.TypeName(boolExpSuffix))},
	}
}

// boolExp is B_bool_exp: a condition on the columns that the role may read, so
// that a condition can't tell of a column that is hidden.
func (s *Schema) boolExp(t *model.Table, name string) *ast.Definition {
	if !s.selectable(t) && !s.writes(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: fmt.Sprintf("Boolean expression to filter rows from the table %q. All fields are combined with a logical 'AND'.", t.Name.Name),
		Fields: ast.FieldList{
			{Name: And, Type: listOf(name)},
			{Name: Not, Type: named(name)},
			{Name: Or, Type: listOf(name)},
		}}
	for _, c := range append(s.selected(t), s.computedValues(t)...) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: c.Name, Type: named(comparisonName(t.Naming, c))})
	}
	for _, f := range s.computedRows(t) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: f.Field, Type: named(f.Target.TypeName(boolExpSuffix))})
	}
	for _, r := range s.readableRelationships(t) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: r.Name, Type: named(r.Target.TypeName(boolExpSuffix))})
		if r.Array && s.aggregates(r.Target) {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: r.AggregateName, Type: named(r.Target.TypeName(aggregateBoolExpSuffix))})
		}
	}
	sortFields(d.Fields)
	return d
}

func (s *Schema) readableRelationships(t *model.Table) []*model.Relationship {
	if !s.selectable(t) {
		return nil
	}
	var list []*model.Relationship
	for _, r := range t.Relationships {
		if s.selectable(r.Target) {
			list = append(list, r)
		}
	}
	return list
}

// orderBy is B_order_by.
func (s *Schema) orderBy(t *model.Table, name string) *ast.Definition {
	if !s.selectable(t) {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: fmt.Sprintf("Ordering options when selecting data from %q.", t.Name.Name)}
	for _, c := range append(s.selected(t), s.computedValues(t)...) {
		if c.Can("sort") {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: c.Name, Type: named(t.Naming.Shared(OrderByEnum))})
		}
	}
	for _, r := range s.readableRelationships(t) {
		if !r.Array {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: r.Name, Type: named(r.Target.TypeName(orderBySuffix))})
		} else if s.aggregates(r.Target) {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: r.AggregateName, Type: named(r.Target.TypeName(aggregateOrderBySuffix))})
		}
	}
	sortFields(d.Fields)
	return d
}

// selectColumn is the enum B_select_column.
func (s *Schema) selectColumn(t *model.Table, name string) *ast.Definition {
	if !s.selectable(t) {
		return nil
	}
	names := columnNames(s.selected(t))
	if len(names) == 0 { // only computed fields are granted
		names = []string{Placeholder}
	}
	return enum(name, fmt.Sprintf("select columns of table %q", t.Name.Name), names)
}

func columnNames(columns []*model.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}
