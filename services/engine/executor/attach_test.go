package executor

import (
	"errors"
	"strings"
	"testing"

	"tenantry/services/engine/plan"
)

// rows are the places of { list { v far deep { far } } } where far is elsewhere.
func rows(far, deep *plan.Join) *places {
	text := "t"
	return placesOfRows([]plan.Output{
		{Key: "v", Text: &text}, {Key: "far", Join: far},
		{Key: "deep", Nested: &plan.Select{Shape: plan.List, Output: []plan.Output{{Key: "far", Join: deep}}}},
	})
}

func TestOnlyWhatThePlanNamesIsFoundInJSON(t *testing.T) {
	t.Parallel()
	far := &plan.Join{Keys: make([]plan.Column, 1), Select: &plan.Select{}}
	deep := &plan.Join{Keys: make([]plan.Column, 2), Select: &plan.Select{}}
	text := `[{"v":"\"far\":[1]","far":[ 7 ],"deep":[{"far":["a,\\\"]}",null]}, ` + "\n" + ` {"far" : ["b",-1.5e3]}]}, ` +
		`null, {"v":{"far":[2],"deep":{"far":[3]}},"far":[null],"deep":[]}, {"v":[],"far":[7],"deep":null}]`
	f := &finder{levels: map[*plan.Join]*joinLevel{}}
	if err := f.document(0, []byte(text), rows(far, deep)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range f.spots {
		got = append(got, text[s.start:s.end])
	}
	if want := `[ 7 ] ["a,\\\"]}",null] ["b",-1.5e3] [null] [7]`; strings.Join(got, " ") != want {
		t.Errorf("found %s, want %s", strings.Join(got, " "), want)
	}
	for _, l := range f.order {
		l.found = [][]byte{[]byte(`{"x":1}`), nil}
	}
	spliced := string(splice([]byte(text), f.spots))
	want := strings.NewReplacer(`[ 7 ]`, `{"x":1}`, `["a,\\\"]}",null]`, `[]`, `["b",-1.5e3]`, `{"x":1}`, `"far":[null]`, `"far":[]`, `"far":[7]`, `"far":{"x":1}`).Replace(text)
	if spliced != want {
		t.Errorf("made\n%s\nwant\n%s", spliced, want)
	}
}

func TestJSONOfAnotherFormIsAnError(t *testing.T) {
	t.Parallel()
	join := &plan.Join{Keys: make([]plan.Column, 1), Select: &plan.Select{}}
	const whole = `[{"v":"\\","far":[1],"deep":[{"far":["x"]}]}]`
	for n := range len(whole) {
		f := &finder{levels: map[*plan.Join]*joinLevel{}}
		if err := f.document(0, []byte(whole[:n]), rows(join, join)); err == nil && n > 0 {
			t.Errorf("%s was read to its end", whole[:n])
		}
	}
	for _, text := range []string{`{"far":}`, `{"far":[1,2]}`, `{"far":"x"}`, `{"far" [1]}`, `[{"far":[1]]`, `{far:[1]}`, `{"deep":[}`} {
		f := &finder{levels: map[*plan.Join]*joinLevel{}}
		if err := f.document(0, []byte(text), rows(join, join)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
	f := &finder{levels: map[*plan.Join]*joinLevel{}}
	if err := f.document(0, []byte(`{"far":[1,2]}`), rows(join, join)); !errors.Is(err, errUnexpected) {
		t.Errorf("two values for one key: %v", err)
	}
}
