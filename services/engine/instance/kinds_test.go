package instance_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// kinds are columns of all kinds of types, each with two values as a client
// sends them.
var kinds = []struct{ name, sql, first, second string }{
	{"i2", "int2", `1`, `-2`}, {"i4", "int4", `1`, `2`}, {"i8", "int8", `9007199254740993`, `"9007199254740994"`},
	{"f4", "float4", `1.5`, `2.25`}, {"f8", "float8", `1e100`, `"Infinity"`}, {"num", "numeric", `1.50`, `"12345678901234567890.5"`},
	{"cash", "money", `1.5`, `"$1,234.50"`}, {"yes", "bool", `true`, `false`},
	{"t", "text", `"a \"q\" \\"`, `""`}, {"vc", "varchar(20)", `"a"`, `"b"`}, {"bp", "char(5)", `"a"`, `"b"`}, {"ci", "citext", `"A"`, `"b"`},
	{"one_char", `"char"`, `"a"`, `"b"`}, {"nm", "name", `"a"`, `"b"`}, {"id_", "uuid", `"00000000-0000-0000-0000-000000000001"`, `"00000000-0000-0000-0000-000000000002"`},
	{"by", "bytea", `"\\xdeadbeef"`, `"\\x"`}, {"bits", "bit(3)", `"101"`, `"010"`}, {"vbits", "varbit", `"1"`, `"0101"`},
	{"d", "date", `"2020-02-29"`, `"infinity"`}, {"ti", "time", `"10:00:01.5"`, `"23:59:59"`}, {"titz", "timetz", `"10:00:00+02"`, `"10:00:00Z"`},
	{"ts", "timestamp", `"2020-02-29T10:00:00"`, `"-infinity"`}, {"tstz", "timestamptz", `"2020-02-29T10:00:00.123456+02:00"`, `"2020-01-01"`},
	{"iv", "interval", `"1 year 2 days 03:04:05"`, `"P1D"`},
	{"js", "json", `{"b": [1.50, null]}`, `"text"`}, {"jb", "jsonb", `{"b": 1.50, "a": [null]}`, `[1, "x"]`},
	{"r4", "int4range", `"[1,5)"`, `"empty"`}, {"rts", "tstzrange", `"[2020-01-01 00:00:00+00,)"`, `"(,)"`}, {"mr", "int4multirange", `"{[1,2),[5,7)}"`, `"{}"`},
	{"net", "inet", `"10.0.0.1/8"`, `"::1"`}, {"ci4", "cidr", `"10.0.0.0/8"`, `"::/0"`}, {"mac", "macaddr", `"08:00:2b:01:02:03"`, `"08:00:2b:01:02:04"`},
	{"pt", "point", `"(1,2)"`, `"(3,4)"`}, {"bx", "box", `"(3,4),(1,2)"`, `"(1,1),(0,0)"`}, {"circ", "circle", `"<(1,2),3>"`, `"<(0,0),1>"`},
	{"x", "xml", `"<a>b</a>"`, `"c"`}, {"tsv", "tsvector", `"'a':1 'b':2"`, `"x y"`}, {"tsq", "tsquery", `"a & b"`, `"!c"`},
	{"lsn", "pg_lsn", `"0/1"`, `"1/0"`}, {"path_", "jsonpath", `"$.a"`, `"$[*]"`},
	{"lt", "ltree", `"a.b"`, `""`}, {"hs", "hstore", `"a=>1, b=>NULL"`, `""`},
	{"en", "mood", `"sad"`, `"ok"`}, {"dom", "positive", `5`, `6`}, {"comp", "pair", `"(1,\"a b\")"`, `"(,)"`},
	{"ai", "int4[]", `[1, 3]`, `[]`}, {"at", "text[]", `["a,b", "NULL", "\"", ""]`, `["{}"]`}, {"ae", "mood[]", `["sad", "ok"]`, `[]`},
	{"aj", "jsonb[]", `[{"a": 1}, [2]]`, `["x"]`}, {"an", "numeric[]", `[1.50, 2]`, `["3.0"]`}, {"ab", "bytea[]", `["\\x00"]`, `[]`},
	{"ad", "timestamptz[]", `["2020-01-01T00:00:00Z"]`, `[]`}, {"adom", "positive[]", `[1, 2]`, `[3]`}, {"ar", "int4range[]", `["[1,5)"]`, `[]`},
	{"acomp", "pair[]", `["(1,a)", "(2,\"b c\")"]`, `[]`}, {"au", "uuid[]", `["00000000-0000-0000-0000-000000000001"]`, `[]`}, {"abool", "bool[]", `[true, false]`, `[]`},
}

