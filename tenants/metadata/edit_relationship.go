package metadata

import (
	"encoding/json"
	"fmt"
	"slices"

	"tenantry/api/errcode"
)

// CreateRelationshipArgs are the arguments of CreateObjectRelationship and
// CreateArrayRelationship.
type CreateRelationshipArgs struct {
	Source  string    `json:"source,omitempty"`
	Table   TableName `json:"table"`
	Name    string    `json:"name"`
	Using   Using     `json:"using"`
	Comment string    `json:"comment,omitempty"`
}

// CreateObjectRelationship adds a relationship to one row.
func CreateObjectRelationship(doc *Document, args CreateRelationshipArgs) (*Document, error) {
	return createRelationship(doc, args, func(t *Table) *[]Relationship { return &t.ObjectRelationships })
}

// CreateArrayRelationship adds a relationship to many rows.
func CreateArrayRelationship(doc *Document, args CreateRelationshipArgs) (*Document, error) {
	return createRelationship(doc, args, func(t *Table) *[]Relationship { return &t.ArrayRelationships })
}

func createRelationship(doc *Document, args CreateRelationshipArgs, list func(*Table) *[]Relationship) (*Document, error) {
	if err := notEmpty(args.Name, "name"); err != nil {
		return nil, err
	}
	return edit(doc, func(d *Document) error {
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		if t.hasRelationship(args.Name) || t.remote(args.Name) >= 0 {
			return fail(errcode.AlreadyExists, "field with name %q already exists in table %q", args.Name, args.Table)
		}
		*list(t) = append(*list(t), Relationship{Name: args.Name, Comment: args.Comment, Using: args.Using})
		return nil
	})
}

func (t *Table) hasRelationship(name string) bool {
	named := func(r Relationship) bool { return r.Name == name }
	return slices.ContainsFunc(t.ObjectRelationships, named) || slices.ContainsFunc(t.ArrayRelationships, named)
}

// DropRelationshipArgs are the arguments of DropRelationship.
type DropRelationshipArgs struct {
	Source       string    `json:"source,omitempty"`
	Table        TableName `json:"table"`
	Relationship string    `json:"relationship"`
	Cascade      bool      `json:"cascade,omitempty"`
}

// DropRelationship removes a relationship of either kind. Permissions that use it
// forbid it, or go with it if args say cascade. targetOf may be nil: then only the
// table's own permissions are looked at.
func DropRelationship(doc *Document, args DropRelationshipArgs, targetOf TargetOf) (*Document, error) {
	return edit(doc, func(d *Document) error {
		s, err := d.source(args.Source)
		if err != nil {
			return err
		}
		t, err := d.table(args.Source, args.Table)
		if err != nil {
			return err
		}
		if !t.hasRelationship(args.Relationship) {
			return fail(errcode.NotExists, "relationship %q does not exist in table %q", args.Relationship, args.Table)
		}
		f := &following{source: s, document: d, targetOf: targetOf}
		on := newDependents()
		hit := func(table TableName, name string) bool {
			return table == args.Table && (name == args.Relationship || name == args.Relationship+"_aggregate")
		}
		f.using(on, hit, hit, nil)
		if names := on.names(s.Name); len(names) > 0 && !args.Cascade {
			return dependency(names)
		}
		on.relationships[fieldKey{args.Table, args.Relationship}] = true
		on.drop(s)
		return nil
	})
}

// permissionsUsing names the permissions whose rules use a relationship of the
// table.
func (t *Table) permissionsUsing(relationship, source string) []string {
	var found []string
	add := func(role, kind string, rules ...json.RawMessage) {
		if slices.ContainsFunc(rules, func(r json.RawMessage) bool { return mentions(r, relationship) }) {
			found = append(found, fmt.Sprintf("permission %s.%s.%s in source %q", t.Table, role, kind, source))
		}
	}
	for _, p := range t.SelectPermissions {
		add(p.Role, "select", p.Permission.Filter)
	}
	for _, p := range t.InsertPermissions {
		add(p.Role, "insert", p.Permission.Check)
	}
	for _, p := range t.UpdatePermissions {
		add(p.Role, "update", p.Permission.Filter, p.Permission.Check)
	}
	for _, p := range t.DeletePermissions {
		add(p.Role, "delete", p.Permission.Filter)
	}
	return found
}

func (t *Table) dropPermissionsUsing(relationship string) {
	t.SelectPermissions = slices.DeleteFunc(t.SelectPermissions, func(p SelectPermission) bool {
		return mentions(p.Permission.Filter, relationship)
	})
	t.InsertPermissions = slices.DeleteFunc(t.InsertPermissions, func(p InsertPermission) bool {
		return mentions(p.Permission.Check, relationship)
	})
	t.UpdatePermissions = slices.DeleteFunc(t.UpdatePermissions, func(p UpdatePermission) bool {
		return mentions(p.Permission.Filter, relationship) || mentions(p.Permission.Check, relationship)
	})
	t.DeletePermissions = slices.DeleteFunc(t.DeletePermissions, func(p DeletePermission) bool {
		return mentions(p.Permission.Filter, relationship)
	})
}

// mentions reports whether a rule names a field of its own table. Fields of other
// tables lie under a relationship's key, which is not entered.
func mentions(rule json.RawMessage, name string) bool {
	n, err := scan(rule)
	return err == nil && mentionsNode(n, name)
}

func mentionsNode(n node, name string) bool {
	if n.keys == nil {
		return slices.ContainsFunc(n.items, func(item node) bool { return mentionsNode(item, name) })
	}
	for i, key := range n.keys {
		switch key {
		case "_and", "_or", "_not", "$and", "$or", "$not":
			if mentionsNode(n.items[i], name) {
				return true
			}
		case name, name + "_aggregate":
			return true
		}
	}
	return false
}
