package openapi

import (
	"fmt"
	"slices"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// contract is an action with the custom types that it uses, by name.
type contract struct {
	action  *metadata.Action
	enums   map[string]metadata.EnumType
	inputs  map[string]metadata.InputType
	objects map[string]metadata.ObjectType
	scalars map[string]metadata.ScalarType
}

func contractOf(doc *metadata.Document, name string) (*contract, error) {
	a, ok := doc.Action(name)
	if !ok {
		return nil, fmt.Errorf("there is no action %q", name)
	}
	c := &contract{a, map[string]metadata.EnumType{}, map[string]metadata.InputType{}, map[string]metadata.ObjectType{}, map[string]metadata.ScalarType{}}
	if doc.CustomTypes == nil {
		return c, nil
	}
	for _, t := range doc.CustomTypes.Enums {
		c.enums[t.Name] = t
	}
	for _, t := range doc.CustomTypes.InputObjects {
		c.inputs[t.Name] = t
	}
	for _, t := range doc.CustomTypes.Objects {
		c.objects[t.Name] = t
	}
	for _, t := range doc.CustomTypes.Scalars {
		c.scalars[t.Name] = t
	}
	return c, nil
}

// scalar is how values travel: types and format of their schema, and one of them.
type scalar struct {
	types  []string
	format string
	value  any
}

// scalars of GraphQL and Postgres: how they travel in JSON, and a value of each.
// What is missing may be any JSON.
var scalars = map[string]scalar{
	"Int":         {[]string{"integer"}, "int32", 1},
	"Float":       {[]string{"number"}, "double", 1.5},
	"String":      {[]string{"string"}, "", "text"},
	"Boolean":     {[]string{"boolean"}, "", true},
	"ID":          {[]string{"string", "integer"}, "", "id-1"},
	"smallint":    {[]string{"integer"}, "", 1},
	"bigint":      {[]string{"integer", "string"}, "int64", 1},
	"numeric":     {[]string{"number", "string"}, "decimal", 1},
	"real":        {[]string{"number"}, "float", 1.5},
	"float8":      {[]string{"number"}, "double", 1.5},
	"uuid":        {[]string{"string"}, "uuid", "00000000-0000-0000-0000-000000000000"},
	"date":        {[]string{"string"}, "date", "2026-01-01"},
	"time":        {[]string{"string"}, "", "12:00:00"},
	"timetz":      {[]string{"string"}, "", "12:00:00+00"},
	"timestamp":   {[]string{"string"}, "", "2026-01-01T12:00:00"},
	"timestamptz": {[]string{"string"}, "date-time", "2026-01-01T12:00:00Z"},
	"interval":    {[]string{"string"}, "", "1 day"},
	"money":       {[]string{"string", "number"}, "", "1.00"},
	"text":        {[]string{"string"}, "", "text"},
	"citext":      {[]string{"string"}, "", "text"},
	"bpchar":      {[]string{"string"}, "", "text"},
	"name":        {[]string{"string"}, "", "text"},
	"bytea":       {[]string{"string"}, "", `\x00`},
	"inet":        {[]string{"string"}, "", "192.0.2.1"},
	"cidr":        {[]string{"string"}, "", "192.0.2.0/24"},
	"macaddr":     {[]string{"string"}, "", "00:00:5e:00:53:01"},
	"bit":         {[]string{"string"}, "", "1"},
	"varbit":      {[]string{"string"}, "", "1"},
	"xml":         {[]string{"string"}, "", "<a/>"},
	"ltree":       {[]string{"string"}, "", "a.b"},
}

// aliases are scalars that are as another one.
var aliases = map[string]string{
	"int": "Int", "integer": "Int", "int2": "smallint", "int4": "Int", "int8": "bigint", "serial": "Int", "bigserial": "bigint", "oid": "bigint",
	"float4": "real", "bool": "Boolean", "boolean": "Boolean", "char": "bpchar", "varchar": "text",
}

// scalarOf finds a scalar that the project has not declared for itself.
func (c *contract) scalarOf(name string) (scalar, bool) {
	if _, own := c.scalars[name]; own {
		return scalar{}, false
	}
	if other, ok := aliases[name]; ok {
		name = other
	}
	found, ok := scalars[name]
	return found, ok
}

// schemas writes the types of a contract as JSON schemas.
type schemas struct {
	*contract
	components map[string]any
}

// of is the schema of a type; what may be null says so.
func (s *schemas) of(ref model.TypeRef) any {
	if ref.Of != nil {
		return nullable(map[string]any{"type": "array", "items": s.of(*ref.Of)}, ref.NonNull)
	}
	if known, ok := s.scalarOf(ref.Name); ok {
		out := map[string]any{"type": known.types[0]}
		if len(known.types) > 1 {
			out["type"] = known.types
		}
		if known.format != "" {
			out["format"] = known.format
		}
		return nullable(out, ref.NonNull)
	}
	if !s.declare(ref.Name) {
		return map[string]any{"description": "Any JSON."} // of a scalar that is not known to be narrower
	}
	to := map[string]any{"$ref": "#/components/schemas/" + ref.Name}
	if ref.NonNull {
		return to
	}
	return map[string]any{"oneOf": []any{to, map[string]any{"type": "null"}}}
}

func nullable(schema map[string]any, nonNull bool) map[string]any {
	if !nonNull {
		switch kinds := schema["type"].(type) {
		case string:
			schema["type"] = []string{kinds, "null"}
		case []string:
			schema["type"] = append(append([]string{}, kinds...), "null")
		}
	}
	return schema
}

// declare makes a component of a custom type; it reports false for what is none.
func (s *schemas) declare(name string) bool {
	if _, done := s.components[name]; done {
		return true
	}
	out := map[string]any{}
	switch {
	case s.enums[name].Name != "":
		t := s.enums[name]
		var values []string
		for _, v := range t.Values {
			values = append(values, v.Value)
		}
		out["type"], out["enum"] = "string", values
		describe(out, t.Description)
		s.components[name] = out
	case s.inputs[name].Name != "":
		t := s.inputs[name]
		s.components[name] = out
		s.object(out, t.Description, t.Fields)
		out["additionalProperties"] = false
	case s.objects[name].Name != "":
		t := s.objects[name]
		s.components[name] = out
		s.object(out, t.Description, t.Fields)
	default:
		return false
	}
	return true
}

func describe(schema map[string]any, text string) {
	if text != "" {
		schema["description"] = text
	}
}

// object writes the members of an object; those that must be there are required.
func (s *schemas) object(out map[string]any, description string, fields []metadata.Argument) {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		ref, err := model.ParseTypeRef(f.Type)
		if err != nil {
			continue // inconsistent metadata: the action does not serve
		}
		property := s.of(ref)
		if member, ok := property.(map[string]any); ok {
			describe(member, f.Description)
		}
		properties[f.Name] = property
		if ref.NonNull {
			required = append(required, f.Name)
		}
	}
	out["type"], out["properties"] = "object", properties
	if len(required) > 0 {
		out["required"] = required
	}
	describe(out, description)
}

