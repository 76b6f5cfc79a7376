package operation

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// maxInputDepth bounds how deep a variable's lists and objects nest.
const maxInputDepth = 64

// Coerce checks a request's variables against the operation's declarations. The
// answer holds the declared variables that are present or have a default; single
// values are wrapped where a list is declared; numbers are json.Number. Values of
// JSON types are shared with vars.
func (op *Operation) Coerce(vars map[string]any) (map[string]any, error) {
	if err := op.unexpected(vars); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(op.variables))
	for _, d := range op.Def.VariableDefinitions {
		decl := op.variables[d.Variable]
		value, present := vars[d.Variable]
		switch {
		case !present && d.DefaultValue != nil:
			value = constant(d.DefaultValue)
		case !present && d.Type.NonNull:
			return nil, invalid("$", "expecting a value for non-nullable variable: %q", d.Variable)
		case !present:
			continue
		case value == nil && d.Type.NonNull:
			return nil, invalid("$", "null value found for non-nullable type: %q", d.Type)
		}
		at := decl.at
		if at == nil {
			at = (&path{}).key("variables").key(d.Variable)
		}
		c := coercion{op: op, bigInt: decl.bigInt && decl.at != nil}
		coerced, err := c.value(value, d.Type, at, 0)
		if err != nil {
			return nil, err
		}
		if err := checkUses(decl, coerced); err != nil {
			return nil, err
		}
		out[d.Variable] = coerced
	}
	return out, nil
}

func (op *Operation) unexpected(vars map[string]any) error {
	var names []string
	for name := range vars {
		if op.variables[name] == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return invalid("$", "unexpected variables in variableValues: %s", shorten(strings.Join(names, ", ")))
}

// checkUses refuses a value that the type allows but a place does not.
func checkUses(decl *variable, value any) error {
	for _, u := range decl.uses {
		if value == nil {
			if u.refusesNull {
				return unexpectedNull(u.typ, u.at)
			}
			continue
		}
		if u.nonNegative {
			if err := checkNonNegative(u.typ, jsonLeaf(value), decl.bigInt, u.at); err != nil {
				return err
			}
		}
	}
	return nil
}

// coercion is the coercion of one variable.
type coercion struct {
	op     *Operation
	bigInt bool
}

func (c coercion) value(v any, t *ast.Type, at *path, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, invalid(at.String(), "the value nests deeper than %d levels", maxInputDepth)
	}
	if v == nil {
		if t.NonNull {
			return nil, unexpectedNull(t, at)
		}
		return nil, nil
	}
	if t.Elem != nil {
		return c.list(v, t, at, depth)
	}
	def := c.op.definition(t.NamedType)
	switch {
	case def == nil:
		return nil, invalid(at.String(), "type '%s' does not exist", t.NamedType)
	case def.Kind == ast.InputObject:
		return c.object(v, def, at, depth)
	case def.Kind == ast.Enum:
		name, ok := v.(string)
		if !ok {
			return nil, mismatch("an enum value", t, jsonLeaf(v), at)
		}
		return c.op.schema.StoredEnum(def.Name, name), checkEnum(def, name, at)
	}
	v = asNumber(v)
	l := jsonLeaf(v)
	if err := checkScalar(t, l, place{at: at, bigInt: c.bigInt}, c.op.schema.CustomScalar(t.NamedType)); err != nil {
		return nil, err
	}
	if c.op.schema.CustomScalar(t.NamedType) {
		return scalar(v, t.NamedType, l), nil
	}
	return scalar(v, t.NamedType, l), checkForm(t.NamedType, v, at)
}

func (c coercion) list(v any, t *ast.Type, at *path, depth int) (any, error) {
	items, ok := v.([]any)
	if !ok { // one value stands for a list of one
		items = []any{v}
	}
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = c.value(item, t.Elem, index(at, i), depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c coercion) object(v any, def *ast.Definition, at *path, depth int) (any, error) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, mismatch("an object", &ast.Type{NamedType: def.Name}, jsonLeaf(v), at)
	}
	refusesNull := c.op.schema.RefusesNull(def.Name)
	out := make(map[string]any, len(fields))
	for _, name := range sortedKeys(fields) { // sorted: the first mistake is always the same
		f := def.Fields.ForName(name)
		if f == nil {
			return nil, unknownField(name, def, at)
		}
		place := at.key(name)
		if fields[name] == nil && refusesNull {
			return nil, unexpectedNull(f.Type, place)
		}
		value, err := c.value(fields[name], f.Type, place, depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	for _, f := range def.Fields {
		if _, given := out[f.Name]; given {
			continue
		}
		if f.DefaultValue != nil {
			out[f.Name] = constant(f.DefaultValue)
		} else if f.Type.NonNull {
			return nil, invalid(at.key(f.Name).String(), "missing required field '%s'", f.Name)
		}
	}
	return out, nil
}

// scalar gives a checked value its one form: whole floats become integers, IDs
// strings.
func scalar(v any, name string, l leaf) any {
	switch name {
	case "Int", "smallint", "bigint":
		if l.kind == isFloat {
			n, _ := wholeFloat(l.text, 64)
			return json.Number(strconv.FormatInt(n, 10))
		}
	case "ID":
		if l.kind == isInt {
			return l.text
		}
	}
	return v
}

// asNumber gives numbers of Go callers the form that decoded requests have.
func asNumber(v any) any {
	switch v := v.(type) {
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	case int:
		return json.Number(strconv.Itoa(v))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	}
	return v
}

// constant is the JSON value of a literal without variables.
func constant(v *ast.Value) any {
	return plain(v, nil)
}

// plain is the JSON value of a literal; variables in it are taken from vars, and
// left out of objects when absent.
func plain(v *ast.Value, vars map[string]any) any {
	switch v.Kind {
	case ast.Variable:
		return vars[v.Raw]
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw)
	case ast.StringValue, ast.BlockValue, ast.EnumValue:
		return v.Raw
	case ast.BooleanValue:
		return v.Raw == "true"
	case ast.ListValue:
		list := make([]any, len(v.Children))
		for i, c := range v.Children {
			list[i] = plain(c.Value, vars)
		}
		return list
	case ast.ObjectValue:
		object := make(map[string]any, len(v.Children))
		for _, c := range v.Children {
			if c.Value.Kind == ast.Variable {
				if _, ok := vars[c.Value.Raw]; !ok {
					continue
				}
			}
			object[c.Name] = plain(c.Value, vars)
		}
		return object
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// definition finds a type among those that the operation touches, else in the schema.
func (op *Operation) definition(name string) *ast.Definition {
	if d := op.types[name]; d != nil {
		return d
	}
	return op.schema.Definition(name)
}
