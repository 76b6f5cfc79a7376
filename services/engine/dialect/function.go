package dialect

import (
	"strings"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
	"tenantry/tenants/catalog"
)

// computedPrefix begins the names of values that a function computes; no column
// has it.
const computedPrefix = "\x00"

// compute lets name stand for a call of f on the row.
func (s *scope) compute(name string, f *filter.Function) {
	if f == nil {
		return
	}
	if s.computed == nil {
		s.computed = map[string]*filter.Function{}
	}
	s.computed[name] = f
}

// call writes the call of a function on a row. Arguments are given by place as
// long as none is left out, then by name.
func (w *writer) call(f *filter.Function, row *scope) {
	w.tables++ // who knows where it looks
	w.text(quote(f.Name.Schema) + "." + quote(f.Name.Name) + "(")
	for i, a := range f.Arguments {
		w.comma(i)
		if a.At > i {
			w.text(quote(a.Name) + " => ")
		}
		if a.Row {
			w.row(row)
		} else {
			w.value(a.Value)
		}
	}
	w.text(")")
}

// row writes a row as one value of its table's type. Rows just written are of no
// table until they are made so.
func (w *writer) row(row *scope) {
	if row.written == nil {
		w.text(quote(row.alias) + ".*")
		return
	}
	w.text(quote(row.alias) + "." + quote(rowColumn))
}

// rowsOf writes what stands behind FROM for rows that are in no table.
func (w *writer) rowsOf(from *plan.From, table catalog.Name, row *scope) {
	alias := " AS " + quote(row.alias)
	switch {
	case from.Function != nil:
		w.call(from.Function, row.outer)
		w.text(alias)
	case from.Native != nil:
		w.native(from.Native)
		w.text(alias)
	case from.Written:
		w.text("json_populate_recordset(NULL::" + quote(table.Schema) + "." + quote(table.Name) + ", ")
		w.bind(Param{Written: true}, catalog.TypeRef{Schema: "pg_catalog", Name: "json"})
		w.text(")" + alias)
	default:
		w.inside(from, row)
		w.text(alias + "(")
		for i, c := range from.Members {
			w.comma(i)
			w.text(quote(c.Name) + " " + typeName(c.Type))
		}
		w.text(")")
	}
}

// native writes a tenant's query as a subselect: that can't write, whatever the
// text says, and is one statement.
func (w *writer) native(parts []plan.NativePart) {
	w.tables++
	w.text("(")
	for _, part := range parts {
		if part.Value != nil {
			w.value(*part.Value)
		} else {
			w.text(strings.ReplaceAll(part.Text, "\x00", ""))
		}
	}
	w.text("\n)") // the text may end in a comment
}

// inside writes the objects that a column holds: one, or a list of them.
func (w *writer) inside(from *plan.From, row *scope) {
	value := "to_jsonb(" + quote(row.outer.alias) + "." + quote(from.Column) + ")"
	w.text("jsonb_to_recordset(CASE jsonb_typeof(" + value + ") WHEN 'array' THEN " + value +
		" WHEN 'object' THEN jsonb_build_array(" + value + ") ELSE '[]' END)")
}

// present is the condition that a function's only row is one: a null comes as a
// row of nulls.
func (w *writer) present(row *scope) {
	w.text("NOT (ROW(" + quote(row.alias) + ".*) IS NULL)")
}

// Call renders a function that writes. What it wrote is seen by later statements
// only, so an answer that looks further than its rows is a second one.
func Call(s *plan.Select) Mutation {
	w := &writer{}
	w.text("SELECT ")
	w.selection(s, nil)
	if w.tables == 1 && s.Shape != plan.Aggregated {
		w.text(", true")
		return Mutation{Write: w.statement()}
	}
	first := &writer{}
	row := &scope{alias: first.alias()}
	first.text("SELECT coalesce(json_agg(" + quote(row.alias) + ".*), '[]'), true FROM ")
	first.rowsOf(s.From, s.Table, row)
	if s.From.One {
		first.text(" WHERE ")
		first.present(row)
	}
	then := *s
	if s.Aggregate != nil {
		aggregate := *s.Aggregate
		aggregate.Members = append([]plan.AggregateMember{}, aggregate.Members...)
		for i, m := range aggregate.Members {
			if m.Nodes != nil {
				nodes := *m.Nodes
				aggregate.Members[i].Nodes = &nodes
			}
		}
		then.Aggregate = &aggregate
	}
	then.Comes(&plan.From{Written: true})
	answer := &writer{}
	answer.text("SELECT ")
	answer.selection(&then, nil)
	answer.text(", true")
	return Mutation{Write: first.statement(), Answer: answer.statement()}
}

// Native renders a native query for the database to check: all columns that its
// model has, under any name of the tenant's.
func Native(columns []string, parts []plan.NativePart) Statement {
	w := &writer{}
	w.text("SELECT ")
	for i, name := range columns {
		w.comma(i)
		w.text(`"t1".` + quote(name))
	}
	w.text(" FROM ")
	w.native(parts)
	w.text(` AS "t1"`)
	return w.statement()
}
