package accessview

import (
	"fmt"
	"strconv"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

func quoted(text string) string { return strconv.Quote(text) }

// rules are the places of the permissions that a role has for an operation on a
// table: its own, else those of the roles that it inherits from.
func (p Project) rules(role string, t *model.Table, kind string) []string {
	out := []string{}
	granted, _ := p.Access.Role(role)
	if granted.Admin {
		return out
	}
	var inherited []string
	for i, name := range rolesOf(t.Metadata, kind) {
		at := fmt.Sprintf("%s.%s_permissions[%d]", t.Pointer, kind, i)
		switch {
		case name == role:
			return []string{at}
		case granted.Includes(name):
			inherited = append(inherited, at)
		}
	}
	return append(out, inherited...)
}

// rolesOf are the roles of a table's permissions of a kind, in the order of the
// document.
func rolesOf(doc *metadata.Table, kind string) []string {
	var out []string
	switch kind {
	case "select":
		for _, p := range doc.SelectPermissions {
			out = append(out, p.Role)
		}
	case "insert":
		for _, p := range doc.InsertPermissions {
			out = append(out, p.Role)
		}
	case "update":
		for _, p := range doc.UpdatePermissions {
			out = append(out, p.Role)
		}
	case "delete":
		for _, p := range doc.DeletePermissions {
			out = append(out, p.Role)
		}
	}
	return out
}
