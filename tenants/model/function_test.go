package model_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

func ref(name string) catalog.TypeRef { return catalog.TypeRef{Schema: "pg_catalog", Name: name} }

var personRow = catalog.TypeRef{Schema: "public", Name: "person"}

// people has a table person, one other, and functions of every kind.
func people() *catalog.Catalog {
	in := func(name string, t catalog.TypeRef) catalog.Argument { return catalog.Argument{Name: name, Type: t} }
	row, text := in("p", personRow), in("search", ref("text"))
	function := func(name string, v catalog.Volatility, set bool, returns catalog.TypeRef, args ...catalog.Argument) catalog.Function {
		return catalog.Function{Name: catalog.Name{Schema: "public", Name: name}, Volatility: v, Set: set, Returns: returns, Arguments: args}
	}
	variadic := function("variadic", catalog.Stable, true, personRow, in("many", catalog.TypeRef{Schema: "pg_catalog", Name: "text", Dimensions: 1}))
	variadic.Variadic = true
	return &catalog.Catalog{
		Tables: []catalog.Table{
			{Name: catalog.Name{Schema: "public", Name: "other"}, Columns: []catalog.Column{{Name: "id", Type: ref("int4")}}},
			{Name: catalog.Name{Schema: "public", Name: "person"}, Columns: []catalog.Column{{Name: "id", Type: ref("int4")}, {Name: "name", Type: ref("text")}}},
		},
		Functions: []catalog.Function{
			function("bare", catalog.Stable, false, ref("text")),
			function("changes", catalog.Volatile, true, personRow, row),
			function("finds", catalog.Stable, true, personRow, text),
			function("label", catalog.Stable, false, ref("text"), row),
			function("labels", catalog.Stable, true, ref("text"), row),
			function("others", catalog.Stable, true, catalog.TypeRef{Schema: "public", Name: "other"}, row),
			function("said", catalog.Stable, false, ref("text"), text, row),
			function("twice", catalog.Stable, true, personRow),
			function("twice", catalog.Stable, true, personRow, text),
			variadic,
		},
		Types: map[string]catalog.Type{
			"public.person": {Name: catalog.Name{Schema: "public", Name: "person"}, Kind: catalog.CompositeType},
			"public.other":  {Name: catalog.Name{Schema: "public", Name: "other"}, Kind: catalog.CompositeType},
		},
	}
}

func resolvePeople(t *testing.T, person, rest string) *model.Model {
	t.Helper()
	doc, err := metadata.Decode([]byte(fmt.Sprintf(`{"version":3,"sources":[{"name":"default","kind":"postgres",
	  "configuration":{"connection_info":{"database_url":{"from_env":"TENANTRY_DATABASE"}}},"tables":[{"table":"person"%s}]%s}]}`, person, rest)))
	if err != nil {
		t.Fatal(err)
	}
	return model.Resolve(doc, map[string]*catalog.Catalog{"default": people()}, model.Options{})
}

