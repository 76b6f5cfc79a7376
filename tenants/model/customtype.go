package model

import (
	"fmt"
	"maps"
	"slices"

	"tenantry/tenants/metadata"
)

// customTypes resolves the types that actions use. A wrong one is left out, and
// so is what refers to it.
func (r *resolver) customTypes() {
	doc := r.model.Metadata.CustomTypes
	if doc == nil {
		return
	}
	c := &customTypes{resolver: r, doc: doc, pointers: map[string]string{}}
	for i, s := range doc.Scalars {
		// Declaring a scalar of the database again changes nothing.
		scalar := &Type{Name: s.Name, Kind: Scalar, Description: s.Description}
		scalar.BuiltIn = known[s.Name] || r.scalarOfDatabase(s.Name)
		c.add(scalar, fmt.Sprintf("$.custom_types.scalars[%d]", i), nil)
	}
	for i, e := range doc.Enums {
		c.enum(e, fmt.Sprintf("$.custom_types.enums[%d]", i))
	}
	for i, in := range doc.InputObjects {
		c.add(&Type{Name: in.Name, Kind: Input, Description: in.Description},
			fmt.Sprintf("$.custom_types.input_objects[%d]", i), in.Fields)
	}
	for i, o := range doc.Objects {
		c.add(&Type{Name: o.Name, Kind: Object, Description: o.Description},
			fmt.Sprintf("$.custom_types.objects[%d]", i), o.Fields)
	}
	c.dropBroken()
	c.dropEndless()
	for i := range doc.Objects {
		c.relationships(&doc.Objects[i], fmt.Sprintf("$.custom_types.objects[%d]", i))
	}
}

// customTypes are the types in the making.
type customTypes struct {
	*resolver
	doc      *metadata.CustomTypes
	pointers map[string]string // of the types that are in the model
}

func (c *customTypes) fail(pointer, format string, args ...any) {
	c.report(Inconsistency{
		Type: "custom_types", Name: "custom_types custom_types", Definition: c.doc,
		Reason:  reasonPrefix + "validation for the given custom types failed because " + fmt.Sprintf(format, args...),
		Pointer: pointer,
	})
}

// add takes a type in if its own text is right; references come later.
func (c *customTypes) add(t *Type, pointer string, fields []metadata.Argument) {
	if !usableName(t.Name) {
		c.fail(pointer+".name", "%q is not a valid GraphQL name", t.Name)
		return
	}
	if _, twice := c.pointers[t.Name]; twice {
		c.fail(pointer+".name", "the type %q is defined twice", t.Name)
		return
	}
	if builtIn(t.Name) || t.Kind != Scalar && c.scalarOfDatabase(t.Name) {
		c.fail(pointer+".name", "the type name %q is that of a built-in scalar", t.Name)
		return
	}
	if err := c.names.claimTypes("the custom type "+t.Name, []string{t.Name}); err != nil {
		c.fail(pointer+".name", "%s", err)
		return
	}
	if (t.Kind == Input || t.Kind == Object) && !c.fields(t, pointer, fields) {
		return
	}
	c.pointers[t.Name] = pointer
	c.model.Types[t.Name] = t
}

func (c *customTypes) enum(e metadata.EnumType, pointer string) {
	if len(e.Values) == 0 {
		c.fail(pointer+".values", "the enum type %q has no values", e.Name)
		return
	}
	seen := map[string]bool{}
	for i, v := range e.Values {
		at := fmt.Sprintf("%s.values[%d].value", pointer, i)
		switch {
		case !usableName(v.Value) || v.Value == "true" || v.Value == "false" || v.Value == "null":
			c.fail(at, "the value %q of the enum type %q is not a valid GraphQL name", v.Value, e.Name)
			return
		case seen[v.Value]:
			c.fail(at, "the enum type %q has the value %q twice", e.Name, v.Value)
			return
		}
		seen[v.Value] = true
	}
	c.add(&Type{Name: e.Name, Kind: Enum, Description: e.Description, Values: e.Values}, pointer, nil)
}

