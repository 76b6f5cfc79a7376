package schema_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"tenantry/policy/access"
	"tenantry/services/engine/schema"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

var update = flag.Bool("update", false, "write the golden files")

func shop(t *testing.T) (*model.Model, *access.Access) {
	t.Helper()
	var c catalog.Catalog
	if err := json.Unmarshal(read(t, "catalog.json"), &c); err != nil {
		t.Fatal(err)
	}
	doc, err := metadata.Decode(read(t, "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := model.Resolve(doc, map[string]*catalog.Catalog{"default": &c}, model.Options{})
	a, problems := access.Build(m)
	for _, p := range problems {
		t.Fatalf("the fixture is inconsistent: %s: %s", p.Name, p.Reason)
	}
	return m, a
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func schemaOf(t *testing.T, role string, options schema.Options) *schema.Schema {
	t.Helper()
	m, a := shop(t)
	r, _ := a.Role(role)
	return schema.For(m, r, options)
}

func TestSDLShowsWhatTheRoleMayDo(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]struct {
		role string
		schema.Options
	}{
		"admin": {role: "admin"}, "customer": {role: "customer"}, "manager": {role: "manager"},
		"nobody": {role: "nobody"}, "backend": {"backend", schema.Options{BackendOnly: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := schemaOf(t, options.role, options.Options).SDL()
			file := filepath.Join("testdata", name+".graphql")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(read(t, name+".graphql")); got != want {
				t.Errorf("the SDL of %s is not %s any more; run with -update and look at the difference", name, file)
			}
			if _, err := gqlparser.LoadSchema(&ast.Source{Input: got}); err != nil {
				t.Errorf("another parser refuses the SDL: %v", err)
			}
		})
	}
}

func TestEveryRoleSeesPartOfWhatAdminSees(t *testing.T) {
	t.Parallel()
	m, a := shop(t)
	admin, _ := a.Role("admin")
	all := schema.For(m, admin, schema.Options{}).Full()
	for _, role := range a.Roles() {
		r, _ := a.Role(role)
		for name, d := range schema.For(m, r, schema.Options{BackendOnly: true}).Full().Types {
			if strings.HasPrefix(name, "__") || name == schema.QueryRoot && d.Fields.ForName(schema.NoQueriesField) != nil {
				continue
			}
			whole := all.Types[name]
			if whole == nil {
				t.Errorf("%s sees type %s, admin does not", role, name)
				continue
			}
			for _, f := range d.Fields {
				if whole.Fields.ForName(f.Name) == nil {
					t.Errorf("%s sees %s.%s, admin does not", role, name, f.Name)
				}
			}
			for _, v := range d.EnumValues {
				if v.Name != schema.Placeholder && whole.EnumValues.ForName(v.Name) == nil {
					t.Errorf("%s sees %s.%s, admin does not", role, name, v.Name)
				}
			}
		}
	}
}

func TestBackendOnlyMutationsAppearForBackendsOnly(t *testing.T) {
	t.Parallel()
	if _, ok := schemaOf(t, "backend", schema.Options{}).Root(ast.Mutation, "insert_orders"); ok {
		t.Error("insert_orders is there without the backend's switch")
	}
	if _, ok := schemaOf(t, "backend", schema.Options{BackendOnly: true}).Root(ast.Mutation, "insert_orders"); !ok {
		t.Error("insert_orders is not there with the backend's switch")
	}
}

func TestRootSaysWhatAFieldMeans(t *testing.T) {
	t.Parallel()
	s := schemaOf(t, "customer", schema.Options{})
	for _, c := range []struct {
		op    ast.Operation
		name  string
		kind  schema.Kind
		table string
	}{
		{ast.Query, "orders", schema.Select, "orders"},
		{ast.Query, "order", schema.SelectByPK, "orders"},
		{ast.Query, "orders_by_pk", "", ""},
		{ast.Query, "stock_items", "", ""},
		{ast.Query, "quote", schema.ActionField, ""},
		{ast.Query, "placeOrder", "", ""},
		{ast.Query, "__schema", schema.Meta, ""},
		{ast.Mutation, "__schema", "", ""},
		{ast.Mutation, "placeOrder", schema.ActionField, ""},
		{ast.Mutation, "insert_orders_one", schema.InsertOne, "orders"},
		{ast.Mutation, "delete_orders_by_pk", schema.DeleteByPK, "orders"},
		{ast.Mutation, "update_customers_by_pk", schema.UpdateByPK, "customers"},
		{ast.Mutation, "update_orders", "", ""},
		{ast.Subscription, "orders", "", ""},
	} {
		f, ok := s.Root(c.op, c.name)
		if ok != (c.kind != "") || f.Kind != c.kind {
			t.Errorf("%s %s: got %q, want %q", c.op, c.name, f.Kind, c.kind)
		}
		if c.table != "" && (f.Table == nil || f.Table.Name.Name != c.table) {
			t.Errorf("%s %s: wrong table %v", c.op, c.name, f.Table)
		}
	}
}

func TestDefinitionsAreTheSameForConcurrentCallers(t *testing.T) {
	t.Parallel()
	s := schemaOf(t, "admin", schema.Options{})
	names := []string{"orders", "orders_bool_exp", "uuid", "numeric_comparison_exp", "String_array_comparison_exp", "PlacedOrder"}
	found := make([][]*ast.Definition, 8)
	var wait sync.WaitGroup
	for i := range found {
		wait.Go(func() {
			for _, name := range names {
				found[i] = append(found[i], s.Definition(name))
			}
		})
	}
	wait.Wait()
	for i := range found {
		for j, name := range names {
			if found[i][j] == nil || found[i][j] != found[0][j] {
				t.Errorf("%s differs between callers", name)
			}
		}
	}
}

func TestUnknownAndHiddenTypesHaveNoDefinition(t *testing.T) {
	t.Parallel()
	s := schemaOf(t, "customer", schema.Options{})
	for _, name := range []string{"", "nothing", "stock_items", "stock_items_bool_exp", "customers_insert_input",
		"customers_on_conflict", "orders_set_input", "mood", "float8_comparison_exp", "order_totals"} {
		if d := s.Definition(name); d != nil {
			t.Errorf("the customer sees type %q: %v", name, d.Fields)
		}
	}
}
