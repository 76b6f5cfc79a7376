package permissiontest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// query asks for rows of a table, with a client's arguments.
type query struct {
	key      string
	t        *table
	byKey    any // of a by_pk field
	outputs  []output
	where    any // nil, or an object by GraphQL names
	order    []sortKey
	distinct string
	limit    int // -1 is none
	offset   int
	single   bool // of an object relationship
}

type output struct {
	key    string
	column column
	nested *query // of relation
	along  string
}

// sortKey sorts by a column, reached over object relationships.
type sortKey struct {
	path   []string
	column column
	mode   symbol
}

// symbol is an enum value.
type symbol string

var modes = []symbol{"asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"}

// asks makes queries that are valid for a role.
type asks struct {
	dice
	ref  *reference
	role string
}

func (a asks) query(t *table, depth int, single bool) *query {
	q := &query{t: t, key: t.name, limit: -1, single: single}
	for i, c := range some(a.dice, a.ref.columns(t, a.role), 60) {
		q.outputs = append(q.outputs, output{key: fmt.Sprintf("c%d", i), column: c})
	}
	if depth > 0 {
		for i, r := range some(a.dice, a.relations(t), 35) {
			q.outputs = append(q.outputs, output{key: fmt.Sprintf("r%d", i), along: r.name, nested: a.query(tableNamed(r.target), depth-1, !r.array)})
		}
	}
	if len(q.outputs) == 0 {
		q.outputs = []output{{key: "id", column: t.columns[0]}}
	}
	if single {
		return q
	}
	if a.chance(50) {
		q.where = a.where(t, 2)
	}
	if a.chance(20) {
		c := pick(a.dice, a.ref.columns(t, a.role))
		q.distinct = c.name
		q.order = []sortKey{{column: c, mode: pick(a.dice, modes)}}
	}
	if a.chance(50) {
		q.order = append(q.order, a.sortKey(t, nil, 2))
	}
	q.order = append(q.order, sortKey{column: t.columns[0], mode: pick(a.dice, modes[:2])})
	if a.chance(30) {
		q.limit = a.IntN(5)
	}
	if a.chance(20) {
		q.offset = a.IntN(3)
	}
	return q
}

func (a asks) relations(t *table) []relation {
	return slices.DeleteFunc(slices.Clone(t.relations), func(r relation) bool { return len(a.ref.readers(tableNamed(r.target), a.role)) == 0 })
}

func (a asks) sortKey(t *table, path []string, depth int) sortKey {
	for _, r := range a.relations(t) {
		if !r.array && depth > 0 && a.chance(25) {
			return a.sortKey(tableNamed(r.target), append(path[:len(path):len(path)], r.name), depth-1)
		}
	}
	return sortKey{path, pick(a.dice, a.ref.columns(t, a.role)), pick(a.dice, modes)}
}

// where is a random condition of a client, by GraphQL names.
func (a asks) where(t *table, depth int) object {
	out := object{}
	for range 1 + a.IntN(2) {
		if depth > 0 && a.chance(45) {
			switch a.IntN(4) {
			case 0:
				out["_and"] = a.wheres(t, depth-1)
			case 1:
				out["_or"] = a.wheres(t, depth-1)
			case 2:
				out["_not"] = a.where(t, depth-1)
			case 3:
				if relations := a.relations(t); len(relations) > 0 {
					r := pick(a.dice, relations)
					out[r.name] = a.where(tableNamed(r.target), depth-1)
				}
			}
			continue
		}
		c := pick(a.dice, a.ref.columns(t, a.role))
		switch a.IntN(5) {
		case 0:
			out[c.name] = object{"_is_null": a.chance(50)}
		case 1:
			items := []any{}
			for range a.IntN(4) {
				items = append(items, a.value(c.kind, 0))
			}
			out[c.name] = object{pick(a.dice, []string{"_in", "_nin"}): items}
		default:
			// Text that a mask changed is not ordered by its bytes everywhere.
			operators := []string{"_eq", "_neq"}
			if c.kind != "text" || !a.masked(t, c) {
				operators = append(operators, "_gt", "_lte")
			}
			out[c.name] = object{pick(a.dice, operators): a.value(c.kind, 0)}
		}
	}
	return out
}

// masked reports whether some permission on the table masks the column.
func (a asks) masked(t *table, c column) bool {
	for _, p := range list(a.ref.tableObject(t)["select_permissions"]) {
		masks, _ := p.(object)["permission"].(object)["masks"].(object)
		if _, ok := masks[c.stored]; ok {
			return true
		}
	}
	return false
}

func (a asks) wheres(t *table, depth int) []any {
	out, n := []any{}, a.IntN(3)
	if n == 0 && len(a.ref.session) < allVariables {
		n = 1 // an _or of nothing needs no variable, so a missing one would not be an error
	}
	for range n {
		out = append(out, a.where(t, depth))
	}
	return out
}

// text is the query in GraphQL.
func (q *query) text() string {
	var b strings.Builder
	b.WriteString(q.arguments())
	b.WriteString(" {")
	for _, o := range q.outputs {
		b.WriteString(" " + o.key + ": ")
		if o.nested != nil {
			b.WriteString(o.along + o.nested.text())
		} else {
			b.WriteString(o.column.name)
		}
	}
	return b.String() + " }"
}