// What a mutation returns of a row is what a query answers, whatever the columns
// hold and however many there are; so is what goes in as a literal, as a variable
// and as one of many rows.
func TestAMutationReturnsWhatAQueryAnswers(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "kinds")
	var fields []string
	first, second := map[string]any{}, map[string]any{}
	for _, k := range kinds {
		fields = append(fields, k.name)
		first[k.name], second[k.name] = decode(t, k.first), decode(t, k.second)
	}
	selection := "id " + strings.Join(fields, " ")
	row := func(id int, of map[string]any) map[string]any {
		out := map[string]any{"id": json.Number(fmt.Sprint(id))}
		for name, value := range of {
			out[name] = value
		}
		return out
	}
	literal := func(values func(i int) string, name string) string {
		var out []string
		for i, k := range kinds {
			if k.name == name || name == "" {
				out = append(out, k.name+": "+graphQL(decode(t, values(i))))
			}
		}
		return strings.Join(out, ", ")
	}
	firsts := func(i int) string { return kinds[i].first }
	seconds := func(i int) string { return kinds[i].second }
	run := func(query string, variables map[string]any) map[string]any {
		t.Helper()
		response, trail := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{Query: query, Variables: variables}})
		if response.Err != nil {
			t.Fatalf("%s\nanswered %s\ncause: %v", query, response.Body, cause(trail))
		}
		return decode(t, string(response.Body)).(map[string]any)["data"].(map[string]any)
	}
	rows := func(data map[string]any, field string) []any {
		if one, ok := data[field].(map[string]any); ok {
			if list, ok := one["returning"].([]any); ok {
				return list
			}
			return []any{one}
		}
		return data[field].([]any)
	}
	for _, c := range []struct {
		name, field, query string
		variables          map[string]any
	}{
		{"insert of a literal", "insert_kinds_one", `mutation { insert_kinds_one(object: {id: 1, ` + literal(firsts, "") + `}) { ` + selection + ` } }`, nil},
		{"insert of rows in a variable", "insert_kinds", `mutation ($rows: [kinds_insert_input!]!) { insert_kinds(objects: $rows) { returning { ` + selection + ` } } }`,
			map[string]any{"rows": []any{row(2, first), row(3, second)}}},
		{"insert of a row in a variable", "insert_kinds_one", `mutation ($row: kinds_insert_input!) { insert_kinds_one(object: $row) { ` + selection + ` parent { id } } }`,
			map[string]any{"row": row(4, second)}},
		{"nested insert", "insert_kinds_one", `mutation ($row: kinds_insert_input!) { insert_kinds_one(object: $row) { ` + selection + ` parent { ` + selection + ` } } }`,
			map[string]any{"row": func() map[string]any {
				r := row(5, second)
				r["parent"] = map[string]any{"data": row(6, first)}
				return r
			}()}},
		{"update by a literal", "update_kinds", `mutation { update_kinds(where: {id: {_eq: 1}}, _set: {` + literal(seconds, "") + `}) { returning { ` + selection + ` } } }`, nil},
		{"update by a variable, answered with its relationship", "update_kinds_by_pk",
			`mutation ($set: kinds_set_input!) { update_kinds_by_pk(pk_columns: {id: 5}, _set: $set) { ` + selection + ` parent { ` + selection + ` } } }`, map[string]any{"set": first}},
	} {
		written := rows(run(c.query, c.variables), c.field)
		if len(written) == 0 {
			t.Fatalf("%s: nothing came back", c.name)
		}
		for _, w := range written {
			got := w.(map[string]any)
			deeper := ""
			if strings.Contains(c.query, "parent { "+selection) {
				deeper = " parent { " + selection + " }"
			} else if strings.Contains(c.query, "parent { id }") {
				deeper = " parent { id }"
			}
			stored := run(fmt.Sprintf(`{ kinds_by_pk(id: %s) { %s%s } }`, got["id"], selection, deeper), nil)["kinds_by_pk"].(map[string]any)
			for name, want := range stored {
				if !reflect.DeepEqual(got[name], want) {
					t.Errorf("%s: returned %s: %v, a query answers %v", c.name, name, got[name], want)
				}
			}
		}
	}
	// Rows 1 and 3, of seconds, and 2 and 6, of firsts, came in on different ways.
	same := run(`{ a: kinds(where: {id: {_in: [2, 5, 6]}}) { `+strings.Join(fields, " ")+` } b: kinds(where: {id: {_in: [1, 3, 4]}}) { `+strings.Join(fields, " ")+` } }`, nil)
	for _, list := range same {
		for _, other := range list.([]any)[1:] {
			for name, want := range list.([]any)[0].(map[string]any) {
				if got := other.(map[string]any)[name]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %v by one way and %v by another", name, got, want)
				}
			}
		}
	}
	deleted := rows(run(`mutation { delete_kinds(where: {id: {_eq: 3}}) { returning { `+selection+` } } }`, nil), "delete_kinds")
	if want := run(`{ kinds_by_pk(id: 4) { `+selection+` } }`, nil)["kinds_by_pk"].(map[string]any); true {
		want["id"] = json.Number("3")
		if !reflect.DeepEqual(deleted[0], want) {
			t.Errorf("a delete returned %v, want %v", deleted[0], want)
		}
	}
}

