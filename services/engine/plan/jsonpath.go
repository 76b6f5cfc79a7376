package plan

import (
	"errors"
	"strconv"
	"strings"

	"tenantry/tenants/catalog"
)

// JSONPath turns the path of a json value, as $.a.b[0]['c'] or a.b, into the
// literal of the Postgres array whose elements are its steps.
func JSONPath(text string) (string, error) {
	var steps []*string
	rest := strings.TrimPrefix(text, "$")
	if text == "" {
		return "", errors.New("the path is empty")
	}
	for first := true; rest != ""; first = false {
		var step string
		var err error
		switch {
		case rest[0] == '[':
			step, rest, err = bracket(rest[1:])
		case rest[0] == '.':
			step, rest, err = member(rest[1:])
		case first && rest == text:
			step, rest, err = member(rest)
		default:
			err = errors.New("expected . or [ at " + strconv.Quote(rest))
		}
		if err != nil {
			return "", err
		}
		steps = append(steps, &step)
	}
	return catalog.ArrayOf(steps), nil
}

// member reads a name, or digits as in a.0.
func member(text string) (step, rest string, err error) {
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	step, rest = text[:end], text[end:]
	if step == "" {
		return "", "", errors.New("a step has no name")
	}
	for i := 0; i < len(step); i++ {
		b := step[i]
		if b != '_' && b != '-' && b < 0x80 && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') {
			return "", "", errors.New("a name with " + strconv.Quote(string(b)) + " needs brackets and quotes")
		}
	}
	return step, rest, nil
}

// bracket reads an index or a quoted key and its closing bracket.
func bracket(text string) (step, rest string, err error) {
	if text != "" && (text[0] == '\'' || text[0] == '"') {
		return quotedKey(text)
	}
	index, rest, ok := strings.Cut(text, "]")
	if _, err := strconv.Atoi(index); !ok || err != nil {
		return "", "", errors.New("expected an index or a quoted key in brackets")
	}
	return index, rest, nil
}

func quotedKey(text string) (step, rest string, err error) {
	quote := text[0]
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case text[i] == quote:
			rest, ok := strings.CutPrefix(text[i+1:], "]")
			if !ok {
				return "", "", errors.New("expected ] after a quoted key")
			}
			return out.String(), rest, nil
		default:
			out.WriteByte(text[i])
		}
	}
	return "", "", errors.New("a quoted key has no end")
}
