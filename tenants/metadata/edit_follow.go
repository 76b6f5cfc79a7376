package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/errcode"
)

// TableChange is what SQL did to a tracked table. Columns are by their names
// before.
type TableChange struct {
	From    TableName
	To      TableName // as From, unless it was renamed
	Dropped bool
	Columns []ColumnChange
}

// ColumnChange is what SQL did to a column.
type ColumnChange struct {
	From    string
	To      string // as From, unless it was renamed
	Dropped bool
	// Retyped is true when the column has another type now.
	Retyped bool
}

// FunctionChange is what SQL did to a function that the metadata names. One that
// was renamed is dropped under its name.
type FunctionChange struct {
	Name       TableName
	Dropped    bool
	Overloaded bool // other functions have the name now
	Volatile   bool // it has become volatile
	// Remade is true when another function has taken its name: computed fields
	// stood on the old one.
	Remade bool
}

// FollowArgs are the arguments of Follow.
type FollowArgs struct {
	Source    string
	Tables    []TableChange
	Functions []FunctionChange
	// Cascade drops what depends on what is gone.
	Cascade bool
}

// Follow makes the metadata follow what SQL did to the tables and functions of a
// source: names that changed are changed everywhere, what is gone goes with what
// belongs to it. What others depend on forbids it, or goes too if args say
// cascade. targetOf tells where the relationships led before.
func Follow(doc *Document, args FollowArgs, targetOf TargetOf) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		f := &following{FollowArgs: args, document: d, source: s, targetOf: targetOf}
		if err := f.retyped(); err != nil {
			return err
		}
		if err := f.functions(); err != nil {
			return err
		}
		gone := f.dropped()
		if names := gone.names(s.Name); len(names) > 0 && !args.Cascade {
			return dependency(names)
		}
		gone.drop(s)
		f.rename()
		return nil
	})
}

type following struct {
	FollowArgs
	document *Document
	source   *Source
	targetOf TargetOf
}

// dependents are objects that depend on something.
type dependents struct {
	permissions   map[permissionKey]bool
	relationships map[fieldKey]bool
	computed      map[fieldKey]bool
	triggers      map[fieldKey]bool
	// others are relationships of custom types and between sources, as messages
	// name them.
	others     []string
	dropOthers []func()
}

type permissionKey struct {
	table      TableName
	kind, role string
}

type fieldKey struct {
	table TableName
	name  string
}

func newDependents() *dependents {
	return &dependents{permissions: map[permissionKey]bool{}, relationships: map[fieldKey]bool{}, computed: map[fieldKey]bool{}, triggers: map[fieldKey]bool{}}
}

func (g *dependents) names(source string) []string {
	var names []string
	for k := range g.permissions {
		names = append(names, permission{table: k.table, role: k.role, kind: k.kind}.named(source))
	}
	for k := range g.relationships {
		names = append(names, fmt.Sprintf("relationship %s.%s in source %q", k.table, k.name, source))
	}
	for k := range g.computed {
		names = append(names, fmt.Sprintf("computed field %s.%s in source %q", k.table, k.name, source))
	}
	for k := range g.triggers {
		names = append(names, fmt.Sprintf("event-trigger %s.%s in source %q", k.table, k.name, source))
	}
	names = append(names, g.others...)
	slices.Sort(names)
	return names
}

func (g *dependents) drop(s *Source) {
	s.dropPermissions(func(table TableName, kind, role string) bool { return g.permissions[permissionKey{table, kind, role}] })
	for i := range s.Tables {
		t := &s.Tables[i]
		gone := func(r Relationship) bool { return g.relationships[fieldKey{t.Table, r.Name}] }
		t.ObjectRelationships = slices.DeleteFunc(t.ObjectRelationships, gone)
		t.ArrayRelationships = slices.DeleteFunc(t.ArrayRelationships, gone)
		t.ComputedFields = slices.DeleteFunc(t.ComputedFields, func(c ComputedField) bool { return g.computed[fieldKey{t.Table, c.Name}] })
		t.EventTriggers = slices.DeleteFunc(t.EventTriggers, func(e EventTrigger) bool { return g.triggers[fieldKey{t.Table, e.Name}] })
	}
	g.dropTheOthers()
}

func (g *dependents) dropTheOthers() {
	for _, drop := range g.dropOthers {
		drop()
	}
}