// graphQL writes a decoded value as a literal.
func graphQL(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for name, member := range v {
			parts = append(parts, name+": "+graphQL(member))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, graphQL(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// An answer may have more members than a function of Postgres takes arguments.
func TestAMutationMayHaveManyMembers(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "kinds")
	var members strings.Builder
	for i := range 45 {
		fmt.Fprintf(&members, " n%d: affected_rows r%d: returning { id }", i, i)
	}
	response, trail := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{
		Query: `mutation { insert_kinds(objects: {id: 1}) {` + members.String() + ` __typename } }`}})
	got := string(response.Body)
	if response.Err != nil || !strings.Contains(got, `"n44":1,"r44":[{"id":1}],"__typename":"kinds_mutation_response"`) {
		t.Errorf("answered %s\ncause: %v", got, cause(trail))
	}
}

// The schema offers of each column the comparisons, orders and distinctions that
// Postgres can make, and no others.
func TestWhatPostgresCannotCompareIsNotOffered(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, "kinds")
	refused := map[string]string{}
	for _, k := range kinds {
		value := graphQL(decode(t, k.first))
		for _, c := range []struct{ letter, query string }{
			{"e", `{ kinds(where: {` + k.name + `: {_eq: ` + value + `}}) { id } }`},
			{"i", `{ kinds(where: {` + k.name + `: {_nin: [` + value + `]}}) { id } }`},
			{"g", `{ kinds(where: {` + k.name + `: {_gt: ` + value + `}}) { id } }`},
			{"o", `{ kinds(order_by: {` + k.name + `: desc}) { id } }`},
			{"d", `{ kinds(distinct_on: ` + k.name + `) { id } }`},
			{"n", `{ kinds(where: {` + k.name + `: {_is_null: true}}) { id } }`},
		} {
			response, trail := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{Query: c.query}})
			switch {
			case response.Err == nil:
			case response.Err.Code == "validation-failed":
				refused[k.name] += c.letter
			default:
				t.Errorf("%s\nanswered %s\ncause: %v", c.query, response.Body, cause(trail))
			}
		}
	}
	want := map[string]string{"js": "eigod", "x": "eigod", "pt": "egod", "path_": "eigod", "bx": "iod", "circ": "od", "hs": "g"}
	if !reflect.DeepEqual(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
}
