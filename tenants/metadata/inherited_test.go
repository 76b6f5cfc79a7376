package metadata_test

import (
	"strings"
	"testing"

	"tenantry/tenants/metadata"
)

func TestInheritedRolesAndMasksAreReadStrictly(t *testing.T) {
	t.Parallel()
	table := func(masks string) string {
		return `{"version":3,"sources":[{"name":"default","kind":"postgres","configuration":{"connection_info":{"database_url":"x"}},"tables":[
		 {"table":"t","select_permissions":[{"role":"u","permission":{"columns":["a"],"filter":{},"masks":` + masks + `}}]}]}]}`
	}
	for name, c := range map[string]struct{ document, want string }{
		"a circle": {`{"version":3,"inherited_roles":[{"role_name":"b","role_set":["c"]},{"role_name":"c","role_set":["a"]},{"role_name":"a","role_set":["b","z"]}]}`,
			`found cycle(s) in roles: ["a","b","c","a"]`},
		"itself":        {`{"version":3,"inherited_roles":[{"role_name":"b","role_set":["b"]}]}`, "an inherited role name cannot be in the role combination"},
		"no members":    {`{"version":3,"inherited_roles":[{"role_name":"b","role_set":[]}]}`, "expected at least one role"},
		"admin":         {`{"version":3,"inherited_roles":[{"role_name":"admin","role_set":["b"]}]}`, "the role admin can't be an inherited role"},
		"twice":         {`{"version":3,"inherited_roles":[{"role_name":"b","role_set":["c"]},{"role_name":"b","role_set":["d"]}]}`, "multiple declarations"},
		"unknown mask":  {table(`{"a":"stars"}`), "expected one of null, hash, partial"},
		"mask's number": {table(`{"a":1}`), "expected null or a string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := metadata.Decode([]byte(c.document)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	doc, err := metadata.Decode([]byte(table(`{"a":null}`)))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := metadata.Encode(doc); err != nil || !strings.Contains(string(text), `"masks":{"a":null}`) {
		t.Errorf("%s %v", text, err)
	}
}
