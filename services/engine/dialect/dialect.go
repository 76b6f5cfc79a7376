// Package dialect renders plans as PostgreSQL: the only writer of SQL for
// tenant data. It runs once per cached plan, between the planner and the
// executor.
//
// The writer knows identifiers, parameters and its own keywords. Whatever comes
// from a request or a rule is a parameter; only names of the catalog and keys
// of the response (GraphQL names) stand in the text, quoted.
//
// Nested selections are correlated subqueries with json_agg over the
// subselect's record, so Postgres builds the JSON and the server passes it on
// as bytes (perf-measured against LATERAL, jsonb and json_build_object).
package dialect

import (
	"strconv"
	"strings"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/services/engine/rowjson"
	"tenantry/tenants/catalog"
)

// Statement is SQL text and the parameters that it wants, $1 first. Immutable.
type Statement struct {
	SQL    string
	Params []Param
	// Columns, when set, tell how the plain rows that the statement yields become
	// a list of objects; else it yields JSON.
	Columns []rowjson.Column
}

// Param is one parameter of a statement: a value of the request, rows of an
// insert, the keys of a join, or what a mutation wrote. Exactly one of them is set.
type Param struct {
	Value   *filter.Param
	Records *plan.Records
	// Key is 1 + the index of a join key: an array with one element per row to join,
	// or the value of the only one.
	Key int
	// Written is JSON rows that the executor brings: those that a mutation's first
	// statement yielded, or those that a nested insert is to write.
	Written bool
	// Affected is the number of rows that a nested insert wrote.
	Affected bool
}

// maxIdentifier is Postgres's limit on names, in bytes; a longer alias is cut.
const maxIdentifier = 63

// rowAlias names the row that becomes JSON. No GraphQL name is like it: an alias
// that is also the name of a column would mean that column.
const rowAlias = `"$row"`

// checkColumn carries a permission check through RETURNING.
const checkColumn = "__tenantry_check"

// Select renders a root selection: one row with one JSON column, or, where that
// costs less, plain rows.
func Select(s *plan.Select) Statement {
	w := &writer{}
	if columns := plainColumns(s); columns != nil {
		w.plain(s)
		out := w.statement()
		out.Columns = columns
		return out
	}
	w.text("SELECT ")
	w.answerOf(s, nil)
	return w.statement()
}

// answerOf writes what follows SELECT in a statement that reads the JSON of s.
func (w *writer) answerOf(s *plan.Select, outer *scope) {
	switch {
	case s.Connection == nil && s.Shape == plan.Aggregated && overRows(s):
		w.overRows(s, outer)
	case s.Connection != nil || s.Shape == plan.Aggregated:
		w.selection(s, outer)
	default:
		w.rowsAsJSON(s, outer) // no row is no object
	}
}

// Join renders a selection for many keys at once: one row per key with its
// ordinal (from 1) and JSON.
func Join(j *plan.Join) Statement {
	w := &writer{}
	w.text(`SELECT "k"."n", `)
	w.selection(j.Select, &scope{alias: "k"})
	w.text(" FROM unnest(")
	for i, key := range j.Keys {
		w.comma(i)
		w.bind(Param{Key: i + 1}, catalog.TypeRef{Schema: key.Type.Schema, Name: key.Type.Name, Dimensions: 1})
	}
	w.text(`) WITH ORDINALITY AS "k"(`)
	for i := range j.Keys {
		w.ident(plan.JoinKey(i))
		w.text(", ")
	}
	w.text(`"n")`)
	return w.statement()
}

// JoinOne renders a selection for one key: one row with one JSON column, or none
// for an object that isn't there. For a single row, taking an array apart costs
// Postgres as much as finding the row.
func JoinOne(j *plan.Join) Statement {
	w := &writer{}
	w.text("SELECT ")
	w.answerOf(j.Select, &scope{alias: "k", keys: j.Keys})
	return w.statement()
}

// joinedBy writes the values that a row is joined by, for the executor: a JSON
// array in the place of what is joined.
func (w *writer) joinedBy(j *plan.Join, row *scope) {
	w.text("json_build_array(")
	for i, c := range j.Columns {
		w.comma(i)
		w.cell(row, c.Name, c.Type, c.Cases)
	}
	w.text(")")
}

