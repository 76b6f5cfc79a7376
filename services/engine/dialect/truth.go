package dialect

import (
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
)

// Condition renders an expression about the rows of a table as it would stand in
// a WHERE.
func Condition(e filter.Expr) Statement {
	w := &writer{}
	w.condition(e, &scope{alias: w.alias()})
	return w.statement()
}

// Truths renders a statement that tells which expressions are true of the rows
// that fulfil key: one row with a JSON array of booleans for each of them.
func Truths(table catalog.Name, key filter.Expr, of []filter.Expr) Statement {
	w := &writer{}
	row := &scope{alias: w.alias()}
	w.text("SELECT json_build_array(")
	for i, e := range of {
		w.comma(i)
		w.text("(")
		w.condition(e, row)
		w.text(" IS TRUE)")
	}
	w.text(") FROM ")
	w.table(table)
	w.text(" AS " + quote(row.alias))
	w.where(nil, key, row)
	return w.statement()
}
