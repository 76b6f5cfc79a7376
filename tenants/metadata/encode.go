package metadata

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// Encode writes a document in its one form: sources in the order of their
// insertion, tables by schema and name, permissions by role, everything else by
// name; absent and default values are left out. Decoding and encoding it again
// gives the same bytes. The document is not modified.
func Encode(doc *Document) ([]byte, error) {
	c := doc.Clone()
	c.canonical()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// canonical orders the document and clears defaults.
func (d *Document) canonical() {
	d.Version = 3
	if d.Sources == nil {
		d.Sources = []Source{}
	}
	for i := range d.Sources {
		d.Sources[i].canonical()
	}
	d.RemoteSchemas = sortRaw(d.RemoteSchemas)
	by(d.CronTriggers, func(t CronTrigger) string { return t.Name })
	for i := range d.CronTriggers {
		d.CronTriggers[i].canonical()
	}
	by(d.Actions, func(a Action) string { return a.Name })
	for i := range d.Actions {
		d.Actions[i].canonical()
	}
	if d.CustomTypes != nil {
		d.CustomTypes.canonical()
		if c := d.CustomTypes; len(c.Scalars)+len(c.Enums)+len(c.InputObjects)+len(c.Objects) == 0 {
			d.CustomTypes = nil
		}
	}
	by(d.QueryCollections, func(c QueryCollection) string { return c.Name })
	for i := range d.QueryCollections {
		definition := &d.QueryCollections[i].Definition
		by(definition.Queries, func(q NamedQuery) string { return q.Name })
		if definition.Queries == nil {
			definition.Queries = []NamedQuery{}
		}
	}
	by(d.Allowlist, func(a AllowlistEntry) string { return a.Collection })
	for i, a := range d.Allowlist {
		if a.Scope == nil {
			d.Allowlist[i].Scope = &AllowlistScope{Global: true}
		}
	}
	by(d.RESTEndpoints, func(r RESTEndpoint) string { return r.Name })
	by(d.InheritedRoles, func(r InheritedRole) string { return r.Role })
	by(d.PermissionTests, func(t PermissionTest) string { return t.Name })
	if d.Introspection != nil && len(d.Introspection.DisabledForRoles) == 0 {
		d.Introspection = nil
	}
}

func (s *Source) canonical() {
	if s.Tables == nil {
		s.Tables = []Table{}
	}
	slices.SortStableFunc(s.Tables, func(a, b Table) int {
		return cmp.Or(cmp.Compare(a.Table.Schema, b.Table.Schema), cmp.Compare(a.Table.Name, b.Table.Name))
	})
	for i := range s.Tables {
		s.Tables[i].canonical()
	}
	by(s.Functions, func(f Function) string { return f.Function.Schema + "." + f.Function.Name })
	for i := range s.Functions {
		s.Functions[i].canonical()
	}
	by(s.NativeQueries, func(q NativeQuery) string { return q.RootField })
	for i := range s.NativeQueries {
		s.NativeQueries[i].canonical()
	}
	by(s.LogicalModels, func(m LogicalModel) string { return m.Name })
	for i := range s.LogicalModels {
		s.LogicalModels[i].canonical()
	}
	if s.Configuration.ExtensionsSchema == "public" {
		s.Configuration.ExtensionsSchema = ""
	}
}

func (t *Table) canonical() {
	for _, list := range [][]Relationship{t.ObjectRelationships, t.ArrayRelationships} {
		by(list, func(r Relationship) string { return r.Name })
		for i := range list {
			if m := list[i].Using.Manual; m != nil && m.InsertionOrder == "before_parent" {
				m.InsertionOrder = ""
			}
		}
	}
	by(t.RemoteRelationships, func(r RemoteRelationship) string { return r.Name })
	by(t.EventTriggers, func(e EventTrigger) string { return e.Name })
	for i := range t.EventTriggers {
		t.EventTriggers[i].canonical()
	}
	by(t.ComputedFields, func(f ComputedField) string { return f.Name })
	by(t.SelectPermissions, func(p SelectPermission) string { return p.Role })
	by(t.InsertPermissions, func(p InsertPermission) string { return p.Role })
	by(t.UpdatePermissions, func(p UpdatePermission) string { return p.Role })
	by(t.DeletePermissions, func(p DeletePermission) string { return p.Role })
	if c := t.Configuration; c != nil && c.CustomName == "" && c.Comment == nil &&
		len(c.CustomRootFields)+len(c.ColumnConfig)+len(c.CustomColumnNames) == 0 {
		t.Configuration = nil
	}
}

func (a *Action) canonical() {
	by(a.Permissions, func(p ActionPermission) string { return p.Role })
	d := &a.Definition
	if d.Type == "mutation" {
		d.Type = ""
	}
	if d.Kind == "synchronous" {
		d.Kind = ""
	}
	if d.Timeout == 30 {
		d.Timeout = 0
	}
}

func (c *CustomTypes) canonical() {
	by(c.Scalars, func(t ScalarType) string { return t.Name })
	by(c.Enums, func(t EnumType) string { return t.Name })
	by(c.InputObjects, func(t InputType) string { return t.Name })
	by(c.Objects, func(t ObjectType) string { return t.Name })
	for i := range c.Objects {
		by(c.Objects[i].Relationships, func(r TypeRelationship) string { return r.Name })
		for j := range c.Objects[i].Relationships {
			if r := &c.Objects[i].Relationships[j]; r.Source == "default" {
				r.Source = ""
			}
		}
	}
}

func by[T any](list []T, key func(T) string) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// sortRaw orders objects that are kept as they are by whatever names them.
func sortRaw(list []json.RawMessage) []json.RawMessage {
	by(list, rawName)
	return list
}

func rawName(object json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	// An object of another form sorts first.
	_ = json.Unmarshal(object, &named)
	return named.Name
}