func (q *query) arguments() string {
	var args []string
	if q.byKey != nil {
		args = append(args, "id: "+literal(q.byKey))
	}
	if q.where != nil {
		args = append(args, "where: "+literal(q.where))
	}
	if q.distinct != "" {
		args = append(args, "distinct_on: "+q.distinct)
	}
	if len(q.order) > 0 {
		keys := make([]any, len(q.order))
		for i, k := range q.order {
			var value any = object{k.column.name: k.mode}
			for _, hop := range slices.Backward(k.path) {
				value = object{hop: value}
			}
			keys[i] = value
		}
		args = append(args, "order_by: "+literal(keys))
	}
	if q.limit >= 0 {
		args = append(args, "limit: "+literal(int64(q.limit)))
	}
	if q.offset > 0 {
		args = append(args, "offset: "+literal(int64(q.offset)))
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}

// literal writes a value in GraphQL.
func literal(v any) string {
	switch v := v.(type) {
	case symbol:
		return string(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = literal(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case object:
		var members []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			members = append(members, key+": "+literal(v[key]))
		}
		return "{" + strings.Join(members, ", ") + "}"
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// answer is what the query answers, as encoding/json decodes it with numbers as
// int64.
func (r *reference) answer(q *query, role string, rows []row) any {
	var found []row
	for _, at := range rows {
		if (q.byKey == nil || at["id"] == q.byKey) && r.visible(q.t, role, at) && r.where(q.where, q.t, role, at) == yes {
			found = append(found, at)
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return r.before(q, role, found[i], found[j]) })
	if c, ok := q.t.column(q.distinct); ok {
		seen := map[any]bool{}
		found = slices.DeleteFunc(found, func(at row) bool {
			value := r.cell(q.t, role, c, at)
			again := seen[value]
			seen[value] = true
			return again
		})
	}
	if q.single || q.byKey != nil {
		if len(found) == 0 {
			return nil
		}
		return r.project(q.outputs, q.t, role, found[0])
	}
	found = found[min(q.offset, len(found)):]
	if q.limit >= 0 {
		found = found[:min(q.limit, len(found))]
	}
	if n := r.limit(q.t, role); n > 0 {
		found = found[:min(n, len(found))]
	}
	out := []any{}
	for _, at := range found {
		out = append(out, r.project(q.outputs, q.t, role, at))
	}
	return out
}

func (r *reference) project(outputs []output, t *table, role string, at row) any {
	out := object{}
	for _, o := range outputs {
		if o.nested == nil {
			out[o.key] = r.cell(t, role, o.column, at)
		} else {
			out[o.key] = r.answer(o.nested, role, r.related(r.relation(t, o.along), at))
		}
	}
	return out
}

// where evaluates a client's condition: over the cells that the role is shown,
// and over relationships to the rows that it may see.
func (r *reference) where(v any, t *table, role string, at row) truth {
	if v == nil {
		return yes
	}
	out := yes
	for key, value := range v.(object) {
		out = and(out, r.whereMember(key, value, t, role, at))
	}
	return out
}

func (r *reference) whereMember(key string, value any, t *table, role string, at row) truth {
	switch key {
	case "_and":
		out := yes
		for _, item := range value.([]any) {
			out = and(out, r.where(item, t, role, at))
		}
		return out
	case "_or":
		out := no
		for _, item := range value.([]any) {
			out = or(out, r.where(item, t, role, at))
		}
		return out
	case "_not":
		return -r.where(value, t, role, at)
	}
	if c, ok := t.column(key); ok {
		left, out := r.cell(t, role, c, at), yes
		for op, operand := range value.(object) {
			if op == "_is_null" {
				out = and(out, known((left == nil) == operand.(bool)))
			} else {
				out = and(out, operate(op, left, operand))
			}
		}
		return out
	}
	l := r.relation(t, key)
	return r.some(r.related(l, at), func(other row) truth {
		if !r.visible(l.target, role, other) {
			return no
		}
		return r.where(value, l.target, role, other)
	})
}

// before reports whether a comes before b.
func (r *reference) before(q *query, role string, a, b row) bool {
	for _, key := range q.order {
		x, y := r.sorted(q.t, role, key, a), r.sorted(q.t, role, key, b)
		descending := strings.HasPrefix(string(key.mode), "desc")
		nullsFirst := descending
		if strings.HasSuffix(string(key.mode), "nulls_first") {
			nullsFirst = true
		} else if strings.HasSuffix(string(key.mode), "nulls_last") {
			nullsFirst = false
		}
		switch {
		case x == nil && y == nil:
			continue
		case x == nil:
			return nullsFirst
		case y == nil:
			return !nullsFirst
		}
		if order := compare(x, y); order != 0 {
			return (order < 0) != descending
		}
	}
	return false
}

// sorted is the value that a row is sorted by.
func (r *reference) sorted(t *table, role string, key sortKey, at row) any {
	for _, hop := range key.path {
		l := r.relation(t, hop)
		var next row
		for _, other := range r.related(l, at) {
			if r.visible(l.target, role, other) {
				next = other
			}
		}
		if next == nil {
			return nil
		}
		t, at = l.target, next
	}
	return r.cell(t, role, key.column, at)
}
