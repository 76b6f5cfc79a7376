// Package catalog is what a project's database has: tables, columns, types,
// constraints, functions. services/engine/introspect fills it, tenants/store keeps it,
// tenants/model resolves metadata against it. Plain data; knows no Postgres
// driver.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Catalog is one database as it was at one moment.
type Catalog struct {
	// Version is the server's version, as 150018.
	Version int `json:"version"`
	// Extensions are the installed extensions, by name.
	Extensions []string `json:"extensions,omitempty"`
	// Tables are ordered by schema and name; system schemas are left out.
	Tables []Table `json:"tables"`
	// Functions are ordered by schema, name and arguments; those of the system and
	// of extensions are left out.
	Functions []Function `json:"functions,omitempty"`
	// Types are the non-array types that columns and functions use, by "schema.name".
	Types map[string]Type `json:"types"`
}

// Name is a schema-qualified name.
type Name struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// String is the name as people write it.
func (n Name) String() string { return n.Schema + "." + n.Name }

// Kind of a relation.
type Kind string

// The kinds of relations.
const (
	TableKind        Kind = "table"
	PartitionedKind  Kind = "partitioned"
	ForeignKind      Kind = "foreign"
	ViewKind         Kind = "view"
	MaterializedKind Kind = "materialized"
)

// Table is a relation that can be read.
type Table struct {
	Name
	Kind        Kind         `json:"kind"`
	Comment     string       `json:"comment,omitempty"`
	Columns     []Column     `json:"columns"` // in the database's order
	PrimaryKey  *Constraint  `json:"primary_key,omitempty"`
	Uniques     []Constraint `json:"uniques,omitempty"` // without the primary key
	ForeignKeys []ForeignKey `json:"foreign_keys,omitempty"`
	// Values of a table that metadata uses as an enum, by value.
	Values []EnumValue `json:"values,omitempty"`
	// What Postgres says of writing; true for ordinary tables.
	Insertable bool `json:"insertable"`
	Updatable  bool `json:"updatable"`
	Deletable  bool `json:"deletable"`
}

// Column finds a column by its database name.
func (t *Table) Column(name string) (*Column, bool) {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// Column is one column.
type Column struct {
	Name     string  `json:"name"`
	Type     TypeRef `json:"type"`
	Nullable bool    `json:"nullable"`
	Default  bool    `json:"default,omitempty"` // has a default (identity included)
	// Generated columns and identity ALWAYS columns can't be written.
	Generated      bool `json:"generated,omitempty"`
	IdentityAlways bool `json:"identity_always,omitempty"`
	// Loose columns have a collation by which different texts are equal.
	Loose   bool   `json:"loose,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Writable reports whether an insert may name the column.
func (c Column) Writable() bool { return !c.Generated && !c.IdentityAlways }

// TypeRef names a column's type.
type TypeRef struct {
	// Schema and Name of the element type, as pg_type.typname: int4, not integer.
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Dimensions is 0 for a scalar, 1 and more for an array.
	Dimensions int `json:"dimensions,omitempty"`
}

// Array reports whether the type is an array.
func (t TypeRef) Array() bool { return t.Dimensions > 0 }

// Element is the type of an array's elements; a scalar is its own.
func (t TypeRef) Element() TypeRef { return TypeRef{Schema: t.Schema, Name: t.Name} }

// TypeKind of a type.
type TypeKind string

// The kinds of types.
const (
	BaseType      TypeKind = "base"
	EnumType      TypeKind = "enum"
	DomainType    TypeKind = "domain"
	CompositeType TypeKind = "composite"
	RangeType     TypeKind = "range"
)

// Type is a type that some column uses.
type Type struct {
	Name
	Kind TypeKind `json:"kind"`
	// Category is pg_type.typcategory: "N" numeric, "S" string, "D" date/time, …
	Category string `json:"category"`
	// Lacks are those of the operators =, <>, < and > that Postgres has not for
	// the type, and "sort" if it can't sort the values: json lacks all of them.
	Lacks []string `json:"lacks,omitempty"`
	// Values of an enum, in order.
	Values []string `json:"values,omitempty"`
	// Base is the type under a domain.
	Base *TypeRef `json:"base,omitempty"`
}

// Constraint is a primary key or unique constraint (or unique index).
type Constraint struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	// Index is true for a unique index that is no constraint: ON CONFLICT can
	// infer it from its columns, but not name it.
	Index bool `json:"index,omitempty"`
}

// ForeignKey points from the table's columns to a target's, pairwise.
type ForeignKey struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Target  Name     `json:"target"`
	Targets []string `json:"targets"`
}

// Table finds a table.
func (c *Catalog) Table(name Name) (*Table, bool) {
	for i := range c.Tables {
		if c.Tables[i].Name == name {
			return &c.Tables[i], true
		}
	}
	return nil, false
}

// Fingerprint changes exactly when the catalog does.
func (c *Catalog) Fingerprint() string {
	text, err := json.Marshal(c)
	if err != nil { // plain data always encodes
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
