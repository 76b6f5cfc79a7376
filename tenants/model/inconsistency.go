package model

import (
	"fmt"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// Consistent reports whether every object of the metadata resolved.
func (m *Model) Consistent() bool { return len(m.Inconsistencies) == 0 }

// reasonPrefix begins the reasons, as tools know them.
const reasonPrefix = "Inconsistent object: "

// NotSupported is the reason for an object that this version keeps but does not
// serve; what names it, in the plural.
func NotSupported(what string) string {
	return reasonPrefix + what + " are not supported by this version"
}

// ShortName is a table's name as messages write it: without the schema public.
func ShortName(n catalog.Name) string {
	if n.Schema == "public" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}

// owner is how messages name a tracked table.
func (t *Table) owner() string {
	return fmt.Sprintf("table %s in source %s", ShortName(t.Name), t.Source)
}

// PermissionInconsistency is a permission that did not resolve. Kind is select,
// insert, update or delete; index is its place in the table's list; permission
// is its rule.
func (t *Table) PermissionInconsistency(kind string, index int, role, comment string, permission any, reason string) Inconsistency {
	if t.Logical != nil {
		return t.Logical.permissionInconsistency(index, role, comment, permission, reason)
	}
	return Inconsistency{
		Type: kind + "_permission",
		Name: fmt.Sprintf("%s_permission %s in %s", kind, role, t.owner()),
		Definition: map[string]any{
			"role": role, "source": t.Source, "comment": orNull(comment),
			"permission": permission, "table": t.Metadata.Table,
		},
		Reason: fmt.Sprintf("%sin table %q: in permission for role %q: %s",
			reasonPrefix, ShortName(t.Name), role, reason),
		Pointer: fmt.Sprintf("%s.%s_permissions[%d]", t.Pointer, kind, index),
	}
}

func relationshipInconsistency(t *Table, r *metadata.Relationship, kind, pointer, reason string) Inconsistency {
	return Inconsistency{
		Type: kind,
		Name: fmt.Sprintf("%s %s in %s", kind, r.Name, t.owner()),
		Definition: map[string]any{
			"name": r.Name, "source": t.Source, "comment": orNull(r.Comment),
			"using": r.Using, "table": t.Metadata.Table,
		},
		Reason:  fmt.Sprintf("%sin table %q: in relationship %q: %s", reasonPrefix, ShortName(t.Name), r.Name, reason),
		Pointer: pointer,
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// TargetOf tells where a relationship leads; false if it did not resolve. It is
// what metadata.UntrackTable asks.
func (m *Model) TargetOf(source string, table metadata.TableName, relationship string) (metadata.TableName, bool) {
	t, ok := m.Table(source, catalog.Name{Schema: table.Schema, Name: table.Name})
	if !ok {
		return metadata.TableName{}, false
	}
	r, ok := t.Relationship(relationship)
	if !ok {
		return metadata.TableName{}, false
	}
	return metadata.TableName{Schema: r.Target.Name.Schema, Name: r.Target.Name.Name}, true
}
