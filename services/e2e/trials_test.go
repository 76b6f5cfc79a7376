package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// trial says how an operation is called so that it succeeds.
type trial struct {
	// query of the address, with its question mark; empty: there is none.
	query string
	// body of the request to what ids name; nil: there is none.
	body bodyOf
	// prepare makes what the call is about, and returns its ids in place of the
	// standing ones; nil: the standing ones will do.
	prepare func(f *field) map[idKind]string
	// undo takes back what the call did to standing things.
	undo func(f *field)
	// unknown is the status for a last id that the own project has not; 404 when
	// 0. A PUT by name makes the thing, which is then the caller's own.
	unknown int
}

// field is where a trial takes place: one side of a running program.
type field struct {
	*side
	t testing.TB
	s *server
}

var unique atomic.Int64

// fresh is a name that was never used.
func fresh(prefix string) string { return fmt.Sprintf("%s%d", prefix, unique.Add(1)) }

// operator calls the control API as the operator, who may do everything. The
// path begins after /api/v1, {p} stands for the standing project, {spare} for
// the second one, {t} for the tenant.
func (f *field) operator(method, path string, body any) answer {
	f.t.Helper()
	path = strings.NewReplacer("{p}", f.ids[projectKind], "{spare}", f.spare[projectKind], "{t}", f.ids[tenantKind]).Replace(path)
	return send(f.t, method, f.s.PublicURL+"/api/v1"+path, bearer(f.s.OperatorKey), body)
}

// need is operator for a call that must succeed.
func (f *field) need(method, path string, body any) answer {
	f.t.Helper()
	a := f.operator(method, path, body)
	if a.Status >= 300 {
		f.t.Fatalf("%s %s by the operator: %d %s", method, path, a.Status, a.Text)
	}
	return a
}

type bodyOf func(*field, map[idKind]string) any

func fixed(body any) bodyOf { return func(*field, map[idKind]string) any { return body } }

// present is the body that the standing thing has now.
func present(path string) bodyOf {
	return func(f *field, _ map[idKind]string) any { return f.need(http.MethodGet, path, nil).JSON }
}

// spareProject is the second project, active.
func spareProject(f *field) map[idKind]string {
	f.t.Helper()
	f.operator(http.MethodPost, "/projects/{spare}:restore", nil) // 404 when it was not deleted
	f.need(http.MethodPost, "/projects/{spare}:resume", nil)
	return f.spare
}

func made(kind idKind, path string, body func() any) func(*field) map[idKind]string {
	return func(f *field) map[idKind]string {
		f.t.Helper()
		return map[idKind]string{kind: f.need(http.MethodPost, path, body()).text(f.t, "id")}
	}
}

// extraSigningSecret makes a second one, since two are the most and one the least.
func extraSigningSecret(f *field) map[idKind]string {
	f.t.Helper()
	oneSigningSecret(f)
	return map[idKind]string{"projects/signing-secrets": f.need(http.MethodPost, "/projects/{p}/signing-secrets", nil).text(f.t, "id")}
}

func oneSigningSecret(f *field) map[idKind]string {
	f.t.Helper()
	list := f.need(http.MethodGet, "/projects/{p}/signing-secrets", nil)
	for i := 0; list.at("items", i) != nil; i++ {
		if id := list.text(f.t, "items", i, "id"); id != f.ids["projects/signing-secrets"] {
			f.need(http.MethodDelete, "/projects/{p}/signing-secrets/"+id, nil)
		}
	}
	return nil
}

// extraSigningKey makes a second one, which may go.
func extraSigningKey(f *field) map[idKind]string {
	f.t.Helper()
	oneSigningKey(f)
	return map[idKind]string{"projects/signing-keys": f.need(http.MethodPost, "/projects/{p}/signing-keys", nil).text(f.t, "id")}
}

func oneSigningKey(f *field) map[idKind]string {
	f.t.Helper()
	list := f.need(http.MethodGet, "/projects/{p}/signing-keys", nil)
	for i := 1; list.at("items", i) != nil; i++ {
		f.need(http.MethodDelete, "/projects/{p}/signing-keys/"+list.text(f.t, "items", i, "id"), nil)
	}
	return nil
}

// noHandlerTLS takes back what putHandlerTLS has set.
func noHandlerTLS(f *field) {
	f.t.Helper()
	f.operator(http.MethodDelete, "/projects/{p}/handler-tls", nil)
}

var scratchAuthority = sync.OnceValue(func() string { return newAuthority("scratch").certificate })

// fewAdminSecrets revokes those without a name, as the trials make them: a project
// has at most five.
func fewAdminSecrets(f *field) {
	f.t.Helper()
	for _, secret := range list(f.need(http.MethodGet, "/projects/{p}/admin-secrets", nil), "items") {
		if secret.at("name") == "" {
			f.need(http.MethodDelete, "/projects/{p}/admin-secrets/"+secret.text(f.t, "id"), nil)
		}
	}
}

