package authz_test

import (
	"strings"
	"testing"

	"tenantry/policy/authz"
)

var classes = []string{"public", "self", "read", "write", "secrets", "admin", "owner", "billing", "operator", "metrics", "audit"}

func TestControlAllowsEachCallerItsClassesAndNothingElse(t *testing.T) {
	t.Parallel()
	control, err := authz.NewControl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := func(role string) authz.ControlRequest {
		return authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: role, CallerTenant: "t1"}
	}
	project := func(scopes ...string) authz.ControlRequest {
		return authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: scopes, CallerTenant: "t1", CallerProject: "p1"}
	}
	for _, test := range []struct {
		name    string
		caller  authz.ControlRequest
		allowed string // of its own project
		foreign string // of another tenant's project
	}{
		{"operator", authz.ControlRequest{CallerKind: authz.CallerOperator}, strings.Join(classes, " "), strings.Join(classes, " ")},
		{"owner", key("owner"), "public self read write secrets admin owner billing metrics audit", "public self"},
		{"admin", key("admin"), "public self read write secrets admin billing metrics audit", "public self"},
		{"developer", key("developer"), "public self read write metrics audit", "public self"},
		{"viewer", key("viewer"), "public self read metrics", "public self"},
		{"billing", key("billing"), "public self billing", "public self"},
		{"unknown role", key("root"), "public self", "public self"},
		{"tenant key that claims the operator's role", key("operator"), "public self", "public self"},
		{"key without a tenant", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "owner"}, "public self", "public self"},
		{"project key without scopes", project(), "public self", "public self"},
		{"project key for GraphQL", project("graphql:role=user"), "public self", "public self"},
		{"metadata:read", project("metadata:read"), "public self read", "public self"},
		{"metadata:write", project("metadata:write"), "public self read write", "public self"},
		{"metrics:read and audit:read", project("metrics:read", "audit:read"), "public self metrics audit", "public self"},
		{"project key with a role", func() authz.ControlRequest { r := project(); r.Role = "owner"; return r }(), "public self", "public self"},
		{"anonymous", authz.ControlRequest{CallerKind: authz.CallerAnonymous}, "public", "public"},
		{"nobody", authz.ControlRequest{}, "public", "public"},
	} {
		for _, class := range append(classes, "", "everything") {
			for target, allowed := range map[string]string{"t1": test.allowed, "t2": test.foreign} {
				r := test.caller
				r.OperationClass, r.TargetTenant, r.TargetProject = class, target, "p"+target[1:]
				got, err := control.Allow(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				want := class != "" && strings.Contains(" "+allowed+" ", " "+class+" ")
				if got != want {
					t.Errorf("%s, class %q, tenant %s: got %v", test.name, class, target, got)
				}
			}
		}
	}
	// Another project of the same tenant, and the tenant itself.
	for _, target := range []string{"p2", ""} {
		r := project("metadata:write")
		r.OperationClass, r.TargetTenant, r.TargetProject = "read", "t1", target
		if got, _ := control.Allow(t.Context(), r); got {
			t.Errorf("a project's key reached project %q", target)
		}
	}
}
