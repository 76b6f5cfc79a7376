package model

import (
	"strings"

	"tenantry/tenants/catalog"
)

// renamed are the types of Postgres whose GraphQL scalar has another name.
var renamed = map[string]string{
	"int2": "smallint", "int4": "Int", "int8": "bigint", "float4": "Float",
	"bool": "Boolean", "text": "String", "varchar": "String",
}

// known are the scalars that custom types may use without declaring them.
var known = set(`Int Float String Boolean ID
smallint bigint real float8 numeric money integer int int2 int4 int8 float4 serial bigserial
bpchar char varchar text citext name uuid bool boolean bytea bit varbit
date time timetz timestamp timestamptz interval json jsonb xml hstore
inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector tsquery
int4range int8range numrange tsrange tstzrange daterange
ltree lquery ltxtquery geometry geography raster oid`)

// Base looks through domains: the type that Postgres stores, and whether an
// array. A type that the catalog does not know is its own base.
func Base(c *catalog.Catalog, ref catalog.TypeRef) catalog.TypeRef {
	// A domain's base was there before the domain, so this ends; the bound
	// guards against a catalog that was tampered with.
	for range 64 {
		t, ok := c.Types[ref.Schema+"."+ref.Name]
		if !ok || t.Kind != catalog.DomainType || t.Base == nil {
			break
		}
		ref = catalog.TypeRef{Schema: t.Base.Schema, Name: t.Base.Name, Dimensions: ref.Dimensions + t.Base.Dimensions}
	}
	return ref
}

// ScalarOf is the GraphQL scalar of a type's elements, domains looked through;
// Base tells whether the type is a list of it.
func ScalarOf(c *catalog.Catalog, ref catalog.TypeRef) string {
	base := Base(c, ref)
	if base.Schema == "pg_catalog" {
		if name, ok := renamed[base.Name]; ok {
			return name
		}
	}
	return graphqlName(base.Name)
}

// graphqlName is name with every byte that GraphQL refuses replaced.
func graphqlName(name string) string {
	if usableName(name) {
		return name
	}
	b := []byte(name)
	for i := range b {
		if !isNameByte(b[i], i) {
			b[i] = '_'
		}
	}
	return "type_" + strings.TrimLeft(string(b), "_")
}

// usableName reports whether name may be defined by us: GraphQL keeps names
// with two leading underscores to itself.
func usableName(name string) bool { return ValidName(name) && !strings.HasPrefix(name, "__") }

func set(words string) map[string]bool {
	s := map[string]bool{}
	for _, word := range strings.Fields(words) {
		s[word] = true
	}
	return s
}
