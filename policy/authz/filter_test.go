package authz_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/policy/access"
	"tenantry/policy/authz"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// library is a model of docs, people and comments that the role user may read.
func library(t testing.TB) *model.Model {
	t.Helper()
	table := func(name string, columns ...string) catalog.Table {
		made := catalog.Table{Name: catalog.Name{Schema: "public", Name: name}, Insertable: true, Updatable: true, Deletable: true}
		for i := 0; i < len(columns); i += 2 {
			made.Columns = append(made.Columns, catalog.Column{Name: columns[i], Type: catalog.TypeRef{Schema: "pg_catalog", Name: columns[i+1]}, Nullable: true})
		}
		return made
	}
	found := &catalog.Catalog{Types: map[string]catalog.Type{}, Tables: []catalog.Table{
		table("docs", "id", "int4", "author_id", "int4", "owner", "text", "org", "text", "n", "int4", "public", "bool", "at", "timestamptz", "info", "jsonb", "nick", "text", "ratio", "float8"),
		table("people", "id", "int4", "org", "text"),
		table("comments", "id", "int4", "doc_id", "int4", "stars", "int4", "body", "text"),
	}}
	found.Tables[0].Columns[8].Loose = true
	doc, err := metadata.Decode([]byte(`{"version": 3, "sources": [{"name": "default", "kind": "postgres",
		"configuration": {"connection_info": {"database_url": "postgres://test"}}, "tables": [
		{"table": "docs", "select_permissions": [{"role": "user", "permission": {"columns": "*", "filter": {}}}],
			"object_relationships": [{"name": "author", "using": {"manual_configuration": {"remote_table": "people", "column_mapping": {"author_id": "id"}}}}],
			"array_relationships": [{"name": "comments", "using": {"manual_configuration": {"remote_table": "comments", "column_mapping": {"id": "doc_id"}}}}]},
		{"table": "people", "select_permissions": [{"role": "user", "permission": {"columns": "*", "filter": {}}}]},
		{"table": "comments"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(doc, map[string]*catalog.Catalog{"default": found}, model.Options{})
	if len(m.Inconsistencies) > 0 {
		t.Fatal(m.Inconsistencies[0].Reason)
	}
	return m
}

func check(t testing.TB, m *model.Model, text string) ([]authz.Problem, error) {
	t.Helper()
	p, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: text}}, nil)
	if err != nil {
		return nil, err
	}
	roles, _ := access.Build(m)
	return p.Check(t.Context(), m, roles, "p1")
}

// refused are the shapes that no SQL is made of.
var refused = []struct {
	name, text, message string
	row                 int
}{
	{"else", "ok if { input.row.public } else if { input.row.n > 3 }\nfilter if ok", "else", 2},
	{"with", "ok if input.row.public\nfilter if ok with input.row.public as true", "with", 3},
	{"a set over rows", "names contains c.body if { some c in input.row.comments }\nfilter if \"x\" in names", "sets and objects", 3},
	{"an object over rows", "by[k] := true if { some c in input.row.comments; k := c.body }\nfilter if by.x", "sets and objects", 3},
	{"several values", "level := 1 if input.row.public\nlevel := 2 if input.row.n > 3\nfilter if level == 1", "several values", 3},
	{"a comprehension", "filter if { some x in {c.body | some c in input.row.comments}; x == \"a\" }", "comprehension", 2},
	{"count", "filter if count(input.row.comments) > 3", "count", 2},
	{"a regular expression", "filter if regex.match(\"^a\", input.row.owner)", "regex.match", 2},
	{"arithmetic", "filter if { x := input.row.n + 1\n\tx > 3 }", "plus", 2},
	{"the whole row", "filter if input.row == {\"n\": 3}", "rows cannot be compared", 2},
	{"a computed column", "filter if { some k in [\"n\"]; x := input.row[input.session.variables.k]; x == 3 }", "computed name", 2},
	{"data by a column", "filter if data.tenant.map[input.row.org]", "data up by a column", 2},
	{"a free variable in two columns", "filter if { some m in data.tenant.members; input.row.org == m.org; input.row.owner == m.user }", "one column only", 2},
	{"a loop over data around not", "x(r, m) if r.org == m.org\nfilter if { some m in data.tenant.members; m.user == input.session.ip; not x(input.row, m) }", "runs over data", 3},
	{"a loop over data around a negated comparison", "filter if { some m in data.tenant.members; m.user == input.session.ip; not input.row.org == m.org }", "runs over data", 2},
	{"a loop over data around every", "filter if { some m in data.tenant.members; m.user == input.session.ip; every c in input.row.comments { o := m.org; c.body == o } }", "runs over data", 2},
	{"a loop over data around a guard", "bad(m, r) if { m.off; r.public }\nfilter if { some m in data.tenant.members; m.user == input.session.ip; not bad(m, input.row) }", "runs over data", 2},
	{"a key of an object", "filter if { x := {input.row.org: 1}; not x.a }", "have to be constants", 2},
	{"a key of an object that the session has", "filter if { x := {input.session.ip: 1}; not x.a; input.row.public }", "have to be constants", 2},
	{"a collation by which other texts are equal", "filter if input.row.nick == \"a\"", "collation", 2},
	{"a fraction that no float is", "filter if input.row.ratio == 0.1000000000000000055", "does not fit", 2},
	{"every over data", "filter if { every m in data.tenant.members { m.org != input.row.org } }", "every", 2},
	{"a helper in every", "small(x) if x < 3\nfilter if every c in input.row.comments { small(c.stars) }", "small", 2},
	{"a literal that does not fit", "filter if input.row.n == \"3\"", "does not fit", 2},
	{"a fraction for an integer", "filter if input.row.n > 2.5", "does not fit", 2},
	{"a number and a session variable", "filter if input.row.n == input.session.variables[\"x-hasura-n\"]", "to_number", 2},
	{"a timestamp", "filter if input.row.at > \"2026\"", "null", 2},
	{"json", "filter if input.row.info.a == 1", "inside the column", 2},
	{"order of booleans", "filter if input.row.public < true", "no order", 2},
	{"arguments", "filter if input.args.limit == input.row.n", "not known", 2},
	{"the operation's name", "filter if { input.operation.name == \"Q\"; input.row.public }", "not known", 2},
	{"a number of a row", "filter if { some i, c in input.row.comments; i < 3; c.stars > 1 }", "cannot be used as a value", 2},
	{"a number in a relationship", "filter if input.row.comments[0].stars > 1", "no numbers", 2},
	{"a column that no table has", "filter if {\n\tinput.row.nothing == 1\n}", "no tracked table", 3},
	{"masks of another type", "masks.n := \"***\" if input.row.public", "does not fit", 2},
	{"masks from another row", "masks.org := input.row.author.org", "mask of", 2},
}

func TestShapesWithoutSQLAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	m := library(t)
	for _, test := range refused {
		_, err := check(t, m, "package authz\n"+test.text)
		var failed *authz.CompileError
		if !errors.As(err, &failed) {
			t.Errorf("%s: got %v", test.name, err)
			continue
		}
		p := failed.Errors[0]
		if p.Module != "a.rego" || p.Row != test.row || p.Col < 1 || !strings.Contains(p.Message, test.message) {
			t.Errorf("%s: got %s", test.name, failed)
		}
	}
}

func TestAColumnThatSomeTablesLackIsAWarning(t *testing.T) {
	t.Parallel()
	warnings, err := check(t, library(t), "package authz\nfilter if input.row.org == \"a\"\nfilter if not input.row.public")
	if err != nil || len(warnings) != 1 || warnings[0].Row != 3 || !strings.Contains(warnings[0].Message, `"public" is undefined for rows of people`) {
		t.Errorf("got %v, %v", warnings, err)
	}
}

func TestTheFilterOfATableIsWhatItsPolicySays(t *testing.T) {
	t.Parallel()
	m := library(t)
	docs, _ := m.Table("default", catalog.Name{Schema: "public", Name: "docs"})
	for _, test := range []struct{ rules, want string }{
		{`filter if input.row.owner == input.session.variables["x-hasura-user-id"]`, `owner eq claim(x-hasura-user-id)::text`},
		{`filter if not input.row.public`, `(public eq "true"::bool) IS NOT TRUE`},
		{`filter if { n := input.row.n; not n > 3 }`, `((n gt "3"::int4) IS NOT TRUE AND n IS NOT NULL)`},
		{`filter if { some c in input.row.comments; c.stars > 3; c.body == input.row.owner }`,
			`EXISTS (public.comments ON ^.id = doc_id WHERE (stars gt "3"::int4 AND body eq ^.owner))`},
		{`filter if every c in input.row.comments { c.stars > 3 }`, `NOT (EXISTS (public.comments ON ^.id = doc_id WHERE (stars gt "3"::int4) IS NOT TRUE))`},
		{`filter if { input.resource.name == "docs"; input.session.role == "user" }`, `true`},
		{`filter if { input.resource.name == "other"; input.row.public }`, `false`},
		{`filter if { some m in data.tenant.members; m.user == "u"; input.row.org == m.org }`, `org in late(1.v0)::text[]`},
	} {
		p, err := authz.Compile(t.Context(), []authz.Module{{Name: "a.rego", Text: "package authz\n" + test.rules}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := request("user", nil)
		r.Point, r.Resource = authz.PointRowFilter, authz.Resource{Kind: "table", Source: "default", Schema: "public", Name: "docs"}
		e, err := p.Filter(t.Context(), r, docs, m.Catalogs["default"].Types)
		if got := filter.String(e); err != nil || got != test.want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", test.rules, got, err, test.want)
		}
	}
}

// TestHostileFiltersAreRefusedWithinTheirBounds does not run beside other tests:
// it measures the processor time of the process.
func TestHostileFiltersAreRefusedWithinTheirBounds(t *testing.T) {
	m := library(t)
	var helpers, conditions, nested strings.Builder
	for i := range 40 {
		fmt.Fprintf(&helpers, "h%d if input.row.n > %d\nh%d if input.row.org == \"%d\"\n", i, i, i, i)
		fmt.Fprintf(&conditions, "h%d; ", i)
	}
	nested.WriteString("a0 if input.row.public\n")
	for i := range 25 {
		fmt.Fprintf(&nested, "a%d if { not a%d; input.row.n > %d }\n", i+1, i, i)
	}
	var exists, values strings.Builder
	for i := range 20 {
		fmt.Fprintf(&exists, "filter if { some c in input.row.comments; c.stars == %d }\n", i)
	}
	for i := range 80 {
		fmt.Fprintf(&values, "filter if input.row.n == %d\n", i)
	}
	for _, test := range []struct{ name, rules, message string }{
		{"many helpers", helpers.String() + "filter if { " + conditions.String() + "input.row.public }", "more than"},
		{"deep nesting", nested.String() + "filter if a25", "deeper than"},
		{"many related tables", exists.String(), "related tables"},
		{"many values", values.String(), "more than"},
		{"doubling conditions", doubling(), "deeper than"},
		{"a product while planning", "filter if { some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0; input.row.n == a }", "timed out"},
		{"brackets", "filter if input.row.n == " + strings.Repeat("[", 60000), ""},
	} {
		least := timetest.Least(attackLimit, func(try int) time.Duration {
			runtime.GC()
			before := timetest.CPU(t)
			_, err := check(t, m, fmt.Sprintf("package authz\n%s\n# %d", test.rules, try))
			took := timetest.CPU(t) - before
			// On a busy machine the deadline may come before the bound that is meant.
			if err == nil || !strings.Contains(err.Error(), test.message) && !strings.Contains(err.Error(), "takes too long") {
				t.Errorf("%s: got %.300v", test.name, err)
			}
			return took
		})
		if least > attackLimit {
			t.Errorf("%s took %s of processor time", test.name, least)
		}
		t.Logf("%s: %s", test.name, least)
	}
}

// doubling is a rule whose conditions double with each helper.
func doubling() string {
	var b strings.Builder
	b.WriteString("d0 if input.row.public\n")
	for i := range 14 {
		fmt.Fprintf(&b, "d%d if { d%d; not d%d }\n", i+1, i, i)
	}
	return b.String() + "filter if d14"
}

// TestColdPoliciesAreSmall does not run beside other tests: it measures memory.
func TestColdPoliciesAreSmall(t *testing.T) {
	compile := func(n int) *authz.Policy {
		p, err := authz.Compile(t.Context(), []authz.Module{{Name: "authz.rego", Text: fmt.Sprintf(`package authz
allow if input.session.role == "user%d"
allow if input.args.amount < data.tenant.limit
filter if input.row.org == input.session.variables["x-hasura-org"]`, n)}}, []byte(`{"limit": 100}`))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	var kept []*authz.Policy
	for n := range 600 { // until the engines that are kept fill their room
		kept = append(kept, compile(n))
	}
	before := heap()
	for n := range 1000 {
		kept = append(kept, compile(1000+n))
	}
	per := (heap() - before) / 1000
	runtime.KeepAlive(kept)
	if t.Logf("%d bytes for a cold policy", per); per > 10<<10 {
		t.Errorf("a cold policy takes %d bytes", per)
	}
	// One that is cold still decides.
	if d, err := kept[0].Decide(t.Context(), request("user0", nil)); err != nil || !d.Allowed {
		t.Errorf("%+v %v", d, err)
	}
}
