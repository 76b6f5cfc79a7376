package action

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Check reports whether value, decoded JSON with json.Number, fits the type. The
// whole value is checked: lists, nested objects, nullability, enums. A custom
// scalar accepts any JSON; members that an object type does not know are
// ignored. The error is an *errcode.Error (unexpected, "$") that names the
// first field that does not fit.
func Check(types map[string]*model.Type, want model.TypeRef, value any) error {
	if mistake := check(types, want, value); mistake != "" {
		return plain(errcode.Unexpected, mistake).At("$")
	}
	return nil
}

// check is Check as text; empty means that the value fits.
func check(types map[string]*model.Type, want model.TypeRef, value any) string {
	c := checker{types: types}
	return c.value(want, value)
}

// checker walks a value and remembers the way to where it is, which is printed
// only when something does not fit.
type checker struct {
	types map[string]*model.Type
	place []step
}

// step is a member or, when the name is empty, an element.
type step struct {
	name  string
	index int
}

// path prints the place as items[2].sku.
func (c *checker) path() string {
	var out []byte
	for _, s := range c.place {
		switch {
		case s.name == "":
			out = append(strconv.AppendInt(append(out, '['), int64(s.index), 10), ']')
		case len(out) > 0:
			out = append(append(out, '.'), s.name...)
		default:
			out = append(out, s.name...)
		}
	}
	return string(out)
}

// at names the place below the root's own level, where the dialect's texts,
// made for the root, do not. Elements of the root keep the dialect's text.
func (c *checker) at() string {
	for _, s := range c.place {
		if s.name != "" {
			return fmt.Sprintf(" at field %q", c.path())
		}
	}
	return ""
}

func (c *checker) value(want model.TypeRef, value any) string {
	if value == nil {
		switch {
		case !want.NonNull:
			return ""
		case len(c.place) > 0 && c.place[len(c.place)-1].name != "":
			return fmt.Sprintf("expecting not null value for field %q", c.path())
		}
		return "got null for the action webhook response" + c.at()
	}
	if want.Of != nil {
		return c.list(*want.Of, value)
	}
	t := c.types[want.Name]
	if t == nil {
		t = &model.Type{Name: want.Name, Kind: model.Scalar, BuiltIn: true}
	}
	switch t.Kind {
	case model.Object:
		return c.object(t, value)
	case model.Enum:
		return c.enum(t, value)
	case model.Scalar:
		return c.scalar(t, value)
	}
	return fmt.Sprintf("%s is not an output type", t.Name) + c.at()
}

func (c *checker) list(of model.TypeRef, value any) string {
	elements, ok := value.([]any)
	if !ok {
		return "expecting array for the action webhook response" + c.at()
	}
	for i, element := range elements {
		c.place = append(c.place, step{index: i})
		if mistake := c.value(of, element); mistake != "" {
			return mistake
		}
		c.place = c.place[:len(c.place)-1]
	}
	return ""
}

func (c *checker) object(t *model.Type, value any) string {
	members, ok := value.(map[string]any)
	if !ok {
		return c.got(t, value)
	}
	for _, field := range t.Fields {
		c.place = append(c.place, step{name: field.Name})
		member, present := members[field.Name]
		if !present && field.Type.NonNull {
			return fmt.Sprintf("field %q expected in webhook response, but not found", c.path())
		}
		if mistake := c.value(field.Type, member); mistake != "" {
			return mistake
		}
		c.place = c.place[:len(c.place)-1]
	}
	return ""
}

func (c *checker) enum(t *model.Type, value any) string {
	text, ok := value.(string)
	if !ok {
		return c.got(t, value)
	}
	if !hasValue(t.Values, text) {
		return fmt.Sprintf("got an unknown enum value for the action webhook response, expecting %s", t.Name) + c.at()
	}
	return ""
}

func hasValue(values []metadata.EnumValue, text string) bool {
	for _, v := range values {
		if v.Value == text {
			return true
		}
	}
	return false
}

// single are scalars of Postgres that are one JSON scalar, never an object or
// array. Those that are not listed, json among them, accept any JSON.
var single = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{
		"smallint", "bigint", "numeric", "money", "real", "float8", "bpchar", "citext", "name", "uuid", "bytea",
		"date", "time", "timetz", "timestamp", "timestamptz", "interval", "inet", "cidr", "macaddr",
	} {
		m[name] = true
	}
	return m
}()

func (c *checker) scalar(t *model.Type, value any) string {
	var fits bool
	switch t.Name {
	case "Int":
		number, ok := value.(json.Number)
		if ok && isIntegral(number) && !isInt32(number) {
			return "got a number beyond 32 bits for the action webhook response, expecting Int" + c.at()
		}
		fits = ok && isInt32(number)
	case "Float":
		_, fits = value.(json.Number)
	case "String":
		_, fits = value.(string)
	case "Boolean":
		_, fits = value.(bool)
	case "ID":
		_, isText := value.(string)
		number, isNumber := value.(json.Number)
		fits = isText || isNumber && isIntegral(number)
	default:
		fits = !t.BuiltIn || !single[t.Name] || isScalar(value)
	}
	if !fits {
		return c.got(t, value)
	}
	return ""
}

// got is the dialect's text for a value of another kind.
func (c *checker) got(t *model.Type, value any) string {
	return fmt.Sprintf("got %s for the action webhook response, expecting %s", kind(value), t.Name) + c.at()
}

func kind(value any) string {
	switch v := value.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "scalar String"
	case bool:
		return "scalar Boolean"
	case json.Number:
		if isIntegral(v) {
			return "scalar Int"
		}
		return "scalar Float"
	}
	return "null"
}

func isScalar(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// isIntegral also takes 1.0 and 1e3, which are the same JSON number as 1 and 1000.
func isIntegral(n json.Number) bool {
	if _, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return true
	}
	f, err := n.Float64()
	return err == nil && f == math.Trunc(f)
}

func isInt32(n json.Number) bool {
	f, err := n.Float64()
	return err == nil && f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32
}
