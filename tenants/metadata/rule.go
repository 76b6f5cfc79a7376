package metadata

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// ruleWalk goes through the rules of permissions and knows of each key whose it
// is. Its functions say what stands there afterwards; they may just take note.
// A nil one leaves everything as it is.
type ruleWalk struct {
	source   string
	targetOf TargetOf

	column       func(table TableName, name string) string
	relationship func(table TableName, name string) string
	table        func(TableName) TableName
	// compared is told what a column is compared with; nil needs no telling.
	compared func(table TableName, column string, with node)
}

// rewrite returns the rule of a table with what the functions say; a rule in
// which nothing changes is returned as it is.
func (w *ruleWalk) rewrite(rule json.RawMessage, table TableName) json.RawMessage {
	n, err := scan(rule)
	if err != nil { // an absent rule
		return rule
	}
	var b bytes.Buffer
	w.expression(&b, n, table, table)
	if bytes.Equal(b.Bytes(), rule) {
		return rule
	}
	return b.Bytes()
}

func (w *ruleWalk) expression(b *bytes.Buffer, n node, table, root TableName) {
	switch n.kind() {
	case '[':
		list(b, n, func(item node) { w.expression(b, item, table, root) })
	case '{':
		object(b, n, func(key string, item node) string { return w.member(key, table) }, func(key string, item node) {
			w.value(b, key, item, table, root)
		})
	default:
		b.Write(n.raw)
	}
}

// logical are the keys that join expressions on the same table.
var logical = strings.Fields("_and _or _not $and $or $not")

// member is what a key becomes.
func (w *ruleWalk) member(key string, table TableName) string {
	if slices.Contains(logical, key) || key == "_exists" || key == "$exists" {
		return key
	}
	if _, ok := w.target(table, key); ok {
		return renamed(w.relationship, table, key)
	}
	if base, ok := strings.CutSuffix(key, "_aggregate"); ok {
		if _, ok := w.target(table, base); ok {
			return renamed(w.relationship, table, base) + "_aggregate"
		}
	}
	return renamed(w.column, table, key)
}

func renamed(rename func(TableName, string) string, table TableName, name string) string {
	if rename == nil {
		return name
	}
	return rename(table, name)
}

func (w *ruleWalk) target(table TableName, relationship string) (TableName, bool) {
	if w.targetOf == nil {
		return TableName{}, false
	}
	return w.targetOf(w.source, table, relationship)
}

func (w *ruleWalk) value(b *bytes.Buffer, key string, n node, table, root TableName) {
	switch {
	case slices.Contains(logical, key):
		w.expression(b, n, table, root)
		return
	case key == "_exists" || key == "$exists":
		w.exists(b, n, root)
		return
	}
	if to, ok := w.target(table, key); ok {
		w.expression(b, n, to, root)
		return
	}
	if base, ok := strings.CutSuffix(key, "_aggregate"); ok {
		if to, ok := w.target(table, base); ok {
			w.aggregate(b, n, to, root)
			return
		}
	}
	if w.compared != nil {
		w.compared(table, key, n)
	}
	w.operators(b, n, table, root)
}

// exists is {_table, _where}.
func (w *ruleWalk) exists(b *bytes.Buffer, n node, root TableName) {
	var table TableName
	for i, key := range n.keys {
		if key == "_table" || key == "$table" {
			table.decode(&decoder{}, n.items[i], "$")
		}
	}
	object(b, n, nil, func(key string, item node) {
		switch key {
		case "_table", "$table":
			if w.table == nil || w.table(table) == table {
				b.Write(item.raw)
				return
			}
			text, _ := json.Marshal(w.table(table)) // two strings
			b.Write(text)
		case "_where", "$where":
			w.expression(b, item, table, root)
		default:
			b.Write(item.raw)
		}
	})
}

// aggregate is {count: {arguments, filter, predicate, distinct}}, and so on.
func (w *ruleWalk) aggregate(b *bytes.Buffer, n node, table, root TableName) {
	object(b, n, nil, func(_ string, function node) {
		object(b, function, nil, func(key string, item node) {
			switch key {
			case "filter":
				w.expression(b, item, table, root)
			case "arguments":
				w.columns(b, item, table)
			default:
				b.Write(item.raw)
			}
		})
	})
}

// columns is a column, or a list of them.
func (w *ruleWalk) columns(b *bytes.Buffer, n node, table TableName) {
	switch n.kind() {
	case '[':
		list(b, n, func(item node) { w.columns(b, item, table) })
	case '"':
		text(b, renamed(w.column, table, unquote(n.raw)))
	default:
		b.Write(n.raw)
	}
}

