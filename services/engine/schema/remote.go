package schema

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/filter"
	"tenantry/tenants/model"
)

// remoteFields are the fields of an object type that read other sources.
func (s *Schema) remoteFields(t *model.Table) ast.FieldList {
	var fields ast.FieldList
	for _, r := range t.Remotes {
		if !s.selectable(r.Target) || !s.sees(t, r) {
			continue
		}
		if !r.Array {
			// Nullable always: no constraint makes the other source have the row.
			fields = append(fields, &ast.FieldDefinition{Name: r.Name, Description: "A relationship to another source", Type: named(r.Target.Type)})
			continue
		}
		fields = append(fields, &ast.FieldDefinition{Name: r.Name, Description: "A relationship to another source",
			Type: nonNullListOf(r.Target.Type), Arguments: selectArguments(r.Target)})
		if s.aggregates(r.Target) {
			fields = append(fields, &ast.FieldDefinition{Name: r.AggregateName, Description: "An aggregate relationship to another source",
				Type: nonNull(r.Target.TypeName(aggregateSuffix)), Arguments: selectArguments(r.Target)})
		}
	}
	return fields
}

// sees reports whether the role may know the values that a relationship joins
// by: what it finds tells of them. A column that is hidden in some rows joins in
// the others; of one that is shown in part the value isn't known.
func (s *Schema) sees(t *model.Table, r *model.RemoteRelationship) bool {
	p := s.role.Table(t).Select
	if p == nil {
		return false
	}
	for _, pair := range r.Mapping {
		c, ok := t.Stored(pair.Local)
		if !ok || !p.Columns.Has(c) || slices.ContainsFunc(p.Cases(c), func(one filter.Case) bool {
			return one.Mask != filter.Plain && one.Mask != filter.Hidden
		}) {
			return false
		}
	}
	return true
}
