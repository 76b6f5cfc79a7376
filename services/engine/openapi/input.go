package openapi

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// CheckInput compares arguments, decoded JSON, with an action's contract. The notes
// say where they don't fit, by JSON pointers from the arguments on.
func CheckInput(doc *metadata.Document, action string, input map[string]any) ([]Note, error) {
	c, err := contractOf(doc, action)
	if err != nil {
		return nil, err
	}
	v := inputs{contract: c}
	v.object("", c.action.Definition.Arguments, input)
	return v.notes, nil
}

type inputs struct {
	*contract
	notes []Note
}

func (v *inputs) wrong(pointer, format string, args ...any) {
	if len(v.notes) < maxNotes {
		v.notes = append(v.notes, Note{pointer, fmt.Sprintf(format, args...)})
	}
}

func (v *inputs) object(pointer string, fields []metadata.Argument, value map[string]any) {
	known := map[string]bool{}
	for _, f := range fields {
		known[f.Name] = true
		ref, err := model.ParseTypeRef(f.Type)
		if err != nil {
			continue // inconsistent metadata: the action does not serve
		}
		if member, there := value[f.Name]; there || ref.NonNull {
			v.value(at(pointer, f.Name), ref, member)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		if !known[name] {
			v.wrong(at(pointer, name), "the contract has no such member")
		}
	}
}

func (v *inputs) value(pointer string, ref model.TypeRef, value any) {
	if value == nil {
		if ref.NonNull {
			v.wrong(pointer, "expected a value of %s", ref)
		}
		return
	}
	if ref.Of != nil {
		list, ok := value.([]any)
		if !ok {
			v.wrong(pointer, "expected a list of %s", ref.Of)
		}
		for i, element := range list {
			v.value(at(pointer, strconv.Itoa(i)), *ref.Of, element)
		}
		return
	}
	if t, ok := v.inputs[ref.Name]; ok {
		object, ok := value.(map[string]any)
		if !ok {
			v.wrong(pointer, "expected an object of %s", ref.Name)
			return
		}
		v.object(pointer, t.Fields, object)
		return
	}
	if t, ok := v.enums[ref.Name]; ok {
		if !slices.ContainsFunc(t.Values, func(e metadata.EnumValue) bool { return any(e.Value) == value }) {
			v.wrong(pointer, "expected one of the values of %s", ref.Name)
		}
		return
	}
	if s, ok := v.scalarOf(ref.Name); ok && !slices.Contains(s.types, kindOf(value)) && !(kindOf(value) == "integer" && slices.Contains(s.types, "number")) {
		v.wrong(pointer, "expected %s as %s", ref.Name, strings.Join(s.types, " or "))
	}
}

// kindOf is the JSON schema's type of a value.
func kindOf(value any) string {
	switch n := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if n == math.Trunc(n) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
