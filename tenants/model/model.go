// Package model is a project's metadata resolved against its catalog: tracked
// tables with their GraphQL names, relationships with their joins, actions with
// their types, and everything that does not fit as inconsistencies.
//
// policy/access adds what roles may do; services/engine/schema shows it as
// GraphQL; services/engine/planner plans against it. A Model is immutable.
package model

import (
	"slices"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
)

// Model is one project, resolved.
type Model struct {
	// Tables are ordered by source, schema and name.
	Tables []*Table
	// Actions are ordered by name.
	Actions []*Action
	// Functions are the tracked functions, by source, schema and name.
	Functions []*Function
	// LogicalModels and NativeQueries are ordered by source and name.
	LogicalModels []*LogicalModel
	NativeQueries []*NativeQuery
	// Namings are the different namings of the sources.
	Namings []*Naming
	// Enums are the enum tables, by the name of the enum.
	Enums map[string]*TableEnum
	// Types are the custom types that actions use, by name.
	Types map[string]*Type
	// Roles are all roles that some permission names, sorted; without admin.
	Roles []string
	// Inherited roles, each after its members.
	Inherited []Inherited
	// Inconsistencies are the objects that were left out, and why.
	Inconsistencies []Inconsistency
	// Warnings are what the database has and GraphQL can't show, such as columns
	// whose names are no GraphQL names. The project is consistent all the same.
	Warnings []Inconsistency
	// Catalogs by source name, as resolved against.
	Catalogs map[string]*catalog.Catalog
	// Metadata is the document that was resolved. Read only.
	Metadata *metadata.Document

	byName map[tableKey]*Table
	byType map[string]*Table // the row types, by the name of their object type
}

type tableKey struct {
	source string
	name   catalog.Name
}

// Table finds a tracked table.
func (m *Model) Table(source string, name catalog.Name) (*Table, bool) {
	t, ok := m.byName[tableKey{source, name}]
	return t, ok
}

// Table is a tracked table.
type Table struct {
	Source string
	// Name is the database's name.
	Name catalog.Name
	// Base is the GraphQL name B that the names of types and root fields are made
	// from; Type is the name of the object type, after customization.
	Base, Type string
	// Naming of the source that the table is in.
	Naming  *Naming
	Comment string
	// Root names of the fields, after customization.
	Root RootFields
	// Columns with a valid GraphQL name, in the database's order.
	Columns []*Column
	// PrimaryKey columns; empty when there is none, or one has no GraphQL name.
	PrimaryKey []*Column
	// Constraints are the primary key and unique constraints, by name.
	Constraints []catalog.Constraint
	// Relationships in the order of their names.
	Relationships []*Relationship
	// ComputedFields in the order of their names.
	ComputedFields []*ComputedField
	// Natives are relationships to native queries.
	Natives []*NativeRelationship
	// Remotes are relationships to tables of other sources, in the order of their
	// names.
	Remotes []*RemoteRelationship
	// Logical is set for the rows of a logical model, which are in no table.
	Logical    *LogicalModel
	Insertable bool
	Updatable  bool
	Deletable  bool
	// Metadata of this table. Read only.
	Metadata *metadata.Table
	// Pointer is the table's place in the document, as $.sources[0].tables[1].
	Pointer string
	Catalog *catalog.Table

	columns       map[string]*Column // by GraphQL name
	stored        map[string]*Column // by database name
	relationships map[string]*Relationship
	aggregates    map[string]*Relationship // by AggregateName
}

// Column finds a column by its GraphQL name.
func (t *Table) Column(name string) (*Column, bool) { c, ok := t.columns[name]; return c, ok }

// Stored finds a column by its database name, also one that has no GraphQL name
// and is therefore not among Columns: its Name is empty.
func (t *Table) Stored(name string) (*Column, bool) { c, ok := t.stored[name]; return c, ok }

// Relationship finds a relationship by its name.
func (t *Table) Relationship(name string) (*Relationship, bool) {
	r, ok := t.relationships[name]
	return r, ok
}

// Aggregated finds an array relationship by the name of its aggregate.
func (t *Table) Aggregated(name string) (*Relationship, bool) {
	r, ok := t.aggregates[name]
	return r, ok
}

// RootField is the name and description of one root field.
type RootField struct{ Name, Comment string }

// RootFields are the root fields of a table (contracts §1.3).
type RootFields struct {
	Select, SelectByPK, SelectAggregate, SelectStream RootField
	Insert, InsertOne                                 RootField
	Update, UpdateByPK, UpdateMany                    RootField
	Delete, DeleteByPK                                RootField
}