// scope is a row that expressions can refer to, inside the rows around it.
type scope struct {
	alias string
	outer *scope
	// computed are the functions that compute what is no column of the row, by name.
	computed map[string]*filter.Function
	// written names the table of rows that a statement just wrote.
	written *catalog.Name
	// keys are what the row is joined by, where a parameter stands for each of them
	// and there is no row.
	keys []plan.Column
}

func (s *scope) up(n int) *scope {
	for ; n > 0; n-- {
		s = s.outer
	}
	return s
}

// selection writes a scalar subquery whose value is the JSON of s.
func (w *writer) selection(s *plan.Select, outer *scope) {
	if s.Connection != nil {
		w.connection(s, outer)
		return
	}
	if s.Shape == plan.Aggregated {
		w.aggregated(s, outer)
		return
	}
	w.text("(SELECT ")
	w.rowsAsJSON(s, outer)
	w.text(")")
}

// rowsAsJSON writes what follows SELECT to read the JSON of s: one row, or none
// for an object that isn't there.
func (w *writer) rowsAsJSON(s *plan.Select, outer *scope) {
	if s.Shape == plan.List {
		w.text("coalesce(json_agg(")
		w.record(s.Output)
		w.text("), '[]') FROM (")
	} else {
		w.objectOf(s.Output)
		w.text(" FROM (")
	}
	w.rows(s, outer)
	w.text(") AS " + rowAlias)
}

// record writes the value that stands for one row.
func (w *writer) record(output []plan.Output) {
	if !longKeys(output) {
		w.text(rowAlias)
		return
	}
	w.text("('{' || ")
	for i, o := range output {
		if i > 0 {
			w.text(" || ',' || ")
		}
		w.literal(jsonKey(o.Key))
		w.text(" || coalesce(to_json(" + rowAlias + "." + outputAlias(output, i) + ")::text, 'null')")
	}
	w.text(" || '}')::json")
}

// longKeys reports whether some key can't be a column alias.
func longKeys(output []plan.Output) bool {
	for _, o := range output {
		if len(o.Key) > maxIdentifier {
			return true
		}
	}
	return false
}

func outputAlias(output []plan.Output, i int) string {
	if longKeys(output) {
		return quote("c" + strconv.Itoa(i))
	}
	return quote(output[i].Key)
}

// rows writes the subselect that yields the rows of s.
func (w *writer) rows(s *plan.Select, outer *scope) {
	row := &scope{alias: w.alias(), outer: outer}
	w.text("SELECT ")
	w.distinct(s, row)
	w.outputs(s.Output, row)
	w.text(" FROM ")
	w.from(s, row)
	w.orderBy(s.OrderBy, row)
	w.bounds(s)
}

// from writes where the rows of s come from and which of them count.
func (w *writer) from(s *plan.Select, row *scope) {
	if s.From == nil {
		w.table(s.Table)
		w.text(" AS " + quote(row.alias))
		w.where(s.On, s.Where, row)
		return
	}
	w.rowsOf(s.From, s.Table, row)
	if !s.From.One {
		w.where(s.On, s.Where, row)
		return
	}
	w.text(" WHERE ")
	w.present(row)
	w.text(" AND ")
	w.joined(s.On, s.Where, row)
}

func (w *writer) distinct(s *plan.Select, row *scope) {
	if len(s.DistinctOn) == 0 {
		return
	}
	w.text("DISTINCT ON (")
	for i, c := range s.DistinctOn {
		w.comma(i)
		w.cell(row, c.Name, c.Type, c.Cases)
	}
	w.text(") ")
}

func (w *writer) outputs(output []plan.Output, row *scope) {
	for i, o := range output {
		w.comma(i)
		w.output(o, row)
		w.text(" AS " + outputAlias(output, i))
	}
	// No output (directives left everything out) is a row without columns: {}.
}

// output writes the value of one member.
func (w *writer) output(o plan.Output, row *scope) {
	switch {
	case o.Column != nil:
		w.answered(o.Column, row)
	case o.Nested != nil:
		w.selection(o.Nested, row)
	case o.Join != nil:
		w.joinedBy(o.Join, row)
	case o.Node != nil:
		w.nodeID(o.Node, row)
	default:
		w.literal(*o.Text)
		w.text("::text")
	}
}

