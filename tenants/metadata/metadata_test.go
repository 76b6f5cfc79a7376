package metadata_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func decode(t *testing.T, text string) *metadata.Document {
	t.Helper()
	doc, err := metadata.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func encode(t *testing.T, doc *metadata.Document) string {
	t.Helper()
	text, err := metadata.Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// document is a document with these tables and, after a comma, other keys.
func document(tables, rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return `{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":"x"}},"tables":[` +
		tables + `]}]` + rest + `}`
}

func TestExportHasOneForm(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"everything", "legacy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given, err := os.ReadFile("testdata/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			doc := decode(t, string(given))
			before := doc.Clone()
			got := encode(t, doc)
			golden := "testdata/" + name + ".export.json"
			if *update {
				if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got+"\n" != string(want) {
				t.Errorf("exported\n%s\nwant\n%s", got, want)
			}
			if !reflect.DeepEqual(doc, before) {
				t.Error("exporting modified the document")
			}
			if again := encode(t, decode(t, got)); again != got {
				t.Errorf("the export of an export is\n%s", again)
			}
		})
	}
}

func TestEveryMistakeIsToldWithItsPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string // path: message
	}{
		"no JSON":       {`{"version":3,`, []string{"$: not valid JSON"}},
		"two documents": {`{"version":3} {}`, []string{"$: not valid JSON"}},
		"no object":     {`[]`, []string{"$: expected an object, but got a list"}},
		"empty":         {``, []string{"$: not valid JSON"}},
		"unknown keys everywhere": {
			document(`{"table":"a","colour":1,"select_permissions":[{"role":"r","permission":{"columns":"*","filter":{},"Limit":3}}]}`, `"Actions":[]`),
			[]string{"$.sources[0].tables[0].colour: unknown key", "$.sources[0].tables[0].select_permissions[0].permission.Limit: unknown key", "$.Actions: unknown key"},
		},
		"keys that need quotes": {`{"version":3,"a b'c":1,"":2}`, []string{`$['a b\'c']: unknown key`, `$['']: unknown key`}},
		"a key twice":           {`{"version":3,"sources":[],"sources":[]}`, []string{"$.sources: the key is given twice"}},
		"wrong types and missing keys": {
			document(`{"table":5,"is_enum":"yes"},{"object_relationships":[{"name":"x"}]}`, `"actions":[{"name":"a","definition":{"timeout":1.5,"output_type":"Int","handler":[]}}]`),
			[]string{
				"$.sources[0].tables[0].table: expected a table's name or {schema, name}, but got a number",
				"$.sources[0].tables[0].is_enum: expected a boolean, but got a string",
				`$.sources[0].tables[1].object_relationships[0]: the key "using" is missing`,
				`$.sources[0].tables[1]: the key "table" is missing`,
				"$.actions[0].definition.timeout: expected an integer, but got a number",
				"$.actions[0].definition.handler: expected a string, but got a list",
			},
		},
		"unions": {
			document(`{"table":{"name":"a","shema":"x"},"object_relationships":[
			  {"name":"a","using":{}},{"name":"b","using":{"foreign_key_constraint_on":{"table":"t","column":"c","columns":["c"]}}},
			  {"name":"c","using":{"foreign_key_constraint_on":7}},{"name":"d","using":{"foreign_key_constraint_on":[]}}],
			  "update_permissions":[{"role":"r","permission":{"columns":"all","filter":{}}}]}`,
				`"api_limits":{"rate_limit":{"global":{"max_reqs_per_min":1,"unique_params":"ip"}}}`),
			[]string{
				"$.sources[0].tables[0].table.shema: unknown key",
				"$.sources[0].tables[0].object_relationships[0].using: expected either foreign_key_constraint_on or manual_configuration",
				"$.sources[0].tables[0].object_relationships[1].using.foreign_key_constraint_on: expected either column or columns",
				"$.sources[0].tables[0].object_relationships[2].using.foreign_key_constraint_on: expected a column",
				"$.sources[0].tables[0].object_relationships[3].using.foreign_key_constraint_on: expected at least one column",
				`$.sources[0].tables[0].update_permissions[0].permission.columns: expected "*" or a list of columns`,
				`$.api_limits.rate_limit.global.unique_params: expected "IP" or a list`,
			},
		},
		"what is there twice": {
			document(`{"table":"a"},{"table":{"schema":"public","name":"a"},"delete_permissions":[{"role":"r","permission":{"filter":{}}},{"role":"r","permission":{"filter":{}}}]}`,
				`"query_collections":[{"name":"c","definition":{"queries":[]}}],"allowlist":[{"collection":"c"},{"collection":"c","scope":{"global":true}},{"collection":"d"}]`),
			[]string{
				`$.sources[0].tables[1].table: multiple declarations exist for the table "a"`,
				`$.sources[0].tables[1].delete_permissions[1].role: multiple declarations exist for the permission for role "r"`,
				`$: multiple declarations exist for the following allowlist entries: c`,
				`$.allowlist[2].collection: query collection with name "d" does not exist`,
			},
		},
		"values that can't be": {
			document(`{"table":"a","configuration":{"custom_root_fields":{"selekt":"x"}},"select_permissions":[{"role":"","permission":{"columns":[],"filter":{},"query_root_fields":["insert"]}}]}`,
				`"actions":[{"name":"x","definition":{"output_type":"Int","handler":"h","headers":[{"name":"a","value_from_env":"HASURA_GRAPHQL_X"}]}}],"api_limits":{"depth_limit":{"global":-1}}`),
			[]string{
				"$.sources[0].tables[0].select_permissions[0].role: empty string not allowed",
				"$.sources[0].tables[0].select_permissions[0].permission.query_root_fields[0]: expected one of select, select_by_pk, select_aggregate",
				"$.sources[0].tables[0].configuration.custom_root_fields.selekt: unknown key",
				`$.actions[0].definition.headers[0]: env variables starting with "HASURA_GRAPHQL_" are not allowed in value_from_env: HASURA_GRAPHQL_X`,
				"$.api_limits.depth_limit.global: expected a number not below 0",
			},
		},
		"NUL in a kept object": {`{"version":3,"remote_schemas":[{"name":"a\u0000"}]}`, []string{"$.remote_schemas[0].name: must not contain the character NUL"}},
		"a version to come":    {`{"version":4,"sources":[]}`, []string{"$.version: expected version 1, 2 or 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := metadata.Decode([]byte(c.text))
			var wrong *metadata.DecodeError
			if doc != nil || !errors.As(err, &wrong) {
				t.Fatalf("got %v, %v", doc, err)
			}
			if len(wrong.Problems) != len(c.want) {
				t.Fatalf("got %d problems, want %d: %v", len(wrong.Problems), len(c.want), wrong)
			}
			for i, p := range wrong.Problems {
				if got := p.Path + ": " + p.Message; !strings.HasPrefix(got, c.want[i]) {
					t.Errorf("problem %d is\n %s\nwant\n %s", i, got, c.want[i])
				}
			}
			if public := errcode.From(err); public.Code != errcode.ParseFailed || public.Path != wrong.Problems[0].Path {
				t.Errorf("clients see %+v", public)
			}
		})
	}
}

