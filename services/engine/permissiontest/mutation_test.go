package permissiontest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// mutation writes rows of one table and reads them back.
type mutation struct {
	kind    string // insert, update or delete
	t       *table
	set     map[string]any // input by GraphQL names
	where   object
	upsert  bool
	update  []string // columns of on_conflict, GraphQL names
	returns []output
}

// writer is the permission to write that a role has: its own, or the one that
// its members agree on. Where they disagree in letters, it is not known whether
// they do in meaning.
func (r *reference) writer(kind string, t *table, role string) (found object, decided bool) {
	if p, ok := r.own(kind, t, role); ok {
		return p, true
	}
	for _, m := range r.members(role) {
		p, ok := r.writer(kind, t, m)
		switch {
		case !ok:
			return nil, false
		case p == nil || reflect.DeepEqual(found, p):
		case found != nil:
			return nil, false
		default:
			found = p
		}
	}
	return found, true
}

// written are the columns that a client may write.
func written(p object, t *table) []column {
	var out []column
	presets, _ := p["set"].(object)
	for _, c := range t.columns {
		if _, preset := presets[c.stored]; !preset && names(p["columns"], t)[c.stored] {
			out = append(out, c)
		}
	}
	return out
}

// mutation is a random one; nil where the role has none.
func (a asks) mutation(t *table) *mutation {
	m := &mutation{kind: pick(a.dice, []string{"insert", "insert", "update", "update", "delete"}), t: t, set: map[string]any{}, where: object{}}
	p, ok := a.ref.writer(m.kind, t, a.role)
	if !ok || p == nil {
		return nil
	}
	if len(a.ref.readers(t, a.role)) > 0 {
		for i, c := range some(a.dice, a.ref.columns(t, a.role), 50) {
			m.returns = append(m.returns, output{key: fmt.Sprintf("c%d", i), column: c})
		}
		if m.kind != "insert" && a.chance(70) {
			m.where = a.where(t, 1)
		}
	}
	if m.kind == "delete" {
		return m
	}
	for _, c := range written(p, t) {
		if c.name != "id" && a.chance(60) {
			m.set[c.name] = a.value(c.kind, 15)
		}
	}
	if m.kind == "update" {
		if len(m.set) == 0 {
			return nil
		}
		return m
	}
	m.set["id"] = int64(100)
	update, ok := a.ref.writer("update", t, a.role)
	if m.upsert = ok && update != nil && a.chance(70); m.upsert {
		m.set["id"] = int64(a.IntN(10))
		for _, c := range some(a.dice, written(update, t), 60) {
			if c.name != "id" {
				m.update = append(m.update, c.name)
			}
		}
		if len(a.ref.readers(t, a.role)) > 0 && a.chance(40) {
			m.where = a.where(t, 1)
		}
	}
	return m
}

func (m *mutation) text() string {
	var args string
	switch m.kind {
	case "insert":
		args = "objects: [" + literal(m.set) + "]"
		if m.upsert {
			args += fmt.Sprintf(", on_conflict: {constraint: %s_pkey, update_columns: [%s], where: %s}", m.t.name, strings.Join(m.update, ", "), literal(m.where))
		}
	case "update":
		args = "where: " + literal(m.where) + ", _set: " + literal(m.set)
	default:
		args = "where: " + literal(m.where)
	}
	returning := ""
	if len(m.returns) > 0 {
		returning = " returning {"
		for _, o := range m.returns {
			returning += " " + o.key + ": " + o.column.name
		}
		returning += " }"
	}
	return fmt.Sprintf("mutation { m: %s_%s(%s) { affected_rows%s } }", m.kind, m.t.name, args, returning)
}

// effect is what a mutation does: the table afterwards and the answer; or that a
// check refuses it.
type effect struct {
	rows    []row
	answer  any
	refused bool
}

func (r *reference) mutate(m *mutation, role string) effect {
	before := r.data[m.t.stored]
	var after, touched []row
	p, _ := r.writer(m.kind, m.t, role)
	out := effect{}
	change := func(at row, from object, set map[string]any, check any) row {
		next := maps.Clone(at)
		for name, value := range set {
			c, _ := m.t.column(name)
			next[c.stored] = value
		}
		presets, _ := from["set"].(object)
		for stored, value := range presets {
			c, _ := m.t.byStored(stored)
			next[stored] = r.operand(value, c.kind)
		}
		if check != nil && r.rule(check, place{m.t, next, m.t, next}) != yes {
			out.refused = true
		}
		touched = append(touched, next)
		return next
	}
	matches := func(at row, filter any) bool {
		return r.rule(filter, place{m.t, at, m.t, at}) == yes && r.where(m.where, m.t, role, at) == yes
	}
	existing := slices.IndexFunc(before, func(at row) bool { return at["id"] == m.set["id"] })
	switch {
	case m.kind == "delete":
		for _, at := range before {
			if matches(at, p["filter"]) {
				touched = append(touched, at)
			} else {
				after = append(after, at)
			}
		}
	case m.kind == "update":
		for _, at := range before {
			if matches(at, p["filter"]) {
				at = change(at, p, m.set, p["check"])
			}
			after = append(after, at)
		}
	case m.upsert && existing >= 0:
		after = slices.Clone(before)
		update, _ := r.writer("update", m.t, role)
		if at := before[existing]; len(m.update) > 0 && matches(at, update["filter"]) {
			proposed := r.proposed(m, p)
			set := map[string]any{}
			for _, name := range m.update {
				c, _ := m.t.column(name)
				set[name] = proposed[c.stored]
			}
			check := update["check"]
			if check == nil || len(check.(object)) == 0 {
				check = p["check"]
			}
			after[existing] = change(at, update, set, check)
		}
	default:
		after = append(slices.Clone(before), change(row{}, object{"set": object{}}, nil, nil))
		touched = nil
		after[len(after)-1] = change(r.proposed(m, p), object{"set": object{}}, nil, p["check"])
	}
	r.finish(&out, m, role, before, after, touched)
	return out
}

// proposed is the row of an insert.
func (r *reference) proposed(m *mutation, p object) row {
	out := row{}
	for _, c := range m.t.columns {
		out[c.stored] = m.set[c.name]
	}
	presets, _ := p["set"].(object)
	for stored, value := range presets {
		c, _ := m.t.byStored(stored)
		out[stored] = r.operand(value, c.kind)
	}
	return out
}

// finish makes the answer: the rows that were written, whether or not the role may
// read them, in a world where they are; deleted rows, in the world before.
func (r *reference) finish(out *effect, m *mutation, role string, before, after, touched []row) {
	out.rows = after
	answer := object{"affected_rows": int64(len(touched))}
	if len(m.returns) > 0 {
		if m.kind != "delete" {
			r.data[m.t.stored] = after
			defer func() { r.data[m.t.stored] = before }()
		}
		returning := []any{}
		for _, at := range touched {
			returning = append(returning, r.project(m.returns, m.t, role, at))
		}
		answer["returning"] = sorted(returning)
	}
	out.answer = answer
}
