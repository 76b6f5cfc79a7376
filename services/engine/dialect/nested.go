package dialect

import (
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

var (
	jsonType   = catalog.TypeRef{Schema: "pg_catalog", Name: "json"}
	bigintType = catalog.TypeRef{Schema: "pg_catalog", Name: "int8"}
)

// Form renders a statement of a nested insert: it takes rows as its Written
// parameter, whose members are named by plan.RecordKey, and yields the rows that
// it wrote, in the same order: the text of the row, its check and its Keys.
// Without columns it writes one row of defaults.
func Form(f *plan.Form) Statement {
	w := &writer{}
	row := &scope{alias: w.alias()}
	w.text("WITH \"w\" AS (INSERT INTO ")
	w.table(f.Table)
	w.text(" AS " + quote(row.alias))
	w.formRows(f)
	w.onConflict(f.Conflict, row)
	w.target = &f.Table
	w.checked(f.Check, f.Conflict, row, true)
	held := quote(checkColumn)
	if w.unchecked {
		held = "true"
	}
	w.text(`SELECT (SELECT coalesce(json_agg(json_build_array(` + quote(rowColumn) + `::text, ` + held)
	for _, name := range f.Keys {
		w.text(", " + quote(name))
	}
	w.text(`)), '[]') FROM "w")`)
	w.held(0) // the limit is on all rows of the tree
	return w.statement()
}

func (w *writer) formRows(f *plan.Form) {
	if len(f.Columns) == 0 {
		w.text(" DEFAULT VALUES")
		return
	}
	w.text(" (")
	for i, c := range f.Columns {
		w.comma(i)
		w.ident(c.Name)
	}
	w.text(") SELECT ")
	own := len(f.Columns) - len(f.Presets)
	for i := range f.Columns {
		w.comma(i)
		if i < own {
			w.recordColumn(plan.RecordKey(i), f.Columns[i].Type)
		} else {
			w.value(f.Presets[i-own])
		}
	}
	if own == 0 { // presets alone: a row per element
		w.text(" FROM json_array_elements(")
		w.bind(Param{Written: true}, jsonType)
		w.text(`) AS "v"`)
		return
	}
	w.text(" FROM json_to_recordset(")
	w.bind(Param{Written: true}, jsonType)
	w.text(`) AS "v"(`)
	for i := range own {
		w.comma(i)
		w.text(quote(plan.RecordKey(i)) + " " + recordType(f.Columns[i].Type))
	}
	w.text(")")
}

// Written renders the answer of a nested insert from the rows that it wrote to
// the root's table.
func Written(table catalog.Name, r plan.Returning) Statement {
	w := &writer{counted: true}
	w.fromWritten(table)
	w.answer(r)
	w.text(", true")
	return w.statement()
}

// affected writes the number of rows that a mutation wrote.
func (w *writer) affected() {
	if w.counted {
		w.bind(Param{Affected: true}, bigintType)
		return
	}
	w.text(`(SELECT count(*) FROM "w")`)
}
