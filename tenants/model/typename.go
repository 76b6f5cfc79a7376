package model

import (
	"maps"
	"slices"
	"strings"

	"tenantry/tenants/catalog"
)

// systemTypes are the types of Postgres by all the names that people write, with
// their category.
var systemTypes = map[string]catalog.Type{}

func init() {
	for category, lines := range map[string][]string{
		"N": {"int2 smallint", "int4 int integer Int", "int8 bigint", "numeric decimal", "float4 real", "float8 float Float|double precision", "money", "oid"},
		"S": {"text String ID", "varchar|character varying", "bpchar char character", "name"},
		"D": {"date", "timestamp|timestamp without time zone", "timestamptz|timestamp with time zone", "time|time without time zone", "timetz|time with time zone"},
		"T": {"interval"},
		"B": {"bool boolean Boolean"},
		"I": {"inet", "cidr"},
		"V": {"bit", "varbit|bit varying"},
		"G": {"point", "line", "lseg", "box", "path", "polygon", "circle"},
		"R": {"int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"},
		"U": {"uuid", "json", "jsonb", "bytea", "xml", "macaddr", "macaddr8", "tsvector", "tsquery"},
	} {
		for _, line := range lines {
			words, phrase, _ := strings.Cut(line, "|")
			names := strings.Fields(words)
			t := catalog.Type{Name: catalog.Name{Schema: "pg_catalog", Name: names[0]}, Kind: catalog.BaseType, Category: category}
			for _, name := range append(names, phrase) {
				systemTypes[name] = t
			}
		}
	}
	delete(systemTypes, "")
}

// parseType reads the name of a type as people write it: integer, uuid[],
// timestamp with time zone, mood, other.mood. The category is that of
// pg_type.typcategory, of a list that of its elements.
func parseType(c *catalog.Catalog, text string) (ref catalog.TypeRef, category string, ok bool) {
	name := strings.TrimSpace(text)
	dimensions := 0
	for strings.HasSuffix(name, "[]") {
		name = strings.TrimSpace(strings.TrimSuffix(name, "[]"))
		dimensions++
	}
	if dimensions == 0 && strings.HasPrefix(name, "_") {
		if _, system := systemTypes[name[1:]]; system {
			name, dimensions = name[1:], 1
		}
	}
	t, ok := systemTypes[name]
	if !ok {
		t, ok = systemTypes[strings.ToLower(name)]
	}
	if !ok && c != nil {
		if t, ok = c.Types[name]; !ok {
			t, ok = unqualified(c, name)
		}
	}
	return catalog.TypeRef{Schema: t.Schema, Name: t.Name.Name, Dimensions: dimensions}, t.Category, ok
}

// unqualified finds a type by its bare name, in the schema public before others.
func unqualified(c *catalog.Catalog, name string) (catalog.Type, bool) {
	if t, ok := c.Types["public."+name]; ok {
		return t, true
	}
	for _, key := range slices.Sorted(maps.Keys(c.Types)) {
		if t := c.Types[key]; t.Name.Name == name {
			return t, true
		}
	}
	return catalog.Type{}, false
}

// typedColumn is a column whose type was written in the metadata.
func typedColumn(c *catalog.Catalog, name, text string, nullable bool) (*Column, bool) {
	ref, category, ok := parseType(c, text)
	if !ok {
		return nil, false
	}
	column := resolveColumn(c, &catalog.Column{Name: name, Type: ref, Nullable: nullable})
	column.Name = name
	if column.Category == "" {
		column.Category = category
	}
	return column, true
}
