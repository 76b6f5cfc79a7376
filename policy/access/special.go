package access

import (
	"encoding/json"
	"maps"
	"slices"

	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/model"
)

// spatialFunctions are the operators of PostGIS with one value, and their
// functions.
var spatialFunctions = map[string]string{
	"st_contains": "st_contains", "st_crosses": "st_crosses", "st_equals": "st_equals", "st_intersects": "st_intersects",
	"st_3d_intersects": "st_3dintersects", "st_overlaps": "st_overlaps", "st_touches": "st_touches", "st_within": "st_within",
	"st_intersects_rast": "st_intersects",
}

// spatialInputs are those with an object of arguments, in the function's order.
var spatialInputs = map[string]struct {
	function  string
	arguments []string
}{
	"st_d_within":              {"st_dwithin", []string{"from", "distance", "use_spheroid"}},
	"st_3d_d_within":           {"st_3ddwithin", []string{"from", "distance"}},
	"st_intersects_nband_geom": {"st_intersects", []string{"nband", "geommin"}},
	"st_intersects_geom_nband": {"st_intersects", []string{"geommin", "nband"}},
}

// special compiles the operators that take more than a comparison; false when
// name is none of them.
func (s scope) special(column *model.Column, left filter.Column, name string, value any, path string) (filter.Expr, bool) {
	if name == "cast" {
		return s.cast(column, value, path), true
	}
	function, simple := spatialFunctions[name]
	input, complex := spatialInputs[name]
	if !simple && !complex {
		return nil, false
	}
	if !spatialType(column.Base) {
		s.fail(path, "the operator %q does not fit column %q of %s, which is of type %s", "_"+name, left.Name, s.where(), column.Type.Name)
		return filter.False, true
	}
	if simple {
		return filter.Predicate{Schema: column.Base.Schema, Function: function,
			Arguments: []filter.Operand{left, s.param(column.Base, value, path)}}, true
	}
	call := filter.Predicate{Schema: column.Base.Schema, Function: input.function, Arguments: []filter.Operand{left}}
	object, ok := value.(map[string]any)
	if !ok {
		s.fail(path, "expected an object")
		return filter.False, true
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(input.arguments, key) {
			s.fail(s.inside(path, key), "unknown key")
		}
	}
	for _, key := range input.arguments {
		switch given, ok := object[key]; {
		case ok && given != nil:
			call.Arguments = append(call.Arguments, s.param(argumentType(column.Base, key), given, s.inside(path, key)))
		case key == "from" || key == "distance" || key == "geommin":
			s.fail(path, "the key %q is missing", key)
		}
	}
	return call, true
}

// argumentType is the type of an argument of a spatial operator.
func argumentType(of catalog.TypeRef, key string) catalog.TypeRef {
	switch key {
	case "distance":
		return catalog.TypeRef{Schema: "pg_catalog", Name: "float8"}
	case "use_spheroid":
		return catalog.TypeRef{Schema: "pg_catalog", Name: "bool"}
	case "nband":
		return catalog.TypeRef{Schema: "pg_catalog", Name: "int4"}
	case "geommin":
		return catalog.TypeRef{Schema: of.Schema, Name: "geometry"}
	}
	return of
}

// spatialType reports whether a type is one of PostGIS.
func spatialType(t catalog.TypeRef) bool {
	return t.Schema != "pg_catalog" && !t.Array() && (t.Name == "geometry" || t.Name == "geography" || t.Name == "raster")
}

// cast compiles comparisons of a column read as another type.
func (s scope) cast(column *model.Column, value any, path string) filter.Expr {
	object, ok := value.(map[string]any)
	if !ok {
		s.fail(path, "expected an object")
		return filter.False
	}
	all := filter.And{}
	for _, to := range slices.Sorted(maps.Keys(object)) {
		as := *column
		switch {
		case to == "String" && column.Base.Name == "jsonb":
			as.Base, as.Category = catalog.TypeRef{Schema: "pg_catalog", Name: "text"}, "S"
		case to == "geometry" && column.Base.Name == "geography", to == "geography" && column.Base.Name == "geometry":
			as.Base = catalog.TypeRef{Schema: column.Base.Schema, Name: to}
		default:
			s.fail(s.inside(path, to), "the column %q of %s can't be read as %s", column.StoredName(), s.where(), to)
			continue
		}
		as.Type = as.Base
		all = append(all, castLeft(s.column(&as, object[to], s.inside(path, to)), as.Base))
	}
	return all
}