func restoreTenant(f *field) { f.t.Helper(); f.need(http.MethodPost, "/tenants/{t}:restore", nil) }
func resumeTenant(f *field)  { f.t.Helper(); f.need(http.MethodPost, "/tenants/{t}:resume", nil) }

const scratchPolicy = "package authz.scratch\n\ny := 2\n"

const petsDocument = `{"openapi": "3.1.0", "info": {"title": "Pets", "version": "1"}, "servers": [{"url": "http://127.0.0.1:1"}], "paths": {"/pets": {"get": {
"operationId": "listPets", "responses": {"200": {"description": "all", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}}}}}}}`

// trials of all operations, by id. An operation that is missing here fails the
// tests: say how it is called.
var trials = map[string]trial{
	"getMe": {},

	"createTenant": {body: func(*field, map[idKind]string) any {
		return map[string]any{"name": fresh("Another "), "email": "x@example.com"}
	}},
	"listTenants":   {},
	"getTenant":     {},
	"updateTenant":  {body: fixed(map[string]any{"email": "new@example.com"})},
	"deleteTenant":  {undo: restoreTenant},
	"suspendTenant": {undo: resumeTenant},
	"resumeTenant":  {},
	"restoreTenant": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		f.need(http.MethodDelete, "/tenants/{t}", nil)
		return nil
	}},
	"getTenantPlan": {},
	"setTenantPlan": {body: func(f *field, _ map[idKind]string) any {
		return map[string]any{"plan": f.name, "quota": map[string]int{"sockets": 1000}}
	}},
	"listPlans": {},
	"putPlan":   {body: fixed(map[string]any{"bounds": map[string]int{"sockets": 1000}})},
	"deletePlan": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		name := fresh("short")
		f.need(http.MethodPut, "/plans/"+name, map[string]any{"bounds": map[string]int{}})
		return map[idKind]string{planKind: name}
	}},
	"listTenantAudit": {},

	"listTenantKeys":  {},
	"createTenantKey": {body: fixed(map[string]any{"name": "more", "role": "viewer"})},
	"deleteTenantKey": {prepare: made("tenants/keys", "/tenants/{t}/keys", func() any {
		return map[string]any{"name": "short-lived", "role": "viewer"}
	})},
	"listProjectKeys":  {},
	"createProjectKey": {body: fixed(map[string]any{"scopes": []string{"metrics:read"}})},
	"deleteProjectKey": {prepare: made("projects/keys", "/projects/{p}/keys", func() any {
		return map[string]any{"scopes": []string{"metrics:read"}}
	})},
	"listAdminSecrets":  {},
	"createAdminSecret": {undo: fewAdminSecrets},
	"deleteAdminSecret": {prepare: made("projects/admin-secrets", "/projects/{p}/admin-secrets", func() any { return nil })},

	"listProjects": {},
	"createProject": {body: func(*field, map[idKind]string) any {
		return map[string]any{"name": fresh("Another "), "database": map[string]any{"managed": true}}
	}},
	"getProject":     {},
	"updateProject":  {body: fixed(map[string]any{"name": "Renamed"})},
	"deleteProject":  {prepare: spareProject, undo: func(f *field) { spareProject(f) }},
	"suspendProject": {prepare: spareProject, undo: func(f *field) { spareProject(f) }},
	"resumeProject":  {prepare: spareProject},
	"restoreProject": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		spareProject(f)
		f.need(http.MethodDelete, "/projects/{spare}", nil)
		return f.spare
	}},
	"moveDatabase": {prepare: spareProject, body: func(f *field, _ map[idKind]string) any { return map[string]any{"url": tenantDatabase(f.t, "")} }},

	"listTables":  {},
	"trackTables": {body: fixed(map[string]any{"tables": "all", "relationships": true})},
	"getTable":    {},
	"putTable": {unknown: http.StatusUnprocessableEntity, body: fixed(map[string]any{"select_permissions": []any{
		map[string]any{"role": "user", "permission": map[string]any{"columns": "*", "filter": map[string]any{}}}}})},

	"getMetadata":           {},
	"putMetadata":           {body: present("/projects/{p}/metadata")},
	"listMetadataRevisions": {},
	"rollbackMetadata": {body: func(f *field, _ map[idKind]string) any {
		return map[string]any{"revision": f.need(http.MethodGet, "/projects/{p}/metadata/revisions", nil).at("items", 0, "revision")}
	}},
	"getSchema": {},

	"listActions":  {},
	"createAction": {body: func(*field, map[idKind]string) any { return actionOf(fresh("more")) }},
	"getAction":    {},
	"putAction": {unknown: http.StatusOK, body: func(_ *field, ids map[idKind]string) any {
		return actionOf(ids["projects/actions"])
	}},
	"deleteAction": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		name := fresh("short")
		f.need(http.MethodPost, "/projects/{p}/actions", actionOf(name))
		return map[idKind]string{"projects/actions": name}
	}},

	"generateActionHandler": {query: "?framework=go"},

	"getActionDocument":   {},
	"verifyActionHandler": {body: fixed(map[string]any{"probes": []string{"minimal"}})},

	"deriveAction": {body: fixed(map[string]any{"query": "query derived { kind: __typename }"})},

	"importActions": {body: fixed(map[string]any{"document": petsDocument})},

	"listActionRuns":  {},
	"purgeActionRuns": {body: fixed(map[string]any{"before": "2000-01-01T00:00:00Z"})},
	"cancelActionRun": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		return map[idKind]string{"projects/actions": f.name + "Later", "projects/actions/runs": f.run(f.t)}
	}},
	"retryActionRun": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		action, id := f.name+"Later", f.run(f.t)
		f.need(http.MethodPost, "/projects/{p}/actions/"+action+"/runs/"+id+":cancel", nil)
		return map[idKind]string{"projects/actions": action, "projects/actions/runs": id}
	}},

	"listAccessRoles":    {},
	"listAccessFindings": {},
	"getRoleAccess":      {unknown: http.StatusOK},
	"getTableAccess":     {},
	"getActionAccess":    {},
	"getEffectiveAccess": {body: fixed(map[string]any{"role": "user"})},
	"explainAccess":      {body: fixed(map[string]any{"role": "user", "query": "{ __typename }"})},
	"compareAccess": {body: func(f *field, _ map[idKind]string) any {
		return map[string]any{"from": f.need(http.MethodGet, "/projects/{p}/metadata/revisions", nil).at("items", 0, "revision")}
	}},

	"getPermissionTests": {},
	"putPermissionTests": {body: fixed(map[string]any{"permission_tests": []any{}})},
	"runPermissionTests": {},

	"listPolicies": {},
	"getPolicy":    {},
	"putPolicy":    {unknown: http.StatusOK, body: fixed(map[string]any{"text": scratchPolicy})},
	"deletePolicy": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		name := fresh("short")
		f.need(http.MethodPut, "/projects/{p}/policies/"+name, map[string]any{"text": scratchPolicy})
		return map[idKind]string{"projects/policies": name}
	}},
	"getPolicyData":       {},
	"listPolicyRevisions": {},
	"rollbackPolicies": {body: func(f *field, _ map[idKind]string) any {
		f.t.Helper()
		return map[string]any{"revision": f.need(http.MethodGet, "/projects/{p}/policy-revisions", nil).at("items", 0, "revision")}
	}},
	"revokeSessions": {body: fixed(map[string]any{"user": "nobody"})},
	"putPolicyData":  {body: fixed(map[string]any{"limit": 5})},

	"getCompat":        {},
	"putCompat":        {body: fixed(map[string]any{"infer_function_permissions": true})},
	"getLimits":        {},
	"putLimits":        {body: present("/projects/{p}/limits")},
	"getAllowlist":     {},
	"importDocuments":  {body: fixed(map[string]any{"format": "apollo-persisted-query-manifest", "version": 1, "operations": []any{}})},
	"suggestAllowlist": {body: fixed(map[string]any{})},
	"putAllowlist":     {body: fixed(map[string]any{"mode": "disabled"})},
	"getAuth":          {},
	"putAuth":          {body: present("/projects/{p}/auth")},

	"listSigningSecrets":  {},
	"createSigningSecret": {prepare: oneSigningSecret, undo: func(f *field) { oneSigningSecret(f) }},
	"deleteSigningSecret": {prepare: extraSigningSecret},

	"listSigningKeys":  {},
	"createSigningKey": {prepare: oneSigningKey, undo: func(f *field) { oneSigningKey(f) }},
	"deleteSigningKey": {prepare: extraSigningKey},

	"getHandlerTLS": {},
	"putHandlerTLS": {body: func(*field, map[idKind]string) any { return map[string]any{"ca": scratchAuthority()} }, undo: noHandlerTLS},
	"deleteHandlerTLS": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		f.need(http.MethodPut, "/projects/{p}/handler-tls", map[string]any{"ca": scratchAuthority()})
		return nil
	}},

	"evaluatePolicies": {body: fixed(map[string]any{"role": "user", "query": "{ __typename }"})},
	"getPolicyLog":     {},
	"getPolicyShadow":  {},
	"putPolicyLog":     {body: present("/projects/{p}/policy-log")},
	"testPolicies":     {body: fixed(map[string]any{})},

	"listVariables": {},
	"getVariable":   {},
	"putVariable":   {unknown: http.StatusOK, body: fixed(map[string]any{"value": "changed"})},
	"deleteVariable": {prepare: func(f *field) map[idKind]string {
		f.t.Helper()
		name := strings.ToUpper(fresh("short"))
		f.need(http.MethodPut, "/projects/{p}/variables/"+name, map[string]any{"value": "v"})
		return map[idKind]string{"projects/variables": name}
	}},

	"listProjectAudit":   {},
	"verifyProjectAudit": {},
	"getMetrics":         {},
}
