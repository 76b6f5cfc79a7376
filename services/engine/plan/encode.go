package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tenantry/tenants/catalog"
)

// Text is a decoded JSON value as Postgres reads it in text format: numbers
// keep their digits, json stays JSON, lists for array types become array
// literals. nil has no text: callers bind NULL.
func Text(value any, t catalog.TypeRef) (string, error) {
	if IsJSON(t) {
		return jsonText(value)
	}
	if t.Array() {
		if s, ok := value.(string); ok {
			return s, nil // already an array literal
		}
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		return arrayText(list, t)
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		if t.Schema == "pg_catalog" && t.Name == "money" && strings.ContainsAny(v.String(), "eE") {
			if f, err := v.Float64(); err == nil { // money reads no exponents
				return strconv.FormatFloat(f, 'f', -1, 64), nil
			}
		}
		return v.String(), nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	case map[string]any, []any:
		// A composite or geometry given as JSON: Postgres's input functions decide.
		return jsonText(v)
	}
	return "", fmt.Errorf("no text form for %T", value)
}

// IsJSON reports whether a value of the type is JSON text.
func IsJSON(t catalog.TypeRef) bool {
	return !t.Array() && t.Schema == "pg_catalog" && (t.Name == "json" || t.Name == "jsonb")
}

func jsonText(value any) (string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", fmt.Errorf("encode json: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func arrayText(list []any, t catalog.TypeRef) (string, error) {
	var out catalog.Array
	for _, item := range list {
		switch nested, isList := item.([]any); {
		case item == nil:
			out.Null()
		case isList && !IsJSON(t.Element()):
			inner, err := arrayText(nested, t)
			if err != nil {
				return "", err
			}
			out.Nested(inner)
		default:
			text, err := Text(item, t.Element())
			if err != nil {
				return "", err
			}
			out.Add(text)
		}
	}
	return out.String(), nil
}