// castLeft reads the left sides of comparisons as another type.
func castLeft(e filter.Expr, to catalog.TypeRef) filter.Expr {
	as := func(o filter.Operand) filter.Operand { return filter.Cast{Of: o, To: to} }
	switch e := e.(type) {
	case filter.And:
		for i := range e {
			e[i] = castLeft(e[i], to)
		}
	case filter.Or:
		for i := range e {
			e[i] = castLeft(e[i], to)
		}
	case filter.Compare:
		e.Left = as(e.Left)
		return e
	case filter.IsNull:
		e.Of = as(e.Of)
		return e
	case filter.Predicate:
		e.Arguments[0] = as(e.Arguments[0])
		return e
	}
	return e
}

// aggregate compiles a condition on the aggregate of related rows.
func (s scope) aggregate(r *model.Relationship, value any, path string) filter.Expr {
	object, ok := value.(map[string]any)
	if !ok || len(object) != 1 {
		s.fail(path, "expected an object with one of count, bool_and and bool_or")
		return filter.False
	}
	target := scope{compiler: s.compiler, table: r.Target, depth: s.depth + 1}
	for function, of := range object {
		path += "." + function
		a := filter.Aggregate{Table: r.Target.Name, Function: function, Where: filter.True, Type: catalog.TypeRef{Schema: "pg_catalog", Name: "int8"}}
		for _, pair := range r.Mapping {
			a.On = append(a.On, filter.Pair{Outer: pair.Local, Inner: pair.Remote})
		}
		switch function {
		case "count":
		case "bool_and", "bool_or":
			a.Type.Name = "bool"
		default:
			s.fail(path, "expected one of count, bool_and and bool_or")
		}
		given, _ := of.(map[string]any)
		a.Columns = target.aggregated(given["arguments"], function != "count", path+".arguments")
		if distinct, ok := given["distinct"]; ok {
			a.Distinct, ok = distinct.(bool)
			if !ok {
				s.fail(path+".distinct", "expected a boolean")
			}
		}
		if where, ok := given["filter"]; ok {
			a.Where = target.expression(where, path+".filter")
		}
		result := &model.Column{Base: a.Type}
		result.Type = a.Type
		if given["predicate"] == nil {
			s.fail(path, "the key \"predicate\" is missing")
			return filter.False
		}
		return onAggregate(s.column(result, given["predicate"], path+".predicate"), a)
	}
	return filter.False
}

// aggregated are the columns that an aggregate is over.
func (s scope) aggregated(value any, one bool, path string) []filter.Column {
	list, ok := value.([]any)
	if !ok && value != nil {
		list = []any{value}
	}
	var out []filter.Column
	for _, item := range list {
		name, _ := item.(string)
		column, ok := s.table.Stored(name)
		if !ok {
			s.fail(path, "expected columns of %s", s.where())
			continue
		}
		if one && column.Base.Name != "bool" {
			s.fail(path, "the column %q of %s is not boolean", name, s.where())
		}
		out = append(out, filter.Column{Name: column.StoredName(), Type: column.Type})
	}
	if one && len(out) != 1 {
		s.fail(path, "expected one column")
	}
	return out
}

// onAggregate puts an aggregate on the left of comparisons.
func onAggregate(e filter.Expr, a filter.Aggregate) filter.Expr {
	switch e := e.(type) {
	case filter.And:
		for i := range e {
			e[i] = onAggregate(e[i], a)
		}
	case filter.Or:
		for i := range e {
			e[i] = onAggregate(e[i], a)
		}
	case filter.Compare:
		e.Left = a
		return e
	case filter.IsNull:
		e.Of = a
		return e
	}
	return e
}

// shape is a value of a spatial type: GeoJSON, as an object or as text.
func shape(t catalog.TypeRef, value any) (string, bool) {
	object, ok := value.(map[string]any)
	if !ok || !spatialType(t) {
		return "", false
	}
	text, err := json.Marshal(object)
	return string(text), err == nil
}
