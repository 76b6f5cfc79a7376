package graphqlhttp

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// The bodies that clients send; those marked take the short way.
var bodies = []struct {
	text  string
	quick bool
}{
	{`{"query":"{ a }"}`, true},
	{` { "query" : "query Q($id: Int!) {\n a(id: $id) { \"b\" } }" , "variables" : { "id" : 1 } } `, true},
	{`{"query":"{ a }","operationName":null,"variables":null,"extensions":{}}`, true},
	{`{"operationName":"Q","variables":{"a":[1,-0.5,1e9,1E-2,"x",true,false,null,{"b":{}},[]]},"query":"\t\/\b\f\r\\"}`, true},
	{`{"query":"{ ä(name: \"名前\") }","variables":{"ü":"ö"}}`, true},
	{`{"documentId":"abc","variables":{"n":123456789012345678901234567890}}`, true},
	{`{}`, true},
	{`{"query":"\u0041"}`, false},
	{`{"Query":"{ a }"}`, false},
	{`{"query":"{ a }","id":7}`, false},
	{`{"query":"{ a }","query":"{ b }"}`, false},
	{`{"query":null}`, false},
	{`{"query":7}`, false},
	{`{"query":"{ a }","variables":[1]}`, false},
	{`{"query":"{ a }","variables":{"a":01}}`, false},
	{`{"query":"{ a }","variables":{"a":1.}}`, false},
	{`{"query":"{ a }","variables":{"a":+1}}`, false},
	{`{"query":"{ a }","variables":{"a":-}}`, false},
	{`{"query":"{ a }","variables":{"a":1e}}`, false},
	{`{"query":"{ a }","variables":{"a":nul}}`, false},
	{`{"query":"{ a }",}`, false},
	{`{"query":"{ a }"} {}`, false},
	{`{"query":"{ a }`, false},
	{`{"query":"\`, false},
	{`{"query":"\x"}`, false},
	{"{\"query\":\"a\nb\"}", false},
	{"{\"query\":\"a\xff\"}", false},
	{`{"query":"a","variables":{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}}`, true},
	{`{"query":"a","variables":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, false},
	{`{"query":"a","variables":{"a":1,"a":2}}`, true},
	{`{"variables":{"a":{"x":1},"a":{"y":2}}}`, true},
}

func TestThePlainestRequestsTakeTheShortWay(t *testing.T) {
	t.Parallel()
	for _, b := range bodies {
		if _, took := quick([]byte(b.text)); took != b.quick {
			t.Errorf("%s: the short way says %v, want %v", b.text, took, b.quick)
		}
		sameAsLong(t, []byte(b.text))
	}
}

// sameAsLong compares what the short way makes of a body with encoding/json.
func sameAsLong(t *testing.T, body []byte) {
	t.Helper()
	got, took := quick(body)
	if !took {
		return
	}
	var want Request
	if err := decode(body, &want); err != nil {
		t.Fatalf("%q: the short way took what is refused: %v", body, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: got %#v, want %#v", body, got, want)
	}
}

func FuzzTheShortWayAgreesWithTheLongOne(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b.text))
	}
	f.Fuzz(sameAsLong)
}

func TestWhatIsDecodedIsACopy(t *testing.T) {
	t.Parallel()
	body := []byte(`{"query":"{ a }","operationName":"Q","variables":{"k":"v","n":12}}`)
	requests, _, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 'x'
	}
	want := Request{Query: "{ a }", OperationName: "Q", Variables: map[string]any{"k": "v", "n": json.Number("12")}}
	if !reflect.DeepEqual(requests, []Request{want}) {
		t.Errorf("got %#v", requests)
	}
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"query":"query Q1($id: bigint!) { authors_by_pk(id: $id) { id name email } }","variables":{"id":4711}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