// operators are what a column is compared with; some compare it with columns.
func (w *ruleWalk) operators(b *bytes.Buffer, n node, table, root TableName) {
	object(b, n, nil, func(key string, item node) {
		switch strings.TrimLeft(key, "_$") {
		case "ceq", "cne", "cneq", "cgt", "clt", "cgte", "clte":
			w.other(b, item, table, root)
		default:
			b.Write(item.raw)
		}
	})
}

// other is a column of the same table, or a path to one: ["$", column] begins at
// the table of the permission.
func (w *ruleWalk) other(b *bytes.Buffer, n node, table, root TableName) {
	if n.kind() != '[' {
		w.columns(b, n, table)
		return
	}
	last := len(n.items) - 1
	at := 0
	list(b, n, func(item node) {
		name := ""
		if item.kind() == '"' {
			name = unquote(item.raw)
		}
		to, leads := w.target(table, name)
		switch {
		case name == "":
			b.Write(item.raw)
		case name == "$":
			table = root
			b.Write(item.raw)
		case at == last:
			text(b, renamed(w.column, table, name))
		default:
			text(b, renamed(w.relationship, table, name))
			if leads {
				table = to
			}
		}
		at++
	})
}

// object writes an object with other keys and values; nil keeps the keys.
func object(b *bytes.Buffer, n node, key func(string, node) string, value func(string, node)) {
	if n.kind() != '{' {
		b.Write(n.raw)
		return
	}
	b.WriteByte('{')
	for i, name := range n.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		written := name
		if key != nil {
			written = key(name, n.items[i])
		}
		text(b, written)
		b.WriteByte(':')
		value(name, n.items[i])
	}
	b.WriteByte('}')
}

func list(b *bytes.Buffer, n node, item func(node)) {
	b.WriteByte('[')
	for i := range n.items {
		if i > 0 {
			b.WriteByte(',')
		}
		item(n.items[i])
	}
	b.WriteByte(']')
}

func text(b *bytes.Buffer, s string) {
	quoted, _ := json.Marshal(s) // a string always encodes
	b.Write(quoted)
}

// permission is one permission of a table: its rules, and the other places that
// name columns.
type permission struct {
	table      TableName
	role, kind string
	rules      []*json.RawMessage
	columns    *Columns
	set        map[string]json.RawMessage
}

// eachPermission visits the permissions of a source.
func (s *Source) eachPermission(visit func(permission)) {
	for i := range s.Tables {
		s.Tables[i].eachPermission(visit)
	}
}

func (t *Table) eachPermission(visit func(permission)) {
	for i := range t.SelectPermissions {
		p := &t.SelectPermissions[i]
		visit(permission{t.Table, p.Role, "select", []*json.RawMessage{&p.Permission.Filter}, &p.Permission.Columns, nil})
	}
	for i := range t.InsertPermissions {
		p := &t.InsertPermissions[i]
		visit(permission{t.Table, p.Role, "insert", []*json.RawMessage{&p.Permission.Check}, p.Permission.Columns, p.Permission.Set})
	}
	for i := range t.UpdatePermissions {
		p := &t.UpdatePermissions[i]
		visit(permission{t.Table, p.Role, "update", []*json.RawMessage{&p.Permission.Filter, &p.Permission.Check}, &p.Permission.Columns, p.Permission.Set})
	}
	for i := range t.DeletePermissions {
		p := &t.DeletePermissions[i]
		visit(permission{t.Table, p.Role, "delete", []*json.RawMessage{&p.Permission.Filter}, nil, nil})
	}
}

func (p permission) named(source string) string {
	return "permission " + p.table.String() + "." + p.role + "." + p.kind + " in source \"" + source + "\""
}

// uses reports whether a rule makes the walk take note.
func (p permission) walk(w *ruleWalk) {
	for _, rule := range p.rules {
		*rule = w.rewrite(*rule, p.table)
	}
}

// dropPermissions removes the permissions of a source for which drop holds.
func (s *Source) dropPermissions(drop func(table TableName, kind, role string) bool) {
	for i := range s.Tables {
		t := &s.Tables[i]
		t.SelectPermissions = slices.DeleteFunc(t.SelectPermissions, func(p SelectPermission) bool { return drop(t.Table, "select", p.Role) })
		t.InsertPermissions = slices.DeleteFunc(t.InsertPermissions, func(p InsertPermission) bool { return drop(t.Table, "insert", p.Role) })
		t.UpdatePermissions = slices.DeleteFunc(t.UpdatePermissions, func(p UpdatePermission) bool { return drop(t.Table, "update", p.Role) })
		t.DeletePermissions = slices.DeleteFunc(t.DeletePermissions, func(p DeletePermission) bool { return drop(t.Table, "delete", p.Role) })
	}
}
