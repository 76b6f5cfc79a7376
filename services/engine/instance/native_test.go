package instance_test

import (
	"strings"
	"testing"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/vault"
)

func TestTheDatabaseReadsANativeQueryBeforeItServes(t *testing.T) {
	t.Parallel()
	src, err := source.NewPools(nil).Source(vault.NewSecret(pgtest.Database(t)), source.Options{})
	must(t, err)
	t.Cleanup(src.Close)
	for _, c := range []struct{ name, code, want string }{
		{"good", "SELECT {{a}} AS id -- done", ""},
		{"with a session variable", "SELECT {{session.x-hasura-user-id}}::int4 + {{a}} AS id;", ""},
		{"of another table", "SELECT id FROM nowhere", `relation "nowhere" does not exist`},
		{"without a column of the model", "SELECT 1 AS other", "id does not exist"},
		{"with two statements", "SELECT 1 AS id; DROP TABLE x", "syntax error"},
		{"that closes what is around it", "SELECT 1 AS id) AS x; SELECT (1", "cannot insert multiple commands"},
		{"that writes", "DELETE FROM pg_class RETURNING 1 AS id", "syntax error"},
		{"that hides a write", "WITH d AS (DELETE FROM pg_class RETURNING oid) SELECT 1 AS id FROM d", "WITH clause containing a data-modifying statement must be at the top level"},
		{"with a placeholder in a string", "SELECT '{{a}}' AS id", "a placeholder stands inside of a string"},
		{"with a placeholder in a comment", "SELECT 1 AS id -- {{a}}", "a placeholder stands inside of a string or a comment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := &metadata.Document{Sources: []metadata.Source{{
				Name: "default", Kind: "postgres",
				LogicalModels: []metadata.LogicalModel{{Name: "row", Fields: []metadata.LogicalModelField{{Name: "id", Type: metadata.LogicalModelType{Scalar: "integer"}}}}},
				NativeQueries: []metadata.NativeQuery{{RootField: "q", Returns: "row", Code: c.code,
					Arguments: map[string]metadata.NativeQueryArgument{"a": {Type: "integer"}}}},
			}}}
			m := model.Resolve(doc, map[string]*catalog.Catalog{"default": {}}, model.Options{})
			if !m.Consistent() {
				t.Fatal(m.Inconsistencies)
			}
			wrong, err := instance.CheckNative(t.Context(), src, m.NativeQueries[0])
			must(t, err)
			if c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) {
				t.Errorf("the database says %q, want %q", wrong, c.want)
			}
		})
	}
}