// using collects the permissions whose rules touch a column, a relationship or a
// table. Any of the three may be nil.
func (f *following) using(into *dependents, column, relationship func(TableName, string) bool, table func(TableName) bool) {
	f.source.eachPermission(func(p permission) {
		found := false
		note := func(hit func(TableName, string) bool) func(TableName, string) string {
			return func(t TableName, name string) string {
				found = found || hit != nil && hit(t, name)
				return name
			}
		}
		p.walk(&ruleWalk{source: f.source.Name, targetOf: f.targetOf, column: note(column), relationship: note(relationship),
			table: func(t TableName) TableName {
				found = found || table != nil && table(t)
				return t
			}})
		if column != nil {
			if p.columns != nil {
				found = found || slices.ContainsFunc(p.columns.List, func(c string) bool { return column(p.table, c) })
			}
			for name := range p.set {
				found = found || column(p.table, name)
			}
		}
		if found {
			into.permissions[permissionKey{p.table, p.kind, p.role}] = true
		}
	})
}

// retyped refuses another type for a column that permissions compare with
// constants or set to them: those were written for the old one.
func (f *following) retyped() error {
	if f.Cascade {
		return nil
	}
	for _, t := range f.Tables {
		for _, c := range t.Columns {
			if !c.Retyped {
				continue
			}
			on := newDependents()
			f.source.eachPermission(func(p permission) {
				if f.constant(p, t.From, c.From) {
					on.permissions[permissionKey{p.table, p.kind, p.role}] = true
				}
			})
			if names := on.names(f.source.Name); len(names) > 0 {
				return fail(errcode.DependencyError, "cannot change type of column %q in table %q because of the following dependencies: %s",
					c.From, t.From, join(names))
			}
		}
	}
	return nil
}

// constant reports whether a permission has a constant of a column's type.
func (f *following) constant(p permission, table TableName, column string) bool {
	found := false
	if preset, ok := p.set[column]; ok && p.table == table {
		if n, err := scan(preset); err == nil {
			found = n.constant()
		}
	}
	p.walk(&ruleWalk{source: f.source.Name, targetOf: f.targetOf, compared: func(t TableName, name string, with node) {
		found = found || t == table && name == column && with.constant()
	}})
	return found
}

// constant reports whether a value holds more than session variables.
func (n node) constant() bool {
	switch n.kind() {
	case '{':
		for i, key := range n.keys {
			if key != "_is_null" && key != "$is_null" && n.items[i].constant() {
				return true
			}
		}
		return false
	case '[':
		return slices.ContainsFunc(n.items, node.constant)
	case '"':
		return !strings.HasPrefix(strings.ToLower(unquote(n.raw)), "x-hasura-")
	}
	return !n.isNull()
}

// dropped are the objects that depend on tables, columns and functions that are
// gone, and do not belong to them.
func (f *following) dropped() *dependents {
	tables, columns := map[TableName]bool{}, map[fieldKey]bool{}
	for _, t := range f.Tables {
		if t.Dropped {
			tables[t.From] = true
		}
		for _, c := range t.Columns {
			if c.Dropped {
				columns[fieldKey{t.From, c.From}] = true
			}
		}
	}
	on := newDependents()
	f.relationshipsOn(on, tables, columns)
	f.using(on,
		func(table TableName, name string) bool { return columns[fieldKey{table, name}] },
		func(table TableName, name string) bool { return on.relationships[fieldKey{table, name}] },
		func(table TableName) bool { return tables[table] })
	f.typesOn(on, tables, columns)
	f.triggersOn(on, columns)
	f.remotesOn(on, tables, columns)
	for _, fn := range f.Functions {
		if fn.Dropped || fn.Remade {
			f.computedOn(on, fn.Name)
		}
	}
	// What belongs to a table goes with it and is no dependent.
	maps.DeleteFunc(on.permissions, func(k permissionKey, _ bool) bool { return tables[k.table] })
	maps.DeleteFunc(on.relationships, func(k fieldKey, _ bool) bool { return tables[k.table] })
	maps.DeleteFunc(on.computed, func(k fieldKey, _ bool) bool { return tables[k.table] })
	maps.DeleteFunc(on.triggers, func(k fieldKey, _ bool) bool { return tables[k.table] })
	f.forget(tables, columns)
	return on
}

func (f *following) relationshipsOn(on *dependents, tables map[TableName]bool, columns map[fieldKey]bool) {
	for i := range f.source.Tables {
		t := &f.source.Tables[i]
		for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
			for _, r := range list {
				to, known := TableName{}, false
				if f.targetOf != nil {
					to, known = f.targetOf(f.source.Name, t.Table, r.Name)
				}
				hit := known && tables[to]
				if fk := r.Using.ForeignKey; fk != nil {
					owner := t.Table
					if fk.Table != nil {
						owner = *fk.Table
						hit = hit || tables[owner]
					}
					for _, c := range fk.Columns {
						hit = hit || columns[fieldKey{owner, c}]
					}
				}
				if m := r.Using.Manual; m != nil {
					hit = hit || tables[m.RemoteTable]
					for local, remote := range m.ColumnMapping {
						hit = hit || columns[fieldKey{t.Table, local}] || columns[fieldKey{m.RemoteTable, remote}]
					}
				}
				if hit {
					on.relationships[fieldKey{t.Table, r.Name}] = true
				}
			}
		}
	}
}

