package schema

import (
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// tableEnum is B_enum; nil when the role has no column of it.
func (s *Schema) tableEnum(e *model.TableEnum) *ast.Definition {
	if !s.hasScalar(e.Type, false) {
		return nil
	}
	d := &ast.Definition{Kind: ast.Enum, Name: e.Type}
	for _, v := range e.Values {
		d.EnumValues = append(d.EnumValues, &ast.EnumValueDefinition{Name: v.Name, Description: v.Comment})
	}
	return d
}

// StoredEnum is the value of the database that a value of an enum table stands
// for; any other value is itself.
func (s *Schema) StoredEnum(typeName, value string) string {
	if e := s.model.Enums[typeName]; e != nil {
		if stored, ok := e.Stored(value); ok {
			return stored
		}
	}
	return value
}

// RenamesEnums reports whether some enum table's values have other names than in
// the database.
func (s *Schema) RenamesEnums() bool {
	for _, e := range s.model.Enums {
		if e.Renamed {
			return true
		}
	}
	return false
}
