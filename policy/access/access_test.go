package access_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tenantry/policy/access"
	"tenantry/policy/filter"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tracked are the tables of the market with their relationships; orders also
// gets the permissions.
const tracked = `{"table":"customer","array_relationships":[{"name":"orders","using":{"foreign_key_constraint_on":{"table":"orders","column":"customer_id"}}}]%[2]s},
{"table":"product"},{"table":"totals"%[3]s},{"table":{"schema":"billing","name":"invoice"}},
{"table":"order_item","object_relationships":[{"name":"product","using":{"foreign_key_constraint_on":"product_id"}}]},
{"table":"orders","object_relationships":[{"name":"customer","using":{"foreign_key_constraint_on":"customer_id"}}],
 "array_relationships":[{"name":"items","using":{"foreign_key_constraint_on":{"table":"order_item","column":"order_id"}}}]%[1]s}`

// resolve is a model of the market whose tables have these permissions.
func resolve(t *testing.T, orders, customer, totals string) *model.Model {
	t.Helper()
	comma := func(s string) string {
		if s != "" {
			return "," + s
		}
		return ""
	}
	doc, err := metadata.Decode([]byte(`{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":"x"}},"tables":[` +
		fmt.Sprintf(tracked, comma(orders), comma(customer), comma(totals)) + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../services/engine/introspect/testdata/market.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &catalog.Catalog{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(doc, map[string]*catalog.Catalog{"default": c}, model.Options{})
	if !m.Consistent() {
		t.Fatalf("inconsistent: %+v", m.Inconsistencies)
	}
	return m
}

func table(t *testing.T, m *model.Model, name string) *model.Table {
	t.Helper()
	found, ok := m.Table("default", catalog.Name{Schema: "public", Name: name})
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return found
}

func TestRulesCompileToFilters(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules map[string]json.RawMessage
	if err := json.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	names := make([]string, 0, len(rules))
	for name := range rules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := resolve(t, fmt.Sprintf(`"delete_permissions":[{"role":"user","permission":{"filter":%s}}]`, rules[name]), "", "")
		a, wrong := access.Build(m)
		if len(wrong) != 0 {
			t.Errorf("%s: %+v", name, wrong)
			continue
		}
		role, _ := a.Role("user")
		fmt.Fprintf(&got, "%s\n  %s\n", name, filter.String(role.Table(table(t, m, "orders")).Delete.Filter))
	}
	const golden = "testdata/rules.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the filters differ from %s:\n%s", golden, got.String())
	}
}

func TestAWrongRuleIsReportedAndGrantsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rule, want string }{
		"unknown column":              {`{"nix":{"_eq":1}}`, `filter.nix: "nix" is neither a column nor a relationship of table "orders"`},
		"unknown column further on":   {`{"customer":{"_or":[{"nix":1}]}}`, `filter.customer._or[0].nix: "nix" is neither a column nor a relationship of table "customer"`},
		"unknown operator":            {`{"id":{"_equals":1}}`, `unknown operator "_equals" for column "id" of table "orders"`},
		"operator without its mark":   {`{"id":{"eq":1}}`, `unknown operator "eq"`},
		"operator of an extension":    {`{"id":{"_st_within":1}}`, `the operator "_st_within" does not fit column "id" of table "orders", which is of type uuid`},
		"operator of another type":    {`{"id":{"_like":"x"}}`, `the operator "_like" does not fit column "id" of table "orders", which is of type uuid`},
		"null":                        {`{"id":{"_eq":null}}`, `unexpected null value for column "id" of table "orders"`},
		"bare null":                   {`{"id":null}`, `unexpected null value`},
		"null in a list":              {`{"id":{"_in":["a",null]}}`, `unexpected null value in the list`},
		"null for and":                {`{"_and":null}`, `filter._and: unexpected null value`},
		"no object":                   {`[]`, `expected a boolean expression`},
		"no rule":                     {`null`, `expected a boolean expression`},
		"a list for a scalar":         {`{"id":["a"]}`, `expected a value of type uuid`},
		"a string for in":             {`{"id":{"_in":"a"}}`, `expected a list or a session variable`},
		"is_null of a string":         {`{"id":{"_is_null":"yes"}}`, `expected a boolean`},
		"ceq with an unknown column":  {`{"id":{"_ceq":["$","nix"]}}`, `column "nix" does not exist in table "orders"`},
		"exists of a strange table":   {`{"_exists":{"_table":"category","_where":{}}}`, `table "category" is not tracked`},
		"exists without a condition":  {`{"_exists":{"_table":"product"}}`, `filter._exists._where: expected a boolean expression`},
		"exists with another key":     {`{"_exists":{"_table":"product","_where":{},"x":1}}`, `filter._exists.x: unknown key`},
		"an empty aggregate":          {`{"items_aggregate":{}}`, `filter.items_aggregate: expected an object with one of count, bool_and and bool_or`},
		"an aggregate without result": {`{"items_aggregate":{"count":{}}}`, `the key "predicate" is missing`},
		"bool_and of a number":        {`{"items_aggregate":{"bool_and":{"arguments":["order_id"],"predicate":{"_eq":true}}}}`, `is not boolean`},
		"a cast to nothing":           {`{"id":{"_cast":{"String":{"_eq":"a"}}}}`, `can't be read as String`},
		"several mistakes":            {`{"a":1,"b":2}`, `"b" is neither`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := resolve(t, fmt.Sprintf(`"select_permissions":[{"role":"user","permission":{"columns":"*","filter":%s}},{"role":"other","permission":{"columns":["id"],"filter":{}}}]`, c.rule), "", "")
			a, wrong := access.Build(m)
			if len(wrong) != 1 {
				t.Fatalf("got %+v", wrong)
			}
			if got := wrong[0]; got.Type != "select_permission" || got.Name != "select_permission user in table orders in source default" ||
				!strings.HasPrefix(got.Reason, `Inconsistent object: in table "orders": in permission for role "user": `) ||
				!strings.Contains(got.Reason, c.want) || !strings.HasSuffix(got.Pointer, ".select_permissions[0]") {
				t.Errorf("got %+v", got)
			}
			orders := table(t, m, "orders")
			if user, ok := a.Role("user"); !ok || user.Table(orders).Select != nil {
				t.Error("the wrong permission grants something")
			}
			if other, _ := a.Role("other"); other.Table(orders).Select == nil {
				t.Error("the right permission is lost")
			}
		})
	}
}

func TestAdminMayDoWhatTheDatabaseCan(t *testing.T) {
	t.Parallel()
	m := resolve(t, "", "", "")
	a, _ := access.Build(m)
	admin, ok := a.Role("admin")
	if !ok || !admin.Admin {
		t.Fatal("no admin")
	}
	product := admin.Table(table(t, m, "product"))
	if got := names(product.Select.Columns); !slices.Equal(got, []string{"codes", "id", "price", "raw", "stock", "tags", "title", "upper_title"}) {
		t.Errorf("selects %v", got)
	}
	if got := names(product.Insert.Columns); !slices.Equal(got, []string{"codes", "price", "raw", "stock", "tags", "title"}) {
		t.Errorf("inserts %v", got)
	}
	if !product.Select.Aggregations || product.Select.Roots != (access.RootFields{Select: true, SelectByPK: true, SelectAggregate: true}) ||
		!filter.IsTrue(product.Select.Filter) || product.Delete == nil {
		t.Errorf("got %+v", product.Select)
	}
	view := admin.Table(table(t, m, "totals"))
	if view.Insert != nil || view.Update != nil || view.Delete != nil || view.Select.Roots.SelectByPK {
		t.Errorf("a view that can't be written can be: %+v", view)
	}
}

func TestARoleThatNobodyNamesMayDoNothing(t *testing.T) {
	t.Parallel()
	m := resolve(t, "", "", "")
	a, _ := access.Build(m)
	role, ok := a.Role("ghost")
	if ok || role == nil || role.Admin || *role.Table(m.Tables[0]) != (access.Table{}) {
		t.Errorf("got %+v %t", role, ok)
	}
}

