package plan_test

import (
	"strings"
	"testing"

	"tenantry/services/engine/plan"
)

func TestJSONPathsBecomeSteps(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"$": `{}`, "a": `{"a"}`, "$.a": `{"a"}`, "$.a.b[0]": `{"a","b","0"}`, "a[10].b": `{"a","10","b"}`, "[0]": `{"0"}`, "$[-1]": `{"-1"}`,
		"$['a b'].c": `{"a b","c"}`, `$["it's"]`: `{"it's"}`, `$['a\'b\\']`: `{"a'b\\"}`, "$.naïve": `{"naïve"}`, `$['"']`: `{"\""}`,
	} {
		if got, err := plan.JSONPath(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "$a", "$.", "a..b", "a[", "a[]", "a[x]", "a['b", "a['b'", "a b", "a[0]b", "a'b"} {
		if got, err := plan.JSONPath(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

// Whatever the path, what comes out is the literal of an array of text.
func FuzzJSONPath(f *testing.F) {
	for _, seed := range []string{"$.a[0]['b']", `$["\""]`, "{", "a,b", "\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := plan.JSONPath(text)
		if err != nil {
			return
		}
		inside, opened := strings.CutPrefix(got, "{")
		inside, closed := strings.CutSuffix(inside, "}")
		if !opened || !closed {
			t.Fatalf("%q: %s is no array", text, got)
		}
		quoted := false
		for i := 0; i < len(inside); i++ {
			switch {
			case inside[i] == '\\':
				i++
			case inside[i] == '"':
				quoted = !quoted
			case !quoted && inside[i] != ',':
				t.Fatalf("%q: %s has something outside of quotes", text, got)
			}
		}
		if quoted {
			t.Fatalf("%q: a quote of %s has no end", text, got)
		}
	})
}
