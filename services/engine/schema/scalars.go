package schema

import "github.com/vektah/gqlparser/v2/ast"

// textScalars have the pattern operators.
var textScalars = map[string]bool{"String": true, "varchar": true, "citext": true, "bpchar": true, "name": true}

var (
	orderedOperators = []string{"_eq", "_gt", "_gte", "_lt", "_lte", "_neq"}
	listOperators    = []string{"_in", "_nin"}
	textOperators    = []string{"_ilike", "_iregex", "_like", "_nilike", "_niregex", "_nlike", "_nregex", "_nsimilar", "_regex", "_similar"}
)

// comparison is <scalar>_comparison_exp (contracts §1.4).
func comparison(scalar string) *ast.Definition {
	d := comparisonOf(scalar+comparisonSuffix, scalar, named(scalar), nonNull(scalar))
	if textScalars[scalar] {
		for _, op := range textOperators {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: named(scalar)})
		}
	}
	if scalar == "jsonb" {
		d.Fields = append(d.Fields,
			&ast.FieldDefinition{Name: "_contained_in", Description: "is the column contained in the given json value", Type: named(scalar)},
			&ast.FieldDefinition{Name: "_contains", Description: "does the column contain the given json value at the top level", Type: named(scalar)},
			&ast.FieldDefinition{Name: "_has_key", Description: "does the string exist as a top-level key in the column", Type: named("String")},
			&ast.FieldDefinition{Name: "_has_keys_all", Description: "do all of these strings exist as top-level keys in the column", Type: listOf("String")},
			&ast.FieldDefinition{Name: "_has_keys_any", Description: "do any of these strings exist as top-level keys in the column", Type: listOf("String")},
		)
	}
	sortFields(d.Fields)
	return d
}

// arrayComparison is <scalar>_array_comparison_exp.
func arrayComparison(scalar string) *ast.Definition {
	d := comparisonOf(scalar+arrayComparisonSuffix, scalar, listOf(scalar), nonNullListOf(scalar))
	d.Fields = append(d.Fields,
		&ast.FieldDefinition{Name: "_contained_in", Description: "is the array contained in the given array value", Type: listOf(scalar)},
		&ast.FieldDefinition{Name: "_contains", Description: "does the array contain the given value", Type: listOf(scalar)},
	)
	sortFields(d.Fields)
	return d
}

func comparisonOf(name, scalar string, value, element *ast.Type) *ast.Definition {
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: "Boolean expression to compare columns of type \"" + scalar + "\". All fields are combined with logical 'AND'."}
	for _, op := range orderedOperators {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: value})
	}
	for _, op := range listOperators {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: &ast.Type{Elem: element}})
	}
	d.Fields = append(d.Fields, &ast.FieldDefinition{Name: "_is_null", Type: named("Boolean")})
	return d
}
