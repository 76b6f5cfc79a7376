package dialect

import (
	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
)

// checked writes RETURNING of an insert. A row that was there before and was
// updated has to pass the check of the permission to update, if that has one; an
// inserted one that to insert. Only the former is locked by the statement itself,
// which Postgres notes in xmax.
func (w *writer) checked(insert filter.Expr, c *plan.Conflict, row *scope, whole bool) {
	if c == nil || len(c.Update) == 0 || filter.IsTrue(c.Check) {
		w.returning(insert, row, whole)
		return
	}
	w.returned(row, whole)
	w.text(", CASE WHEN " + quote(row.alias) + ".xmax = 0 THEN ")
	w.condition(insert, row)
	w.text(" ELSE ")
	w.condition(c.Check, row)
	w.text(" END IS TRUE AS " + quote(checkColumn) + ") ")
}
