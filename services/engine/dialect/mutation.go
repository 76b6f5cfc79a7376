package dialect

import (
	"strconv"
	"strings"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// Mutations write in a CTE "w" and read back from it: one statement, one row
// with the JSON of the answer and whether the permission's check held for every
// row that was written. A failed check makes the executor roll back.
//
// A statement does not see what it writes itself. So when the answer of an
// insert or update looks into tables, over relationships, the first statement
// yields the written rows instead, and a second one, in the same transaction,
// answers from them. A delete answers with what was there before.
//
// What writes one row, whatever it holds, and answers with that row alone, needs no
// CTE, which costs Postgres as much as writing a small row: its RETURNING is the
// answer.

// Mutation is how a mutation is written and answered.
type Mutation struct {
	Write Statement
	// Answer takes what Write yielded as its Written parameter; without SQL when
	// Write answers itself.
	Answer Statement
	// Unchecked says that nothing of what Write tells can undo it: it holds for all
	// rows, however many they are.
	Unchecked bool
}

// Insert renders an insert.
func Insert(in *plan.Insert) Mutation {
	w := &writer{}
	row := &scope{alias: w.alias()}
	direct := in.Conflict == nil && direct(in.Table, in.Returning, in.Check, in.Most)
	w.begin(direct)
	w.text("INSERT INTO ")
	w.table(in.Table)
	w.text(" AS " + quote(row.alias))
	w.insertRows(in)
	if direct {
		return w.directly(in.Returning, row)
	}
	w.onConflict(in.Conflict, row)
	return w.mutation(in.Table, in.Returning, in.Most, func(whole bool) { w.checked(in.Check, in.Conflict, row, whole) })
}

func (w *writer) insertRows(in *plan.Insert) {
	if len(in.Columns) == 0 {
		// Rows of nothing but defaults. Postgres takes DEFAULT VALUES for one row
		// only; the planner makes one statement per such row.
		w.text(" DEFAULT VALUES")
		return
	}
	w.text(" (")
	for i, c := range in.Columns {
		w.comma(i)
		w.ident(c.Name)
	}
	w.text(")")
	if in.Records != nil {
		w.records(in)
		return
	}
	w.text(" VALUES ")
	for i, values := range in.Rows {
		w.comma(i)
		w.text("(")
		for j, value := range values {
			w.comma(j)
			if value == nil {
				w.text("DEFAULT")
			} else {
				w.value(*value)
			}
		}
		w.text(")")
	}
}

// records writes the rows as one JSON parameter that Postgres takes apart by
// the columns' types.
func (w *writer) records(in *plan.Insert) {
	w.text(" SELECT ")
	for i := range in.Columns {
		w.comma(i)
		if i < len(in.Records.Keys) {
			w.recordColumn(plan.RecordKey(i), in.Columns[i].Type)
		} else {
			w.value(in.Records.Presets[i-len(in.Records.Keys)])
		}
	}
	w.text(" FROM json_to_recordset(")
	w.bind(Param{Records: in.Records}, jsonType)
	w.text(`) AS "v"(`)
	for i := range in.Records.Keys {
		w.comma(i)
		w.text(quote(plan.RecordKey(i)) + " " + recordType(in.Columns[i].Type))
	}
	w.text(")")
}

func (w *writer) onConflict(c *plan.Conflict, row *scope) {
	if c == nil {
		return
	}
	w.text(" ON CONFLICT")
	switch {
	case len(c.Columns) > 0:
		w.text(" (")
		for i, name := range c.Columns {
			w.comma(i)
			w.ident(name)
		}
		w.text(")")
	case c.Constraint != "":
		w.text(" ON CONSTRAINT ")
		w.ident(c.Constraint)
	}
	if len(c.Update) == 0 {
		w.text(" DO NOTHING")
		return
	}
	w.text(" DO UPDATE SET ")
	for i, name := range c.Update {
		w.comma(i)
		w.ident(name)
		w.text(" = excluded." + quote(name))
	}
	for _, a := range c.Set {
		w.text(", ")
		w.assignment(a, row)
	}
	w.where(nil, c.Where, row)
}

// Update renders an update.
func Update(u *plan.Update) Mutation {
	w := &writer{}
	row := &scope{alias: w.alias()}
	direct := direct(u.Table, u.Returning, u.Check, u.Most)
	w.begin(direct)
	w.text("UPDATE ")
	w.table(u.Table)
	w.text(" AS " + quote(row.alias) + " SET ")
	for i, a := range u.Set {
		w.comma(i)
		w.assignment(a, row)
	}
	w.where(nil, u.Where, row)
	if direct {
		return w.directly(u.Returning, row)
	}
	return w.mutation(u.Table, u.Returning, u.Most, func(whole bool) { w.returning(u.Check, row, whole) })
}

// assignmentSQL is what stands between the column and the value.
var assignmentSQL = map[plan.AssignmentOp]string{
	plan.Inc: " + ", plan.Mul: " * ", plan.Append: " || ", plan.DeleteKey: " - ", plan.DeleteElem: " - ", plan.DeleteAtPath: " #- ",
}

func (w *writer) assignment(a plan.Assignment, row *scope) {
	w.ident(a.Column.Name)
	w.text(" = ")
	switch a.Op {
	case plan.Set:
		w.value(a.Value)
	case plan.Default:
		w.text("DEFAULT")
	case plan.Prepend:
		w.value(a.Value)
		w.text(" || ")
		w.column(row, a.Column.Name)
	default:
		w.column(row, a.Column.Name)
		w.text(assignmentSQL[a.Op])
		w.value(a.Value)
	}
}

// Delete renders a delete.
func Delete(d *plan.Delete) Mutation {
	w := &writer{}
	row := &scope{alias: w.alias()}
	direct := direct(d.Table, d.Returning, nil, d.Most)
	w.begin(direct)
	w.text("DELETE FROM ")
	w.table(d.Table)
	w.text(" AS " + quote(row.alias))
	w.where(nil, d.Where, row)
	if direct {
		return w.directly(d.Returning, row)
	}
	w.target = &d.Table
	w.returning(nil, row, w.readsRow(d.Returning))
	w.answer(d.Returning)
	w.held(d.Most)
	return Mutation{Write: w.statement(), Unchecked: d.Most == 0}
}

// direct reports whether a mutation answers with nothing but columns of its only
// row, which nothing can undo.
func direct(table catalog.Name, r plan.Returning, check filter.Expr, most int) bool {
	if !r.One || most > 0 || !filter.IsTrue(check) {
		return false
	}
	answer := &writer{}
	answer.fromWritten(table)
	before := answer.tables
	answer.answer(r)
	return answer.tables == before && !answer.readsRow(r)
}

// begin writes what stands before a statement that is answered from what it writes.
func (w *writer) begin(direct bool) {
	if !direct {
		w.text(`WITH "w" AS (`)
	}
}

// directly ends a mutation that is direct.
func (w *writer) directly(r plan.Returning, row *scope) Mutation {
	output := r.Members[0].Rows
	w.text(" RETURNING (SELECT ")
	w.objectOf(output)
	w.text(" FROM (SELECT ")
	w.outputs(output, row)
	w.text(") AS " + rowAlias + "), true")
	return Mutation{Write: w.statement(), Unchecked: true}
}

// objectOf writes the object of the row that a subselect yields.
func (w *writer) objectOf(output []plan.Output) {
	if longKeys(output) {
		w.record(output)
	} else {
		w.text("row_to_json(" + rowAlias + ")")
	}
}

// rowColumn carries the whole row through RETURNING, as a value of its table.
const rowColumn = "__tenantry_row"

// returning writes what the statement hands on of each row: its columns, whether
// its check holds and, if wanted, the whole row.
func (w *writer) returning(check filter.Expr, row *scope, whole bool) {
	w.returned(row, whole)
	if filter.IsTrue(check) {
		w.unchecked = true
		w.text(") ")
		return
	}
	w.text(", ")
	w.condition(check, row)
	w.text(" IS TRUE AS " + quote(checkColumn) + ") ")
}

// returned begins RETURNING with all but the check.
func (w *writer) returned(row *scope, whole bool) {
	w.text(" RETURNING " + quote(row.alias) + ".*")
	if whole {
		// ".*" is the row even if a column has its alias as a name.
		w.text(", ROW(" + quote(row.alias) + ".*)::" + quote(w.target.Schema) + "." + quote(w.target.Name) + " AS " + quote(rowColumn))
	}
}

// answer writes the outer select over "w".
func (w *writer) answer(r plan.Returning) {
	w.text("SELECT ")
	if r.One {
		w.written(r.Members[0].Rows, plan.Object)
	} else {
		w.object(len(r.Members), func(i int) string { return r.Members[i].Key }, func(i int) {
			switch m := r.Members[i]; {
			case m.AffectedRows:
				w.affected()
			case m.Text != nil:
				w.constant(*m.Text)
			default:
				w.written(m.Rows, plan.List)
			}
		})
	}
}

// held writes whether the check held for all rows, or null when there are more
// rows than most; 0 is no limit.
func (w *writer) held(most int) {
	w.text(", ")
	if most > 0 {
		w.text(`CASE WHEN (SELECT count(*) FROM "w") <= ` + strconv.Itoa(most) + " THEN ")
	}
	if w.unchecked {
		w.text("true")
	} else {
		w.text(`coalesce((SELECT bool_and(` + quote(checkColumn) + `) FROM "w"), true)`)
	}
	if most > 0 {
		w.text(" END")
	}
}

// mutation ends an insert or update, in one statement if that answers right;
// returning writes what it hands on of each row.
func (w *writer) mutation(table catalog.Name, r plan.Returning, most int, returning func(whole bool)) Mutation {
	w.target = &table
	answer := &writer{}
	answer.fromWritten(table)
	before := answer.tables
	answer.answer(r)
	if answer.tables == before {
		returning(w.readsRow(r))
		w.answer(r)
		w.held(most)
		return Mutation{Write: w.statement(), Unchecked: w.unchecked && most == 0}
	}
	answer.text(", true")
	returning(true)
	w.text(`SELECT (SELECT coalesce(json_agg(` + quote(rowColumn) + `::text), '[]') FROM "w")`)
	w.held(most)
	return Mutation{Write: w.statement(), Answer: answer.statement()}
}

// readsRow reports whether an answer needs the whole row, for a function.
func (w *writer) readsRow(r plan.Returning) bool {
	draft := &writer{target: w.target}
	draft.answer(r)
	return strings.Contains(draft.buf.String(), quote(rowColumn))
}

// fromWritten begins a statement over the rows that another one yielded: texts
// of whole rows, which lose nothing of any type, as JSON would.
func (w *writer) fromWritten(table catalog.Name) {
	w.target = &table
	name := quote(table.Schema) + "." + quote(table.Name)
	row := quote(rowColumn)
	w.text(`WITH "w" AS (SELECT (` + row + `).*, ` + row + ` FROM (SELECT "t"::` + name + ` AS ` + row + ` FROM json_array_elements_text(`)
	w.bind(Param{Written: true}, jsonType)
	w.text(`) AS "v"("t") OFFSET 0) AS "v") `)
}

// written writes the JSON of the rows in "w".
func (w *writer) written(output []plan.Output, shape plan.Shape) {
	row := &scope{alias: w.alias(), written: w.target}
	if shape == plan.List {
		w.text("(SELECT coalesce(json_agg(")
		w.record(output)
		w.text("), '[]') FROM (SELECT ")
	} else {
		w.text("(SELECT ")
		w.objectOf(output)
		w.text(" FROM (SELECT ")
	}
	w.outputs(output, row)
	w.text(` FROM "w" AS ` + quote(row.alias))
	if shape == plan.Object {
		w.text(" LIMIT 1")
	}
	w.text(") AS " + rowAlias + ")")
}