// where writes the WHERE clause of a row, if there is one.
func (w *writer) where(on []filter.Pair, where filter.Expr, row *scope) {
	if len(on) == 0 && filter.IsTrue(where) {
		return
	}
	w.text(" WHERE ")
	w.joined(on, where, row)
}

// joined writes the pairs that tie row to the row around it, and a condition.
func (w *writer) joined(on []filter.Pair, where filter.Expr, row *scope) {
	for i, pair := range on {
		if i > 0 {
			w.text(" AND ")
		}
		w.column(row, pair.Inner)
		w.text(" = ")
		w.column(row.outer, pair.Outer)
	}
	if filter.IsTrue(where) {
		if len(on) == 0 {
			w.text("true")
		}
		return
	}
	if len(on) > 0 {
		w.text(" AND ")
	}
	w.condition(where, row)
}

func (w *writer) orderBy(keys []plan.Order, row *scope) {
	for i, key := range keys {
		if i == 0 {
			w.text(" ORDER BY ")
		} else {
			w.text(", ")
		}
		w.orderKey(key.Path, key, row)
		// Postgres puts nulls last when ascending and first when descending;
		// saying so again would keep it from using an index in some versions.
		if key.Descending {
			w.text(" DESC")
			if !key.NullsFirst {
				w.text(" NULLS LAST")
			}
		} else if key.NullsFirst {
			w.text(" NULLS FIRST")
		}
	}
}

// orderKey writes a column that is reached over object relationships.
func (w *writer) orderKey(path []plan.Hop, key plan.Order, row *scope) {
	if len(path) == 0 && key.Aggregate != nil {
		w.orderAggregate(key.Aggregate, key.Column, row)
		return
	}
	if len(path) == 0 {
		row.compute(key.Column.Name, key.Column.Of)
		w.cell(row, key.Column.Name, key.Column.Type, key.Column.Cases)
		return
	}
	hop := path[0]
	next := &scope{alias: w.alias(), outer: row}
	w.text("(SELECT ")
	w.orderKey(path[1:], key, next)
	w.text(" FROM ")
	w.table(hop.Table)
	w.text(" AS " + quote(next.alias))
	w.where(hop.On, hop.Where, next)
	w.text(" LIMIT 1)")
}

func (w *writer) bounds(s *plan.Select) {
	limits := least(s.Limit)
	switch {
	case s.Shape == plan.Object && s.Single && s.Offset == nil:
		return
	case s.Shape == plan.Object:
		limits = []plan.Bound{{Number: 1}}
	}
	switch len(limits) {
	case 0:
	case 1:
		w.text(" LIMIT ")
		w.bound(limits[0])
	default:
		w.text(" LIMIT least(")
		for i, b := range limits {
			w.comma(i)
			w.bound(b)
		}
		w.text(")")
	}
	if s.Offset != nil {
		w.text(" OFFSET ")
		w.bound(*s.Offset)
	}
}

// least leaves one of the bounds that are numbers.
func least(bounds []plan.Bound) []plan.Bound {
	if len(bounds) < 2 {
		return bounds
	}
	var out []plan.Bound
	number := -1
	for _, b := range bounds {
		switch {
		case b.Param != nil:
			out = append(out, b)
		case number < 0:
			number = len(out)
			out = append(out, b)
		default:
			out[number].Number = min(out[number].Number, b.Number)
		}
	}
	return out
}

func (w *writer) bound(b plan.Bound) {
	if b.Param != nil {
		w.value(*b.Param)
		return
	}
	w.text(strconv.Itoa(b.Number))
}

// writer collects text and parameters.
type writer struct {
	buf     strings.Builder
	params  []Param
	numbers map[string]int    // of parameters already bound, by identity
	cells   map[string]string // SQL of cells already written, by alias and column
	aliases int
	tables  int           // named so far
	target  *catalog.Name // that a mutation writes
	// unchecked says that the rows that a mutation writes have no check to pass.
	unchecked bool
	counted   bool // the number of affected rows is a parameter
}

func (w *writer) statement() Statement { return Statement{SQL: w.buf.String(), Params: w.params} }

func (w *writer) text(s string) { w.buf.WriteString(s) }

func (w *writer) comma(i int) {
	if i > 0 {
		w.text(", ")
	}
}

func (w *writer) alias() string {
	w.aliases++
	return "t" + strconv.Itoa(w.aliases)
}
