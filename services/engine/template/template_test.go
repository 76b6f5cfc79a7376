package template_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tenantry/services/engine/template"
)

const body = `{"name":"Ada","n":3,"big":12345678901234567890,"list":[1,null,3],"nothing":null,"yes":true,
	"people":[{"city":"Bern","tags":["a","b"]},{"city":"Graz","tags":[]}],"odd key":{"x":"y"},"html":"<a>&\"é"}`

func data(t *testing.T) template.Data {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return template.Data{Variables: map[string]any{"$body": value}, Session: map[string]string{"x-hasura-user-id": "7"}}
}

func TestATemplateOfAValue(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{"a": {{ $body.name }}, "b": [1, true, null, -1.5e3]}`: `{"a":"Ada","b":[1,true,null,-1.5e3]}`,
		`{{ $body.big }}`:                                `12345678901234567890`,
		`"hello {{ $body.name }} {{$body.n}}!"`:          `"hello Ada 3!"`,
		`"{{ $body.n }}"`:                                `"3"`,
		`"{{ $body.list }}"`:                             `"[1,null,3]"`,
		`{{ $body.html }}`:                               `"<a>&\"é"`,
		`"a\n\u00e9\ud83d\ude00 { } \" \\"`:              `"a\né😀 { } \" \\"`,
		`{{ $body['odd key'].x }}`:                       `"y"`,
		`{{ $body["odd key"]['x'] }}`:                    `"y"`,
		`{{ $body.list[2] }}`:                            `3`,
		`{{ $body.people[0].tags[1] }}`:                  `"b"`,
		`{{ $body?.gone }}`:                              `null`,
		`{{ $body?.gone.further[1] }}`:                   `null`,
		`{{ $body?['gone'] ?? "d" }}`:                    `"d"`,
		`{{ $body.nothing?.x }}`:                         `null`,
		`{{ $body.nothing ?? $body?.gone ?? 5 }}`:        `5`,
		`{{ $body.n == 3.0 }}`:                           `true`,
		`{{ $body.n != 3 || $body.n < 4 && true }}`:      `true`,
		`{{ 10 > 9 }}`:                                   `true`,
		`{{ "b" >= "a" && "a" <= "a" }}`:                 `true`,
		`{{ 3 in $body.list }}`:                          `true`,
		`{{ "zip" in $body }}`:                           `false`,
		`{{ false && $body.gone }}`:                      `false`,
		`{{ [1, {"a": [null]}] == [1, {"a": [null]}] }}`: `true`,
		`{{ null == [] }}`:                               `false`,
		`{{ if $body.n > 5 }} "big" {{ elif $body.n > 2 }} "middle" {{ else }} "small" {{ end }}`:            `"middle"`,
		`{{ range i, p := $body.people }} {"at": {{ i }}, "city": {{ p.city }}} {{ end }}`:                   `[{"at":0,"city":"Bern"},{"at":1,"city":"Graz"}]`,
		`{{ range _, p := $body.people }}{{ range _, tag := p.tags }}"{{p.city}}-{{tag}}"{{ end }}{{ end }}`: `[["Bern-a","Bern-b"],[]]`,
		`{{ concat ["a=", $body.name] }}`: `"a=Ada"`,
		`{{ concat([concat({{ range _, x := $body.list }} "id={{x}}&" {{ end }}), "end"]) }}`: `"id=1&id=null&id=3&end"`,
		"# a comment\n{\"a\": 1 # another\n}":                                                 `{"a":1}`,
		`{{ empty("  ") }}`:                                                                   `true`,
		`{{ empty $body.list }}`:                                                              `false`,
		`[{{ size("né") }}, {{ size($body.list) }}, {{ size({"a":1}) }}, {{ size(null) }}, {{ size(true) }}, {{ size(7) }}]`: `[2,3,1,0,1,7]`,
		`[{{ inverse("né") }}, {{ inverse([1,2]) }}, {{ inverse(4) }}, {{ inverse(true) }}]`:                                 `["én",[2,1],0.25,false]`,
		`[{{ head("né") }}, {{ head([[1]]) }}, {{ tail("né") }}, {{ tail([1,2]) }}]`:                                         `["n",[1],"é",[2]]`,
		`[{{ toLower("ÄB") }}, {{ toUpper("äb") }}, {{ toTitle("hELLO wORLD's") }}, {{ toCaseFold("AB") }}]`:                 `["äb","ÄB","Hello World's","ab"]`,
		`{{ fromPairs([["a", 1], ["b", null]]) }}`:                                                                           `{"a":1,"b":null}`,
		`{{ toPairs({"b": 2, "a": 1}) }}`:                                                                                    `[["a",1],["b",2]]`,
		`{{ removeNulls($body.list) }}`:                                                                                      `[1,3]`,
		`{{ concat([[1], [], [2]]) }}`:                                                                                       `[1,2]`,
		`{{ concat([{"a":1,"b":1}, {"b":2}]) }}`:                                                                             `{"a":1,"b":2}`,
		`{{ not($body.yes) }}`:                                                                                               `false`,
		`{{ not $body.yes || true }}`:                                                                                        `true`,
		`{{ escapeUri("a b/é~") }}`:                                                                                          `"a%20b%2F%C3%A9~"`,
		`{{ getSessionVariable("X-Hasura-User-Id") }}`:                                                                       `"7"`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			parsed, err := template.Parse(source, "$body")
			if err != nil {
				t.Fatal(err)
			}
			got, err := parsed.JSON(data(t))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestATemplateOfAText(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		``:                                   `"" false`,
		`plain "text" \n`:                    `"plain \"text\" \\n" false`,
		`id={{ $body.n }}&x={{$body?.gone}}`: `"id=3&x=null" false`,
		`{{ $body.name }}`:                   `"Ada" false`,
		`{{ $body?.gone }}`:                  `"null" true`,
		`{{ concat ["a", "b"] }}`:            `"ab" false`,
	} {
		parsed, err := template.ParseText(source, "$body")
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		text, null, err := parsed.Text(data(t))
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		quoted, _ := json.Marshal(text)
		if got := strings.ReplaceAll(string(quoted), `\u0026`, "&") + map[bool]string{true: " true", false: " false"}[null]; got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
}

func TestMistakesAreToldWithKindAndPlace(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`{{ getSessionVariable("this_variable_doesnt_exist") }}`: `Function Error 0:23-0:51 Session variable "this_variable_doesnt_exist" not found`,
		`{{ fooFunction("x") }}`:                                 `Name Error 0:4-0:15 Variable 'fooFunction' not in scope`,
		`{{ $other }}`:                                           `Name Error 0:4-0:10 Variable '$other' not in scope`,
		`{{ range i, x := $body.list }} {{ x }} {{ end }} `:      ``,
		"{\n  \"a\": {{ $body.gone }}\n}":                        `Invalid Path 1:11-1:21 Path Lookup Error: "$body.gone"`,
		`{{ $body.name.x }}`:                                     `Type Error 0:4-0:16 expected an object for the key "x", but got a string`,
		`{{ $body.name[0] }}`:                                    `Type Error 0:4-0:17 expected an array for the index 0, but got a string`,
		`{{ if 1 }} 1 {{ else }} 2 {{ end }}`:                    `Type Error 0:7-0:8 expected a boolean, but got a number`,
		`{{ range _, x := $body.n }} 1 {{ end }}`:                `Range Error 0:18-0:25 Range Error: Can only range over an array`,
		`{{ 1 < "a" }}`:                                          `Type Error 0:4-0:11 expected two numbers or two strings, but got a number and a string`,
		`{{ head([]) }}`:                                         `Function Error 0:9-0:11 Empty array`,
		`{"a": 1`:                                                `Parse Error 0:8-0:8 unexpected end of the template, expected "," or "}"`,
		`{"a": b}`:                                               `Parse Error 0:7-0:8 unexpected 'b', expected a value`,
		`{"é": "{{ 1 }"}`:                                        `Parse Error 0:13-0:14 unexpected '}', expected "}}"`,
		`{{ if true }} 1 {{ end }}`:                              `Parse Error 0:17-0:18 unexpected '{', expected {{ elif }} or {{ else }}`,
		`{{ range i x := $body }}`:                               `Parse Error 0:12-0:13 unexpected 'x', expected ","`,
		`1 2`:                                                    `Parse Error 0:3-0:4 unexpected '2', expected the end of the template`,
		`"open`:                                                  `Parse Error 0:1-0:6 the string does not end`,
		`01`:                                                     `Parse Error 0:1-0:3 not a number: "01"`,
		`{{ 1 + 1 }}`:                                            `Parse Error 0:6-0:7 unexpected '+', expected "}}"`,
		``:                                                       `Parse Error 0:1-0:1 unexpected end of the template, expected a value`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			parsed, err := template.Parse(source, "$body")
			if err == nil {
				_, err = parsed.JSON(data(t))
			}
			got := ""
			if err != nil {
				p := err.Position
				place, _ := json.Marshal([]int{p.StartLine, p.StartColumn, p.EndLine, p.EndColumn})
				parts := strings.Split(strings.Trim(string(place), "[]"), ",")
				got = err.Code + " " + parts[0] + ":" + parts[1] + "-" + parts[2] + ":" + parts[3] + " " + err.Message
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestATemplateCannotHangOrBloatAWorker(t *testing.T) {
	t.Parallel()
	nested := func(n int, head, inner, tail string) string {
		return strings.Repeat(head, n) + inner + strings.Repeat(tail, n)
	}
	for name, source := range map[string]string{
		"nested lists":       nested(100, "[", "1", "]"),
		"nested parentheses": "{{ " + nested(100, "(", "1", ")") + " }}",
		"nested strings":     nested(100, `"{{ `, "1", ` }}"`),
		"nested functions":   "{{ " + nested(100, "not ", "true", "") + " }}",
		"nested conditions":  nested(100, "{{ if true }}", "1", "{{ else }}2{{ end }}"),
		"a chain":            "{{ true" + strings.Repeat(" && true", 1000) + " }}",
		"a path":             "{{ $long" + strings.Repeat("?.a", 1000) + " }}",
		"loops in loops":     nested(4, "{{ range _, x := $long }}", "1", "{{ end }}"),
		"doubled text":       nested(10, "{{ range _, x := $short }}", `"{{ $text }}{{ $text }}"`, "{{ end }}"),
		"doubled values":     "[" + strings.Repeat("{{ $long }},", 2000) + "1]",
		"long text":          `"` + strings.Repeat("{{ $text }}", 20) + `"`,
		"functions of text":  "{{ range _, x := $long }}{{ toUpper($text) }}{{ end }}",
		"comparisons":        "{{ range _, x := $long }}{{ $long == $other }}{{ end }}",
		"joined lists":       "{{ range _, x := $long }}{{ size(concat([$long, $long])) }}{{ end }}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			long, other := make([]any, 1000), make([]any, 1000)
			for i := range long {
				long[i], other[i] = json.Number("1"), json.Number("1")
			}
			values := map[string]any{"$long": long, "$other": other, "$short": long[:10], "$text": strings.Repeat("x", 100_000)}
			parsed, err := template.Parse(source, "$long", "$other", "$short", "$text")
			if err == nil {
				_, err = parsed.JSON(template.Data{Variables: values})
			}
			if err == nil || err.Code != template.LimitError {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		`{"a": {{ $body.name }}}`, `"{{ $body?['x'] ?? "d" }}"`, `{{ range i, x := $body.list }} {{ if i > 0 }} {{ x }} {{ else }} null {{ end }} {{ end }}`,
		`{{ concat([concat({{ range _, x := $body.list }} "id={{x}}" {{ end }}), "end"]) }}`, `"\ud83d\ude00\ud800\u00`, "#\n1", `{{ not 1 in [1] }}`, "\"\xff\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		d := template.Data{Variables: map[string]any{"$body": map[string]any{"name": "x", "list": []any{json.Number("1"), nil}}}}
		for _, parse := range []func(string, ...string) (*template.Template, *template.Error){template.Parse, template.ParseText, template.ParseExpression} {
			parsed, err := parse(source, "$body")
			if err != nil {
				if err.Position.StartColumn < 1 {
					t.Fatalf("no place: %+v", err)
				}
				continue
			}
			first, err := parsed.JSON(d)
			if err != nil {
				continue
			}
			second, _ := parsed.JSON(d)
			if !json.Valid(first) || !bytes.Equal(first, second) || len(first) > template.MaxOutput {
				t.Fatalf("%q gives %q, then %q", source, first, second)
			}
		}
	})
}
