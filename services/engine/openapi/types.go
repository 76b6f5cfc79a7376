package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/metadata"
)

// anyJSON is the scalar of what has no type of its own.
const anyJSON = "json"

// place is a schema with where it is.
type place struct {
	*schemaRef
	pointer string
	// name that a type made of it gets, if it is no component.
	name string
}

// mapped is a GraphQL type of a schema.
type mapped struct {
	ref      string // without the outer !
	nullable bool
	scalar   bool // travels as one JSON scalar
	list     bool
	words    []word // of an enum, or a list of one
}

// word is a value of an enum whose name in GraphQL is another than the API's.
type word struct{ name, value string }

func (m mapped) required(required bool) string {
	if required && !m.nullable {
		return m.ref + "!"
	}
	return m.ref
}

// tooMuch ends a mapping that references make endless.
type tooMuch struct{ pointer string }

// types makes custom types of schemas. The same component is the same type in all
// operations; inputs and outputs are types of their own.
type types struct {
	components map[string]*schemaRef
	prefix     string
	visits     int
	notes      []Note
	noted      map[Note]bool
	made       map[string]mapped // by direction and pointer of a component
	taken      map[string]bool   // names of types
	places     map[string]string // pointers of the schemas of inputs, by the names of types
	translated bool              // templates translate the values of enums
	declared   metadata.CustomTypes
}

func newTypes(doc *document, prefix string) *types {
	t := &types{prefix: prefix, noted: map[Note]bool{}, made: map[string]mapped{}, taken: map[string]bool{}, places: map[string]string{}}
	t.components = doc.schemas
	for _, name := range []string{"Query", "Mutation", "Subscription", "Int", "Float", "String", "Boolean", "ID"} {
		t.taken[name] = true
	}
	return t
}

func (t *types) note(pointer, format string, args ...any) {
	n := Note{pointer, fmt.Sprintf(format, args...)}
	if !t.noted[n] {
		t.noted[n] = true
		t.notes = append(t.notes, n)
	}
}

func (t *types) anything(pointer, format string, args ...any) mapped {
	t.note(pointer, format+": "+anyJSON, args...)
	return mapped{ref: anyJSON}
}

// of maps a schema; input says that a client gives the value.
func (t *types) of(p place, input bool) mapped {
	if t.visits++; t.visits > maxSchemas {
		panic(tooMuch{p.pointer})
	}
	p = t.resolve(p)
	if p.schemaRef == nil || p.value == nil {
		return mapped{ref: anyJSON, nullable: true}
	}
	s := p.value
	if s.always {
		return mapped{ref: anyJSON, nullable: true}
	}
	kinds, nullable := kindsOf(s)
	var m mapped
	single, isNull := alternative(p)
	if single != nil {
		m = t.of(*single, input)
	} else {
		m = t.kind(p, kinds, input)
	}
	m.nullable = m.nullable || nullable || isNull
	return m
}

// resolve follows a reference to the component that it names.
func (t *types) resolve(p place) place {
	for range maxReferences {
		if p.schemaRef == nil || p.ref == "" {
			return p
		}
		pointer := strings.TrimPrefix(p.ref, "#")
		name, component := strings.CutPrefix(p.ref, "#/components/schemas/")
		name = unescaped.Replace(name)
		target := t.components[name]
		if !component || target == nil {
			return place{&schemaRef{value: p.value}, pointer, p.name}
		}
		p = place{target, pointer, name}
	}
	panic(tooMuch{p.pointer})
}

// kindsOf are the types that a schema names, without null.
func kindsOf(s *schema) (kinds []string, nullable bool) {
	nullable = s.nullable
	for _, kind := range s.kinds {
		if kind == "null" {
			nullable = true
		} else {
			kinds = append(kinds, kind)
		}
	}
	if slices.Contains(s.enum, nil) {
		nullable = true
	}
	return kinds, nullable
}

// alternative is the one schema that oneOf, anyOf or allOf leave beside null; nil
// when they say more.
func alternative(p place) (single *place, null bool) {
	s := p.value
	keyword, list := "allOf", s.allOf
	switch {
	case len(s.oneOf) > 0:
		keyword, list = "oneOf", s.oneOf
	case len(s.anyOf) > 0:
		keyword, list = "anyOf", s.anyOf
	}
	var rest []place
	for i, one := range list {
		if one.value != nil && one.ref == "" && slices.Equal(one.value.kinds, []string{"null"}) {
			null = true
			continue
		}
		rest = append(rest, place{one, at(p.pointer, keyword, strconv.Itoa(i)), p.name})
	}
	alone := len(s.properties)+len(s.required) == 0 && len(s.oneOf)+len(s.anyOf)+len(s.allOf) == len(list)
	if len(rest) != 1 || !alone {
		return nil, null
	}
	return &rest[0], null
}

