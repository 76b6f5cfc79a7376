package template

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// function computes a value, or says why it cannot.
type function func(argument any) (value any, problem string)

var functions = map[string]function{
	"empty": isEmpty, "size": size, "inverse": inverse, "head": head, "tail": tail,
	"toCaseFold": ofString(strings.ToLower), "toLower": ofString(strings.ToLower), "toUpper": ofString(strings.ToUpper),
	"toTitle": ofString(title), "escapeUri": ofString(escapeURI),
	"fromPairs": fromPairs, "toPairs": toPairs, "removeNulls": removeNulls, "concat": concat, "not": not,
}

// sessionFunction reads the session, which the others know nothing of.
const sessionFunction = "getSessionVariable"

func isFunction(name string) bool { return functions[name] != nil || name == sessionFunction }

// call calls a function; what goes wrong is told at its argument.
func (e *evaluation) call(n *node, argument any) any {
	at := n.operands[0]
	e.spend(at, elements(argument))
	if s, ok := argument.(string); ok {
		e.made(at, len(s))
	}
	if n.name == sessionFunction {
		return e.session(at, argument)
	}
	value, problem := functions[n.name](argument)
	if problem != "" {
		e.fail(FunctionError, at, "%s", problem)
	}
	if s, ok := value.(string); ok {
		e.made(at, len(s))
	}
	return value
}

// elements is how much a function has to go through.
func elements(value any) int {
	n := 0
	switch v := value.(type) {
	case []any:
		n = len(v)
		for _, element := range v {
			switch inner := element.(type) {
			case []any:
				n += len(inner)
			case map[string]any:
				n += len(inner)
			case string:
				n += len(inner) / 64
			}
		}
	case map[string]any:
		n = len(v)
	}
	return n
}

func (e *evaluation) session(at *node, argument any) any {
	name, ok := argument.(string)
	if !ok {
		e.fail(FunctionError, at, "expected the name of a session variable, but got %s", typeOf(argument))
	}
	value, ok := e.data.Session[strings.ToLower(name)]
	if !ok {
		e.fail(FunctionError, at, "Session variable %.100q not found", name)
	}
	return value
}

func ofString(f func(string) string) function {
	return func(argument any) (any, string) {
		if s, ok := argument.(string); ok {
			return f(s), ""
		}
		return nil, "expected a string, but got " + typeOf(argument)
	}
}

func isEmpty(argument any) (any, string) {
	switch v := argument.(type) {
	case nil:
		return true, ""
	case string:
		return strings.TrimSpace(v) == "", ""
	case json.Number:
		return compareNumbers(v, "0") == 0, ""
	case []any:
		return len(v) == 0, ""
	case map[string]any:
		return len(v) == 0, ""
	}
	return nil, "a boolean is neither empty nor not"
}

func size(argument any) (any, string) {
	switch v := argument.(type) {
	case string:
		return number(utf8.RuneCountInString(v)), ""
	case json.Number:
		return v, ""
	case bool:
		if v {
			return number(1), ""
		}
	case []any:
		return number(len(v)), ""
	case map[string]any:
		return number(len(v)), ""
	}
	return number(0), ""
}

func inverse(argument any) (any, string) {
	switch v := argument.(type) {
	case string:
		runes := []rune(v)
		slices.Reverse(runes)
		return string(runes), ""
	case json.Number:
		f, err := v.Float64()
		if err != nil || f == 0 || 1/f-1/f != 0 {
			return nil, "the number has no inverse"
		}
		return json.Number(strconv.FormatFloat(1/f, 'g', -1, 64)), ""
	case bool:
		return !v, ""
	case []any:
		out := slices.Clone(v)
		slices.Reverse(out)
		return out, ""
	}
	return argument, "" // objects and null have no order
}

func head(argument any) (any, string) {
	switch v := argument.(type) {
	case []any:
		if len(v) == 0 {
			return nil, "Empty array"
		}
		return v[0], ""
	case string:
		if v == "" {
			return nil, "Empty string"
		}
		_, first := utf8.DecodeRuneInString(v)
		return v[:first], ""
	}
	return nil, "Expected an array or string"
}

func tail(argument any) (any, string) {
	switch v := argument.(type) {
	case []any:
		if len(v) == 0 {
			return nil, "Empty array"
		}
		return v[1:], ""
	case string:
		if v == "" {
			return nil, "Empty string"
		}
		_, first := utf8.DecodeRuneInString(v)
		return v[first:], ""
	}
	return nil, "Expected an array or string"
}

// title begins every word with a capital and writes the rest small.
func title(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		inWord = unicode.IsLetter(r) || was && r == '\''
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

// escapeURI leaves only what RFC 3986 calls unreserved.
func escapeURI(s string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

func fromPairs(argument any) (any, string) {
	const shape = "Expected an array of shape [ [k1,v1], [k2,v2] ... ] with string keys"
	list, ok := argument.([]any)
	if !ok {
		return nil, shape
	}
	out := make(map[string]any, len(list))
	for _, element := range list {
		pair, ok := element.([]any)
		if !ok || len(pair) != 2 {
			return nil, shape
		}
		key, ok := pair[0].(string)
		if !ok {
			return nil, shape
		}
		out[key] = pair[1]
	}
	return out, ""
}

func toPairs(argument any) (any, string) {
	of, ok := argument.(map[string]any)
	if !ok {
		return nil, "expected an object, but got " + typeOf(argument)
	}
	out := make([]any, 0, len(of))
	for _, key := range slices.Sorted(maps.Keys(of)) {
		out = append(out, []any{key, of[key]})
	}
	return out, ""
}

func removeNulls(argument any) (any, string) {
	list, ok := argument.([]any)
	if !ok {
		return nil, "expected an array, but got " + typeOf(argument)
	}
	out := make([]any, 0, len(list))
	for _, element := range list {
		if element != nil {
			out = append(out, element)
		}
	}
	return out, ""
}

// concat joins arrays, strings or objects, of which later ones win.
func concat(argument any) (any, string) {
	const shape = "Expected an array of arrays, of strings or of objects"
	list, ok := argument.([]any)
	if !ok {
		return nil, shape
	}
	if len(list) == 0 {
		return []any{}, ""
	}
	switch list[0].(type) {
	case []any:
		out := []any{}
		for _, element := range list {
			part, ok := element.([]any)
			if !ok {
				return nil, shape
			}
			out = append(out, part...)
		}
		return out, ""
	case string:
		return concatStrings(list, shape)
	case map[string]any:
		out := map[string]any{}
		for _, element := range list {
			part, ok := element.(map[string]any)
			if !ok {
				return nil, shape
			}
			maps.Copy(out, part)
		}
		return out, ""
	}
	return nil, shape
}

func concatStrings(list []any, shape string) (any, string) {
	var out strings.Builder
	for _, element := range list {
		part, ok := element.(string)
		if !ok {
			return nil, shape
		}
		if out.Len()+len(part) > MaxOutput {
			return nil, "the joined string is too long"
		}
		out.WriteString(part)
	}
	return out.String(), ""
}

func not(argument any) (any, string) {
	is, ok := argument.(bool)
	if !ok {
		return nil, "expected a boolean, but got " + typeOf(argument)
	}
	return !is, ""
}
