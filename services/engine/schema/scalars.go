package schema

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/tenants/model"
)

// textScalars have the pattern operators.
var textScalars = map[string]bool{"String": true, "varchar": true, "citext": true, "bpchar": true, "name": true}

var (
	orderedOperators = []string{"_eq", "_gt", "_gte", "_lt", "_lte", "_neq"}
	listOperators    = []string{"_in", "_nin"}
	textOperators    = []string{"_ilike", "_iregex", "_like", "_nilike", "_niregex", "_nlike", "_nregex", "_nsimilar", "_regex", "_similar"}
)

// comparedBy is what Postgres needs for an operator.
var comparedBy = map[string]string{"_eq": "=", "_neq": "<>", "_gt": ">", "_gte": ">", "_lt": "<", "_lte": "<", "_in": "=", "_nin": "<>"}

// operator is a comparison operator that only some types have.
type operator struct {
	name, description string
	of                *ast.Type
}

// special are the operators of types that have more than the ordinary ones.
// Types of extensions appear only where a column has them.
var special = map[string][]operator{
	"jsonb": {
		{"_contained_in", "is the column contained in the given json value", named("jsonb")},
		{"_contains", "does the column contain the given json value at the top level", named("jsonb")},
		{"_has_key", "does the string exist as a top-level key in the column", named("String")},
		{"_has_keys_all", "do all of these strings exist as top-level keys in the column", listOf("String")},
		{"_has_keys_any", "do any of these strings exist as top-level keys in the column", listOf("String")},
	},
	"ltree": {
		{"_ancestor", "is the left argument an ancestor of right (or equal)?", named("ltree")},
		{"_ancestor_any", "does array contain an ancestor of `ltree`?", listOf("ltree")},
		{"_descendant", "is the left argument a descendant of right (or equal)?", named("ltree")},
		{"_descendant_any", "does array contain a descendant of `ltree`?", listOf("ltree")},
		{"_matches", "does `ltree` match `lquery`?", named("lquery")},
		{"_matches_any", "does `ltree` match any `lquery` in array?", listOf("lquery")},
		{"_matches_fulltext", "does `ltree` match `ltxtquery`?", named("ltxtquery")},
	},
	"geometry": {
		{"_st_3d_d_within", "is the column within a given 3D distance from the given geometry value", named("st_d_within_input")},
		{"_st_3d_intersects", "does the column spatially intersect the given geometry value in 3D", named("geometry")},
		{"_st_contains", "does the column contain the given geometry value", named("geometry")},
		{"_st_crosses", "does the column cross the given geometry value", named("geometry")},
		{"_st_d_within", "is the column within a given distance from the given geometry value", named("st_d_within_input")},
		{"_st_equals", "is the column equal to given geometry value (directionality is ignored)", named("geometry")},
		{"_st_intersects", "does the column spatially intersect the given geometry value", named("geometry")},
		{"_st_overlaps", "does the column 'spatially overlap' (intersect but not completely contain) the given geometry value", named("geometry")},
		{"_st_touches", "does the column have atleast one point in common with the given geometry value", named("geometry")},
		{"_st_within", "is the column contained in the given geometry value", named("geometry")},
	},
	"geography": {
		{"_st_d_within", "is the column within a given distance from the given geography value", named("st_d_within_geography_input")},
		{"_st_intersects", "does the column spatially intersect the given geography value", named("geography")},
	},
	"raster": {
		{"_st_intersects_geom_nband", "", named("st_intersects_geom_nband_input")},
		{"_st_intersects_nband_geom", "", named("st_intersects_nband_geom_input")},
		{"_st_intersects_rast", "", named("raster")},
	},
}

// Cast is the operator that compares a column as another type, and casts says
// as which.
const Cast = "_cast"

var casts = map[string]string{"jsonb": "String", "geometry": "geography", "geography": "geometry"}

const castSuffix = "_cast_exp"

// spatialInputs are the arguments of operators that take more than a value.
var spatialInputs = map[string]*ast.Definition{
	"st_d_within_input": {Kind: ast.InputObject, Name: "st_d_within_input", Fields: ast.FieldList{
		{Name: "distance", Type: nonNull("Float")}, {Name: "from", Type: nonNull("geometry")}}},
	"st_d_within_geography_input": {Kind: ast.InputObject, Name: "st_d_within_geography_input", Fields: ast.FieldList{
		{Name: "distance", Type: nonNull("Float")}, {Name: "from", Type: nonNull("geography")},
		{Name: "use_spheroid", Type: named("Boolean"), DefaultValue: &ast.Value{Kind: ast.BooleanValue, Raw: "true"}}}},
	"st_intersects_geom_nband_input": {Kind: ast.InputObject, Name: "st_intersects_geom_nband_input", Fields: ast.FieldList{
		{Name: "geommin", Type: nonNull("geometry")}, {Name: "nband", Type: named("Int")}}},
	"st_intersects_nband_geom_input": {Kind: ast.InputObject, Name: "st_intersects_nband_geom_input", Fields: ast.FieldList{
		{Name: "geommin", Type: nonNull("geometry")}, {Name: "nband", Type: nonNull("Int")}}},
}

