package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/api/session"
	"tenantry/policy/filter"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Build resolves all permissions of a model. One that does not resolve is an
// inconsistency, and its role lacks it. The model is not modified.
func Build(m *model.Model) (*Access, []model.Inconsistency) {
	b := &builder{model: m, access: &Access{roles: map[string]*Role{}}}
	b.access.admin = &Role{Name: session.Admin, Admin: true, tables: make(map[*model.Table]*Table, len(m.Tables))}
	for _, name := range m.Roles {
		b.access.roles[name] = &Role{Name: name, tables: map[*model.Table]*Table{}}
	}
	for _, t := range m.RowTypes() {
		b.access.admin.tables[t] = adminTable(t)
		b.table(t)
	}
	b.inherit()
	return b.access, b.inconsistencies
}

// Role finds a role. One that no permission names is returned too, with false:
// it may do nothing.
func (a *Access) Role(name string) (*Role, bool) {
	if name == session.Admin {
		return a.admin, true
	}
	if r, ok := a.roles[name]; ok {
		return r, true
	}
	return &Role{Name: name}, false
}

// Roles are the names of all roles that permissions name, sorted, without admin.
func (a *Access) Roles() []string { return slices.Sorted(maps.Keys(a.roles)) }

type builder struct {
	model           *model.Model
	access          *Access
	inconsistencies []model.Inconsistency
}

// adminTable is everything that can be done with a table.
func adminTable(t *model.Table) *Table {
	all := &Table{Select: &Select{
		Columns: withComputed(t), Filter: filter.True, Aggregations: t.Logical == nil,
		granted:             RootFields{Select: true, SelectByPK: true, SelectAggregate: true},
		grantedSubscription: allRoots,
	}}
	all.Select.roots(t)
	if t.Insertable {
		all.Insert = &Insert{Columns: writable(t), Check: filter.True}
	}
	if t.Updatable {
		all.Update = &Update{Columns: writable(t), Filter: filter.True, Check: filter.True}
	}
	if t.Deletable {
		all.Delete = &Delete{Filter: filter.True}
	}
	return all
}

func columnSet(columns []*model.Column) ColumnSet {
	set := make(ColumnSet, len(columns))
	for _, c := range columns {
		set[c.StoredName()] = true
	}
	return set
}

func writable(t *model.Table) ColumnSet {
	set := ColumnSet{}
	for _, c := range t.Columns {
		if c.Writable() {
			set[c.StoredName()] = true
		}
	}
	return set
}

// table resolves a table's permissions of all roles.
func (b *builder) table(t *model.Table) {
	doc := t.Metadata
	for i, p := range doc.SelectPermissions {
		c := b.compiler(t)
		if made := c.selectRule(p.Permission); b.accept(c, "select", i, p.Role, p.Comment, p.Permission) {
			b.of(p.Role, t).Select = made
		}
	}
	for i, p := range doc.InsertPermissions {
		c := b.compiler(t)
		if made := c.insertRule(p.Permission); b.accept(c, "insert", i, p.Role, p.Comment, p.Permission) {
			b.of(p.Role, t).Insert = made
		}
	}
	for i, p := range doc.UpdatePermissions {
		c := b.compiler(t)
		if made := c.updateRule(p.Permission); b.accept(c, "update", i, p.Role, p.Comment, p.Permission) {
			b.of(p.Role, t).Update = made
		}
	}
	for i, p := range doc.DeletePermissions {
		c := b.compiler(t)
		if made := c.deleteRule(p.Permission); b.accept(c, "delete", i, p.Role, p.Comment, p.Permission) {
			b.of(p.Role, t).Delete = made
		}
	}
}

func (b *builder) compiler(t *model.Table) *compiler {
	return &compiler{model: b.model, table: t}
}

// of is the role's entry for a table, made when it is first needed.
func (b *builder) of(role string, t *model.Table) *Table {
	tables := b.access.roles[role].tables
	if tables[t] == nil {
		tables[t] = &Table{}
	}
	return tables[t]
}

// accept reports whether a rule compiled; otherwise it becomes an inconsistency.
func (b *builder) accept(c *compiler, kind string, index int, role, comment string, rule any) bool {
	if role == session.Admin {
		c.fail("", "the role admin needs no permission and can't have one")
	}
	if len(c.problems) == 0 {
		return true
	}
	b.inconsistencies = append(b.inconsistencies,
		c.table.PermissionInconsistency(kind, index, role, comment, rule, strings.Join(c.problems, "; ")))
	return false
}

