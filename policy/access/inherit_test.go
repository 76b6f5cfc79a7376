package access_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tenantry/policy/access"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// inheriting is a model of the market with permissions on orders and inherited roles.
func inheriting(t *testing.T, orders, inherited string) *model.Model {
	t.Helper()
	text := `{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":"x"}},"tables":[` +
		fmt.Sprintf(tracked, ","+orders, "", "") + `]}]}`
	doc, err := metadata.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(inherited), &doc.InheritedRoles); err != nil { // past the checks of the document
		t.Fatal(err)
	}
	market, err := os.ReadFile("../../services/engine/introspect/testdata/market.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &catalog.Catalog{}
	if err := json.Unmarshal(market, c); err != nil {
		t.Fatal(err)
	}
	return model.Resolve(doc, map[string]*catalog.Catalog{"default": c}, model.Options{})
}

func TestMembersThatDisagreeLeaveTheRoleWithoutThePermission(t *testing.T) {
	t.Parallel()
	m := inheriting(t, `
	 "update_permissions":[
	  {"role":"a","permission":{"columns":["total"],"filter":{}}},
	  {"role":"b","permission":{"columns":["total","active"],"filter":{}}},
	  {"role":"c","permission":{"columns":["total"],"filter":{}}}],
	 "delete_permissions":[{"role":"a","permission":{"filter":{}}}]`,
		`[{"role_name":"outer","role_set":["ab","c"]},{"role_name":"ab","role_set":["a","b"]},{"role_name":"ac","role_set":["a","c"]}]`)
	a, wrong := access.Build(m)
	if len(wrong) != 1 || !wrong[0].Ambiguous() || wrong[0].Name != "ab" ||
		wrong[0].Reason != "Could not inherit permission for the role 'ab' for the entity: 'update permission, table: orders, source: 'default''" {
		t.Fatalf("got %+v", wrong)
	}
	orders := table(t, m, "orders")
	of := func(name string) *access.Table {
		role, ok := a.Role(name)
		if !ok {
			t.Fatalf("no role %s", name)
		}
		return role.Table(orders)
	}
	if of("ab").Update != nil || of("outer").Update != nil {
		t.Error("a role updates by a permission that nobody can name")
	}
	if of("ac").Update == nil || of("ab").Delete == nil || of("outer").Delete == nil {
		t.Error("what members agree on is not inherited")
	}
}

func TestInheritedRolesThatCannotBeAreReportedAndMayDoNothing(t *testing.T) {
	t.Parallel()
	const granted = `"select_permissions":[{"role":"a","permission":{"columns":["id"],"filter":{}}}]`
	for name, c := range map[string]struct {
		inherited string
		lost      []string
		want      string
	}{
		"a circle":          {`[{"role_name":"x","role_set":["y","a"]},{"role_name":"y","role_set":["x"]}]`, []string{"x", "y"}, "found cycle(s) in roles: x, y, x"},
		"itself":            {`[{"role_name":"x","role_set":["x","a"]}]`, []string{"x"}, "found cycle(s) in roles: x, x"},
		"an unknown member": {`[{"role_name":"x","role_set":["nix","a"]}]`, []string{"x"}, "the following parent role(s) are not found: nix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := inheriting(t, granted, c.inherited)
			if !slices.ContainsFunc(m.Inconsistencies, func(i model.Inconsistency) bool {
				return i.Type == "inherited_role" && strings.Contains(i.Reason, c.want)
			}) {
				t.Errorf("got %+v", m.Inconsistencies)
			}
			a, _ := access.Build(m)
			for _, name := range c.lost {
				if role, ok := a.Role(name); ok || role.Table(table(t, m, "orders")).Select != nil {
					t.Errorf("the role %s reads", name)
				}
			}
		})
	}
}

func TestAnInheritedPermissionOfItsOwnThatDoesNotResolveGrantsNothing(t *testing.T) {
	t.Parallel()
	m := inheriting(t, `"select_permissions":[{"role":"a","permission":{"columns":["id"],"filter":{}}},{"role":"x","permission":{"columns":["nix"],"filter":{}}}]`,
		`[{"role_name":"x","role_set":["a"]}]`)
	a, wrong := access.Build(m)
	role, _ := a.Role("x")
	if len(wrong) != 1 || role.Table(table(t, m, "orders")).Select != nil {
		t.Errorf("a permission that was to restrict is replaced by what members may: %+v", wrong)
	}
}

func TestConditionsOnTheSessionAndMasksAreStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ permission, want string }{
		"no variable":             {`"columns":["id"],"filter":{"_session":{"user":1}}`, "filter._session.user: expected a session variable"},
		"no object":               {`"columns":["id"],"filter":{"_session":[]}`, "filter._session: expected an object of session variables"},
		"unknown operator":        {`"columns":["id"],"filter":{"_session":{"x-hasura-a":{"_ceq":"b"}}}`, `unknown operator "_ceq" for a session variable`},
		"a pattern for a number":  {`"columns":["id"],"filter":{"_session":{"x-hasura-a":{"_like":1}}}`, "expected a string"},
		"a list of mixed types":   {`"columns":["id"],"filter":{"_session":{"x-hasura-a":{"_in":[1,"b"]}}}`, "or a list of one of them"},
		"an object":               {`"columns":["id"],"filter":{"_session":{"x-hasura-a":{"_eq":{}}}}`, "expected a boolean, a number or a string"},
		"mask of no column":       {`"columns":["id"],"filter":{},"masks":{"nix":null}`, `masks: column "nix" does not exist`},
		"mask of a hidden column": {`"columns":["id"],"filter":{},"masks":{"total":null}`, `masks: column "total" is not among the columns`},
		"hash of what is no text": {`"columns":["total"],"filter":{},"masks":{"total":"hash"}`, `the mask "hash" does not fit column "total"`},
		"part of what is no text": {`"columns":["total"],"filter":{},"masks":{"total":"partial"}`, `the mask "partial" does not fit column "total"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := resolve(t, `"select_permissions":[{"role":"u","permission":{`+c.permission+`}}]`, "", "")
			a, wrong := access.Build(m)
			if len(wrong) != 1 || !strings.Contains(wrong[0].Reason, c.want) {
				t.Errorf("got %+v", wrong)
			}
			if role, _ := a.Role("u"); role.Table(table(t, m, "orders")).Select != nil {
				t.Error("the wrong permission grants something")
			}
		})
	}
}
