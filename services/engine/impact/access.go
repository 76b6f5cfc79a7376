package impact

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"tenantry/policy/access"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// AccessChange is one thing that a role may do more, less or otherwise.
type AccessChange struct {
	Role string `json:"role"`
	// Object is a table as source.schema.table, an action or a function.
	Object     string `json:"object"`
	Permission string `json:"permission" enum:"select,insert,update,delete,action,function"`
	Change     string `json:"change" enum:"gained,lost,changed"`
	// Columns of a table, by database name.
	Gained []string `json:"columns_gained,omitempty"`
	Lost   []string `json:"columns_lost,omitempty"`
	// Rule is true when something else of the permission is another: its filter,
	// check, presets or limits.
	Rule bool `json:"rule_changed,omitempty"`
}

// The changes.
const (
	gained  = "gained"
	lost    = "lost"
	changed = "changed"
)

// grant is a permission in a form that can be compared.
type grant struct {
	columns map[string]bool
	rule    []byte
}

type grantKey struct{ object, permission string }

// accessOf compares what a role may do.
func (c *comparison) accessOf(role string) []AccessChange {
	before, after := grants(c.before, role), grants(c.after, role)
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var out []AccessChange
	for _, key := range slices.SortedFunc(maps.Keys(keys), func(a, b grantKey) int {
		return cmp.Or(cmp.Compare(a.object, b.object), cmp.Compare(a.permission, b.permission))
	}) {
		was, had := before[key]
		is, has := after[key]
		change := AccessChange{Role: role, Object: key.object, Permission: key.permission, Change: changed,
			Gained: minus(is.columns, was.columns), Lost: minus(was.columns, is.columns)}
		switch {
		case !had:
			change.Change = gained
		case !has:
			change.Change = lost
		default:
			change.Rule = !bytes.Equal(was.rule, is.rule)
			if !change.Rule && len(change.Gained)+len(change.Lost) == 0 {
				continue
			}
		}
		out = append(out, change)
	}
	return out
}

func minus(a, b map[string]bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] && !b[name] {
			out = append(out, name)
		}
	}
	return out
}

// grants are all permissions of a role that resolved.
func grants(s Side, name string) map[grantKey]grant {
	out := map[grantKey]grant{}
	role, known := s.Access.Role(name)
	if !known {
		return out
	}
	for _, t := range s.Model.Tables {
		tableGrants(out, t, role.Table(t), name)
	}
	for _, a := range s.Model.Actions {
		if role.Action(a) {
			out[grantKey{"action " + a.Name, "action"}] = grant{}
		}
	}
	for _, f := range s.Model.Functions {
		if role.Function(f) {
			out[grantKey{"function " + f.Source + "." + f.Name.String(), "function"}] = grant{}
		}
	}
	return out
}

func tableGrants(out map[grantKey]grant, t *model.Table, p *access.Table, role string) {
	object := t.Source + "." + t.Name.String()
	put := func(permission string, columns access.ColumnSet, rule any) {
		// What the metadata says was read from JSON, so that it can be written.
		text, _ := json.Marshal(rule)
		out[grantKey{object, permission}] = grant{columns, text}
	}
	if p.Select != nil {
		rule := ruleOf(t.Metadata.SelectPermissions, func(p metadata.SelectPermission) (string, metadata.SelectRule) { return p.Role, p.Permission }, role)
		rule.Columns = metadata.Columns{}
		put("select", p.Select.Columns, rule)
	}
	if p.Insert != nil {
		rule := ruleOf(t.Metadata.InsertPermissions, func(p metadata.InsertPermission) (string, metadata.InsertRule) { return p.Role, p.Permission }, role)
		rule.Columns = nil
		put("insert", p.Insert.Columns, rule)
	}
	if p.Update != nil {
		rule := ruleOf(t.Metadata.UpdatePermissions, func(p metadata.UpdatePermission) (string, metadata.UpdateRule) { return p.Role, p.Permission }, role)
		rule.Columns = metadata.Columns{}
		put("update", p.Update.Columns, rule)
	}
	if p.Delete != nil {
		put("delete", nil, ruleOf(t.Metadata.DeletePermissions, func(p metadata.DeletePermission) (string, metadata.DeleteRule) { return p.Role, p.Permission }, role))
	}
}

// ruleOf is the rule that the metadata has for a role; an inherited role has
// none of its own, and its members tell of the change.
func ruleOf[P, R any](list []P, of func(P) (string, R), role string) (rule R) {
	for _, p := range list {
		if name, found := of(p); name == role {
			return found
		}
	}
	return rule
}
