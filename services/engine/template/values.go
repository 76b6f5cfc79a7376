package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// typeOf names the type of a value as messages do.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func (e *evaluation) equal(n *node, a, b any) bool {
	e.spend(n, 1)
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		e.spend(n, len(a)/64)
		return ok && a == b
	case json.Number:
		b, ok := b.(json.Number)
		return ok && compareNumbers(a, b) == 0
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !e.equal(n, a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key := range a {
			other, ok := b[key]
			if !ok || !e.equal(n, a[key], other) {
				return false
			}
		}
		return true
	}
	// What is left is a boolean or null, unless b is a list.
	switch b.(type) {
	case nil, bool:
		return a == b
	}
	return false
}

func (e *evaluation) contains(n *node, value, of any) bool {
	switch of := of.(type) {
	case map[string]any:
		key, ok := value.(string)
		if !ok {
			e.fail(TypeError, n.operands[0], "expected a string as the key of an object, but got %s", typeOf(value))
		}
		_, found := of[key]
		return found
	case []any:
		return slices.ContainsFunc(of, func(element any) bool { return e.equal(n, value, element) })
	}
	e.fail(TypeError, n.operands[1], "expected an object or an array, but got %s", typeOf(of))
	return false
}

// compare orders two numbers or two strings.
func (e *evaluation) compare(n *node, a, b any) int {
	switch a := a.(type) {
	case json.Number:
		if b, ok := b.(json.Number); ok {
			return compareNumbers(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			e.spend(n, min(len(a), len(b))/64)
			return strings.Compare(a, b)
		}
	}
	e.fail(TypeError, n, "expected two numbers or two strings, but got %s and %s", typeOf(a), typeOf(b))
	return 0
}

// compareNumbers is exact for integers of a sensible length.
func compareNumbers(a, b json.Number) int {
	if a == b {
		return 0
	}
	if len(a) < 400 && len(b) < 400 {
		x, isInt := new(big.Int).SetString(string(a), 10)
		y, areInts := new(big.Int).SetString(string(b), 10)
		if isInt && areInts {
			return x.Cmp(y)
		}
	}
	// Out of range is infinite, which compares well enough.
	x, _ := a.Float64()
	y, _ := b.Float64()
	return cmp.Compare(x, y)
}

// encode writes JSON of at most MaxOutput bytes, keys in order.
func (e *evaluation) encode(n *node, value any) []byte {
	var out bytes.Buffer
	e.write(n, &out, value)
	e.made(n, out.Len())
	return out.Bytes()
}

func (e *evaluation) write(n *node, out *bytes.Buffer, value any) {
	// The same data may be in the value many times over, so the output is watched
	// while it grows.
	if out.Len() > MaxOutput {
		e.made(n, out.Len())
	}
	switch v := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case json.Number:
		out.WriteString(string(v))
	case string:
		e.writeString(n, out, v)
	case []any:
		out.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			e.write(n, out, element)
		}
		out.WriteByte(']')
	case map[string]any:
		e.spend(n, len(v)) // keys are sorted before anything is written
		out.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				out.WriteByte(',')
			}
			e.writeString(n, out, key)
			out.WriteByte(':')
			e.write(n, out, v[key])
		}
		out.WriteByte('}')
	default:
		e.fail(TypeError, n, "a value that is not JSON")
	}
}

func (e *evaluation) writeString(n *node, out *bytes.Buffer, s string) {
	if len(s) > MaxOutput {
		e.made(n, len(s))
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil { // a string always encodes
		panic(err)
	}
	out.Truncate(out.Len() - 1) // the encoder's line break
}
