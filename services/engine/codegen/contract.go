package codegen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// contract is what an action says to its handler, checked: every name is a
// GraphQL name, every type can be read.
type contract struct {
	framework   string
	action      string
	actions     []string // names of all actions of the project, sorted
	comment     string
	async       bool
	transformed bool // the wire does not carry the contract as it is
	arguments   []field
	output      model.TypeRef
	types       []*declared // custom types in use, in order of first use
	byName      map[string]*declared
}

type kind int

const (
	scalarKind kind = iota
	enumKind
	inputKind
	objectKind
)

// declared is a custom type.
type declared struct {
	name, comment string
	kind          kind
	fields        []field
	values        []metadata.EnumValue
	joins         []string // what the engine adds to an object, in words
}

type field struct {
	name, comment string
	ref           model.TypeRef
}

// read finds an action and the types that it uses.
func read(doc *metadata.Document, name string) (*contract, error) {
	a, ok := doc.Action(name)
	if !ok {
		return nil, fmt.Errorf("there is no action %q", name)
	}
	d := &a.Definition
	c := &contract{
		action: a.Name, comment: plain(a.Comment), async: d.Kind == "asynchronous",
		transformed: d.RequestTransform != nil || d.ResponseTransform != nil,
		byName:      map[string]*declared{},
	}
	for _, other := range doc.Actions {
		c.actions = append(c.actions, other.Name)
	}
	slices.Sort(c.actions)
	if err := usable(a.Name, "action"); err != nil {
		return nil, err
	}
	known := declarations(doc.CustomTypes)
	var err error
	if c.arguments, err = c.fields(known, d.Arguments, "argument"); err != nil {
		return nil, err
	}
	if c.output, err = c.reference(known, d.OutputType); err != nil {
		return nil, fmt.Errorf("the output type: %w", err)
	}
	return c, nil
}

// declarations are all custom types by name, their fields not read yet.
func declarations(types *metadata.CustomTypes) map[string]func() (*declared, []metadata.Argument) {
	known := map[string]func() (*declared, []metadata.Argument){}
	if types == nil {
		return known
	}
	declare := func(name, description string, k kind, fields []metadata.Argument) {
		known[name] = func() (*declared, []metadata.Argument) {
			return &declared{name: name, comment: plain(description), kind: k}, fields
		}
	}
	for _, t := range types.Scalars {
		if _, ofPostgres := scalars[t.Name]; !ofPostgres {
			declare(t.Name, t.Description, scalarKind, nil)
		}
	}
	for _, t := range types.InputObjects {
		declare(t.Name, t.Description, inputKind, t.Fields)
	}
	for _, t := range types.Enums {
		known[t.Name] = func() (*declared, []metadata.Argument) {
			return &declared{name: t.Name, comment: plain(t.Description), kind: enumKind, values: t.Values}, nil
		}
	}
	for _, t := range types.Objects {
		known[t.Name] = func() (*declared, []metadata.Argument) {
			d := &declared{name: t.Name, comment: plain(t.Description), kind: objectKind}
			for _, r := range t.Relationships {
				by := slices.Sorted(maps.Keys(r.FieldMapping))
				d.joins = append(d.joins, plain(fmt.Sprintf("%s: joined from %s by %s", r.Name, r.RemoteTable.String(), strings.Join(by, ", "))))
			}
			return d, t.Fields
		}
	}
	return known
}

func (c *contract) fields(known map[string]func() (*declared, []metadata.Argument), list []metadata.Argument, what string) ([]field, error) {
	var out []field
	for _, f := range list {
		if err := usable(f.Name, what); err != nil {
			return nil, err
		}
		ref, err := c.reference(known, f.Type)
		if err != nil {
			return nil, fmt.Errorf("the %s %q: %w", what, f.Name, err)
		}
		out = append(out, field{f.Name, plain(f.Description), ref})
	}
	return out, nil
}

// reference reads a type and takes the custom type below it into the contract.
func (c *contract) reference(known map[string]func() (*declared, []metadata.Argument), text string) (model.TypeRef, error) {
	ref, err := model.ParseTypeRef(text)
	if err != nil {
		return ref, err
	}
	name := ref.Base()
	declaration, custom := known[name]
	if _, seen := c.byName[name]; seen || !custom {
		return ref, nil
	}
	if err := usable(name, "type"); err != nil {
		return ref, err
	}
	t, fields := declaration()
	for _, v := range t.values {
		if err := usable(v.Value, "enum value"); err != nil {
			return ref, err
		}
	}
	// Before its fields: types refer to themselves.
	c.byName[name], c.types = t, append(c.types, t)
	if t.fields, err = c.fields(known, fields, "field of "+name); err != nil {
		return ref, err
	}
	return ref, nil
}

// usable refuses what is no GraphQL name: names become code.
func usable(name, what string) error {
	if !model.ValidName(name) || strings.HasPrefix(name, "__") {
		return fmt.Errorf("the name %q of the %s is not a valid GraphQL name", name, what)
	}
	return nil
}

// form is how a scalar travels in JSON.
type form int

const (
	anyForm form = iota // also custom scalars
	textForm
	integerForm
	floatForm
	booleanForm
	// exactForm are numbers that may not fit a float64, so that many write them as
	// text: both are taken.
	exactForm
)

// scalars are those of GraphQL and Postgres. What is missing may be any JSON.
var scalars = func() map[string]form {
	m := map[string]form{}
	for f, names := range map[form]string{
		textForm: `String ID uuid text citext name bpchar char varchar bytea bit varbit date time timetz timestamp timestamptz interval
inet cidr macaddr macaddr8 xml money ltree lquery ltxtquery tsvector tsquery int4range int8range numrange tsrange tstzrange daterange`,
		integerForm: "Int smallint integer int int2 int4 serial oid",
		floatForm:   "Float real float8",
		booleanForm: "Boolean boolean bool",
		exactForm:   "bigint int8 bigserial numeric",
		anyForm:     "json jsonb hstore geometry geography raster point line lseg box path polygon circle",
	} {
		for _, name := range strings.Fields(names) {
			m[name] = f
		}
	}
	return m
}()

// builtIn scalars need no word about what they are.
func builtIn(name string) bool {
	switch name {
	case "Int", "Float", "String", "Boolean", "ID":
		return true
	}
	return false
}