func TestArgumentsOfCommandsAreReadStrictly(t *testing.T) {
	t.Parallel()
	var args metadata.TrackTableArgs
	if err := metadata.DecodeInto([]byte(`{"table":"a","source":null}`), &args); err != nil || args.Table.Schema != "public" {
		t.Errorf("got %+v, %v", args, err)
	}
	err := metadata.DecodeInto([]byte(`{"tabel":"a"}`), &args)
	if err == nil || err.Error() != `$.tabel: unknown key; $: the key "table" is missing` {
		t.Errorf("got %v", err)
	}
}

func TestACloneSharesNothing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/everything.json")
	if err != nil {
		t.Fatal(err)
	}
	doc := decode(t, string(text))
	before := encode(t, doc)
	c := doc.Clone()
	if !reflect.DeepEqual(c, doc) {
		t.Fatal("a clone differs")
	}
	scramble(reflect.ValueOf(c).Elem())
	if encode(t, doc) != before {
		t.Error("changing the clone changed the document")
	}
}

// scramble overwrites everything that can be reached.
func scramble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scramble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scramble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.Value{})
		}
	case reflect.String:
		v.SetString("scrambled")
	case reflect.Uint8:
		v.SetUint('x')
	case reflect.Int:
		v.SetInt(-7)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"everything", "legacy"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"version":3,"sources":[{"name":"x","kind":"postgres","configuration":{"connection_info":{"database_url":null}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := metadata.Decode(text)
		if err != nil {
			var wrong *metadata.DecodeError
			if !errors.As(err, &wrong) || len(wrong.Problems) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			return
		}
		first, err := metadata.Encode(doc)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		again, err := metadata.Decode(first)
		if err != nil {
			t.Fatalf("what was written can't be read: %v\n%s", err, first)
		}
		second, err := metadata.Encode(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("the export of an export differs: %v\n%s\n%s", err, first, second)
		}
	})
}