func (t *types) kind(p place, kinds []string, input bool) mapped {
	s := p.value
	switch {
	case len(s.oneOf) > 0:
		return t.anything(at(p.pointer, "oneOf"), "one of several schemas has no type in an action")
	case len(s.anyOf) > 0:
		return t.anything(at(p.pointer, "anyOf"), "any of several schemas has no type in an action")
	case len(kinds) > 1:
		return t.anything(at(p.pointer, "type"), "several types (%s) are no type in GraphQL", strings.Join(kinds, ", "))
	case len(s.enum) > 0 && (len(kinds) == 0 || kinds[0] == "string"):
		return t.enum(p)
	case len(kinds) == 0 && s.constant != nil:
		return constant(s.constant)
	case len(kinds) == 0 && (len(s.properties) > 0 || len(s.allOf) > 0):
		return t.object(p, input)
	case len(kinds) == 0 && s.items != nil:
		return t.list(p, input)
	case len(kinds) == 0:
		return mapped{ref: anyJSON, nullable: true}
	}
	switch kinds[0] {
	case "object":
		return t.object(p, input)
	case "array":
		return t.list(p, input)
	case "string":
		return mapped{ref: t.text(p), scalar: true}
	case "integer":
		return mapped{ref: integer(s), scalar: true}
	case "number":
		if s.format == "decimal" {
			return mapped{ref: "numeric", scalar: true}
		}
		return mapped{ref: "Float", scalar: true}
	case "boolean":
		return mapped{ref: "Boolean", scalar: true}
	}
	return t.anything(at(p.pointer, "type"), "the type %.50q is not known", kinds[0])
}

func constant(value any) mapped {
	switch value.(type) {
	case string:
		return mapped{ref: "String", scalar: true}
	case bool:
		return mapped{ref: "Boolean", scalar: true}
	case json.Number:
		return mapped{ref: "Float", scalar: true}
	}
	return mapped{ref: anyJSON}
}

func integer(s *schema) string {
	const most = 1<<31 - 1
	if s.format == "int64" || s.format == "uint64" || s.most > most || s.least < -most-1 {
		return "bigint"
	}
	return "Int"
}

// formats of texts that have a type of their own. Others are texts: what they
// demand, the API checks.
var formats = map[string]string{"uuid": "uuid", "date-time": "timestamptz", "date": "date", "decimal": "numeric", "int64": "bigint"}

func (t *types) text(p place) string {
	if p.value.format == "binary" {
		t.note(at(p.pointer, "format"), "bytes can't be in JSON: String")
	}
	if name := formats[p.value.format]; name != "" {
		return name
	}
	return "String"
}

func (t *types) list(p place, input bool) mapped {
	s := p.value
	if s.places > 0 {
		return t.anything(at(p.pointer, "prefixItems"), "a list with a schema for each place has no type in GraphQL")
	}
	element := t.of(place{s.items, at(p.pointer, "items"), p.name + "_item"}, input)
	return mapped{ref: "[" + element.required(true) + "]", list: true, words: element.words}
}

// enum maps texts to an enum where all of them can be its values, or are translated
// into ones that can.
func (t *types) enum(p place) mapped {
	text := mapped{ref: "String", scalar: true}
	key := fmt.Sprint("enum ", t.translated, " ", p.pointer)
	if known, ok := t.made[key]; ok {
		return known
	}
	var values []metadata.EnumValue
	var words []word
	for i, v := range p.value.enum {
		value, ok := v.(string)
		switch {
		case v == nil:
			continue
		case !ok:
			return t.anything(at(p.pointer, "enum", strconv.Itoa(i)), "only texts can be values of an enum")
		case possible(value):
			values = append(values, metadata.EnumValue{Value: value})
		case t.translated && !strings.ContainsAny(value, "{}") && possible(identifier(value)):
			name := identifier(value)
			words = append(words, word{name, value})
			values = append(values, metadata.EnumValue{Value: name, Description: value})
		default:
			t.note(at(p.pointer, "enum", strconv.Itoa(i)), "%q can't be the value of a GraphQL enum: String", short(value))
			return text
		}
	}
	if len(values) == 0 || len(words) > 0 && repeated(values) {
		return text
	}
	if len(words) == 0 && t.translated { // the same type as elsewhere
		t.translated = false
		defer func() { t.translated = true }()
		return t.enum(p)
	}
	name := p.name
	if len(words) > 0 {
		name += "_word"
	}
	name = t.take(name)
	m := mapped{ref: name, scalar: true, words: words}
	t.made[key] = m
	t.declared.Enums = append(t.declared.Enums, metadata.EnumType{Name: name, Description: p.value.description, Values: values})
	return m
}

// possible reports whether a text can be the value of an enum.
func possible(value string) bool {
	return usable(value) && !slices.Contains([]string{"true", "false", "null"}, value)
}

