package accessview

import (
	"fmt"
	"slices"
	"strings"

	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// refusal tells which rule keeps a role from a part of an operation.
func (p Project) refusal(s session.Session, m operation.Missing, all *schema.Schema) Refusal {
	out := Refusal{Path: m.Path, Rule: "operation", Reason: fmt.Sprintf("the role %q has no %s in %s", s.Role, m.Field, m.Type)}
	if m.Argument != "" {
		out.Reason = fmt.Sprintf("the role %q has no argument %s of %s", s.Role, m.Argument, m.Field)
	}
	role := judged{Role: p.Narrowed(s.Role, m.Operation), project: p, session: s}
	if m.Root {
		if root, ok := rootNamed(all, m); ok {
			role.root(&out, root)
		}
		return out
	}
	if t, part := all.Behind(m.Type); t != nil {
		role.member(&out, t, part, m.Field)
		return out
	}
	if t := all.ObjectType(m.Type); t != nil {
		if r, ok := t.Relationship(m.Field); ok {
			role.target(&out, r.Target)
		}
	}
	return out
}

// rootNamed finds a root field as admin has it, under a namespace too; false for a
// namespace itself.
func rootNamed(all *schema.Schema, m operation.Missing) (schema.ShownRoot, bool) {
	for _, root := range all.Roots() {
		if root.Operation == m.Operation && root.Name == m.Field {
			return root, true
		}
	}
	return schema.ShownRoot{}, false
}

// judged is a role whose lack of something is explained.
type judged struct {
	*access.Role
	project Project
	session session.Session
}

func (r judged) say(out *Refusal, rule, pointer, format string, args ...any) {
	out.Rule, out.Pointer, out.Reason = rule, pointer, fmt.Sprintf(format, args...)
}

// root tells why the role lacks a root field.
func (r judged) root(out *Refusal, root schema.ShownRoot) {
	switch {
	case root.Action != nil:
		r.say(out, "action_permission", r.project.actionPointer(root.Action), "the action %s has no permission for the role %q", root.Action.Name, r.Name)
	case root.Function != nil:
		if r.Table(root.Function.Target).Select == nil {
			r.target(out, root.Function.Target)
			return
		}
		r.say(out, "function_permission", root.Function.Pointer+".permissions", "the function %s has no permission for the role %q", root.Function.Name.Name, r.Name)
	case root.Native != nil:
		r.target(out, root.Native.Target)
	case root.Table != nil:
		r.tableRoot(out, root.Table, root.Kind)
	}
}

func (r judged) tableRoot(out *Refusal, t *model.Table, kind schema.Kind) {
	granted := r.Table(t)
	switch kind {
	case schema.Select, schema.SelectByPK, schema.SelectAggregate:
		r.selectRoot(out, t, granted.Select, kind)
	case schema.Insert, schema.InsertOne:
		r.write(out, t, "insert", granted.Insert != nil, granted.Insert != nil && granted.Insert.BackendOnly)
	case schema.Update, schema.UpdateMany, schema.UpdateByPK:
		r.write(out, t, "update", granted.Update != nil, granted.Update != nil && granted.Update.BackendOnly)
	case schema.Delete, schema.DeleteByPK:
		r.write(out, t, "delete", granted.Delete != nil, granted.Delete != nil && granted.Delete.BackendOnly)
	}
	one := kind == schema.InsertOne || kind == schema.UpdateByPK || kind == schema.DeleteByPK
	if one && out.Rule == "operation" { // the permission is there, the answer is a row
		if granted.Select == nil {
			r.target(out, t)
			return
		}
		r.key(out, t, granted.Select)
	}
}

// selectRoot tells why a role that may or may not read a table lacks one of the
// fields that read it.
func (r judged) selectRoot(out *Refusal, t *model.Table, s *access.Select, kind schema.Kind) {
	switch {
	case s == nil:
		r.target(out, t)
	case kind == schema.SelectAggregate && !s.Aggregations:
		r.aggregations(out, t)
	case kind == schema.SelectByPK && r.key(out, t, s):
	default:
		r.say(out, "query_root_fields", r.at(t, "select"), "the select permission of the role %q on %s does not list the root field %s", r.Name, nameOf(t), kind)
	}
}

// key tells whether the role is kept from a row by its key because it can't read
// the key.
func (r judged) key(out *Refusal, t *model.Table, s *access.Select) bool {
	for _, c := range t.PrimaryKey {
		if !s.Columns.Has(c) {
			r.say(out, "columns", r.at(t, "select"), "the select permission of the role %q on %s does not list the column %q of the primary key", r.Name, nameOf(t), c.StoredName())
			return true
		}
	}
	return false
}

func (r judged) aggregations(out *Refusal, t *model.Table) {
	r.say(out, "allow_aggregations", r.at(t, "select"), "the select permission of the role %q on %s does not allow aggregations", r.Name, nameOf(t))
}

// write tells why a role can't write a table.
func (r judged) write(out *Refusal, t *model.Table, kind string, has, backendOnly bool) {
	switch {
	case !has && r.disagrees(t, kind):
		r.say(out, kind+"_permission", t.Pointer+"."+kind+"_permissions",
			"the roles that %q inherits from have different %s permissions on %s, so that it has none; give it one of its own", r.Name, kind, nameOf(t))
	case !has:
		r.say(out, kind+"_permission", t.Pointer+"."+kind+"_permissions", "the role %q has no %s permission on %s", r.Name, kind, nameOf(t))
	case backendOnly && !r.session.BackendOnly:
		r.say(out, "backend_only", r.at(t, kind), "the %s permission of the role %q on %s is for requests with backend privileges alone", kind, r.Name, nameOf(t))
	case kind == "update" && len(r.Table(t).Update.Columns) == 0 && len(r.Table(t).Update.Presets) == 0:
		r.say(out, "columns", r.at(t, kind), "the update permission of the role %q on %s has no columns", r.Name, nameOf(t))
	}
}

// disagrees reports whether members of an inherited role have the permission that
// the role lacks.
func (r judged) disagrees(t *model.Table, kind string) bool {
	return slices.ContainsFunc(rolesOf(t.Metadata, kind), func(name string) bool { return name != r.Name && r.Includes(name) })
}

// target tells that the role can't read a table.
func (r judged) target(out *Refusal, t *model.Table) {
	if s := r.Table(t).Select; s != nil {
		r.say(out, "columns", r.at(t, "select"), "the select permission of the role %q on %s has no columns", r.Name, nameOf(t))
		return
	}
	r.say(out, "select_permission", t.Pointer+".select_permissions", "the role %q has no select permission on %s", r.Name, nameOf(t))
}

// member tells why a role lacks a field of one of the types of a table.
func (r judged) member(out *Refusal, t *model.Table, part, field string) {
	granted := r.Table(t)
	kind, has := "select", granted.Select != nil
	if strings.HasSuffix(part, "_insert_input") {
		kind, has = "insert", granted.Insert != nil
	} else if part == "_set_input" || part == "_inc_input" || part == "_update_column" || strings.HasPrefix(part, "_append") ||
		strings.HasPrefix(part, "_prepend") || strings.HasPrefix(part, "_delete_") || part == "_updates" {
		kind, has = "update", granted.Update != nil
	}
	if !has {
		r.say(out, kind+"_permission", t.Pointer+"."+kind+"_permissions", "the role %q has no %s permission on %s", r.Name, kind, nameOf(t))
		return
	}
	if relation, ok := related(t, field); ok {
		if aggregate := strings.HasSuffix(field, "_aggregate") && r.Table(relation).Select != nil; aggregate {
			r.aggregations(out, relation)
			return
		}
		r.target(out, relation)
		return
	}
	name := field
	if c, ok := t.Column(field); ok {
		name = c.StoredName()
	}
	if r.set(t, kind, name) {
		r.say(out, "presets", r.at(t, kind), "the column %q of %s is set by the %s permission of the role %q", name, nameOf(t), kind, r.Name)
		return
	}
	if r.veiled(t, kind, field) {
		r.say(out, "allow_column", "", "the project's policy denies the role %q the column %q of %s", r.Name, name, nameOf(t))
		return
	}
	what := "column"
	if f, ok := t.Computed(field); ok && f.Value != nil {
		what = "computed field"
	}
	r.say(out, "columns", r.at(t, kind), "the %s permission of the role %q on %s does not list the %s %q", kind, r.Name, nameOf(t), what, name)
}

// veiled reports whether the role's permission has a column that the project's
// policy takes away.
func (r judged) veiled(t *model.Table, kind, field string) bool {
	c, ok := columnOf(t, field)
	plain, _ := r.project.Access.Role(r.Name)
	switch granted := plain.Table(t); {
	case !ok:
		return false
	case kind == "insert":
		return granted.Insert != nil && granted.Insert.Columns.Has(c)
	case kind == "update":
		return granted.Update != nil && granted.Update.Columns.Has(c)
	default:
		return granted.Select != nil && granted.Select.Columns.Has(c)
	}
}

// set reports whether the role's permission sets a column itself.
func (r judged) set(t *model.Table, kind, column string) bool {
	var presets []access.Preset
	switch granted := r.Table(t); {
	case kind == "insert" && granted.Insert != nil:
		presets = granted.Insert.Presets
	case kind == "update" && granted.Update != nil:
		presets = granted.Update.Presets
	}
	return slices.ContainsFunc(presets, func(p access.Preset) bool { return p.Column.StoredName() == column })
}

// related is the table that a field of a table's rows leads to.
func related(t *model.Table, field string) (*model.Table, bool) {
	if r, ok := t.Relationship(field); ok {
		return r.Target, true
	}
	if r, ok := t.Aggregated(field); ok {
		return r.Target, true
	}
	if r, _, ok := t.Remote(field); ok {
		return r.Target, true
	}
	if f, ok := t.Computed(field); ok && f.Target != nil && f.Value == nil {
		return f.Target, true
	}
	return nil, false
}

// at is the place of the role's permission, or of the first that it inherits.
func (r judged) at(t *model.Table, kind string) string {
	if places := r.project.rules(r.Name, t, kind); len(places) > 0 {
		return places[0]
	}
	return t.Pointer + "." + kind + "_permissions"
}

func (p Project) actionPointer(a *model.Action) string {
	for i := range p.Document.Actions {
		if p.Document.Actions[i].Name == a.Name {
			return fmt.Sprintf("$.actions[%d].permissions", i)
		}
	}
	return "$.actions"
}
