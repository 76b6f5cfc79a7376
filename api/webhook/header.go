package webhook

import "strings"

// ValidHeaderName reports whether HTTP allows the name of a header: a token of
// RFC 9110.
func ValidHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// ValidHeaderValue reports whether HTTP allows the value of a header: no control
// characters but the tab, so that no value can begin another header.
func ValidHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