// fields parses a type's fields and reports all mistakes.
func (c *customTypes) fields(t *Type, pointer string, fields []metadata.Argument) bool {
	right := len(fields) > 0
	if !right {
		c.fail(pointer+".fields", "the type %q has no fields", t.Name)
	}
	for i, f := range fields {
		at := fmt.Sprintf("%s.fields[%d]", pointer, i)
		ref, err := ParseTypeRef(f.Type)
		switch _, twice := t.Field(f.Name); {
		case !usableName(f.Name):
			c.fail(at+".name", "the field name %q of the type %q is not a valid GraphQL name", f.Name, t.Name)
		case twice:
			c.fail(at+".name", "the type %q has the field %q twice", t.Name, f.Name)
		case err != nil:
			c.fail(at+".type", "of the field %q of the type %q: %s", f.Name, t.Name, err)
		default:
			t.Fields = append(t.Fields, Field{Name: f.Name, Description: f.Description, Type: ref})
			continue
		}
		right = false
	}
	return right
}

// dropBroken leaves out types with references that lead nowhere, until all that
// are left have none.
func (c *customTypes) dropBroken() {
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(c.pointers)) {
			t, broken := c.model.Types[name], false
			for i, f := range t.Fields {
				if reason := c.wrongReference(t, f); reason != "" {
					c.fail(fmt.Sprintf("%s.fields[%d].type", c.pointers[name], i), "%s", reason)
					broken = true
				}
			}
			if broken {
				delete(c.model.Types, name)
				delete(c.pointers, name)
				again = true
			}
		}
	}
}

// dropEndless leaves out input objects whose every value would need another one of
// the type inside, which GraphQL forbids: clients would refuse the whole schema.
func (c *customTypes) dropEndless() {
	var endless []string
	for _, name := range slices.Sorted(maps.Keys(c.pointers)) {
		for i, f := range c.model.Types[name].Fields {
			if c.needs(f, name, map[string]bool{}) {
				c.fail(fmt.Sprintf("%s.fields[%d].type", c.pointers[name], i),
					"no value fits the input object type %q: its field %q needs one of %q inside", name, f.Name, name)
				endless = append(endless, name)
			}
		}
	}
	for _, name := range endless {
		delete(c.model.Types, name)
		delete(c.pointers, name)
	}
	if len(endless) > 0 {
		c.dropBroken()
	}
}

// needs reports whether every value of a field has one of the named input type inside.
func (c *customTypes) needs(f Field, name string, seen map[string]bool) bool {
	to := c.model.Types[f.Type.Name]
	if !f.Type.NonNull || to == nil || to.Kind != Input || seen[to.Name] {
		return false
	}
	seen[to.Name] = true
	return to.Name == name || slices.ContainsFunc(to.Fields, func(f Field) bool { return c.needs(f, name, seen) })
}

func (c *customTypes) wrongReference(t *Type, f Field) string {
	noun := map[TypeKind]string{Input: "input object type", Object: "object type"}[t.Kind]
	to, ok := c.reference(f.Type.Base())
	switch {
	case !ok:
		// The two blanks are the dialect's.
		return fmt.Sprintf("the type %q for field %q in  %s %q does not exist", f.Type.Base(), f.Name, noun, t.Name)
	case t.Kind == Input && to.Kind == Object:
		return fmt.Sprintf("the field %q of the input object type %q has the object type %q, which is for outputs", f.Name, t.Name, to.Name)
	case t.Kind == Object && to.Kind == Input:
		return fmt.Sprintf("the field %q of the object type %q has the input object type %q, which is for arguments", f.Name, t.Name, to.Name)
	}
	return ""
}