// companions are the scalars that come with others: as arguments of their
// operators or in their casts.
var companions = map[string][]string{
	"lquery": {"ltree"}, "ltxtquery": {"ltree"},
	"geometry": {"geography", "raster"}, "geography": {"geometry"},
}

// everywhere are the scalars whose comparisons other inputs refer to.
var everywhere = []string{"Int", "Boolean", "String"}

// usesScalar reports whether the role has values of the scalar, of a column or
// beside those of one.
func (s *Schema) usesScalar(scalar string, list bool) bool {
	if s.hasScalar(scalar, list) {
		return true
	}
	for _, other := range companions[scalar] {
		if s.hasScalar(other, false) {
			return true
		}
	}
	return false
}

// spatial is one of the inputs of spatial operators; nil without such columns.
func (s *Schema) spatial(name string) *ast.Definition {
	d := spatialInputs[name]
	if d == nil || !s.usesScalar("geometry", false) && !s.usesScalar("geography", false) {
		return nil
	}
	return d
}

// cast is <scalar>_cast_exp.
func (s *Schema) cast(n *model.Naming, scalar string) *ast.Definition {
	to, ok := casts[scalar]
	if !ok || !s.usesScalar(scalar, false) {
		return nil
	}
	return &ast.Definition{Kind: ast.InputObject, Name: n.Shared(scalar + castSuffix), Fields: ast.FieldList{
		{Name: to, Type: named(n.Shared(to + comparisonSuffix))},
	}}
}

// comparisonName is the type that a column's conditions have.
func comparisonName(n *model.Naming, c *model.Column) string {
	switch {
	case c.List():
		return n.Shared(c.Scalar + arrayComparisonSuffix)
	case c.Enum != nil:
		return c.Scalar + n.TypePart(comparisonSuffix)
	}
	return n.Shared(c.Scalar + comparisonSuffix)
}

// comparison is <scalar>_comparison_exp (contracts §1.4).
func (s *Schema) comparison(n *model.Naming, scalar string) *ast.Definition {
	d := comparisonOf(n, n.Shared(scalar+comparisonSuffix), scalar, named(scalar), nonNull(scalar), orderedOperators, s.lacking(scalar))
	if textScalars[scalar] {
		for _, op := range textOperators {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: named(scalar)})
		}
	}
	for _, op := range special[scalar] {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: n.Field(op.name), Description: op.description, Type: op.of})
	}
	if casts[scalar] != "" {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: Cast, Type: named(n.Shared(scalar + castSuffix))})
	}
	sortFields(d.Fields)
	return d
}

// lacking are the operators that Postgres has not for values of a scalar.
func (s *Schema) lacking(scalar string) []string {
	for _, t := range s.model.Tables {
		for _, c := range t.Columns {
			if c.Scalar == scalar {
				return c.Lacks
			}
		}
	}
	return nil
}

// arrayComparison is <scalar>_array_comparison_exp.
func (s *Schema) arrayComparison(n *model.Naming, scalar string) *ast.Definition {
	lacking := s.lacking(scalar)
	d := comparisonOf(n, n.Shared(scalar+arrayComparisonSuffix), scalar, listOf(scalar), nonNullListOf(scalar), orderedOperators, lacking)
	if !slices.Contains(lacking, "=") {
		d.Fields = append(d.Fields,
			&ast.FieldDefinition{Name: n.Field("_contained_in"), Description: "is the array contained in the given array value", Type: listOf(scalar)},
			&ast.FieldDefinition{Name: "_contains", Description: "does the array contain the given value", Type: listOf(scalar)},
		)
	}
	sortFields(d.Fields)
	return d
}

// enumComparison is B_enum_comparison_exp: an enum has no order.
func enumComparison(n *model.Naming, name, enum string) *ast.Definition {
	d := comparisonOf(n, name, enum, named(enum), nonNull(enum), []string{"_eq", "_neq"}, nil)
	sortFields(d.Fields)
	return d
}

func comparisonOf(n *model.Naming, name, scalar string, value, element *ast.Type, operators, lacking []string) *ast.Definition {
	d := &ast.Definition{Kind: ast.InputObject, Name: name,
		Description: "Boolean expression to compare columns of type \"" + scalar + "\". All fields are combined with logical 'AND'."}
	for _, op := range operators {
		if !slices.Contains(lacking, comparedBy[op]) {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: value})
		}
	}
	for _, op := range listOperators {
		if !slices.Contains(lacking, comparedBy[op]) {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: op, Type: &ast.Type{Elem: element}})
		}
	}
	d.Fields = append(d.Fields, &ast.FieldDefinition{Name: n.Field("_is_null"), Type: named("Boolean")})
	return d
}

// hasComparison reports whether conditions on a scalar exist for the role.
func (s *Schema) hasComparison(scalar string) bool {
	return slices.Contains(everywhere, scalar) || s.usesScalar(scalar, false)
}
