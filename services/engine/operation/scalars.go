package operation

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// leafKind is the form of a value, as messages name it.
type leafKind string

const (
	isNull   leafKind = "null"
	isBool   leafKind = "a boolean"
	isInt    leafKind = "an integer"
	isFloat  leafKind = "a float"
	isString leafKind = "a string"
	isEnum   leafKind = "an enum value"
	isList   leafKind = "a list"
	isObject leafKind = "an object"
	isOther  leafKind = "something that is not JSON"
)

// leaf is a literal or JSON value as scalars see it.
type leaf struct {
	kind leafKind
	text string // of a number, string or enum value
}

func literal(v *ast.Value) leaf {
	switch v.Kind {
	case ast.IntValue:
		return leaf{isInt, v.Raw}
	case ast.FloatValue:
		return leaf{isFloat, v.Raw}
	case ast.StringValue, ast.BlockValue:
		return leaf{isString, v.Raw}
	case ast.BooleanValue:
		return leaf{isBool, v.Raw}
	case ast.EnumValue:
		return leaf{isEnum, v.Raw}
	case ast.ListValue:
		return leaf{kind: isList}
	case ast.ObjectValue:
		return leaf{kind: isObject}
	}
	return leaf{kind: isNull}
}

func jsonLeaf(v any) leaf {
	switch v := v.(type) {
	case nil:
		return leaf{kind: isNull}
	case bool:
		return leaf{isBool, strconv.FormatBool(v)}
	case string:
		return leaf{isString, v}
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return leaf{isFloat, v.String()}
		}
		return leaf{isInt, v.String()}
	case []any:
		return leaf{kind: isList}
	case map[string]any:
		return leaf{kind: isObject}
	}
	return leaf{kind: isOther}
}

// scalarRule says what a scalar takes and how messages call that.
type scalarRule struct {
	expected string
	takes    func(leaf) bool
}

// scalarRules hold the scalars whose values are checked here, so that a wrong
// one is refused before anything is called. What is not listed is carried to
// Postgres as it is.
var scalarRules = map[string]scalarRule{
	"Int":      {"a 32-bit integer", integerOf(32, false)},
	"smallint": {"a 16-bit integer", integerOf(16, false)},
	"bigint":   {"a 64-bit integer", integerOf(64, true)},
	"Float":    {"a float", func(l leaf) bool { return (l.kind == isInt || l.kind == isFloat) && isNumber(l.text) }},
	"float8":   {"a float", number},
	"real":     {"a float", number},
	"numeric":  {"a number", number},
	"String":   {"a string", ofKinds(isString)},
	"ID":       {"an ID", ofKinds(isString, isInt)},
	"Boolean":  {"a boolean", ofKinds(isBool)},
	"uuid":     {"a UUID", func(l leaf) bool { return l.kind == isString && isUUID(l.text) }},
	// Text forms that Postgres itself checks.
	"date": {"a string", ofKinds(isString)}, "time": {"a string", ofKinds(isString)}, "timetz": {"a string", ofKinds(isString)},
	"timestamp": {"a string", ofKinds(isString)}, "timestamptz": {"a string", ofKinds(isString)},
	"interval": {"a string", ofKinds(isString)}, "bytea": {"a string", ofKinds(isString)},
	// Any JSON.
	"json": {"", anything}, "jsonb": {"", anything},
	"geometry": {"", anything}, "geography": {"", anything}, "raster": {"", anything},
}

// otherScalar is a type of Postgres that GraphQL carries as text.
// An enum value stands for its name, as for the enums of Postgres.
var otherScalar = scalarRule{"a scalar", ofKinds(isString, isInt, isFloat, isBool, isEnum)}

func anything(l leaf) bool { return l.kind != isOther }

func ofKinds(kinds ...leafKind) func(leaf) bool {
	return func(l leaf) bool {
		for _, k := range kinds {
			if l.kind == k {
				return true
			}
		}
		return false
	}
}

func number(l leaf) bool {
	switch l.kind {
	case isInt, isFloat, isString:
		return isNumber(l.text)
	}
	return false
}

// isNumber takes what Postgres takes as a float or numeric, NaN and Infinity included.
func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	if e, ok := err.(*strconv.NumError); ok && e.Err == strconv.ErrRange { //nolint:errorlint // documented type
		return true // more digits than a float has: a numeric
	}
	return err == nil
}

// integerOf takes integers of so many bits; floats without a fraction are integers too.
func integerOf(bits int, fromString bool) func(leaf) bool {
	return func(l leaf) bool {
		switch {
		case l.kind == isInt, l.kind == isString && fromString:
			_, err := strconv.ParseInt(l.text, 10, bits)
			return err == nil
		case l.kind == isFloat:
			_, ok := wholeFloat(l.text, bits)
			return ok
		}
		return false
	}
}

func wholeFloat(text string, bits int) (int64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	n := int64(f)
	return n, bits == 64 || n >= -(1<<(bits-1)) && n < 1<<(bits-1)
}

// isUUID takes the forms that Postgres takes: hex digits in groups of four, with
// dashes or not, in braces or not.
func isUUID(text string) bool {
	if strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}") {
		text = text[1 : len(text)-1]
	}
	digits := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			digits++
		case c == '-' && digits > 0 && digits%4 == 0 && text[i-1] != '-' && i < len(text)-1:
		default:
			return false
		}
	}
	return digits == 32
}

// checkScalar checks a value of a scalar type.
func checkScalar(t *ast.Type, l leaf, p place, custom bool) error {
	if custom {
		if !anything(l) {
			return mismatch("a JSON value", t, l, p.at)
		}
		return nil
	}
	if p.nonNegative {
		return checkNonNegative(t, l, p.bigInt, p.at)
	}
	if p.bigInt && t.NamedType == "Int" {
		if !integerOf(64, true)(l) {
			return mismatch("a 64-bit integer", t, l, p.at)
		}
		return nil
	}
	rule, ok := scalarRules[t.NamedType]
	if !ok {
		rule = otherScalar
	}
	if !rule.takes(l) {
		expected := rule.expected
		if expected == "" {
			expected = "a JSON value"
		}
		return mismatch(expected, t, l, p.at)
	}
	return nil
}

// checkNonNegative is the rule of limit and, with 64 bits, of offset.
func checkNonNegative(t *ast.Type, l leaf, bigInt bool, at *path) error {
	bits := 32
	if bigInt {
		bits = 64
	}
	if !integerOf(bits, bigInt)(l) || strings.HasPrefix(l.text, "-") && strings.Trim(l.text, "-0.") != "" {
		return mismatch("a non-negative "+strconv.Itoa(bits)+"-bit integer", t, l, at)
	}
	return nil
}
