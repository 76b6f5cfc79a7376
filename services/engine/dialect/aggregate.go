package dialect

import (
	"strconv"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// maxPairs is how many pairs json_build_object takes: Postgres's functions have
// at most 100 arguments.
const maxPairs = 50

// aggregated writes the JSON object of an aggregate, as a scalar subquery or an
// expression. Values and nodes are subselects of their own over the same rows: the
// permission's limit is on the nodes alone.
func (w *writer) aggregated(s *plan.Select, outer *scope) {
	if overRows(s) {
		w.text("(SELECT ")
		w.overRows(s, outer)
		w.text(")")
		return
	}
	members := s.Aggregate.Members
	w.object(len(members), func(i int) string { return members[i].Key }, func(i int) {
		switch m := members[i]; {
		case m.Text != nil:
			w.constant(*m.Text)
		case m.Nodes != nil:
			w.selection(m.Nodes, outer)
		default:
			w.values(s, m.Values, outer)
		}
	})
}

// overRows reports whether an aggregate is one pass over the rows themselves: its
// only member beside constants are functions, of all rows.
func overRows(s *plan.Select) bool {
	found := 0
	for _, m := range s.Aggregate.Members {
		if m.Nodes != nil {
			return false
		}
		if m.Text == nil {
			if !functions(m.Values) {
				return false
			}
			found++
		}
	}
	return found == 1 && flat(s)
}

// overRows writes what follows SELECT in that case. A subselect less is a tenth of
// what Postgres spends on a small aggregate.
func (w *writer) overRows(s *plan.Select, outer *scope) {
	row := &scope{alias: w.alias(), outer: outer}
	column := func(c plan.Column) { w.cell(row, c.Name, c.Type, c.Cases) }
	members := s.Aggregate.Members
	w.object(len(members), func(i int) string { return members[i].Key }, func(i int) {
		if m := members[i]; m.Text != nil {
			w.constant(*m.Text)
		} else {
			w.functions(m.Values, column)
		}
	})
	w.text(" FROM ")
	w.from(s, row)
}

// flat reports that functions see every row that matches, so that no subselect
// has to choose rows first.
func flat(s *plan.Select) bool { return len(s.DistinctOn) == 0 && len(s.Limit) == 0 && s.Offset == nil }

// functions writes the object of functions; column writes a column's value.
func (w *writer) functions(values []plan.AggregateValue, column func(plan.Column)) {
	w.object(len(values), func(i int) string { return values[i].Key }, func(i int) { w.aggregateValue(values[i], column) })
}

// object writes a JSON object of n members.
func (w *writer) object(n int, key func(i int) string, value func(i int)) {
	if n <= maxPairs {
		w.text("json_build_object(")
		for i := range n {
			w.comma(i)
			w.literal(key(i))
			w.text(", ")
			value(i)
		}
		w.text(")")
		return
	}
	w.text("('{' || ")
	for i := range n {
		if i > 0 {
			w.text(" || ',' || ")
		}
		w.literal(jsonKey(key(i)))
		w.text(" || coalesce(to_json(")
		value(i)
		w.text(")::text, 'null')")
	}
	w.text(" || '}')::json")
}

func (w *writer) constant(text string) {
	w.literal(text)
	w.text("::text")
}

// values writes one subselect with all functions over the rows of s.
func (w *writer) values(s *plan.Select, values []plan.AggregateValue, outer *scope) {
	if !functions(values) { // without a function it would be a row per row
		w.functions(values, nil)
		return
	}
	row := &scope{alias: w.alias(), outer: outer}
	flat := flat(s)
	column := func(c plan.Column) { w.cell(row, c.Name, c.Type, c.Cases) }
	names := aggregateColumns{names: map[string]string{}}
	if !flat {
		column = func(c plan.Column) { w.text(rowAlias + "." + names.of(c)) }
	}
	w.text("(SELECT ")
	w.functions(values, column)
	w.text(" FROM ")
	if flat {
		w.from(s, row)
		w.text(")")
		return
	}
	w.text("(SELECT ")
	w.distinct(s, row)
	if len(names.columns) == 0 && len(s.DistinctOn) > 0 {
		w.text("1")
	}
	for i, c := range names.columns {
		w.comma(i)
		w.cell(row, c.Name, c.Type, c.Cases)
		w.text(" AS " + names.of(c))
	}
	w.text(" FROM ")
	w.from(s, row)
	w.orderBy(s.OrderBy, row)
	w.bounds(s)
	w.text(") AS " + rowAlias + ")")
}

// functions reports whether something is computed over the rows.
func functions(values []plan.AggregateValue) bool {
	for _, v := range values {
		if v.Text == nil && v.Fields == nil {
			return true
		}
		for _, f := range v.Fields {
			if f.Column != nil {
				return true
			}
		}
	}
	return false
}

// aggregateColumns names the columns that functions need of a subselect.
type aggregateColumns struct {
	names   map[string]string
	columns []plan.Column
}

func (a *aggregateColumns) of(c plan.Column) string {
	name, ok := a.names[c.Name]
	if !ok {
		name = quote("c" + strconv.Itoa(len(a.columns)))
		a.names[c.Name] = name
		a.columns = append(a.columns, c)
	}
	return name
}

func (w *writer) aggregateValue(v plan.AggregateValue, column func(plan.Column)) {
	switch {
	case v.Text != nil:
		w.constant(*v.Text)
	case v.Fields != nil:
		w.object(len(v.Fields), func(i int) string { return v.Fields[i].Key }, func(i int) {
			if f := v.Fields[i]; f.Text != nil {
				w.constant(*f.Text)
			} else {
				w.function(v.Function, *f.Column, func() { column(*f.Column) })
			}
		})
	default:
		w.count(v.Function, v.Distinct, len(v.Columns), func(i int) { column(v.Columns[i]) })
	}
}

// count writes count, or another function over what is listed; nothing listed
// means rows.
func (w *writer) count(function string, distinct bool, columns int, column func(i int)) {
	w.text(function + "(")
	if columns == 0 {
		w.text("*)")
		return
	}
	if distinct {
		w.text("DISTINCT ")
	}
	if columns > 1 {
		w.text("(")
	}
	for i := range columns {
		w.comma(i)
		column(i)
	}
	if columns > 1 {
		w.text(")")
	}
	w.text(")")
}

// function writes a function over a column. Postgres has no greatest uuid; its
// text sorts as it does.
func (w *writer) function(name string, c plan.Column, column func()) {
	element := c.Type.Element()
	if element == (catalog.TypeRef{Schema: "pg_catalog", Name: "uuid"}) && !c.Type.Array() {
		w.text("(" + name + "(")
		column()
		w.text("::text))::uuid")
		return
	}
	if c.AsText {
		w.text("(")
	}
	w.text(name + "(")
	column()
	w.text(")")
	if c.AsText {
		w.text(")::text")
	}
}

// relatedAggregate writes a function over related rows as a value of the row.
func (w *writer) relatedAggregate(table catalog.Name, on []filter.Pair, where filter.Expr, row *scope, function func(inner *scope)) {
	inner := &scope{alias: w.alias(), outer: row}
	w.text("(SELECT ")
	function(inner)
	w.text(" FROM ")
	w.table(table)
	w.text(" AS " + quote(inner.alias))
	w.where(on, where, inner)
	w.text(")")
}

// aggregateOperand writes the left side of a condition on an aggregate.
func (w *writer) aggregateOperand(a filter.Aggregate, row *scope) {
	w.relatedAggregate(a.Table, a.On, a.Where, row, func(inner *scope) {
		w.count(a.Function, a.Distinct, len(a.Columns), func(i int) {
			c := a.Columns[i]
			w.cell(inner, c.Name, c.Type, c.Cases)
		})
	})
}

// orderAggregate writes a sort key over related rows.
func (w *writer) orderAggregate(o *plan.OrderAggregate, c plan.Column, row *scope) {
	w.relatedAggregate(o.Of.Table, o.Of.On, o.Of.Where, row, func(inner *scope) {
		if o.Function == "count" {
			w.text("count(*)")
			return
		}
		w.function(o.Function, c, func() { w.cell(inner, c.Name, c.Type, c.Cases) })
	})
}
