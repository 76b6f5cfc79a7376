package metadata

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// LogicalModel is a row type that no table has: what native queries return.
type LogicalModel struct {
	Name              string                         `json:"name"`
	Description       string                         `json:"description,omitempty"`
	Fields            []LogicalModelField            `json:"fields"`
	SelectPermissions []LogicalModelSelectPermission `json:"select_permissions,omitempty"`
}

// LogicalModelField is one field of a logical model.
type LogicalModelField struct {
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Type        LogicalModelType `json:"type"`
}

// LogicalModelType is a scalar of Postgres, a list, or another logical model:
// exactly one of the three is set.
type LogicalModelType struct {
	Scalar       string            `json:"scalar,omitempty"`
	Array        *LogicalModelType `json:"array,omitempty"`
	LogicalModel string            `json:"logical_model,omitempty"`
	Nullable     bool              `json:"nullable,omitempty"`
}

// LogicalModelSelectPermission lets a role read a logical model.
type LogicalModelSelectPermission struct {
	Role       string           `json:"role"`
	Comment    string           `json:"comment,omitempty"`
	Permission LogicalModelRule `json:"permission"`
}

// LogicalModelRule is what of a logical model a role may read.
type LogicalModelRule struct {
	Columns Columns         `json:"columns"`
	Filter  json.RawMessage `json:"filter"`
}

// NativeQuery is a root field over SQL text with named {{arguments}}.
type NativeQuery struct {
	RootField           string                         `json:"root_field_name"`
	Type                string                         `json:"type,omitempty"` // "query", the only one
	Code                string                         `json:"code"`
	Returns             string                         `json:"returns"` // a logical model
	Description         string                         `json:"description,omitempty"`
	Arguments           map[string]NativeQueryArgument `json:"arguments,omitempty"`
	ObjectRelationships []NativeQueryRelationship      `json:"object_relationships,omitempty"`
	ArrayRelationships  []NativeQueryRelationship      `json:"array_relationships,omitempty"`
}

// NativeQueryArgument is one argument; Type is a scalar of Postgres.
type NativeQueryArgument struct {
	Type        string `json:"type"`
	Nullable    bool   `json:"nullable,omitempty"`
	Description string `json:"description,omitempty"`
}

// NativeQueryRelationship joins the rows of a native query to another one.
type NativeQueryRelationship struct {
	Name  string           `json:"name"`
	Using NativeQueryUsing `json:"using"`
}

// NativeQueryUsing maps columns of the logical model to columns of the remote side:
// exactly one of the two is set.
type NativeQueryUsing struct {
	RemoteNativeQuery string `json:"remote_native_query,omitempty"`
	// RemoteTable is a tracked table instead of a native query.
	RemoteTable    *TableName        `json:"remote_table,omitempty"`
	ColumnMapping  map[string]string `json:"column_mapping"`
	InsertionOrder string            `json:"insertion_order,omitempty"`
}

// UnmarshalJSON reads {name, type, description}, or the shorter {name, type:
// "integer", nullable}.
func (f *LogicalModelField) UnmarshalJSON(data []byte) error { return unmarshal(f, data) }

func (f *LogicalModelField) decode(d *decoder, n node, path string) {
	*f = LogicalModelField{}
	if !d.expect(n, '{', path, "an object") {
		return
	}
	var object struct {
		Name        string           `json:"name"`
		Description string           `json:"description,omitempty"`
		Type        LogicalModelType `json:"type"`
		Nullable    *bool            `json:"nullable,omitempty"`
	}
	d.object(n, reflect.ValueOf(&object).Elem(), path)
	if object.Nullable != nil {
		object.Type.Nullable = *object.Nullable
	}
	*f = LogicalModelField{Name: object.Name, Description: object.Description, Type: object.Type}
}

// UnmarshalJSON reads {scalar|array|logical_model, nullable}, or the name of a
// scalar.
func (t *LogicalModelType) UnmarshalJSON(data []byte) error { return unmarshal(t, data) }

func (t *LogicalModelType) decode(d *decoder, n node, path string) {
	*t = LogicalModelType{}
	if n.kind() == '"' {
		t.Scalar = unquote(n.raw)
		d.noNUL(t.Scalar, path)
		return
	}
	if !d.expect(n, '{', path, "a scalar or {scalar|array|logical_model}") {
		return
	}
	before := len(d.problems)
	d.object(n, reflect.ValueOf(t).Elem(), path)
	given := 0
	for _, one := range []bool{t.Scalar != "", t.Array != nil, t.LogicalModel != ""} {
		if one {
			given++
		}
	}
	if given != 1 && len(d.problems) == before {
		d.fail(path, "expected one of scalar, array and logical_model")
	}
}

func (m *LogicalModel) canonical() {
	by(m.SelectPermissions, func(p LogicalModelSelectPermission) string { return p.Role })
	if m.Fields == nil {
		m.Fields = []LogicalModelField{}
	}
}

func (q *NativeQuery) canonical() {
	if q.Type == "query" {
		q.Type = ""
	}
	by(q.ObjectRelationships, func(r NativeQueryRelationship) string { return r.Name })
	by(q.ArrayRelationships, func(r NativeQueryRelationship) string { return r.Name })
}

// logicalModels validates the logical models of a source.
func (d *decoder) logicalModels(list []LogicalModel, at string) {
	names := unique{c: d, what: "logical model"}
	for i, m := range list {
		names.add(index(at, i)+".name", m.Name)
		d.logicalModel(m, index(at, i))
	}
}

func (d *decoder) logicalModel(m LogicalModel, at string) {
	fields := unique{c: d, what: "field"}
	for i, f := range m.Fields {
		fields.add(index(at+".fields", i)+".name", f.Name)
	}
	roles(d, at+".select_permissions", m.SelectPermissions, func(p LogicalModelSelectPermission) string { return p.Role })
}

// nativeQueries validates the native queries of a source.
func (d *decoder) nativeQueries(list []NativeQuery, at string) {
	names := unique{c: d, what: "native query"}
	for i, q := range list {
		names.add(index(at, i)+".root_field_name", q.RootField)
		d.nativeQuery(q, index(at, i))
	}
}

func (d *decoder) nativeQuery(q NativeQuery, at string) {
	if q.Type != "" && q.Type != "query" {
		d.fail(at+".type", "expected query")
	}
	relationships := unique{c: d, what: "relationship"}
	check := func(list []NativeQueryRelationship, at string) {
		for i, r := range list {
			relationships.add(index(at, i)+".name", r.Name)
			if (r.Using.RemoteNativeQuery == "") == (r.Using.RemoteTable == nil) {
				d.fail(index(at, i)+".using", "expected either remote_native_query or remote_table")
			}
		}
	}
	check(q.ObjectRelationships, at+".object_relationships")
	check(q.ArrayRelationships, at+".array_relationships")
}

// index is the path of a list's item.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
