package template

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// JSON evaluates the template and encodes the value.
func (t *Template) JSON(data Data) ([]byte, *Error) {
	return guarded(t, data, func(e *evaluation, value any) []byte { return e.encode(t.root, value) })
}

// Text evaluates the template to a text: a string as it is, everything else as
// JSON. null is true for the value null.
func (t *Template) Text(data Data) (out string, null bool, err *Error) {
	out, err = guarded(t, data, func(e *evaluation, value any) string {
		null = value == nil
		return e.text(t.root, value)
	})
	return out, null, err
}

// True evaluates the template, which has to give a boolean.
func (t *Template) True(data Data) (bool, *Error) {
	return guarded(t, data, func(e *evaluation, value any) bool { return e.boolean(t.root, value) })
}

// guarded evaluates and hands the value over; both may give up by panicking with
// an *Error.
func guarded[R any](t *Template, data Data, use func(*evaluation, any) R) (out R, err *Error) {
	e := &evaluation{source: t.source, data: data}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *Error:
			err = failure
		default:
			panic(failure)
		}
	}()
	return use(e, e.value(t.root, nil)), nil
}

// evaluation is one evaluation under way.
type evaluation struct {
	source string
	data   Data
	steps  int
}

// frame binds the variable of a range.
type frame struct {
	name  string
	value any
	up    *frame
}

func (e *evaluation) fail(code string, n *node, format string, args ...any) {
	panic(&Error{Code: code, Message: fmt.Sprintf(format, args...), Position: place(e.source, n.from, n.to)})
}

// spend counts steps.
func (e *evaluation) spend(n *node, steps int) {
	if e.steps += steps; e.steps > MaxSteps {
		e.fail(LimitError, n, "the template takes more than %d steps", MaxSteps)
	}
}

// made counts a text that was read or made.
func (e *evaluation) made(n *node, bytes int) {
	if bytes > MaxOutput {
		e.fail(LimitError, n, "the template makes more than %d bytes", MaxOutput)
	}
	e.spend(n, bytes/64)
}

func (e *evaluation) value(n *node, scope *frame) any {
	e.spend(n, 1)
	switch n.kind {
	case literal:
		return n.value
	case text:
		return e.join(n, scope)
	case array:
		out := make([]any, len(n.operands))
		for i, operand := range n.operands {
			out[i] = e.value(operand, scope)
		}
		return out
	case object:
		out := make(map[string]any, len(n.operands))
		for i, operand := range n.operands {
			out[n.keys[i]] = e.value(operand, scope)
		}
		return out
	case variable:
		return e.variable(n, scope)
	case member:
		value, _ := e.member(n, scope)
		return value
	case binary:
		return e.binary(n, scope)
	case call:
		return e.call(n, e.value(n.operands[0], scope))
	case branch:
		return e.branch(n, scope)
	}
	return e.loop(n, scope)
}

func (e *evaluation) join(n *node, scope *frame) string {
	var out strings.Builder
	for _, operand := range n.operands {
		piece := e.text(operand, e.value(operand, scope))
		e.made(operand, len(piece))
		out.WriteString(piece)
		if out.Len() > MaxOutput {
			e.made(n, out.Len())
		}
	}
	return strings.ToValidUTF8(out.String(), string(utf8.RuneError))
}

// text is a value in the position of a text.
func (e *evaluation) text(n *node, value any) string {
	if s, ok := value.(string); ok {
		if len(s) > MaxOutput {
			e.made(n, len(s))
		}
		return s
	}
	return string(e.encode(n, value))
}

func (e *evaluation) boolean(n *node, value any) bool {
	is, ok := value.(bool)
	if !ok {
		e.fail(TypeError, n, "expected a boolean, but got %s", typeOf(value))
	}
	return is
}

func (e *evaluation) variable(n *node, scope *frame) any {
	for ; scope != nil; scope = scope.up {
		if scope.name == n.name {
			return scope.value
		}
	}
	value, ok := e.data.Variables[n.name]
	if !ok {
		e.fail(NameError, n, "Variable '%s' not in scope", n.name)
	}
	return value
}

// member looks up one step of a path. When an optional step finds nothing, cut is
// true and the rest of the path is not followed.
func (e *evaluation) member(n *node, scope *frame) (value any, cut bool) {
	base := n.operands[0]
	var from any
	if base.kind == member {
		e.spend(base, 1)
		if from, cut = e.member(base, scope); cut {
			return nil, true
		}
	} else {
		from = e.value(base, scope)
	}
	key := e.value(n.operands[1], scope)
	if from == nil && n.optional {
		return nil, true
	}
	found := false
	switch key := key.(type) {
	case string:
		of, ok := from.(map[string]any)
		if !ok {
			e.fail(TypeError, n, "expected an object for the key %.80q, but got %s", key, typeOf(from))
		}
		value, found = of[key]
	case json.Number:
		of, ok := from.([]any)
		if !ok {
			e.fail(TypeError, n, "expected an array for the index %.20s, but got %s", key, typeOf(from))
		}
		if at, err := key.Int64(); err == nil && at >= 0 && at < int64(len(of)) {
			value, found = of[at], true
		}
	default:
		e.fail(TypeError, n.operands[1], "expected a key or an index, but got %s", typeOf(key))
	}
	if !found && !n.optional {
		e.fail(PathError, n, "Path Lookup Error: %.200q", e.source[n.from:n.to])
	}
	return value, !found
}

func (e *evaluation) branch(n *node, scope *frame) any {
	last := len(n.operands) - 1
	for i := 0; i < last; i += 2 {
		if e.boolean(n.operands[i], e.value(n.operands[i], scope)) {
			return e.value(n.operands[i+1], scope)
		}
	}
	return e.value(n.operands[last], scope)
}

func (e *evaluation) loop(n *node, scope *frame) any {
	list, ok := e.value(n.operands[0], scope).([]any)
	if !ok {
		e.fail(RangeError, n.operands[0], "Range Error: Can only range over an array")
	}
	e.spend(n, len(list))
	out := make([]any, len(list))
	for i, element := range list {
		inner := &frame{name: n.keys[0], value: number(i), up: scope}
		out[i] = e.value(n.operands[1], &frame{name: n.keys[1], value: element, up: inner})
	}
	return out
}

func (e *evaluation) binary(n *node, scope *frame) any {
	left := e.value(n.operands[0], scope)
	switch n.name {
	case "||", "&&":
		if is := e.boolean(n.operands[0], left); is == (n.name == "||") {
			return is
		}
		return e.boolean(n.operands[1], e.value(n.operands[1], scope))
	case "??":
		if left != nil {
			return left
		}
		return e.value(n.operands[1], scope)
	}
	right := e.value(n.operands[1], scope)
	switch n.name {
	case "==":
		return e.equal(n, left, right)
	case "!=":
		return !e.equal(n, left, right)
	case "in":
		return e.contains(n, left, right)
	}
	order := e.compare(n, left, right)
	switch n.name {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}
