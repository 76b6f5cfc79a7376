package e2e

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

// classesOf says which classes of operations a key may call, by the role of a
// tenant's key or the scope of a project's. It repeats the policy on purpose:
// who may do what shall not change by the way.
var classesOf = map[string][]string{
	"owner":     {"self", "read", "write", "secrets", "admin", "owner", "billing", "metrics", "audit"},
	"admin":     {"self", "read", "write", "secrets", "admin", "billing", "metrics", "audit"},
	"developer": {"self", "read", "write", "metrics", "audit"},
	"viewer":    {"self", "read", "metrics"},
	"billing":   {"self", "billing"},

	"metadata:read":     {"self", "read"},
	"metadata:write":    {"self", "read", "write"},
	"metrics:read":      {"self", "metrics"},
	"audit:read":        {"self", "audit"},
	"graphql:role=user": {"self"},
}

// classes are all that an operation may have.
var classes = []string{"public", "self", "read", "write", "secrets", "admin", "owner", "billing", "metrics", "audit", "operator"}

func TestEveryRoleAndScopeMayCallWhatItsClassesSay(t *testing.T) {
	t.Parallel()
	s := shared(t)
	f := &field{side: newSide(t, s, "epsilon"), t: t, s: s}
	keys := map[string]string{}
	for name := range classesOf {
		path, body := "/projects/{p}/keys", map[string]any{"scopes": []string{name}}
		if !slices.Contains(everyScope, name) {
			path, body = "/tenants/{t}/keys", map[string]any{"role": name}
		}
		keys[name] = f.need(http.MethodPost, path, body).text(t, "secret")
	}
	for _, o := range apiOperations(t, s) {
		trial, known := trials[o.ID]
		if !known || !slices.Contains(classes, o.Class) {
			t.Errorf("the operation %s (%s) is new: add to trials how it is called, and to classesOf who may", o.ID, o.Class)
			continue
		}
		if o.Class == "public" {
			continue // nobody is asked for a key
		}
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			f.as(o, trial, name, keys[name])
		}
	}
}

// as calls an operation with a key of the field's own tenant.
func (f *field) as(o apiOperation, trial trial, name, key string) {
	f.t.Helper()
	if !mayCall(o, name) {
		ids, expected := f.ids, http.StatusForbidden
		switch {
		case o.ID == "restoreTenant", o.ID == "restoreProject" && slices.Contains(everyScope, name):
			expected = http.StatusNotFound // there is nothing deleted that the key could know of
		case o.ID == "restoreProject":
			ids = prepared(f, trial)
		}
		if a := attempt(o, trial, f, key, ids); a.Status != expected {
			f.t.Errorf("%s (%s) by %s: %d, expected %d: %s", o.ID, o.Class, name, a.Status, expected, a.Text)
		}
		return
	}
	a := attempt(o, trial, f, key, prepared(f, trial))
	if a.Status < 200 || a.Status > 299 {
		f.t.Errorf("%s (%s) by %s: %d, expected success: %s", o.ID, o.Class, name, a.Status, a.Text)
	}
	if trial.undo != nil {
		trial.undo(f)
	}
}

// mayCall reports whether a role or scope has the class of an operation; that of
// a project's key only for what is the project's.
func mayCall(o apiOperation, name string) bool {
	if kinds := o.kinds(); slices.Contains(everyScope, name) && len(kinds) > 0 && kinds[0] != projectKind {
		return false
	}
	return slices.Contains(classesOf[name], o.Class)
}