func repeated(values []metadata.EnumValue) bool {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v.Value] {
			return true
		}
		seen[v.Value] = true
	}
	return false
}

// parameter maps a schema of what templates write, one value or a list of them.
func (t *types) parameter(p place) mapped {
	t.translated = true
	defer func() { t.translated = false }()
	return t.of(p, true)
}

// text is a template of a value as the API has it.
func (m mapped) text(path string) string {
	if len(m.words) == 0 {
		return "{{" + path + "}}"
	}
	var out strings.Builder
	keyword := "if"
	for _, w := range m.words {
		value, _ := json.Marshal(w.value) // a text always can
		fmt.Fprintf(&out, `{{ %s %s == "%s" }}%s`, keyword, path, w.name, value)
		keyword = "elif"
	}
	return out.String() + "{{ else }}{{ " + path + " }}{{ end }}"
}

// take gives a type a name that no other has.
func (t *types) take(text string) string {
	name := t.prefix + pascal(text)
	for n := 2; t.taken[name]; n++ {
		name = t.prefix + pascal(text) + strconv.Itoa(n)
	}
	t.taken[name] = true
	return name
}

// member is a property of an object, of itself or of what it is composed of.
type member struct {
	place
	required bool
}

// object maps an object with known properties to a type; all others are any JSON.
func (t *types) object(p place, input bool) mapped {
	key := "output " + p.pointer
	if input {
		key = "input " + p.pointer
	}
	if known, ok := t.made[key]; ok {
		return known
	}
	members := map[string]member{}
	if !t.compose(p, members, nil) {
		return t.anything(at(p.pointer, "allOf"), "what is composed is no object")
	}
	if len(members) == 0 {
		return mapped{ref: anyJSON}
	}
	if !t.prune(p, members, input) {
		t.made[key] = mapped{ref: anyJSON}
		return t.made[key]
	}
	name := p.name
	if input && !strings.HasSuffix(strings.ToLower(name), "input") {
		name += "_input"
	}
	name = t.take(name)
	t.made[key] = mapped{ref: name} // before its fields: types refer to themselves
	fields := t.fields(members, input)
	if input {
		t.places[name] = p.pointer
		t.declared.InputObjects = append(t.declared.InputObjects, metadata.InputType{Name: name, Description: p.value.description, Fields: fields})
	} else {
		t.declared.Objects = append(t.declared.Objects, metadata.ObjectType{Name: name, Description: p.value.description, Fields: fields})
	}
	return t.made[key]
}

// compose collects the properties of an object and of all that it is composed of.
func (t *types) compose(p place, members map[string]member, within []*schema) bool {
	if t.visits++; t.visits > maxSchemas {
		panic(tooMuch{p.pointer})
	}
	p = t.resolve(p)
	if p.schemaRef == nil || p.value == nil || slices.Contains(within, p.value) {
		return true
	}
	s := p.value
	kinds, _ := kindsOf(s)
	if len(kinds) > 1 || len(kinds) == 1 && kinds[0] != "object" {
		return false
	}
	within = append(within, s)
	if len(within) > 1 && len(s.oneOf)+len(s.anyOf) > 0 {
		t.note(p.pointer, "what one of several schemas adds is left out")
	}
	for i, part := range s.allOf {
		if !t.compose(place{part, at(p.pointer, "allOf", strconv.Itoa(i)), p.name}, members, within) {
			return false
		}
	}
	for name, property := range s.properties {
		members[name] = member{place{property, at(p.pointer, "properties", name), p.name + "_" + name}, members[name].required}
	}
	for _, name := range s.required {
		m := members[name]
		m.required = true
		members[name] = m
	}
	return true
}

// prune takes out the members that can't be fields. It reports false when nothing is
// left, or when an input lacks one without which every call would fail.
func (t *types) prune(p place, members map[string]member, input bool) bool {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		if m.schemaRef == nil { // required, and nothing else is known of it
			delete(members, name)
			continue
		}
		s := t.resolve(m.place).schemaRef
		if s != nil && s.value != nil && (input && s.value.readOnly || !input && s.value.writeOnly) {
			delete(members, name)
			continue
		}
		if usable(name) {
			continue
		}
		if input && m.required {
			t.note(m.pointer, "the name of the required property is no GraphQL name, so that its object is any JSON")
			return false
		}
		t.note(m.pointer, "the name of the property is no GraphQL name: it is left out")
		delete(members, name)
	}
	if len(members) == 0 {
		t.note(p.pointer, "no property can be a field: %s", anyJSON)
	}
	return len(members) > 0
}

func (t *types) fields(members map[string]member, input bool) (fields []metadata.Argument) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		field := metadata.Argument{Name: name, Type: t.of(m.place, input).required(m.required)}
		if m.value != nil {
			field.Description = m.value.description
		}
		fields = append(fields, field)
	}
	return fields
}