func (c *compiler) selectRule(p metadata.SelectRule) *Select {
	s := &Select{
		Columns:      c.columns(p.Columns, c.table.Columns),
		Filter:       c.rule("filter", p.Filter),
		Aggregations: p.AllowAggregations,
	}
	if p.Limit != nil {
		s.Limit = *p.Limit
		if *p.Limit <= 0 {
			c.fail("limit", "expected a number above 0")
		}
	}
	c.computedFields(s, p.ComputedFields)
	s.cells = c.masks(p.Masks, s.Columns)
	s.granted, s.grantedSubscription = rootFields(p.QueryRootFields), rootFields(p.SubscriptionRootFields)
	s.granted.SelectStream = false
	s.roots(c.table)
	return s
}

func (c *compiler) insertRule(p metadata.InsertRule) *Insert {
	if !c.table.Insertable {
		c.fail("", "%s is not insertable", c.where())
	}
	columns := metadata.Columns{All: true}
	if p.Columns != nil {
		columns = *p.Columns
	}
	i := &Insert{Check: c.rule("check", p.Check), BackendOnly: p.BackendOnly}
	i.Columns, i.Presets = c.written(columns, p.Set)
	i.Guard = c.guard(p.ValidateInput, p.MaxAffectedRows)
	return i
}

func (c *compiler) updateRule(p metadata.UpdateRule) *Update {
	if !c.table.Updatable {
		c.fail("", "%s is not updatable", c.where())
	}
	u := &Update{Filter: c.rule("filter", p.Filter), Check: filter.True, BackendOnly: p.BackendOnly}
	if len(p.Check) > 0 && string(p.Check) != "null" {
		u.Check = c.rule("check", p.Check)
	}
	u.Columns, u.Presets = c.written(p.Columns, p.Set)
	u.Guard = c.guard(p.ValidateInput, p.MaxAffectedRows)
	return u
}

func (c *compiler) deleteRule(p metadata.DeleteRule) *Delete {
	if !c.table.Deletable {
		c.fail("", "%s is not deletable", c.where())
	}
	return &Delete{Filter: c.rule("filter", p.Filter), BackendOnly: p.BackendOnly, Guard: c.guard(p.ValidateInput, p.MaxAffectedRows)}
}

// guard reads what else stands before a mutation. A webhook that can't be called
// makes the permission inconsistent: without it, it would let pass what was to
// be refused.
func (c *compiler) guard(v *metadata.InputValidation, most int) Guard {
	g := Guard{MaxAffectedRows: most}
	if most < 0 {
		c.fail("max_affected_rows", "expected a number above 0")
	}
	if v == nil {
		return g
	}
	if v.Type != "http" {
		c.fail("validate_input.type", "expected \"http\", but got %q", v.Type)
	}
	if v.Definition.URL == "" {
		c.fail("validate_input.definition.url", "empty string not allowed")
	}
	if v.Definition.Timeout < 0 {
		c.fail("validate_input.definition.timeout", "expected a number above 0")
	}
	g.Validation = &v.Definition
	return g
}

// columns resolves a list of columns by their database names.
func (c *compiler) columns(list metadata.Columns, all []*model.Column) ColumnSet {
	if list.All {
		return withMembers(c.table, columnSet(all))
	}
	set := ColumnSet{}
	for _, name := range list.List {
		if _, ok := c.table.Stored(name); !ok && !hasMember(c.table, name) {
			c.fail("columns", "column %q does not exist in %s", name, c.where())
		}
		set[name] = true
	}
	return set
}

// written resolves the columns that a client may write, and the presets, which
// it may not.
func (c *compiler) written(list metadata.Columns, set map[string]rawJSON) (ColumnSet, []Preset) {
	columns := c.columns(list, c.table.Columns)
	for name := range columns {
		if column, ok := c.table.Stored(name); ok && !column.Writable() {
			delete(columns, name)
		}
	}
	var presets []Preset
	for _, name := range slices.Sorted(maps.Keys(set)) {
		column, ok := c.table.Stored(name)
		switch {
		case !ok:
			c.fail("set", "column %q does not exist in %s", name, c.where())
			continue
		case !column.Writable():
			c.fail("set", "column %q of %s can't be written", name, c.where())
			continue
		}
		presets = append(presets, Preset{Column: column, Value: c.preset(column, set[name])})
		delete(columns, name)
	}
	return columns, presets
}

// where names the table for messages.
func (c *compiler) where() string { return fmt.Sprintf("table %q", model.ShortName(c.table.Name)) }
