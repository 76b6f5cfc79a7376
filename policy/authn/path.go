package authn

import (
	"errors"
	"strconv"
	"strings"
)

// step is one part of a path: a member of an object, or an element of a list.
type step struct {
	name    string
	index   int
	isIndex bool
}

var errPath = errors.New("expected a JSONPath of members and indexes, such as $.user.claims, $['https://x'].roles or $.ids[0]")

// parsePath reads the part of JSONPath that names one value: $, .name,
// ['name'], ["name"], [0]. The leading $ may be missing.
func parsePath(text string) ([]step, error) {
	rest := text
	if r, ok := strings.CutPrefix(rest, "$"); ok {
		rest = r
	} else if rest != "" && rest[0] != '[' && rest[0] != '.' {
		rest = "." + rest
	}
	var path []step
	for rest != "" {
		var s step
		var ok bool
		switch {
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			s.name, rest = rest[1:1+end], rest[1+end:]
			ok = s.name != "" && s.name != "*"
		case strings.HasPrefix(rest, "['"), strings.HasPrefix(rest, `["`):
			s.name, rest, ok = strings.Cut(rest[2:], rest[1:2]+"]")
		case rest[0] == '[':
			var digits string
			if digits, rest, ok = strings.Cut(rest[1:], "]"); ok {
				n, err := strconv.Atoi(digits)
				s.index, s.isIndex, ok = n, true, err == nil && n >= 0
			}
		}
		if !ok {
			return nil, errPath
		}
		path = append(path, s)
	}
	return path, nil
}

// walk follows a path. A JSON null at its end counts as found.
func walk(value any, path []step) (any, bool) {
	for _, s := range path {
		switch v := value.(type) {
		case map[string]any:
			var ok bool
			if value, ok = v[s.name]; !ok || s.isIndex {
				return nil, false
			}
		case []any:
			if !s.isIndex || s.index >= len(v) {
				return nil, false
			}
			value = v[s.index]
		default:
			return nil, false
		}
	}
	return value, true
}
