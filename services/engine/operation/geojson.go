package operation

import (
	"encoding/json"
	"strings"

	"tenantry/api/errcode"
)

// checkForm checks values whose form Postgres would refuse with words that help
// nobody: shapes and label paths. Other scalars pass.
func checkForm(scalar string, value any, at *path) error {
	reason := ""
	switch scalar {
	case "geometry", "geography":
		reason = shapeProblem(value)
	case "raster":
		if text, ok := value.(string); ok && strings.Trim(text, "0123456789abcdefABCDEF") != "" {
			reason = "invalid hexadecimal representation of raster well known binary format"
		}
	case "ltree":
		if text, ok := value.(string); ok && !labelPath(text) {
			reason = "Expecting label path: a sequence of zero or more labels separated by dots, for example L1.L2.L3"
		}
	}
	if reason == "" {
		return nil
	}
	return errcode.New(errcode.ParseFailed, "%s", reason).At(at.String())
}

// labelPath reports whether text is a path of labels; none is a path too.
func labelPath(text string) bool {
	if text == "" {
		return true
	}
	for _, label := range strings.Split(text, ".") {
		if label == "" || strings.ContainsAny(label, " \t\n/\\\"'") {
			return false
		}
	}
	return true
}

// shapeProblem says what is wrong with GeoJSON; nothing if all is well, or if it
// is no object: Postgres decides then.
func shapeProblem(value any) string {
	object, ok := value.(map[string]any)
	if !ok {
		return ""
	}
	kind, _ := object["type"].(string)
	if kind == "GeometryCollection" {
		parts, _ := object["geometries"].([]any)
		for _, part := range parts {
			if problem := shapeProblem(part); problem != "" {
				return problem
			}
		}
		return ""
	}
	coordinates, _ := object["coordinates"].([]any)
	switch kind {
	case "Point", "MultiPoint", "LineString", "MultiLineString":
		return ""
	case "Polygon":
		return ringsProblem(coordinates)
	case "MultiPolygon":
		for _, polygon := range coordinates {
			rings, _ := polygon.([]any)
			if problem := ringsProblem(rings); problem != "" {
				return problem
			}
		}
		return ""
	}
	return "unexpected geometry type: " + shorten(kind)
}

func ringsProblem(rings []any) string {
	for _, ring := range rings {
		positions, _ := ring.([]any)
		if len(positions) < 4 {
			return "A LinearRing needs at least 4 Positions"
		}
		if !samePosition(positions[0], positions[len(positions)-1]) {
			return "the first and last locations have to be equal for a LinearRing"
		}
	}
	return ""
}

func samePosition(a, b any) bool {
	first, ok := a.([]any)
	last, also := b.([]any)
	if !ok || !also || len(first) != len(last) {
		return false
	}
	for i := range first {
		if x, ok := first[i].(json.Number); !ok || last[i] != any(x) {
			return false
		}
	}
	return true
}
