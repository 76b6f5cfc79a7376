package dialect

import (
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// cell writes a column as its cases show it; without cases, the column. The same
// cell of the same row is written alike each time, as DISTINCT ON demands.
func (w *writer) cell(row *scope, name string, t catalog.TypeRef, cases []filter.Case) {
	if len(cases) == 0 {
		w.column(row, name)
		return
	}
	key := row.alias + "." + name
	if text, ok := w.cells[key]; ok {
		w.text(text)
		return
	}
	from := w.buf.Len()
	w.text("CASE")
	for _, one := range cases {
		w.text(" WHEN ")
		w.condition(one.When, row)
		w.text(" THEN ")
		if one.Shows != nil {
			w.operand(one.Shows, row)
			continue
		}
		w.masked(row, name, t, one.Mask)
	}
	w.text(" END")
	if w.cells == nil {
		w.cells = map[string]string{}
	}
	w.cells[key] = w.buf.String()[from:]
}

// masked writes what a mask leaves of a column.
func (w *writer) masked(row *scope, name string, t catalog.TypeRef, mask filter.Mask) {
	switch mask {
	case filter.Plain:
		w.column(row, name)
	case filter.Hash:
		w.text("encode(sha256(convert_to(")
		w.column(row, name)
		w.text("::text, 'UTF8')), 'hex')")
	case filter.Partial:
		w.text("(CASE WHEN char_length(")
		w.column(row, name)
		w.text("::text) > 5 THEN left(")
		w.column(row, name)
		w.text("::text, 2) ELSE '' END || CASE WHEN ")
		w.column(row, name)
		w.text(" IS NULL THEN NULL ELSE '***' END)")
	default:
		w.text("NULL::" + typeName(t))
	}
}
