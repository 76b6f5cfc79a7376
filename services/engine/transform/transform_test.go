package transform_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tenantry/services/engine/transform"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	var out T
	if err := metadata.DecodeInto([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func value(t *testing.T, text string) any {
	t.Helper()
	v, err := transform.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const payload = `{"input":{"id":7,"name":"Ada & co","none":null}}`

func outgoing() transform.Outgoing {
	return transform.Outgoing{
		Method: "POST", URL: "http://h.example/base?old=1", Body: []byte(payload),
		Header: http.Header{"Content-Type": {"application/json"}, "X-Old": {"1"}},
	}
}

func reading(t *testing.T) transform.Context {
	return transform.Context{
		Body: value(t, payload), BaseURL: "http://h.example/base",
		Session: map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "9"},
	}
}

// shown is a request on one line.
func shown(o transform.Outgoing) string {
	var headers []string
	for name, values := range o.Header {
		headers = append(headers, name+"="+strings.Join(values, ","))
	}
	slices.Sort(headers)
	return fmt.Sprintf("%s %s [%s] %s", o.Method, o.URL, strings.Join(headers, " "), o.Body)
}

func TestARequestIsRewrittenPartByPart(t *testing.T) {
	t.Parallel()
	const (
		address = "http://h.example/base?old=1"
		headers = "[Content-Type=application/json X-Old=1]"
	)
	for doc, want := range map[string]string{
		`{}`:                  "POST " + address + " " + headers + " " + payload,
		`{"method":"delete"}`: "DELETE " + address + " " + headers + " " + payload,
		`{"url":"{{$base_url}}/{{$body.input.id}}/{{escapeUri($body.input.name)}}"}`:                                        "POST http://h.example/base/7/Ada%20%26%20co " + headers + " " + payload,
		`{"query_params":{"b":"{{$body.input.name}}","a":"x{{$body.input.id}}","gone":"{{$body.input.none}}","none":null}}`: "POST http://h.example/base?a=x7&b=Ada+%26+co " + headers + " " + payload,
		`{"query_params":"?q={{$body.input.id}}&r=a b#c"}`:                                                                  "POST http://h.example/base?q=7&r=a%20b%23c " + headers + " " + payload,
		`{"request_headers":{"add_headers":{"x-role":"{{$session_variables['x-hasura-role']}}-{{getSessionVariable(\"X-Hasura-User-Id\")}}","content-type":"text/plain"},"remove_headers":["x-old"]}}`: "POST " + address + " [Content-Type=text/plain X-Role=user-9] " + payload,
		`{"version":1,"template_engine":"Kriti","body":"{\"n\":{{$body.input.name}}}"}`:                                                                                                                "POST " + address + " " + headers + ` {"n":"Ada & co"}`,
		`{"version":1,"content_type":"text/x","body":"1"}`:                                                                                                                                             "POST " + address + " [Content-Type=text/x X-Old=1] 1",
		`{"version":2,"body":{"action":"transform","template":"{{$body.input}}"}}`:                                                                                                                     "POST " + address + " " + headers + ` {"id":7,"name":"Ada & co","none":null}`,
		`{"version":2,"body":{"action":"remove"},"method":"GET"}`:                                                                                                                                      "GET " + address + " " + headers + " ",
		`{"version":2,"body":{"action":"x_www_form_urlencoded","form_template":{"b":"{{$body.input.name}}","a":"{{$body.input.id}}","c":"{{$body.input.none}}"}}}`:                                     "POST " + address + " [Content-Type=application/x-www-form-urlencoded X-Old=1] a=7&b=Ada+%26+co",
	} {
		t.Run(doc, func(t *testing.T) {
			t.Parallel()
			compiled, mistakes := transform.CompileRequest(decode[metadata.RequestTransform](t, doc))
			if len(mistakes) > 0 {
				t.Fatal(mistakes)
			}
			before := outgoing()
			got, err := compiled.Apply(before, reading(t))
			if err != nil {
				t.Fatal(err)
			}
			if shown(got) != want {
				t.Errorf("got\n%s\nwant\n%s", shown(got), want)
			}
			if shown(before) != shown(outgoing()) {
				t.Error("the request that was given has changed")
			}
		})
	}
}

func TestAllMistakesOfARequestAreTold(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"version":3,"template_engine":"Jinja","method":"TRACE","url":"{{","request_headers":{"add_headers":{"a b":"x"}}}`: `.method .request_headers.add_headers.a b .template_engine .url .version`,
		`{"version":2,"body":"1"}`:                    `.body`,
		`{"version":1,"body":{"action":"remove"}}`:    `.body`,
		`{"version":2,"body":{"action":"drop"}}`:      `.body.action`,
		`{"version":2,"body":{"action":"transform"}}`: `.body.template`,
		`{"query_params":{"a":"{{ $response }}"}}`:    `.query_params.a`,
		`{"url":"{{$body.gone}}","body":"{{$body.gone}}","request_headers":{"add_headers":{"a":"{{\"x\\r\\ny\"}}"}}}`: `.body.template .request_headers.add_headers.a .url`,
		`{"url":"http://[{{1}}","query_params":"a"}`:                                                                  `.url`,
	} {
		t.Run(doc, func(t *testing.T) {
			t.Parallel()
			compiled, mistakes := transform.CompileRequest(decode[metadata.RequestTransform](t, doc))
			if len(mistakes) == 0 {
				_, err := compiled.Apply(outgoing(), reading(t))
				errors.As(err, &mistakes)
			}
			var keys []string
			for _, m := range mistakes {
				keys = append(keys, m.Key)
			}
			slices.Sort(keys)
			if got := strings.Join(keys, " "); got != want {
				t.Errorf("got %s, want %s (%v)", got, want, mistakes)
			}
		})
	}
}

func TestAnAnswerIsRewritten(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`: `{"a":1} false`,
		`{"body":"[{{$body.a}},{{$response.status}},{{$request.body.input.id}},{{$session_variables['x-hasura-role']}}]"}`: `[1,201,7,"user"] false`,
		`{"error_when":"$body.a == 1","version":2,"body":{"action":"transform","template":"{\"message\":\"no\"}"}}`:        `{"message":"no"} true`,
		`{"error_when":"{{ $response.status > 300 }}"}`:                                                                    `{"a":1} false`,
		`{"body":"{{$body.gone}}"}`: `.body: Invalid Path: Path Lookup Error: "$body.gone" (line 1, column 3)`,
	} {
		compiled, mistakes := transform.CompileResponse(decode[metadata.ResponseTransform](t, doc))
		if len(mistakes) > 0 {
			t.Fatal(doc, mistakes)
		}
		out, refusal, err := compiled.Apply(201, value(t, `{"a":1}`), reading(t))
		text, _ := json.Marshal(out)
		got := fmt.Sprintf("%s %t", text, refusal)
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "body: ")
			want = strings.TrimPrefix(want, ".body: ")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", doc, got, want)
		}
	}
}

