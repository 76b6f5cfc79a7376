package store

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
)

var slugForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}$`)

// ValidSlug reports whether text can be a slug. A text in the form of a uuid
// can't: it could stand for someone else's id.
func ValidSlug(text string) bool { return slugForm.MatchString(text) && !isID(text) }

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// deriveSlug makes a slug of a name; what is "" or begins with a digit gets
// the word in front. It leaves room for a suffix.
func deriveSlug(name, word string) string {
	slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if slug == "" {
		return word
	}
	if slug[0] < 'a' || slug[0] > 'z' || len(slug) < 2 {
		slug = word + "-" + slug
	}
	return strings.TrimRight(slug[:min(len(slug), 30)], "-")
}

// slugs yields what to try in turn: the given slug alone, or the derived one
// and then the same with suffixes.
func slugs(given, name, word string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if given != "" {
			yield(given)
			return
		}
		derived := deriveSlug(name, word)
		if !yield(derived) || !yield(derived+"-2") || !yield(derived+"-3") {
			return
		}
		for yield(fmt.Sprintf("%s-%s", derived, strings.ToLower(rand.Text()[:6]))) {
		}
	}
}