// Sample are arguments of calls, made from an action's contract.
type Sample struct {
	Full    map[string]any // every argument
	Minimal map[string]any // those that must be there, and no more
}

// SampleOf makes arguments for an action of a document. The error says that there is
// no such action, or that no finite value fits its arguments.
func SampleOf(doc *metadata.Document, action string) (Sample, error) {
	c, err := contractOf(doc, action)
	if err != nil {
		return Sample{}, err
	}
	arguments := c.action.Definition.Arguments
	full, ok := c.members(arguments, true, nil)
	minimal, possible := c.members(arguments, false, nil)
	if !possible {
		return Sample{}, fmt.Errorf("no finite value fits the arguments of %s", action)
	}
	if !ok {
		full = minimal
	}
	return Sample{full, minimal}, nil
}

// members makes the members of an object: all, or those that are required. Types
// within themselves end where they may.
func (c *contract) members(fields []metadata.Argument, all bool, within []string) (map[string]any, bool) {
	out := map[string]any{}
	for _, f := range fields {
		ref, err := model.ParseTypeRef(f.Type)
		if err != nil {
			return nil, false
		}
		if !all && !ref.NonNull {
			continue
		}
		value, ok := c.value(ref, all, within)
		switch {
		case ok:
			out[f.Name] = value
		case ref.NonNull:
			return nil, false
		}
	}
	return out, true
}

func (c *contract) value(ref model.TypeRef, all bool, within []string) (any, bool) {
	if ref.Of != nil {
		if !all {
			return []any{}, true
		}
		element, ok := c.value(*ref.Of, all, within)
		if !ok {
			return []any{}, true
		}
		return []any{element}, true
	}
	if t, ok := c.enums[ref.Name]; ok {
		if len(t.Values) == 0 {
			return nil, false
		}
		return t.Values[0].Value, true
	}
	if t, ok := c.inputs[ref.Name]; ok {
		return c.nested(t.Name, t.Fields, all, within)
	}
	if t, ok := c.objects[ref.Name]; ok {
		return c.nested(t.Name, t.Fields, all, within)
	}
	if known, ok := c.scalarOf(ref.Name); ok {
		return known.value, true
	}
	return map[string]any{}, true
}

func (c *contract) nested(name string, fields []metadata.Argument, all bool, within []string) (any, bool) {
	if len(within) >= 8 || slices.Contains(within, name) {
		return nil, false
	}
	members, ok := c.members(fields, all, append(within[:len(within):len(within)], name))
	if !ok && all { // an optional member can't be made: leave out all of them
		members, ok = c.members(fields, false, append(within[:len(within):len(within)], name))
	}
	return members, ok
}