func TestAnActionWithABrokenTemplateIsNotServed(t *testing.T) {
	t.Parallel()
	doc := decode[metadata.Document](t, `{"version":3,"sources":[],"actions":[
		{"name":"broken","definition":{"output_type":"Int","handler":"http://h","request_transform":{"version":2,"body":{"action":"transform","template":"{\n \"a\": {{ $bdy }}}"}},"response_transform":{"version":2,"body":{"action":"remove"}}}},
		{"name":"whole","definition":{"output_type":"Int","handler":"http://h","request_transform":{"body":"{{ $body }}"}}}]}`)
	m := model.Resolve(doc, nil, model.Options{})
	found := transform.Withdraw(m)
	if len(m.Actions) != 1 || m.Actions[0].Name != "whole" {
		t.Errorf("served: %+v", m.Actions)
	}
	var got []string
	for _, i := range found {
		got = append(got, i.Name+"|"+i.Pointer+"|"+i.Reason)
	}
	want := []string{
		`action broken|$.actions[0].definition.request_transform.body.template|Inconsistent object: in action "broken"; request_transform.body.template: Name Error: Variable '$bdy' not in scope (line 2, column 10)`,
		`action broken|$.actions[0].definition.response_transform.body.action|Inconsistent object: in action "broken"; response_transform.body.action: Type Error: expected transform (line 1, column 1)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
