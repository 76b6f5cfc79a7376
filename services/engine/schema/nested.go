package schema

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// Data is the member of a nested insert that holds the related rows.
const Data = "data"

// Suffixes of the inputs of nested inserts.
const (
	objectInsertInputSuffix = "_obj_rel_insert_input"
	arrayInsertInputSuffix  = "_arr_rel_insert_input"
	updatesSuffix           = "_updates"
)

// nestedInserts are the relationships over which an insert of the role into t
// may bring related rows with it.
func (s *Schema) nestedInserts(t *model.Table) ast.FieldList {
	var fields ast.FieldList
	for _, r := range t.Relationships {
		if _, ok := s.insertable(r.Target); !ok {
			continue
		}
		suffix := objectInsertInputSuffix
		if r.Array {
			suffix = arrayInsertInputSuffix
		}
		fields = append(fields, &ast.FieldDefinition{Name: r.Name, Description: r.Comment, Type: named(r.Target.TypeName(suffix))})
	}
	return fields
}

// objectInsertInput is B_obj_rel_insert_input.
func (s *Schema) objectInsertInput(t *model.Table, name string) *ast.Definition {
	return s.nestedInput(t, name, "object", nonNull(t.TypeName(insertInputSuffix)))
}

// arrayInsertInput is B_arr_rel_insert_input.
func (s *Schema) arrayInsertInput(t *model.Table, name string) *ast.Definition {
	return s.nestedInput(t, name, "array", nonNullListOf(t.TypeName(insertInputSuffix)))
}

func (s *Schema) nestedInput(t *model.Table, name, kind string, data *ast.Type) *ast.Definition {
	if _, ok := s.insertable(t); !ok {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: fmt.Sprintf("input type for inserting %s relation for remote table %q", kind, t.Name.Name),
		Fields:      ast.FieldList{{Name: Data, Type: data}}}
	if s.upsertable(t) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: OnConflict, Description: "upsert condition", Type: named(t.TypeName(onConflictSuffix))})
	}
	return d
}

// updatesInput is B_updates: one element of the updates of an update_many.
func (s *Schema) updatesInput(t *model.Table, name string) *ast.Definition {
	if _, ok := s.updatable(t); !ok {
		return nil
	}
	d := &ast.Definition{Kind: ast.InputObject, Name: name}
	for _, a := range s.updateArguments(t) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: a.Name, Description: a.Description, Type: a.Type})
	}
	d.Fields = append(d.Fields, &ast.FieldDefinition{Name: Where, Description: "filter the rows which have to be updated", Type: nonNull(t.TypeName(boolExpSuffix))})
	sortFields(d.Fields)
	return d
}
