package action

import (
	"encoding/json"

	"tenantry/api/errcode"
)

// What the arguments of a call may be at most: bytes of JSON, and objects and
// lists within one another.
const (
	MaxInput = 1 << 20
	MaxDepth = 32
)

// CheckInput refuses arguments that are too large or too deep for a handler, with
// an *errcode.Error without a path.
func CheckInput(input map[string]any) error {
	depth, most := 1, 3
	for name, value := range input {
		inner, bytes := measure(value, 2)
		depth, most = max(depth, inner), most+6*len(name)+4+bytes
	}
	if depth > MaxDepth {
		return errcode.New(errcode.ValidationFailed, "the arguments are nested deeper than %d levels", MaxDepth)
	}
	if most <= MaxInput {
		return nil
	}
	text, err := encode(input)
	if err != nil {
		return err
	}
	if len(text) > MaxInput {
		return errcode.New(errcode.ValidationFailed, "the arguments have %d bytes as JSON, at most %d are allowed", len(text), MaxInput)
	}
	return nil
}

// measure walks a coerced value once, without writing it: how deep it is below
// depth, and how many bytes it has as JSON at most.
func measure(value any, depth int) (deepest, most int) {
	switch v := value.(type) {
	case nil, bool:
		return depth - 1, 6
	case string:
		return depth - 1, 6*len(v) + 3 // \u0000 is the longest form of a byte
	case json.Number:
		return depth - 1, len(v) + 1
	case []any:
		deepest, most = depth, 3
		for _, item := range v {
			inner, bytes := below(item, depth)
			deepest, most = max(deepest, inner), most+bytes
		}
		return deepest, most
	case map[string]any:
		deepest, most = depth, 3
		for name, member := range v {
			inner, bytes := below(member, depth)
			deepest, most = max(deepest, inner), most+6*len(name)+4+bytes
		}
		return deepest, most
	}
	return depth - 1, MaxInput + 1 // unknown: it has to be written
}

// below is measure one level deeper; it ends where it is too deep already.
func below(value any, depth int) (deepest, most int) {
	if depth > MaxDepth {
		return depth, 0
	}
	return measure(value, depth+1)
}
