package instance_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

var update = flag.Bool("update", false, "write the SQL that the cases executed, and the responses of cases that have none, into testdata")

// Suites are files of cases: a line "## name", then sections that begin with
// "@section", in any order. What a section of one line says may stand behind its
// name.
//
//	@role      admin unless said
//	@session   a JSON object of session variables
//	@query     the operation
//	@operation operationName
//	@variables a JSON object
//	@extensions a JSON object of the request
//	@answer    what the webhook answers, JSON
//	@payload   the input that the webhook was sent, JSON
//	@want      the body of the response, JSON
//	@after     SQL with one value, and behind => the text of that value afterwards
//	@sql       the statements that Postgres was sent, in order
type testCase struct {
	name  string
	parts map[string]string
}

var sections = []string{"role", "session", "query", "operation", "variables", "extensions", "answer", "payload", "want", "after", "sql"}

func TestEngineAnswersAsTheSuitesSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.suite")
	must(t, err)
	deeper, err := filepath.Glob("testdata/*/*.suite")
	must(t, err)
	files = append(files, deeper...)
	if len(files) < 5 {
		t.Fatalf("expected the suites, found %v", files)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".suite"), func(t *testing.T) {
			t.Parallel()
			runSuite(t, path)
		})
	}
}

func runSuite(t *testing.T, path string) {
	p := newProjectOf(t, strings.TrimPrefix(filepath.Dir(path), "testdata"))
	cases := readSuite(t, path)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { runCase(t, p, c) })
	}
	if *update {
		must(t, os.WriteFile(path, []byte(printSuite(cases)), 0o644))
	}
}

func runCase(t *testing.T, p *project, c *testCase) {
	p.handler.set(c.parts["answer"])
	p.wire.take()
	role := c.parts["role"]
	if role == "" {
		role = "admin"
	}
	var variables map[string]any
	if text := c.parts["variables"]; text != "" {
		variables = decode(t, text).(map[string]any)
	}
	var extensions map[string]any
	if text := c.parts["extensions"]; text != "" {
		extensions = decode(t, text).(map[string]any)
	}
	session := map[string]string{}
	if text := c.parts["session"]; text != "" {
		must(t, json.Unmarshal([]byte(text), &session))
	}
	response, trail := p.Execute(t.Context(), as(role, session), instance.Request{
		Request: graphqlhttp.Request{Query: c.parts["query"], OperationName: c.parts["operation"], Variables: variables, Extensions: extensions},
	})
	executed := p.wire.take()
	body := string(response.Body)
	if *update && c.parts["want"] == "" {
		c.set("want", expectation(t, body))
	}
	if !reflect.DeepEqual(withoutInternal(decode(t, body)), decode(t, c.parts["want"])) {
		t.Errorf("answered\n%s\nwant\n%s\ncause: %v", body, c.parts["want"], cause(trail))
	}
	if (response.Err != nil) != strings.Contains(body, `"errors"`) {
		t.Errorf("the response says error %v, its body is %s", response.Err, body)
	}
	checkOrder(t, body, c.parts["want"])
	if want := c.parts["payload"]; want != "" {
		checkPayload(t, p.handler.last(), want)
	}
	sql := strings.Join(executed, "\n")
	if *update {
		c.set("sql", sql)
	}
	if sql != c.parts["sql"] {
		t.Errorf("executed\n%s\nwant\n%s", sql, c.parts["sql"])
	}
	noValueInText(t, sql, c, variables, session)
	if after := c.parts["after"]; after != "" {
		checkAfter(t, p, after)
	}
	if trail.Type == "mutation" {
		p.exec(t, file(t, p.folder+"/rows.sql"))
	}
}

// expectation is a response as a suite keeps it.
func expectation(t *testing.T, body string) string {
	if !strings.Contains(body, `"errors"`) {
		return body
	}
	text, err := json.Marshal(withoutInternal(decode(t, body)))
	must(t, err)
	return string(text)
}

// withoutInternal drops what only admins see of an error: it repeats Postgres'
// own words.
func withoutInternal(v any) any {
	if list, ok := v.(map[string]any)["errors"].([]any); ok {
		for _, e := range list {
			delete(e.(map[string]any)["extensions"].(map[string]any), "internal")
		}
	}
	return v
}

func cause(trail instance.Trail) error {
	if trail.Err == nil {
		return nil
	}
	return trail.Err.Unwrap()
}

var jsonKey = regexp.MustCompile(`"[_A-Za-z][_0-9A-Za-z]*" ?:`)

