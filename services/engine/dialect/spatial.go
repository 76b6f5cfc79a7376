package dialect

import (
	"strconv"

	"tenantry/tenants/catalog"
)

// spatial reports whether a type is one of PostGIS whose values come and go as
// GeoJSON. Its own input function reads other notations only.
func spatial(t catalog.TypeRef) bool {
	return t.Schema != "pg_catalog" && (t.Name == "geometry" || t.Name == "geography")
}

// shape writes GeoJSON, which text yields, as a value of a spatial type.
func (w *writer) shape(t catalog.TypeRef, text func()) {
	w.text(quote(t.Schema) + ".st_geomfromgeojson(")
	text()
	w.text(")")
	if t.Name == "geography" {
		w.text("::" + typeName(t.Element()))
	}
}

// bindShape writes a parameter of a spatial type, or an array of such.
func (w *writer) bindShape(p Param, t catalog.TypeRef) {
	if !t.Array() {
		number := w.number(p, textType)
		w.shape(t, func() { w.text("$" + strconv.Itoa(number) + "::text") })
		return
	}
	number := w.number(p, catalog.TypeRef{Schema: textType.Schema, Name: textType.Name, Dimensions: 1})
	w.text("ARRAY(SELECT ")
	w.shape(t, func() { w.text(`"g"`) })
	w.text(" FROM unnest($" + strconv.Itoa(number) + `::text[]) AS "g")`)
}

var textType = catalog.TypeRef{Schema: "pg_catalog", Name: "text"}

// recordColumn writes column i of rows that came as JSON.
func (w *writer) recordColumn(name string, t catalog.TypeRef) {
	column := `"v".` + quote(name)
	if !spatial(t) || t.Array() {
		w.text(column)
		return
	}
	w.shape(t, func() { w.text(column + "::text") })
}

// recordType is the type as which such a column is taken out of the JSON.
func recordType(t catalog.TypeRef) string {
	if spatial(t) && !t.Array() {
		return "json"
	}
	return typeName(t)
}