// reference finds a type by name: a custom one, or a scalar of GraphQL or the
// database, which is then among the model's types.
func (r *resolver) reference(name string) (*Type, bool) {
	if t, ok := r.model.Types[name]; ok {
		return t, true
	}
	if !known[name] && !r.scalarOfDatabase(name) {
		return nil, false
	}
	if _, taken := r.names.types[name]; taken && !builtIn(name) {
		return nil, false // a table's type of this name hides the scalar
	}
	t := &Type{Name: name, Kind: Scalar, BuiltIn: true}
	r.model.Types[name] = t
	return t, true
}

// scalarOfDatabase reports whether a column of a tracked table has the scalar.
func (r *resolver) scalarOfDatabase(name string) bool {
	if r.scalars == nil {
		r.scalars = map[string]bool{}
		for _, t := range r.model.Tables {
			for _, c := range t.Columns {
				r.scalars[c.Scalar] = true
			}
		}
	}
	return r.scalars[name]
}

// relationships joins an object type to tables. A wrong one is left out.
func (c *customTypes) relationships(doc *metadata.ObjectType, pointer string) {
	t, ok := c.model.Types[doc.Name]
	if !ok || t.Kind != Object || c.pointers[doc.Name] != pointer {
		return
	}
	for i := range doc.Relationships {
		at := fmt.Sprintf("%s.relationships[%d]", pointer, i)
		if found := c.relationship(t, &doc.Relationships[i], at); found != nil {
			t.Relationships = append(t.Relationships, found)
		}
	}
	// What the tenant has named itself goes before the names of aggregates.
	for _, r := range t.Relationships {
		if !r.Array {
			continue
		}
		name := r.Target.Naming.aggregateOf(r.Name)
		_, isField := t.Field(name)
		if _, taken := t.Relationship(name); !taken && !isField {
			r.AggregateName = name
		}
	}
}

func (c *customTypes) relationship(t *Type, doc *metadata.TypeRelationship, pointer string) *TypeRelationship {
	right := true
	fail := func(key, format string, args ...any) {
		right = false
		c.fail(pointer+key, format, args...)
	}
	where := fmt.Sprintf("relationship %q in object type %q", doc.Name, t.Name)
	_, isField := t.Field(doc.Name)
	_, twice := t.Relationship(doc.Name)
	if !usableName(doc.Name) {
		fail(".name", "the name of the %s is not a valid GraphQL name", where)
	} else if isField || twice {
		fail(".name", "the name of the %s is already used by a field or relationship", where)
	}
	if doc.Type != "object" && doc.Type != "array" {
		fail(".type", "the type %q of the %s is neither object nor array", doc.Type, where)
	}
	source := doc.Source
	if source == "" {
		source = "default"
	}
	target, err := c.target(source, doc.RemoteTable)
	if err != nil {
		fail(".remote_table", "the target of the %s is wrong: %s", where, err)
	}
	if len(doc.FieldMapping) == 0 {
		fail(".field_mapping", "the field_mapping of the %s is empty", where)
	}
	found := &TypeRelationship{Name: doc.Name, Array: doc.Type == "array", Target: target}
	for _, field := range slices.Sorted(maps.Keys(doc.FieldMapping)) {
		column := doc.FieldMapping[field]
		at := ".field_mapping." + field
		f, ok := t.Field(field)
		switch to, _ := c.reference(f.Type.Base()); {
		case !ok:
			fail(at, "the field %q for %s does not exist", field, where)
		case f.Type.Of != nil:
			fail(at, "the type of the field %q for %s is a list type", field, where)
		case to == nil || to.Kind == Object || to.Kind == Input:
			fail(at, "the type of the field %q for %s is not a scalar or enum", field, where)
		}
		if target != nil {
			if _, ok := target.Stored(column); !ok {
				fail(at, "the column %q of remote table %q for %s does not exist", column, ShortName(target.Name), where)
			}
		}
		found.Mapping = append(found.Mapping, Pair{Local: field, Remote: column})
	}
	if !right {
		return nil
	}
	return found
}
