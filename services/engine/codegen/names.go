package codegen

import (
	"slices"
	"strings"
	"unicode"
)

// plain makes a text of a tenant safe inside a comment of one line: no line
// breaks, nothing invisible that could reorder or hide code.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "*/", "* /")
}

// namer hands out names of one scope: a name that is taken gets an underscore.
type namer map[string]bool

// reserve makes a namer in which words are taken.
func reserve(words ...string) namer {
	n := namer{}
	for _, list := range words {
		for _, word := range strings.Fields(list) {
			n[word] = true
		}
	}
	return n
}

func (n namer) take(name string) string {
	for n[name] {
		name += "_"
	}
	n[name] = true
	return name
}

// distinct names the action's files in a style: no two actions of a project have the
// same name, nor that of another with one of the endings, though they may lie in one
// folder and place_order and placeOrder be one word in the style. File systems may
// not tell case apart.
func (c *contract) distinct(style func(action string) string, endings ...string) string {
	endings, taken := append(endings, ""), namer{}
	for _, action := range c.actions {
		name := style(action)
		for slices.ContainsFunc(endings, func(ending string) bool { return taken[strings.ToLower(name+ending)] }) {
			name += "_"
		}
		if action == c.action {
			return name
		}
		for _, ending := range endings {
			taken[strings.ToLower(name+ending)] = true
		}
	}
	return style(c.action)
}

// initialisms are written in capitals in Go.
var initialisms = reserve("id url uri uuid http https json xml html api sql ip sku vat")

// pascal is a name as Go exports it: order_id is OrderID.
func pascal(name string) string {
	var out strings.Builder
	for _, word := range strings.Split(name, "_") {
		switch {
		case word == "":
		case initialisms[strings.ToLower(word)]:
			out.WriteString(strings.ToUpper(word))
		default:
			if strings.ToUpper(word) == word {
				word = strings.ToLower(word)
			}
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	if s := out.String(); s != "" && (s[0] < '0' || s[0] > '9') {
		return s
	}
	return "X" + out.String()
}

// camel is a name as Go and JavaScript write functions: place_order is placeOrder.
func camel(name string) string {
	first, rest, more := strings.Cut(strings.Trim(name, "_"), "_")
	if first == "" || first[0] >= '0' && first[0] <= '9' {
		return "x" + pascal(name)
	}
	first = strings.ToLower(first[:1]) + first[1:]
	if more {
		first += pascal(rest)
	}
	return first
}

// snake is a name as Python writes functions: placeOrder is place_order.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 && !unicode.IsUpper(rune(name[i-1])) && name[i-1] != '_' {
				out.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}