func TestPermissionsRestrictColumnsAndRoots(t *testing.T) {
	t.Parallel()
	m := resolve(t, `
	 "select_permissions":[
	  {"role":"user","permission":{"columns":["total","active"],"filter":{},"limit":10}},
	  {"role":"clerk","permission":{"columns":"*","filter":{},"allow_aggregations":true,"query_root_fields":["select_by_pk"]}}],
	 "insert_permissions":[{"role":"user","permission":{"check":{"customer_id":"X-Hasura-User-Id"},"columns":["total","customer_id"],"backend_only":true,
	   "set":{"customer_id":"X-Hasura-User-Id","active":false,"billed_to":null}}}],
	 "update_permissions":[{"role":"user","permission":{"columns":["total"],"filter":{},"check":null}}]`, "", "")
	a, wrong := access.Build(m)
	if len(wrong) != 0 {
		t.Fatalf("%+v", wrong)
	}
	orders := table(t, m, "orders")
	role, _ := a.Role("user")
	user := role.Table(orders)
	if s := user.Select; !slices.Equal(names(s.Columns), []string{"active", "total"}) || s.Limit != 10 ||
		s.Roots != (access.RootFields{Select: true}) || s.Aggregations {
		t.Errorf("user selects %+v", s)
	}
	if i := user.Insert; !slices.Equal(names(i.Columns), []string{"total"}) || !i.BackendOnly || presets(i.Presets) != "active=false billed_to=NULL customer_id=<x-hasura-user-id>" {
		t.Errorf("user inserts %+v %s", i, presets(i.Presets))
	}
	if u := user.Update; !filter.IsTrue(u.Check) || user.Delete != nil {
		t.Errorf("user updates %+v", u)
	}
	role, _ = a.Role("clerk")
	if s := role.Table(orders).Select; s.Roots != (access.RootFields{SelectByPK: true}) || !s.Aggregations {
		t.Errorf("clerk selects %+v", s)
	}
}

func TestPermissionsThatCannotHoldAreReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ orders, totals, want string }{
		"unknown column":      {`"select_permissions":[{"role":"u","permission":{"columns":["nix"],"filter":{}}}]`, "", `columns: column "nix" does not exist in table "orders"`},
		"unknown preset":      {`"insert_permissions":[{"role":"u","permission":{"check":{},"set":{"nix":1}}}]`, "", `set: column "nix" does not exist in table "orders"`},
		"permission of admin": {`"delete_permissions":[{"role":"admin","permission":{"filter":{}}}]`, "", `the role admin needs no permission`},
		"insert into a view":  {"", `"insert_permissions":[{"role":"u","permission":{"check":{}}}]`, `table "totals" is not insertable`},
		"input validation":    {`"delete_permissions":[{"role":"u","permission":{"filter":{},"validate_input":{"type":"grpc","definition":{"url":"x"}}}}]`, "", `validate_input.type: expected "http", but got "grpc"`},
		"computed fields":     {`"select_permissions":[{"role":"u","permission":{"columns":"*","filter":{},"computed_fields":["x"]}}]`, "", `computed field "x" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := resolve(t, c.orders, "", c.totals)
			a, wrong := access.Build(m)
			if len(wrong) != 1 || !strings.Contains(wrong[0].Reason, c.want) {
				t.Errorf("got %+v", wrong)
			}
			role, _ := a.Role("u")
			for _, table := range m.Tables {
				if *role.Table(table) != (access.Table{}) {
					t.Errorf("something is granted on %s", table.Name)
				}
			}
		})
	}
}

func names(set access.ColumnSet) []string {
	var all []string
	for name := range set {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func presets(all []access.Preset) string {
	var words []string
	for _, p := range all {
		value := p.Value.Name
		switch p.Value.From {
		case filter.Session:
			value = "<" + value + ">"
		case filter.Null:
			value = "NULL"
		}
		words = append(words, p.Column.StoredName()+"="+value)
	}
	return strings.Join(words, " ")
}
