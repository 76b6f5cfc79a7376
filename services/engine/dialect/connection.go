package dialect

import (
	"slices"
	"strconv"

	"tenantry/policy/filter"
	"tenantry/services/engine/plan"
)

// connection writes a scalar subquery whose value is the JSON of a page. The
// rows are read once, one more than the page has, which tells whether there are
// others; edges and page information are made from what was read.
func (w *writer) connection(s *plan.Select, outer *scope) {
	page := connectionPage{w: w, s: s, c: s.Connection, outer: outer, name: quote(w.alias())}
	w.text("(WITH " + page.name + " AS (SELECT row_number() OVER () AS \"n\", \"q\".* FROM (")
	page.rows()
	w.text(") AS \"q\") SELECT ")
	keys := make([]plan.Output, len(s.Connection.Members))
	for i, m := range s.Connection.Members {
		keys[i].Key = m.Key
	}
	w.whole(keys)
	w.text(" FROM (SELECT ")
	edge := 0
	for i, m := range s.Connection.Members {
		w.comma(i)
		switch {
		case m.Text != nil:
			w.constant(*m.Text)
		case m.Page != nil:
			page.info(m.Page)
		default:
			page.edges(m.Edges, &edge)
		}
		w.text(" AS " + outputAlias(keys, i))
	}
	w.text(") AS " + rowAlias + ")")
}

// whole writes the JSON of one row with the keys.
func (w *writer) whole(keys []plan.Output) {
	if longKeys(keys) {
		w.record(keys)
		return
	}
	w.text("row_to_json(" + rowAlias + ")")
}

// connectionPage is a connection while it is written.
type connectionPage struct {
	w     *writer
	s     *plan.Select
	c     *plan.Connection
	outer *scope
	name  string // of the rows that were read, quoted
}

// rows writes the statement that reads the page and one more row: the cursor
// "c", and the nodes "e0", "e1" and so on.
func (p *connectionPage) rows() {
	w, row := p.w, &scope{alias: p.w.alias(), outer: p.outer}
	w.text("SELECT ")
	p.cursor(row)
	w.text(` AS "c"`)
	for i, node := range p.c.Nodes() {
		w.text(", (SELECT ")
		w.whole(node)
		w.text(" FROM (SELECT ")
		w.outputs(node, row)
		w.text(") AS " + rowAlias + `) AS "e` + strconv.Itoa(i) + `"`)
	}
	w.text(" FROM ")
	if p.from(row) {
		w.text(" AND ")
	} else if p.c.Sliced {
		w.text(" WHERE ")
	}
	p.slice(row)
	w.orderBy(p.order(p.c.Backward), row)
	if len(p.s.Limit) > 0 {
		w.text(" LIMIT ")
		p.size()
		w.text(" + 1")
	}
}

// from writes the rows that the page is of, without the cursor, and tells
// whether the caller has to go on with AND.
func (p *connectionPage) from(row *scope) bool {
	w := p.w
	if len(p.s.DistinctOn) == 0 {
		w.from(p.s, row)
		conditions := p.s.From != nil && p.s.From.One || len(p.s.On) > 0 || !filter.IsTrue(p.s.Where)
		return conditions && p.c.Sliced
	}
	inner := &scope{alias: w.alias(), outer: p.outer}
	w.text("(SELECT ")
	w.distinct(p.s, inner)
	w.text(quote(inner.alias) + ".* FROM ")
	w.from(p.s, inner)
	w.orderBy(p.order(false), inner)
	w.text(") AS " + quote(row.alias))
	return false
}

// order is the complete order of the rows, or its reverse.
func (p *connectionPage) order(reversed bool) []plan.Order {
	out := make([]plan.Order, len(p.c.Keys))
	for i, key := range p.c.Keys {
		out[i] = key.Order
		if reversed {
			out[i].Descending, out[i].NullsFirst = !key.Descending, !key.NullsFirst
		}
	}
	return out
}

// size writes how many rows the page may have.
func (p *connectionPage) size() {
	w := p.w
	if len(p.s.Limit) == 1 {
		w.bound(p.s.Limit[0])
		return
	}
	w.text("least(")
	for i, b := range p.s.Limit {
		w.comma(i)
		w.bound(b)
	}
	w.text(")")
}

// slice writes the condition that a row is on the client's side of the cursor.
func (p *connectionPage) slice(row *scope) {
	if p.c.Sliced {
		p.beyond(0, row)
	}
}

// beyond is true of rows behind the cursor by the keys from number i on.
func (p *connectionPage) beyond(i int, row *scope) {
	w, key := p.w, p.c.Keys[i]
	expr := func() { w.orderKey(key.Path, key.Order, row) }
	operator, nullsFirst := " > ", key.NullsFirst != p.c.Before
	if key.Descending != p.c.Before {
		operator = " < "
	}
	w.text("(")
	expr()
	w.text(operator)
	w.value(key.At)
	if !key.NotNull {
		w.text(" OR (")
		expr()
		if nullsFirst {
			w.text(" IS NOT NULL AND ")
			w.value(key.At)
			w.text(" IS NULL)")
		} else {
			w.text(" IS NULL AND ")
			w.value(key.At)
			w.text(" IS NOT NULL)")
		}
	}
	if i+1 < len(p.c.Keys) {
		w.text(" OR (")
		expr()
		w.text(" IS NOT DISTINCT FROM ")
		w.value(key.At)
		w.text(" AND ")
		p.beyond(i+1, row)
		w.text(")")
	}
	w.text(")")
}