func TestFunctionsAndQueriesThatCannotBeServedSayWhy(t *testing.T) {
	t.Parallel()
	computed := func(name, definition string) string {
		return fmt.Sprintf(`,"computed_fields":[{"name":%q,"definition":{%s}}]`, name, definition)
	}
	function := func(name, configuration string) string {
		return fmt.Sprintf(`,"functions":[{"function":%q,"configuration":{%s}}]`, name, configuration)
	}
	row := `"logical_models":[{"name":"row","fields":[{"name":"id","type":"integer"}]}]`
	query := func(rest string) string {
		return `,` + row + `,"native_queries":[{"root_field_name":"q","returns":"row",` + rest + `}]`
	}
	for name, c := range map[string]struct{ person, rest, want string }{
		"no such function":         {"", function("nope", ""), `no such function exists: "nope"`},
		"overloaded":               {"", function("twice", ""), `the function "twice" is overloaded`},
		"variadic":                 {"", function("variadic", ""), "VARIADIC"},
		"no rows":                  {"", function("label", ""), `does not return a "COMPOSITE" type`},
		"rows of another table":    {"", function("others", ""), `the table "other" that it returns is not tracked`},
		"stable as a mutation":     {"", function("finds", `"exposed_as":"mutation"`), "has to be VOLATILE"},
		"no session argument":      {"", function("finds", `"session_argument":"s"`), `"s" is not an input argument of the function "finds"`},
		"session is no JSON":       {"", function("finds", `"session_argument":"search"`), `"search" argument of the function "finds" is not of type JSON`},
		"a name that is taken":     {"", function("finds", `"custom_name":"person"`), "conflicting definitions"},
		"computed like a column":   {computed("name", `"function":"label"`), "", "Inconsistent object: field definition conflicts with postgres column"},
		"computed by overloads":    {computed("x", `"function":"twice"`), "", `the function "twice" is overloaded`},
		"computed without a row":   {computed("x", `"function":"bare"`), "", `the function "bare" has no input arguments`},
		"computed by writing":      {computed("x", `"function":"changes"`), "", "is of type VOLATILE; cannot be added as a computed field"},
		"computed from no row":     {computed("x", `"function":"said"`), "", "for the following reasons:\n  • first argument of the function \"said\" is not COMPOSITE type\n  • first argument"},
		"computed scalars":         {computed("x", `"function":"labels"`), "", `is not a BASE type`},
		"computed untracked rows":  {computed("x", `"function":"others"`), "", `returning set of table "other" is not tracked`},
		"an unknown type":          {"", `,"logical_models":[{"name":"row","fields":[{"name":"id","type":"nope"}]}]`, `the type "nope" of the field "id" is not known`},
		"an unknown inner model":   {"", `,"logical_models":[{"name":"row","fields":[{"name":"in","type":{"logical_model":"nope"}}]}]`, `the logical model "nope" of the field "in" does not exist`},
		"a model like a table":     {"", `,"logical_models":[{"name":"person","fields":[{"name":"id","type":"int4"}]}]`, "already used by"},
		"an unknown model":         {"", `,"native_queries":[{"root_field_name":"q","returns":"row","code":"SELECT 1"}]`, `the logical model "row" does not exist`},
		"an undeclared argument":   {"", query(`"code":"SELECT {{x}} AS id"`), `{{x}}`},
		"an open placeholder":      {"", query(`"code":"SELECT {{x AS id"`), "not closed"},
		"a query of a taken field": {"", strings.Replace(query(`"code":"SELECT 1 AS id"`), `"q"`, `"person"`, 1), "conflicting definitions"},
		"an unknown remote query":  {"", query(`"code":"SELECT 1 AS id","array_relationships":[{"name":"r","using":{"remote_native_query":"z","column_mapping":{"id":"id"}}}]`), `the native query "z" does not exist`},
		"an unknown column":        {"", query(`"code":"SELECT 1 AS id","object_relationships":[{"name":"r","using":{"remote_table":"person","column_mapping":{"id":"nix"}}}]`), `has no column "nix"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := resolvePeople(t, c.person, c.rest)
			if len(m.Inconsistencies) != 1 || !strings.Contains(m.Inconsistencies[0].Reason, c.want) {
				t.Errorf("got %+v, want one that says %s", m.Inconsistencies, c.want)
			}
		})
	}
}

func TestFunctionsAndQueriesGetTheirNames(t *testing.T) {
	t.Parallel()
	m := resolvePeople(t, `,"computed_fields":[{"name":"label","definition":{"function":"label"}}]`,
		`,"functions":[{"function":"finds"},{"function":"changes","permissions":[{"role":"b"},{"role":"a"}]}],
		"logical_models":[{"name":"row","fields":[{"name":"id","type":"timestamp with time zone"},{"name":"list","type":{"array":"integer"}}],
		  "select_permissions":[{"role":"c","permission":{"columns":"*","filter":{}}}]}],
		"native_queries":[{"root_field_name":"q","returns":"row","code":" SELECT {{ a }}, {{session.X-Hasura-User-Id}} ; ","arguments":{"a":{"type":"uuid"}}}]`)
	if !m.Consistent() {
		t.Fatalf("%+v", m.Inconsistencies)
	}
	changes, finds := m.Functions[0], m.Functions[1]
	if !changes.Mutation || finds.Mutation || finds.Input != "finds_args" || finds.Aggregate.Name != "finds_aggregate" {
		t.Errorf("got %+v and %+v", changes, finds)
	}
	if a := changes.Arguments[0]; a.Name != "p" || a.Scalar != "person_scalar" {
		t.Errorf("the row as an argument is %+v", a.Column)
	}
	if got := strings.Join(m.Roles, " "); got != "a b c" {
		t.Errorf("roles are %s", got)
	}
	columns := m.LogicalModels[0].Rows.Columns
	if columns[0].Scalar != "timestamptz" || columns[1].Scalar != "Int" || !columns[1].List() {
		t.Errorf("columns are %+v and %+v", columns[0], columns[1])
	}
	code := m.NativeQueries[0].Code
	want := []model.CodePart{{Text: "SELECT "}, {Argument: "a"}, {Text: ", "}, {Session: "x-hasura-user-id"}}
	if fmt.Sprint(code) != fmt.Sprint(want) {
		t.Errorf("the code is %+v, want %+v", code, want)
	}
}