func (f *following) typesOn(on *dependents, tables map[TableName]bool, columns map[fieldKey]bool) {
	if f.document.CustomTypes == nil {
		return
	}
	hit := func(r TypeRelationship) bool {
		if !f.here(r) {
			return false
		}
		if tables[r.RemoteTable] {
			return true
		}
		for _, c := range r.FieldMapping {
			if columns[fieldKey{r.RemoteTable, c}] {
				return true
			}
		}
		return false
	}
	for _, o := range f.document.CustomTypes.Objects {
		for _, r := range o.Relationships {
			if hit(r) {
				on.others = append(on.others, fmt.Sprintf("relationship %s of object type %s", r.Name, o.Name))
			}
		}
	}
	on.dropOthers = append(on.dropOthers, func() {
		for i := range f.document.CustomTypes.Objects {
			o := &f.document.CustomTypes.Objects[i]
			o.Relationships = slices.DeleteFunc(o.Relationships, hit)
		}
	})
}

// remotesOn collects the remote relationships of any source that touch what is
// gone, but for those of tables that are gone themselves.
func (f *following) remotesOn(on *dependents, tables map[TableName]bool, columns map[fieldKey]bool) {
	hit := func(s *Source, t *Table, to *ToSource) bool {
		own, here := s.Name == f.source.Name, to.Source == f.source.Name
		if own && tables[t.Table] {
			return false
		}
		found := here && tables[to.Table]
		for local, remote := range to.FieldMapping {
			found = found || own && columns[fieldKey{t.Table, local}] || here && columns[fieldKey{to.Table, remote}]
		}
		return found
	}
	on.others = append(on.others, f.document.remotes(hit)...)
	on.dropOthers = append(on.dropOthers, func() { f.document.dropRemotes(hit) })
}

// triggersOn collects the event triggers that name a column.
func (f *following) triggersOn(on *dependents, columns map[fieldKey]bool) {
	for i := range f.source.Tables {
		t := &f.source.Tables[i]
		for _, e := range t.EventTriggers {
			for _, op := range e.Definition.Listened() {
				if slices.ContainsFunc(op.ColumnNames(), func(name string) bool { return columns[fieldKey{t.Table, name}] }) {
					on.triggers[fieldKey{t.Table, e.Name}] = true
				}
			}
		}
	}
}

// here reports whether a custom type's relationship leads to the source.
func (f *following) here(r TypeRelationship) bool {
	return r.Source == f.source.Name || r.Source == "" && f.source.Name == DefaultSource
}

// forget removes tables that are gone, and what the configuration says of
// columns that are.
func (f *following) forget(tables map[TableName]bool, columns map[fieldKey]bool) {
	f.source.Tables = slices.DeleteFunc(f.source.Tables, func(t Table) bool { return tables[t.Table] })
	for i := range f.source.Tables {
		t := &f.source.Tables[i]
		if t.Configuration == nil {
			continue
		}
		maps.DeleteFunc(t.Configuration.ColumnConfig, func(name string, _ ColumnConfig) bool { return columns[fieldKey{t.Table, name}] })
		maps.DeleteFunc(t.Configuration.CustomColumnNames, func(name, _ string) bool { return columns[fieldKey{t.Table, name}] })
	}
}

// functions judges what was done to functions, and removes tracked ones that are
// gone.
func (f *following) functions() error {
	for _, fn := range f.Functions {
		on := newDependents()
		f.computedOn(on, fn.Name)
		for k := range on.computed {
			switch {
			case fn.Overloaded:
				return fail(errcode.NotSupported, "The function %q associated with computed field%q of table %q is being overloaded", fn.Name, k.name, k.table)
			case fn.Volatile:
				return fail(errcode.NotSupported, "The type of function %q associated with computed field %q of table %q is being altered to \"VOLATILE\"",
					fn.Name, k.name, k.table)
			}
		}
		tracked := func(t Function) bool { return t.Function == fn.Name }
		if !slices.ContainsFunc(f.source.Functions, tracked) {
			continue
		}
		switch {
		case fn.Overloaded:
			return fail(errcode.NotSupported, "the following tracked function(s) cannot be overloaded: %s", fn.Name)
		case fn.Volatile:
			return fail(errcode.NotSupported, "type of function %q is altered to \"VOLATILE\" which is not supported now", fn.Name)
		case fn.Dropped:
			f.source.Functions = slices.DeleteFunc(f.source.Functions, tracked)
		}
	}
	return nil
}

func (f *following) computedOn(on *dependents, function TableName) {
	for i := range f.source.Tables {
		t := &f.source.Tables[i]
		for _, c := range t.ComputedFields {
			if c.Definition.Function == function {
				on.computed[fieldKey{t.Table, c.Name}] = true
			}
		}
	}
}