// info writes the object of page information.
func (p *connectionPage) info(members []plan.PageMember) {
	w := p.w
	keys := make([]plan.Output, len(members))
	for i, m := range members {
		keys[i].Key = m.Key
	}
	w.text("(SELECT ")
	w.whole(keys)
	w.text(" FROM (SELECT ")
	for i, m := range members {
		w.comma(i)
		switch m.Name {
		case "hasNextPage":
			p.more(!p.c.Backward, p.c.Sliced && p.c.Before)
		case "hasPreviousPage":
			p.more(p.c.Backward, p.c.Sliced && !p.c.Before)
		case "startCursor":
			p.end(p.c.Backward)
		case "endCursor":
			p.end(!p.c.Backward)
		default:
			w.constant(*m.Text)
		}
		w.text(" AS " + outputAlias(keys, i))
	}
	w.text(") AS " + rowAlias + ")")
}

// more tells whether there are rows beside the page: on the side where it was
// cut, or on the side of the cursor.
func (p *connectionPage) more(cut, sliced bool) {
	w := p.w
	cut = cut && len(p.s.Limit) > 0
	if !cut && !sliced {
		w.text("false")
		return
	}
	if cut {
		w.text("EXISTS (SELECT 1 FROM " + p.name + ` WHERE "n" > `)
		p.size()
		w.text(")")
	}
	if !sliced {
		return
	}
	if cut {
		w.text(" OR ")
	}
	row := &scope{alias: w.alias(), outer: p.outer}
	w.text("EXISTS (SELECT 1 FROM ")
	if p.from(row) {
		w.text(" AND ")
	} else {
		w.text(" WHERE ")
	}
	p.slice(row)
	w.text(" IS NOT TRUE)")
}

// end writes the cursor of the last row that was read of the page, or the first.
func (p *connectionPage) end(last bool) {
	w := p.w
	w.text(`coalesce((SELECT "c" FROM ` + p.name)
	p.cut()
	w.text(` ORDER BY "n"`)
	if last {
		w.text(" DESC")
	}
	w.text(" LIMIT 1), '')")
}

// cut leaves the one row too many out.
func (p *connectionPage) cut() {
	if len(p.s.Limit) > 0 {
		p.w.text(` WHERE "n" <= `)
		p.size()
	}
}

// edges writes the list of edges; next counts the nodes of all lists.
func (p *connectionPage) edges(members []plan.EdgeMember, next *int) {
	w := p.w
	keys := make([]plan.Output, len(members))
	for i, m := range members {
		keys[i].Key = m.Key
	}
	w.text("(SELECT coalesce(json_agg(")
	w.record(keys)
	w.text("), '[]') FROM (SELECT ")
	for i, m := range members {
		w.comma(i)
		switch {
		case m.Cursor:
			w.text(`"c"`)
		case m.Node != nil:
			w.text(`"e` + strconv.Itoa(*next) + `"`)
			*next++
		default:
			w.constant(*m.Text)
		}
		w.text(" AS " + outputAlias(keys, i))
	}
	w.text(" FROM " + p.name)
	p.cut()
	w.text(` ORDER BY ` + p.name + `."n"`)
	if p.c.Backward {
		w.text(" DESC")
	}
	w.text(") AS " + rowAlias + ")")
}

// cursor writes a row's place in the order as text.
func (p *connectionPage) cursor(row *scope) {
	p.w.encoded(func() { p.members(p.c.Keys, 0, row) })
}

// members writes the object of the keys' values below depth names.
func (p *connectionPage) members(keys []plan.CursorKey, depth int, row *scope) {
	var names []string
	for _, key := range keys {
		if !slices.Contains(names, key.Name[depth]) {
			names = append(names, key.Name[depth])
		}
	}
	p.w.object(len(names), func(i int) string { return names[i] }, func(i int) {
		below := slices.DeleteFunc(slices.Clone(keys), func(key plan.CursorKey) bool { return key.Name[depth] != names[i] })
		if first := below[0]; len(first.Name) == depth+1 {
			p.w.orderKey(first.Path, first.Order, row)
			return
		}
		p.members(slices.DeleteFunc(below, func(key plan.CursorKey) bool { return len(key.Name) == depth+1 }), depth+1, row)
	})
}

// nodeID writes the global id of a row.
func (w *writer) nodeID(id *plan.NodeID, row *scope) {
	w.encoded(func() {
		w.text("json_build_array(" + strconv.Itoa(id.Version))
		for _, part := range id.Parts {
			w.text(", ")
			w.constant(part)
		}
		for _, c := range id.Key {
			w.text(", ")
			w.column(row, c.Name)
		}
		w.text(")")
	})
}

// encoded writes JSON as base64 in one line.
func (w *writer) encoded(json func()) {
	w.text("replace(encode(convert_to(")
	json()
	w.text(`::text, 'UTF8'), 'base64'), E'\n', '')`)
}
