package metadata

import (
	"slices"
	"strings"

	"tenantry/api/errcode"
)

func join(names []string) string { return strings.Join(names, ", ") }

// rename gives tables and columns their new names everywhere.
func (f *following) rename() {
	tables, columns := map[TableName]TableName{}, map[fieldKey]string{}
	for _, t := range f.Tables {
		if !t.Dropped && t.To != t.From {
			tables[t.From] = t.To
		}
		for _, c := range t.Columns {
			if !c.Dropped && c.To != c.From {
				columns[fieldKey{t.From, c.From}] = c.To
			}
		}
	}
	if len(tables)+len(columns) == 0 {
		return
	}
	n := naming{tables, columns}
	w := &ruleWalk{source: f.source.Name, targetOf: f.targetOf, column: n.column, table: n.table}
	f.source.eachPermission(func(p permission) {
		p.walk(w)
		if p.columns != nil {
			for i, c := range p.columns.List {
				p.columns.List[i] = n.column(p.table, c)
			}
		}
		renameKeys(p.set, func(c string) string { return n.column(p.table, c) })
	})
	for i := range f.source.Tables {
		t := &f.source.Tables[i]
		if c := t.Configuration; c != nil {
			renameKeys(c.ColumnConfig, func(name string) string { return n.column(t.Table, name) })
			renameKeys(c.CustomColumnNames, func(name string) string { return n.column(t.Table, name) })
		}
		for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
			for j := range list {
				n.using(&list[j].Using, t.Table)
			}
		}
		for _, e := range t.EventTriggers {
			for _, op := range e.Definition.Listened() {
				for _, c := range op.lists() {
					for j, name := range c.List {
						c.List[j] = n.column(t.Table, name)
					}
				}
			}
		}
	}
	f.renameRemotes(n)
	for i := range f.source.Tables {
		f.source.Tables[i].Table = n.table(f.source.Tables[i].Table)
	}
	if f.document.CustomTypes == nil {
		return
	}
	for i := range f.document.CustomTypes.Objects {
		for j := range f.document.CustomTypes.Objects[i].Relationships {
			if r := &f.document.CustomTypes.Objects[i].Relationships[j]; f.here(*r) {
				for field, c := range r.FieldMapping {
					r.FieldMapping[field] = n.column(r.RemoteTable, c)
				}
				r.RemoteTable = n.table(r.RemoteTable)
			}
		}
	}
}

// renameRemotes renames in the relationships between sources.
func (f *following) renameRemotes(n naming) {
	for i := range f.document.Sources {
		s := &f.document.Sources[i]
		for j := range s.Tables {
			t := &s.Tables[j]
			for _, r := range t.RemoteRelationships {
				to := r.Definition.ToSource
				if to == nil {
					continue
				}
				if to.Source == f.source.Name {
					for local, remote := range to.FieldMapping {
						to.FieldMapping[local] = n.column(to.Table, remote)
					}
					to.Table = n.table(to.Table)
				}
				if s.Name == f.source.Name {
					renameKeys(to.FieldMapping, func(local string) string { return n.column(t.Table, local) })
				}
			}
		}
	}
}

// naming maps old names to new ones.
type naming struct {
	tables  map[TableName]TableName
	columns map[fieldKey]string
}

func (n naming) column(table TableName, name string) string {
	if to, ok := n.columns[fieldKey{table, name}]; ok {
		return to
	}
	return name
}

func (n naming) table(name TableName) TableName {
	if to, ok := n.tables[name]; ok {
		return to
	}
	return name
}

func (n naming) using(u *Using, owner TableName) {
	if fk := u.ForeignKey; fk != nil {
		of := owner
		if fk.Table != nil {
			of = *fk.Table
			to := n.table(of)
			fk.Table = &to
		}
		for i, c := range fk.Columns {
			fk.Columns[i] = n.column(of, c)
		}
	}
	if m := u.Manual; m != nil {
		for local, remote := range m.ColumnMapping {
			m.ColumnMapping[local] = n.column(m.RemoteTable, remote)
		}
		renameKeys(m.ColumnMapping, func(local string) string { return n.column(owner, local) })
		m.RemoteTable = n.table(m.RemoteTable)
	}
}

// renameKeys gives a map's keys other names, all at once: names may be swapped.
func renameKeys[V any](m map[string]V, rename func(string) string) {
	moved := map[string]V{}
	for key, value := range m {
		if to := rename(key); to != key {
			moved[to] = value
			delete(m, key)
		}
	}
	for key, value := range moved {
		m[key] = value
	}
}

// RenameRelationshipArgs are the arguments of RenameRelationship.
type RenameRelationshipArgs struct {
	Source  string    `json:"source,omitempty"`
	Table   TableName `json:"table"`
	Name    string    `json:"name"`
	NewName string    `json:"new_name"`
}

// RenameRelationship renames a relationship, in the rules of permissions too.
func RenameRelationship(doc *Document, args RenameRelationshipArgs, targetOf TargetOf) (*Document, error) {
	if err := notEmpty(args.NewName, "new_name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		if !t.hasRelationship(args.Name) {
			return fail(errcode.NotExists, "relationship %q does not exist in table %q", args.Name, args.Table)
		}
		if args.NewName == args.Name {
			return nil
		}
		if t.hasRelationship(args.NewName) || t.remote(args.NewName) >= 0 {
			return fail(errcode.AlreadyExists, "field with name %q already exists in table %q", args.NewName, args.Table)
		}
		w := &ruleWalk{source: s.Name, targetOf: targetOf, relationship: func(of TableName, name string) string {
			if of == args.Table && name == args.Name {
				return args.NewName
			}
			return name
		}}
		s.eachPermission(func(p permission) { p.walk(w) })
		for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
			if at := slices.IndexFunc(list, func(r Relationship) bool { return r.Name == args.Name }); at >= 0 {
				list[at].Name = args.NewName
			}
		}
		return nil
	})
}
