package model

import (
	"cmp"
	"fmt"
	"slices"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// LogicalModel is a row type that no table has. Its Rows are a table as far as
// types, permissions and plans go, without root fields and never written.
type LogicalModel struct {
	Rows *Table
	// Members are the fields that hold other logical models, by name.
	Members  []*ModelMember
	Metadata *metadata.LogicalModel
	Pointer  string
}

// ModelMember is a field of a logical model whose value is an object, or list of
// objects, of another one.
type ModelMember struct {
	Name     string
	Comment  string
	Array    bool
	Nullable bool
	Target   *Table
}

// Member finds a field that holds another logical model.
func (m *LogicalModel) Member(name string) (*ModelMember, bool) {
	for _, member := range m.Members {
		if member.Name == name {
			return member, true
		}
	}
	return nil, false
}

// logicalModels resolves the logical models; one with any mistake is left out.
func (r *resolver) logicalModels() {
	for i := range r.model.Metadata.Sources {
		source := &r.model.Metadata.Sources[i]
		if r.namings[source.Name] == nil {
			continue
		}
		for j := range source.LogicalModels {
			r.logicalModel(source.Name, &source.LogicalModels[j], fmt.Sprintf("$.sources[%d].logical_models[%d]", i, j))
		}
	}
	for again := true; again; { // one that was left out takes those along that hold it
		again = false
		r.model.LogicalModels = slices.DeleteFunc(r.model.LogicalModels, func(m *LogicalModel) bool {
			reason := r.members(m)
			if reason == "" {
				return false
			}
			again = true
			r.report(m.inconsistency(reason))
			delete(r.names.types, m.Rows.Type)
			return true
		})
	}
	slices.SortFunc(r.model.LogicalModels, func(a, b *LogicalModel) int {
		return cmp.Or(cmp.Compare(a.Rows.Source, b.Rows.Source), cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	})
}

func (m *LogicalModel) owner() string {
	return fmt.Sprintf("logical_model %s in source %s", m.Metadata.Name, m.Rows.Source)
}

func (m *LogicalModel) inconsistency(reason string) Inconsistency {
	return Inconsistency{Type: "logical_model", Name: m.owner(), Definition: m.Metadata, Pointer: m.Pointer,
		Reason: fmt.Sprintf("%sin logical model %q: %s", reasonPrefix, m.Metadata.Name, reason)}
}

func (r *resolver) logicalModel(source string, doc *metadata.LogicalModel, pointer string) {
	naming := r.namings[source]
	t := &Table{
		Source: source, Name: catalog.Name{Name: doc.Name}, Base: doc.Name, Naming: naming, Comment: doc.Description,
		Metadata: &metadata.Table{Table: metadata.TableName{Name: doc.Name}, SelectPermissions: selectPermissions(doc)}, Catalog: &catalog.Table{Name: catalog.Name{Name: doc.Name}}, Pointer: pointer,
		columns: map[string]*Column{}, stored: map[string]*Column{}, relationships: map[string]*Relationship{}, aggregates: map[string]*Relationship{},
	}
	t.Type = t.TypeName("")
	m := &LogicalModel{Rows: t, Metadata: doc, Pointer: pointer}
	t.Logical = m
	if !usableName(doc.Name) {
		r.report(m.inconsistency(fmt.Sprintf("%q is not a valid GraphQL name", doc.Name)))
		return
	}
	for _, f := range doc.Fields {
		if reason := r.logicalField(m, f); reason != "" {
			r.report(m.inconsistency(reason))
			return
		}
	}
	if len(doc.Fields) == 0 {
		r.report(m.inconsistency("it has no fields"))
		return
	}
	types := []string{t.Type, t.TypeName("_bool_exp"), t.TypeName("_order_by"), t.TypeName("_select_column")}
	if err := r.names.claimTypes(m.owner(), types); err != nil {
		r.report(m.inconsistency(err.Error()))
		return
	}
	r.model.LogicalModels = append(r.model.LogicalModels, m)
}

// logicalField adds a field; the reason says what is wrong with it.
func (r *resolver) logicalField(m *LogicalModel, f metadata.LogicalModelField) string {
	if !usableName(f.Name) {
		return fmt.Sprintf("the field name %q is not a valid GraphQL name", f.Name)
	}
	inner, text := &f.Type, ""
	for inner.Array != nil {
		inner, text = inner.Array, text+"[]"
	}
	if inner.LogicalModel != "" {
		if len(text) > len("[]") {
			return fmt.Sprintf("the field %q is a list of lists of a logical model", f.Name)
		}
		m.Members = append(m.Members, &ModelMember{Name: f.Name, Comment: f.Description, Array: text != "", Nullable: f.Type.Nullable})
		return ""
	}
	column, ok := typedColumn(r.model.Catalogs[m.Rows.Source], f.Name, inner.Scalar+text, f.Type.Nullable)
	if !ok {
		return fmt.Sprintf("the type %q of the field %q is not known", inner.Scalar, f.Name)
	}
	column.Comment = f.Description
	r.renameScalar(column)
	m.Rows.Columns = append(m.Rows.Columns, column)
	m.Rows.columns[f.Name], m.Rows.stored[f.Name] = column, column
	return ""
}

// members finds the logical models that a model holds.
func (r *resolver) members(m *LogicalModel) string {
	for _, f := range m.Metadata.Fields {
		inner := &f.Type
		for inner.Array != nil {
			inner = inner.Array
		}
		member, ok := m.Member(f.Name)
		if !ok {
			continue
		}
		target, ok := r.model.LogicalModel(m.Rows.Source, inner.LogicalModel)
		if !ok {
			return fmt.Sprintf("the logical model %q of the field %q does not exist", inner.LogicalModel, f.Name)
		}
		member.Target = target.Rows
	}
	return ""
}

// LogicalModel finds a logical model.
func (m *Model) LogicalModel(source, name string) (*LogicalModel, bool) {
	for _, l := range m.LogicalModels {
		if l.Rows.Source == source && l.Metadata.Name == name {
			return l, true
		}
	}
	return nil, false
}

// permissionInconsistency is a permission of a logical model that did not
// resolve.
func (m *LogicalModel) permissionInconsistency(index int, role, comment string, permission any, reason string) Inconsistency {
	return Inconsistency{
		Type: "logical_model_select_permission",
		Name: fmt.Sprintf("select_permission %s in %s", role, m.owner()),
		Definition: map[string]any{
			"role": role, "source": m.Rows.Source, "comment": orNull(comment), "permission": permission, "name": m.Metadata.Name,
		},
		Reason:  fmt.Sprintf("%sin logical model %q: in permission for role %q: %s", reasonPrefix, m.Metadata.Name, role, reason),
		Pointer: fmt.Sprintf("%s.select_permissions[%d]", m.Pointer, index),
	}
}

// selectPermissions are those of a logical model as a table has them.
func selectPermissions(doc *metadata.LogicalModel) []metadata.SelectPermission {
	var out []metadata.SelectPermission
	for _, p := range doc.SelectPermissions {
		out = append(out, metadata.SelectPermission{Role: p.Role, Comment: p.Comment,
			Permission: metadata.SelectRule{Columns: p.Permission.Columns, Filter: p.Permission.Filter}})
	}
	return out
}

// RowTypes are the tables and the rows of logical models: all that roles may be
// let read.
func (m *Model) RowTypes() []*Table {
	if len(m.LogicalModels) == 0 {
		return m.Tables
	}
	out := slices.Clone(m.Tables)
	for _, l := range m.LogicalModels {
		out = append(out, l.Rows)
	}
	return out
}

// RowType is the table, or the rows of a logical model, behind the name of an object
// type; nil for other types.
func (m *Model) RowType(name string) *Table { return m.byType[name] }