// Column is a column with its GraphQL name and type.
type Column struct {
	// Name in GraphQL; Column.Name in the database.
	Name    string
	Comment string
	// Scalar is the GraphQL type of an element: Int, String, uuid, …
	Scalar string
	// Enum is what the column refers to; nil unless that is an enum table.
	Enum *TableEnum
	// Base is the column's type with all domains looked through: what decides on
	// operators. A domain over an array is an array here.
	Base catalog.TypeRef
	// Category is pg_type.typcategory of Base's element: "N" numeric, "S" string.
	Category string
	// Lacks is what Postgres can't do with values of Base's element (catalog.Type).
	Lacks []string
	catalog.Column
}

// StoredName is the column's name in the database.
func (c *Column) StoredName() string { return c.Column.Name }

// Can reports whether Postgres compares the column's values by an operator (=, <>,
// <, >) or, with "sort", sorts them.
func (c *Column) Can(what string) bool { return !slices.Contains(c.Lacks, what) }

// List reports whether the GraphQL type is a list.
func (c *Column) List() bool { return c.Base.Array() }

// Relationship joins a table to another of the same source.
type Relationship struct {
	Name    string
	Comment string
	Array   bool
	// AggregateName is the field for aggregates of an array relationship.
	AggregateName string
	Target        *Table
	// Mapping is pairwise: a column of the owner, a column of the target.
	Mapping []Pair
	// Nullable is false only for an object relationship over a non-null foreign key.
	Nullable bool
	// Metadata says how it was declared. Read only.
	Using metadata.Using
}

// Pair joins Local = Remote; database names.
type Pair struct{ Local, Remote string }

// Action is an action whose contract resolved.
type Action struct {
	Name    string
	Comment string
	// Query is true for an action under the query root.
	Query bool
	// Async is true for an asynchronous one.
	Async     bool
	Arguments []Field
	Output    TypeRef
	// Roles that may call it, sorted; admin always may.
	Roles    []string
	Metadata *metadata.Action
}

// TypeKind of a custom type.
type TypeKind string

// The kinds of custom types.
const (
	Scalar TypeKind = "scalar"
	Enum   TypeKind = "enum"
	Input  TypeKind = "input"
	Object TypeKind = "object"
)

// Type is a custom type, or a scalar of Postgres or GraphQL that one refers to.
type Type struct {
	Name        string
	Kind        TypeKind
	Description string
	Values      []metadata.EnumValue // of an enum
	Fields      []Field              // of an input or object
	// Relationships of an object, in the order declared.
	Relationships []*TypeRelationship
	// BuiltIn is true for a scalar of GraphQL or Postgres.
	BuiltIn bool
}

// Field finds a field of an input or object type.
func (t *Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Relationship finds a relationship of an object type.
func (t *Type) Relationship(name string) (*TypeRelationship, bool) {
	for _, r := range t.Relationships {
		if r.Name == name {
			return r, true
		}
	}
	return nil, false
}

// Related finds a relationship by its name, or by that of its aggregate: then the
// second result is true.
func (t *Type) Related(field string) (r *TypeRelationship, aggregate, ok bool) {
	if r, ok = t.Relationship(field); ok {
		return r, false, true
	}
	for _, r := range t.Relationships {
		if r.AggregateName != "" && r.AggregateName == field {
			return r, true, true
		}
	}
	return nil, false, false
}

// Field is an argument or a field of a custom type.
type Field struct {
	Name        string
	Description string
	Type        TypeRef
}

// TypeRelationship joins an output object to a tracked table.
type TypeRelationship struct {
	Name  string
	Array bool
	// AggregateName is the field for aggregates of an array relationship; empty
	// where the type has another member of that name.
	AggregateName string
	Target        *Table
	// Mapping is pairwise: a field of the object, a column of the table (database name).
	Mapping []Pair
}

// Inconsistency is an object of the metadata that could not be resolved.
type Inconsistency struct {
	// Type as the dialect names it: table, object_relation, array_relation,
	// select_permission, action, custom_types, source, …
	Type string `json:"type"`
	// Name is a readable path of the object.
	Name string `json:"name"`
	// Definition is the object as it stands in the metadata.
	Definition any `json:"definition,omitempty"`
	// Entity is what an inherited role lacks because its members disagree.
	Entity any    `json:"entity,omitempty"`
	Reason string `json:"reason"`
	// Kept is true for what this version keeps for others to see and does not
	// serve, and for what can be put right without the metadata: it forbids no change.
	Kept bool `json:"-"`
	// Pointer is its place in the document, as $.sources[0].tables[1]…
	Pointer string `json:"-"`
}

// Tracked is Table by the metadata's name of a table.
func (m *Model) Tracked(source string, name metadata.TableName) (*Table, bool) {
	return m.Table(source, catalog.Name{Schema: name.Schema, Name: name.Name})
}
