package planner

import (
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// spatial are the operators of PostGIS: functions of the extension over the
// column and what the operator is given.
var spatial = map[string]func(c compared, in input, path string) (filter.Expr, error){
	"_st_contains": spatialCall("st_contains"), "_st_crosses": spatialCall("st_crosses"), "_st_equals": spatialCall("st_equals"),
	"_st_intersects": spatialCall("st_intersects"), "_st_3d_intersects": spatialCall("st_3dintersects"),
	"_st_overlaps": spatialCall("st_overlaps"), "_st_touches": spatialCall("st_touches"), "_st_within": spatialCall("st_within"),
	"_st_d_within": distanceCall("st_dwithin"), "_st_3d_d_within": distanceCall("st_3ddwithin"),
	"_st_intersects_rast": spatialCall("st_intersects"), "_st_intersects_nband_geom": bandCall(true), "_st_intersects_geom_nband": bandCall(false),
}

var (
	float8 = catalog.TypeRef{Schema: "pg_catalog", Name: "float8"}
	int4   = catalog.TypeRef{Schema: "pg_catalog", Name: "int4"}
)

// spatialCall is function(column, value).
func spatialCall(function string) func(compared, input, string) (filter.Expr, error) {
	return func(c compared, in input, path string) (filter.Expr, error) {
		value, err := in.param(c.of, path)
		return filter.Predicate{Schema: c.of.Schema, Function: function, Arguments: []filter.Operand{c.left, value}}, err
	}
}

// distanceCall is function(column, from, distance[, use_spheroid]).
func distanceCall(function string) func(compared, input, string) (filter.Expr, error) {
	return func(c compared, in input, path string) (filter.Expr, error) {
		call := filter.Predicate{Schema: c.of.Schema, Function: function, Arguments: []filter.Operand{c.left}}
		err := addArguments(&call, in, path, argument{"from", c.of}, argument{"distance", float8})
		if err == nil && c.of.Name == "geography" {
			err = addArguments(&call, in, path, argument{"use_spheroid", truth})
		}
		return call, err
	}
}

// bandCall is st_intersects(column, band, geometry) or with the band last.
func bandCall(bandFirst bool) func(compared, input, string) (filter.Expr, error) {
	return func(c compared, in input, path string) (filter.Expr, error) {
		call := filter.Predicate{Schema: c.of.Schema, Function: "st_intersects", Arguments: []filter.Operand{c.left}}
		band, shape := argument{"nband", int4}, argument{"geommin", sibling("geometry")(c.of)}
		if bandFirst {
			return call, addArguments(&call, in, path, band, shape)
		}
		return call, addArguments(&call, in, path, shape, band)
	}
}

// argument is a member of an operator's input and its type.
type argument struct {
	name string
	of   catalog.TypeRef
}

// addArguments appends the members that are given.
func addArguments(call *filter.Predicate, in input, path string, arguments ...argument) error {
	for _, a := range arguments {
		value, ok := in.field(a.name)
		if !ok || value.null() {
			continue
		}
		v, err := value.param(a.of, path+"."+a.name)
		if err != nil {
			return err
		}
		call.Arguments = append(call.Arguments, v)
	}
	return nil
}
