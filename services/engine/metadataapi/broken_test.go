package metadataapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/services/revision"
	"tenantry/tenants/settings"
)

// modes sets the modes of the allow-list.
func (p *project) modes(mode string, roles map[string]string) {
	p.t.Helper()
	_, err := p.api.Revisions.Revise(context.Background(), p.ID, revision.Change{Action: "settings"}, func(_ context.Context, w *revision.Work) error {
		return w.Configure(func(s settings.Settings) (settings.Settings, error) {
			s.AllowlistMode, s.AllowlistRoles = mode, roles
			return s, nil
		})
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestAChangeThatBreaksAListedOperationIsRefusedUnlessForced(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("bulk", `[
		{"type": "create_select_permission", "args": {"table": "author", "role": "user", "permission": {"columns": ["id", "name"], "filter": {}}}},
		{"type": "create_query_collection", "args": {"name": "c", "definition": {"queries": [{"name": "names", "query": "{ author { name } }"}]}}},
		{"type": "add_collection_to_allowlist", "args": {"collection": "c"}}]`)
	p.modes("enforce", nil)
	const fewer = `{"table": "author", "role": "user", "permission": {"columns": ["id"], "filter": {}}}`
	const same = `{"table": "author", "role": "user", "permission": {"columns": ["id", "name"], "filter": {"id": {"_gt": 1}}}}`
	replace := func(permission string) string {
		return `[{"type": "drop_select_permission", "args": {"table": "author", "role": "user"}}, {"type": "create_select_permission", "args": ` + permission + `}]`
	}
	p.fails("bulk", replace(fewer), errcode.DependencyError, "$.args", `"names" of c for the role user (field 'name' not found in type: 'author')`)
	p.fails("drop_select_permission", `{"table": "author", "role": "user"}`, errcode.DependencyError, "$.args", "use force")
	p.do("bulk", replace(same)) // another filter breaks nothing
	document, _ := p.export()
	less := strings.Replace(document, `"columns":["id","name"]`, `"columns":["id"]`, 1)
	if less == document {
		t.Fatal(document)
	}
	p.fails("replace_metadata", less, errcode.DependencyError, "$.args", "allow-list would break")
	if after, _ := p.export(); after != document {
		t.Errorf("refused changes left %s", after)
	}

	// Force, a role that the list does not concern, and a list without the operation.
	for name, steps := range map[string]struct {
		mode  string
		roles map[string]string
		body  string
	}{
		"force":                 {"enforce", nil, `{"type": "bulk", "force": true, "args": ` + replace(fewer) + `}`},
		"allowed to be broken":  {"enforce", nil, `{"type": "replace_metadata", "version": 2, "args": {"allow_inconsistent_metadata": true, "metadata": ` + less + `}}`},
		"disabled":              {"disabled", nil, `{"type": "bulk", "args": ` + replace(fewer) + `}`},
		"disabled for the role": {"enforce", map[string]string{"user": "disabled"}, `{"type": "bulk", "args": ` + replace(fewer) + `}`},
		"taken out with it": {"audit", nil, `{"type": "bulk", "args": [{"type": "drop_query_from_collection", "args": {"collection_name": "c", "query_name": "names"}}, ` +
			strings.TrimPrefix(replace(fewer), "[") + `}`},
	} {
		p.modes(steps.mode, steps.roles)
		if _, e := p.send(steps.body); e != nil {
			t.Errorf("%s: %v %v", name, e, e.Internal)
		}
		p.modes("disabled", nil)
		p.do("replace_metadata", document)
	}
	p.modes("audit", map[string]string{"clerk": "ids_only"})
	p.fails("bulk", replace(fewer), errcode.DependencyError, "$.args", "for the role user")
	// What SQL did is done, and the project follows.
	p.do("run_sql", `{"sql": "ALTER TABLE author DROP COLUMN name", "cascade": true}`)
	if text := fmt.Sprint(p.do("get_inconsistent_metadata", `{}`)); !strings.Contains(text, "is_consistent") {
		t.Error(text)
	}
}

func TestAChangeThatBreaksARESTEndpointTellsSo(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("bulk", `[
		{"type": "create_select_permission", "args": {"table": "author", "role": "user", "permission": {"columns": ["id", "name"], "filter": {}}}},
		{"type": "create_query_collection", "args": {"name": "c", "definition": {"queries": [{"name": "names", "query": "{ author { name } }"}, {"name": "ids", "query": "{ author { id } }"}]}}},
		{"type": "create_rest_endpoint", "args": {"name": "names", "url": "names", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "names"}}}},
		{"type": "create_rest_endpoint", "args": {"name": "ids", "url": "ids", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "ids"}}}}]`)
	document, _ := p.export()
	drop := `{"type": "drop_select_permission", "args": {"table": "author", "role": "user"}}`
	create := `{"type": "create_select_permission", "args": {"table": "author", "role": "user", "permission": {"columns": ["id"], "filter": {}}}}`
	const noAdmin = `"name":"ids","message":"the REST endpoint no longer works for the role \"admin\"`
	for _, step := range []struct{ name, outside, body, want, less string }{
		{"a permission", "", `{"type": "bulk", "args": [` + drop + `, ` + create + `]}`,
			`"warnings":[{"code":"broken-endpoint","name":"names","message":"the REST endpoint no longer works for the role \"user\": field 'name' not found in type: 'author'"}]`, `"name":"ids"`},
		{"a permission that takes both", "", drop, `"name":"ids","message":"the REST endpoint no longer works for the role \"user\"`, `"admin\"`},
		{"a document", "", `{"type": "replace_metadata", "version": 2, "args": {"metadata": ` + strings.Replace(document, `"columns":["id","name"]`, `"columns":["name"]`, 1) + `}}`, `"name":"ids"`, `"name":"names"`},
		{"an endpoint that is dropped", "", `{"type": "drop_rest_endpoint", "args": {"name": "ids"}}`, `success`, `warnings`},
		{"SQL", "", `{"type": "run_sql", "args": {"sql": "ALTER TABLE author DROP COLUMN name", "cascade": true}}`, `{"code":"broken-endpoint","name":"names","message":"the REST endpoint no longer works for the role \"admin\"`, noAdmin},
		{"SQL that breaks nothing", "", `{"type": "run_sql", "args": {"sql": "ALTER TABLE author ADD COLUMN other text"}}`, `CommandOk`, `warnings`},
		{"DDL of others", `ALTER TABLE author RENAME COLUMN name TO nom`, `{"type": "reload_metadata", "args": {}}`, `{"code":"broken-endpoint","name":"names","message":"the REST endpoint no longer works for the role \"admin\"`, noAdmin},
	} {
		p.outside("ALTER TABLE author DROP COLUMN IF EXISTS nom; ALTER TABLE author ADD COLUMN IF NOT EXISTS name text")
		p.do("replace_metadata", document)
		if step.outside != "" {
			p.outside(step.outside)
		}
		if answer, e := p.raw(step.body); e != nil || !strings.Contains(answer, step.want) || strings.Contains(answer, step.less) {
			t.Errorf("%s: %s %v", step.name, answer, e)
		}
	}
}
