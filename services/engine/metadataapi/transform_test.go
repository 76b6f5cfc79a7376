package metadataapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tenantry/api/errcode"
)

func TestATrialShowsTheRequestThatWouldBeSent(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		`{"webhook_url":"http://h:1","body":{"a":"x"},"request_transform":{"version":2,"method":"POST","url":"http://o.example","query_params":{"q":"{{$body.a}}"},
			"body":{"action":"transform","template":"\"hi {{$body.a}}\""},"request_headers":{"add_headers":{"Foo":"bar","content-type":"application/json"}}}}`: `{"body":"hi x","headers":[["content-type","application/json"],["foo","bar"]],"method":"POST","webhook_url":"http://o.example?q=x"}`,
		`{"webhook_url":"http://h:1","body":{"a":"x"},"request_transform":{"version":2,"body":{"action":"remove"}}}`: `{"body":"","headers":[],"method":"GET","webhook_url":"http://h:1/"}`,
		`{"webhook_url":"http://h:1/p","body":{"a":"x"},"request_transform":{}}`:                                     `{"body":{"a":"x"},"headers":[],"method":"GET","webhook_url":"http://h:1/p"}`,
		`{"webhook_url":"{{HOST}}/p","body":{"a":"x y"},"env":{"HOST":"http://h"},"request_headers":[{"name":"K","value_from_env":"HOST"},{"name":"A","value":"1"}],
			"request_transform":{"version":2,"url":"{{$base_url}}/{{$body.a}}","request_headers":{"remove_headers":["a"]},"body":{"action":"x_www_form_urlencoded","form_template":{"n":"{{$body.a}}"}}}}`: `{"body":"n=x+y","headers":[["k","http://h"]],"method":"GET","webhook_url":"http://h/p/x y"}`,
		`{"webhook_url":{"from_env":"HOST"},"body":null,"env":{"HOST":"http://h"},"request_headers":[["A","1"]],"session_variables":{"X-Hasura-Role":"r"},
			"request_transform":{"body":"{{getSessionVariable(\"x-hasura-role\")}}"}}`: `{"body":"r","headers":[["a","1"]],"method":"GET","webhook_url":"http://h/"}`,
		`{"webhook_url":"http://h","body":{},"request_transform":{"body":"{{ $body.gone }}"}}`:                        `400 validation-failed $.args request transform validation failed [{"key":".body.template","error_code":"Invalid Path","message":"Path Lookup Error: \"$body.gone\"","source_position":{"start_line":0,"start_column":4,"end_line":0,"end_column":14}}]`,
		`{"webhook_url":"http://h","body":{},"request_transform":{"body":"{{"}}`:                                      `400 validation-failed $.args request transform validation failed [{"key":".body","error_code":"Parse Error","message":"unexpected end of the template, expected a value","source_position":{"start_line":0,"start_column":3,"end_line":0,"end_column":3}}]`,
		`{"webhook_url":"http://h","body":{},"request_transform":{},"response_transform":{"body":"{{ $base_url }}"}}`: `400 validation-failed $.args response transform validation failed [{"key":".body","error_code":"Name Error","message":"Variable '$base_url' not in scope","source_position":{"start_line":0,"start_column":4,"end_line":0,"end_column":13}}]`,
		`{"webhook_url":"{{SECRET}}","body":{},"request_transform":{}}`:                                               `400 parse-failed $.args.webhook_url these variables are not in "env": SECRET null`,
		`{"webhook_url":"nowhere","body":{},"request_transform":{}}`:                                                  `400 parse-failed $.args.webhook_url expected an http or https URL null`,
		`{"webhook_url":"http://h","body":{},"request_transform":{"urll":"x"}}`:                                       `400 parse-failed $.request_transform.urll unknown key null`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			answer, err := testTransform(t.Context(), call{envelope: envelope{Args: json.RawMessage(args)}})
			text, encoding := encode(answer)
			if encoding != nil {
				t.Fatal(encoding)
			}
			got := string(text)
			if err != nil {
				var e *errcode.Error
				if !errors.As(err, &e) {
					t.Fatal(err)
				}
				internal, encoding := encode(e.Internal)
				if encoding != nil {
					t.Fatal(encoding)
				}
				got = strings.Join([]string{"400", string(e.Code), e.Path, e.Message, string(internal)}, " ")
				if e.Status() != 400 {
					t.Errorf("status %d", e.Status())
				}
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
