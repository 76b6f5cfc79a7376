package codegen

import (
	"fmt"
	"go/format"
	"strconv"

	"tenantry/tenants/model"
)

// goTaken are names that generated Go must not take: keywords, what is declared
// before every file, what webhook.go and main.go declare and import.
const goTaken = `break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select
struct switch type var any bool byte comparable complex64 complex128 error float32 float64 int int8 int16 int32 int64 rune string uint uint8 uint16
uint32 uint64 uintptr true false iota nil append cap clear close complex copy delete imag len make max min new panic print println real recover
main init operation variables data bytes context url base64 json hmac sha256 errors fmt io log http os strconv strings time cmp
Call Completion Error ErrPending Settings Handler Arguments Output verify signedBy respond completion post tolerance maxBody`

func golang(c *contract, o Options) ([]File, error) {
	taken := reserve(goTaken)
	d := dialect{names: map[string]string{}}
	for _, t := range c.types {
		d.names[t.name] = taken.take(pascal(t.name))
	}
	d.typeOf = func(f field, owner string) string { return c.goType(d.names, f.ref, owner) }
	d.fieldAs = func(scope namer, name string) string { return scope.take(pascal(name)) }
	d.valueAs = func(t *declared, value string) string { return taken.take(d.names[t.name] + pascal(value)) }
	v := c.view(d, o)
	v.Function = taken.take(camel(c.action))
	v.delegate(o, goText)
	if s, ok := c.sample(c.goLiterals(d.names), c.output, nil); ok {
		v.Sample, v.Later = s.print("\t", 1), c.async
	}
	files := []File{{Name: "main.go", Scaffold: true}, {Name: "go.mod", Scaffold: true}, {Name: "contract.go"}, {Name: "webhook.go"}}
	for i := range files {
		text, err := render("go/"+files[i].Name, v)
		if err != nil {
			return nil, err
		}
		if files[i].Name != "go.mod" {
			formatted, err := format.Source([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("format %s: %w", files[i].Name, err)
			}
			text = string(formatted)
		}
		files[i].Content = text
	}
	return files, nil
}

// goType writes a type: what may be null is a pointer, or a slice or any, whose
// nil is null.
func (c *contract) goType(names map[string]string, ref model.TypeRef, owner string) string {
	if ref.Of != nil {
		return "[]" + c.goType(names, *ref.Of, "")
	}
	base := goScalars[scalars[ref.Name]]
	if t := c.byName[ref.Name]; t != nil {
		base = names[t.name]
		if t.kind == scalarKind {
			return base // any
		}
		if ref.NonNull && owner != "" && c.holds(t, owner, map[string]bool{}) {
			return "*" + base // a struct can't hold itself
		}
	}
	if ref.NonNull || base == "any" {
		return base
	}
	return "*" + base
}

var goScalars = map[form]string{
	textForm: "string", integerForm: "int", floatForm: "float64", booleanForm: "bool", exactForm: "json.Number", anyForm: "any",
}

// holds reports whether every value of a type has one of the named type inside.
func (c *contract) holds(t *declared, name string, seen map[string]bool) bool {
	if t.name == name {
		return true
	}
	if seen[t.name] {
		return false
	}
	seen[t.name] = true
	for _, f := range t.fields {
		if inner := c.byName[f.ref.Name]; f.ref.NonNull && inner != nil && c.holds(inner, name, seen) {
			return true
		}
	}
	return false
}

func (c *contract) goLiterals(names map[string]string) literals {
	return literals{
		null: "nil", truth: "true", object: "map[string]any{}", number: `"0"`, quote: strconv.Quote,
		enum: func(_ *declared, value string) string { return strconv.Quote(value) },
		objectOf: func(t *declared, ref model.TypeRef) (string, string) {
			if !ref.NonNull {
				return "&" + names[t.name] + "{", "}"
			}
			return names[t.name] + "{", "}"
		},
		key: func(t *declared, f field) string {
			scope := namer{}
			for _, other := range t.fields {
				name := scope.take(pascal(other.name))
				if other.name == f.name {
					return name + ": "
				}
			}
			return ""
		},
		list: func(ref model.TypeRef) (string, string) { return c.goType(names, ref, "") + "{", "}" },
	}
}