// checkOrder compares the order of keys, which decoding forgets. Objects inside
// json columns are part of it, and fine: Postgres keeps them as they are.
func checkOrder(t *testing.T, got, want string) {
	t.Helper()
	if strings.Contains(got, `"errors"`) {
		return
	}
	clean := func(text string) []string {
		keys := jsonKey.FindAllString(text, -1)
		for i := range keys {
			keys[i] = strings.ReplaceAll(keys[i], " ", "")
		}
		return keys
	}
	if g, w := clean(got), clean(want); !reflect.DeepEqual(g, w) {
		t.Errorf("keys in the order\n%v\nwant\n%v", g, w)
	}
}

func checkPayload(t *testing.T, received, want string) {
	t.Helper()
	if received == "" {
		t.Error("the handler was not called")
		return
	}
	input := decode(t, received).(map[string]any)["input"]
	if !reflect.DeepEqual(input, decode(t, want)) {
		t.Errorf("the handler was sent %v, want %s", input, want)
	}
}

func checkAfter(t *testing.T, p *project, after string) {
	t.Helper()
	sql, want, _ := strings.Cut(after, "=>")
	var got string
	must(t, p.db.QueryRow(t.Context(), "SELECT ("+sql+")::text").Scan(&got))
	if got != strings.TrimSpace(want) {
		t.Errorf("afterwards %s is %q, want %q", strings.TrimSpace(sql), got, strings.TrimSpace(want))
	}
}

var (
	word    = regexp.MustCompile(`^[a-z_]*$`) // could be a name of the schema, such as an enum value of distinct_on
	literal = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	// rowsWanted finds limits and offsets.
	rowsWanted = regexp.MustCompile(`\b(limit|offset|first|last): *[0-9]+`)
	number     = regexp.MustCompile(`[^\w$]([0-9]{3,})`)
)

// noValueInText holds the law of the dialect: what comes from a request or a
// session is a parameter.
func noValueInText(t *testing.T, sql string, c *testCase, variables map[string]any, session map[string]string) {
	t.Helper()
	var values []string
	collect(variables, &values)
	for _, v := range session {
		values = append(values, v)
	}
	for _, m := range literal.FindAllStringSubmatch(c.parts["query"], -1) {
		values = append(values, m[1])
	}
	// How many rows are wanted is part of the plan where the operation's text says it.
	for _, m := range number.FindAllStringSubmatch(rowsWanted.ReplaceAllString(c.parts["query"], ""), -1) {
		values = append(values, m[1])
	}
	for _, v := range values {
		if len(v) >= 3 && !word.MatchString(v) && strings.Contains(sql, v) {
			t.Errorf("the value %q of the request stands in SQL text:\n%s", v, sql)
		}
	}
}

func collect(v any, into *[]string) {
	switch v := v.(type) {
	case string:
		*into = append(*into, v)
	case json.Number:
		*into = append(*into, v.String())
	case []any:
		for _, item := range v {
			collect(item, into)
		}
	case map[string]any:
		for _, item := range v {
			collect(item, into)
		}
	}
}

func decode(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

func readSuite(t *testing.T, path string) []*testCase {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var out []*testCase
	section := ""
	for n, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			out = append(out, &testCase{name: name, parts: map[string]string{}})
			section = ""
			continue
		}
		if len(out) == 0 {
			continue
		}
		c := out[len(out)-1]
		if name, ok := strings.CutPrefix(line, "@"); ok {
			name, rest, _ := strings.Cut(name, " ")
			if _, twice := c.parts[name]; twice || !known(name) {
				t.Fatalf("%s:%d: section %q is unknown or there twice", path, n+1, name)
			}
			section = name
			c.set(name, rest)
			continue
		}
		if section != "" {
			c.parts[section] = strings.TrimSpace(c.parts[section] + "\n" + line)
		}
	}
	return out
}

func known(name string) bool {
	for _, s := range sections {
		if s == name {
			return true
		}
	}
	return false
}

func (c *testCase) set(section, text string) { c.parts[section] = text }

func printSuite(cases []*testCase) string {
	var out strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&out, "## %s\n", c.name)
		for _, s := range sections {
			text, ok := c.parts[s]
			if !ok {
				continue
			}
			if text == "" || s == "sql" || strings.Contains(text, "\n") || len(text) > 160 {
				fmt.Fprintf(&out, "@%s\n%s\n", s, text)
			} else {
				fmt.Fprintf(&out, "@%s %s\n", s, text)
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}
