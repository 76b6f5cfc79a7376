package operation

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// place is where a value stands and what that place asks beyond its type.
type place struct {
	at          *path
	refusesNull bool
	nonNegative bool
	bigInt      bool
	hasDefault  bool
}

// value checks a literal, and the variables in it, against a type.
func (v *validation) value(val *ast.Value, t *ast.Type, p place) error {
	switch val.Kind {
	case ast.Variable:
		return v.variable(val, t, p)
	case ast.NullValue:
		if t.NonNull || p.refusesNull {
			return unexpectedNull(t, p.at)
		}
		return nil
	}
	if t.Elem != nil {
		if val.Kind != ast.ListValue { // one value stands for a list of one
			return v.value(val, t.Elem, place{at: index(p.at, 0)})
		}
		for i, c := range val.Children {
			if err := v.value(c.Value, t.Elem, place{at: index(p.at, i)}); err != nil {
				return err
			}
		}
		return nil
	}
	def := v.touch(t.NamedType)
	if def == nil {
		return invalid(p.at.String(), "type '%s' does not exist", t.NamedType)
	}
	switch def.Kind {
	case ast.InputObject:
		return v.object(val, def, p.at)
	case ast.Enum:
		l := literal(val)
		if l.kind != isEnum {
			return mismatch("an enum value", t, l, p.at)
		}
		return checkEnum(def, l.text, p.at)
	}
	l := literal(val)
	if l.kind == isList || l.kind == isObject {
		if err := v.jsonVariables(val, p.at); err != nil {
			return err
		}
	}
	if err := checkScalar(t, l, p, v.op.schema.CustomScalar(t.NamedType)); err != nil || v.op.schema.CustomScalar(t.NamedType) {
		return err
	}
	switch t.NamedType {
	case "geometry", "geography", "ltree", "raster":
		if !mentionsVariable(val) { // else Postgres tells what is wrong
			return checkForm(t.NamedType, constant(val), p.at)
		}
	}
	return nil
}

func mentionsVariable(v *ast.Value) bool {
	return v.Kind == ast.Variable || slices.ContainsFunc(v.Children, func(c *ast.ChildValue) bool { return mentionsVariable(c.Value) })
}

// object checks an input object.
func (v *validation) object(val *ast.Value, def *ast.Definition, at *path) error {
	if val.Kind != ast.ObjectValue {
		return mismatch("an object", &ast.Type{NamedType: def.Name}, literal(val), at)
	}
	refusesNull := v.op.schema.RefusesNull(def.Name)
	given := make(map[string]bool, len(val.Children))
	for _, c := range val.Children {
		f := def.Fields.ForName(c.Name)
		switch {
		case f == nil:
			return unknownField(c.Name, def, at)
		case given[c.Name]:
			return invalid(at.key(c.Name).String(), "field '%s' occurs more than once in an object of type '%s'", c.Name, def.Name)
		}
		given[c.Name] = true
		p := place{at: at.key(c.Name), refusesNull: refusesNull, hasDefault: f.DefaultValue != nil}
		if err := v.value(c.Value, f.Type, p); err != nil {
			return err
		}
	}
	for _, f := range def.Fields {
		if f.Type.NonNull && f.DefaultValue == nil && !given[f.Name] {
			return invalid(at.key(f.Name).String(), "missing required field '%s'", f.Name)
		}
	}
	return nil
}

// variable checks that a variable may stand where t is expected, and notes what
// the place asks of its value.
func (v *validation) variable(val *ast.Value, t *ast.Type, p place) error {
	decl := v.op.variables[val.Raw]
	if decl == nil {
		return invalid(p.at.String(), "unbound variable %q", val.Raw)
	}
	if !fits(decl.def, t, p.hasDefault) {
		return invalid(p.at.String(), "variable '%s' is declared as '%s', but used where '%s' is expected", val.Raw, decl.def.Type, t)
	}
	if decl.at == nil {
		decl.at = p.at
	}
	decl.bigInt = decl.bigInt && p.bigInt
	// A nullable variable in a non-null place has a default, which null overrides.
	if null := (t.NonNull || p.refusesNull) && !decl.def.Type.NonNull; null || p.nonNegative {
		decl.uses = append(decl.uses, use{at: p.at, refusesNull: null, nonNegative: p.nonNegative, typ: t})
	}
	return nil
}

// fits is the specification's AreTypesCompatible, with defaults.
func fits(decl *ast.VariableDefinition, t *ast.Type, placeHasDefault bool) bool {
	declared := decl.Type
	if t.NonNull && !declared.NonNull {
		hasDefault := decl.DefaultValue != nil && decl.DefaultValue.Kind != ast.NullValue
		if !hasDefault && !placeHasDefault {
			return false
		}
		c := *t
		c.NonNull = false
		t = &c
	}
	return declared.IsCompatible(t)
}

// jsonVariables notes the variables inside a JSON literal: any type may stand there.
func (v *validation) jsonVariables(val *ast.Value, at *path) error {
	for i, c := range val.Children {
		next := index(at, i)
		if val.Kind == ast.ObjectValue {
			next = at.key(c.Name)
		}
		switch c.Value.Kind {
		case ast.Variable:
			decl := v.op.variables[c.Value.Raw]
			if decl == nil {
				return invalid(next.String(), "unbound variable %q", c.Value.Raw)
			}
			if decl.at == nil {
				decl.at = next
			}
			decl.bigInt = false
		case ast.ListValue, ast.ObjectValue:
			if err := v.jsonVariables(c.Value, next); err != nil {
				return err
			}
		}
	}
	return nil
}

func unexpectedNull(t *ast.Type, at *path) error {
	return invalid(at.String(), "unexpected null value for type '%s'", strings.TrimSuffix(t.String(), "!"))
}

func unknownField(name string, def *ast.Definition, at *path) error {
	return invalid(at.key(shorten(name)).String(), "field '%s' not found in type: '%s'", shorten(name), def.Name)
}

func mismatch(expected string, t *ast.Type, found leaf, at *path) error {
	return invalid(at.String(), "expected %s for type '%s', but found %s", expected, t.Name(), found.kind)
}

func checkEnum(def *ast.Definition, value string, at *path) error {
	if def.EnumValues.ForName(value) != nil {
		return nil
	}
	names := make([]string, len(def.EnumValues))
	for i, e := range def.EnumValues {
		names[i] = "'" + e.Name + "'"
	}
	return invalid(at.String(), "expected one of the values [%s] for type '%s', but found '%s'",
		strings.Join(names, ", "), def.Name, shorten(value))
}
