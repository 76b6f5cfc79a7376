package plainjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/plainjson"
)

// Values, and whether they are plain.
var values = []struct {
	text  string
	plain bool
}{
	{`{"id":1}`, true},
	{" {\"id\" : -1.5e+3 ,\n\"a\":[true,false,null,\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]}\t", true},
	{`"名前"`, true},
	{`0`, true},
	{`null`, true},
	{`[]`, true},
	{`{"a":1,"a":{"b":2}}`, true},
	{strings.Repeat("[", 17) + strings.Repeat("]", 17), true},
	{strings.Repeat("[", 18) + strings.Repeat("]", 18), false},
	{`"\u0041"`, false},
	{`{"\n":1}`, false},
	{"\"a\xff\"", false},
	{"\"a\nb\"", false},
	{`01`, false},
	{`1.`, false},
	{`+1`, false},
	{`nullx`, false},
	{`{"a":1,}`, false},
	{`[1 2]`, false},
	{`{} {}`, false},
	{`{`, false},
	{`"\`, false},
	{``, false},
}

func TestPlainValuesAreTakenAndOthersLeft(t *testing.T) {
	t.Parallel()
	for _, v := range values {
		if _, plain := plainjson.Value([]byte(v.text)); plain != v.plain {
			t.Errorf("%q: plain is %v, want %v", v.text, plain, v.plain)
		}
		sameAsStandard(t, []byte(v.text))
	}
}

// sameAsStandard compares what is taken with what encoding/json makes of it.
func sameAsStandard(t *testing.T, text []byte) {
	t.Helper()
	got, plain := plainjson.Value(text)
	if !plain {
		return
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatalf("%q was taken, but encoding/json says: %v", text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q was taken, but there is more than one value", text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: got %#v, want %#v", text, got, want)
	}
}

func FuzzWhatIsTakenIsTheSameToTheStandard(f *testing.F) {
	for _, v := range values {
		f.Add([]byte(v.text))
	}
	f.Fuzz(sameAsStandard)
}
