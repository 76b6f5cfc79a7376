package control_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"tenantry/policy/authz"
)

const rightsFile = "testdata/rights.txt"

// callers are all kinds of callers, in the order of the table.
var callers = []struct {
	name string
	authz.ControlRequest
}{
	{"operator", authz.ControlRequest{CallerKind: authz.CallerOperator}},
	{"owner", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "owner"}},
	{"admin", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "admin"}},
	{"developer", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "developer"}},
	{"viewer", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "viewer"}},
	{"billing", authz.ControlRequest{CallerKind: authz.CallerTenantKey, Role: "billing"}},
	{"metadata:read", authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: []string{"metadata:read"}}},
	{"metadata:write", authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: []string{"metadata:write"}}},
	{"metrics:read", authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: []string{"metrics:read"}}},
	{"audit:read", authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: []string{"audit:read"}}},
	{"graphql:role=user", authz.ControlRequest{CallerKind: authz.CallerProjectKey, Scopes: []string{"graphql:role=user"}}},
	{"anonymous", authz.ControlRequest{CallerKind: authz.CallerAnonymous}},
}

// right says of one operation which callers may use it on what is their own.
type right struct {
	operation *huma.Operation
	class     string
	may       map[string]bool
}

// rightsOf asks the policy about every operation of the document, for a target
// that is the caller's own or another tenant's.
func rightsOf(t *testing.T, s *server, foreign bool) []right {
	t.Helper()
	policy := must(authz.NewControl(t.Context()))(t)
	var all []right
	for path, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			one := right{operation: op, may: map[string]bool{}}
			one.class, _ = op.Extensions["x-tenantry-class"].(string)
			for _, c := range callers {
				r := c.ControlRequest
				switch r.CallerKind {
				case authz.CallerTenantKey:
					r.CallerTenant = "t1"
				case authz.CallerProjectKey:
					r.CallerTenant, r.CallerProject = "t1", "p1"
				}
				r.OperationID, r.OperationClass = op.OperationID, one.class
				owner := map[bool]string{false: "1", true: "2"}[foreign]
				if strings.Contains(path, "{tenant}") || strings.Contains(path, "{project}") {
					r.TargetTenant = "t" + owner
				}
				if strings.Contains(path, "{project}") {
					r.TargetProject = "p" + owner
				}
				one.may[c.name] = must(policy.Allow(t.Context(), r))(t)
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b right) int {
		return cmp.Or(cmp.Compare(a.operation.Path, b.operation.Path), cmp.Compare(a.operation.Method, b.operation.Method))
	})
	return all
}

func TestTheTableOfRightsIsTheKeptOne(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	fmt.Fprintf(&table, "%-7s %-66s %-9s", "method", "path", "class")
	for _, c := range callers {
		fmt.Fprintf(&table, " %s", c.name)
	}
	table.WriteString("\n")
	for _, r := range rightsOf(t, start(t), false) {
		fmt.Fprintf(&table, "%-7s %-66s %-9s", r.operation.Method, strings.TrimPrefix(r.operation.Path, "/api/v1"), r.class)
		for _, c := range callers {
			fmt.Fprintf(&table, " %-*s", len(c.name), map[bool]string{true: "yes", false: "-"}[r.may[c.name]])
		}
		table.WriteString("\n")
	}
	text := regexp.MustCompile(`(?m) +$`).ReplaceAllString(table.String(), "")
	if *update {
		if err := os.WriteFile(rightsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != text {
		t.Errorf("who may call what is not as %s says. If that is meant: go test ./services/control -run Rights -update, and review the difference", rightsFile)
	}
}

func TestNobodyButTheOperatorHasRightsToWhatIsAnotherTenants(t *testing.T) {
	t.Parallel()
	for _, r := range rightsOf(t, start(t), true) {
		if !strings.Contains(r.operation.Path, "{tenant}") && !strings.Contains(r.operation.Path, "{project}") {
			continue
		}
		for name, may := range r.may {
			if may && name != "operator" {
				t.Errorf("%s may %s of another tenant", name, r.operation.OperationID)
			}
		}
	}
}

// What the table denies is denied over HTTP, to real keys: every pair is sent.
func TestWhatTheTableOfRightsDeniesIsRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("Rights")
	project := s.project(tenant, owner, "rights")
	keys := map[string]string{"operator": operatorKey, "owner": owner, "anonymous": ""}
	for _, c := range callers {
		switch {
		case keys[c.name] != "" || c.name == "anonymous":
		case c.CallerKind == authz.CallerTenantKey:
			keys[c.name] = s.key(tenant, owner, c.Role)
		default:
			keys[c.name] = s.want(201, owner, "POST", project+"/keys", fmt.Sprintf(`{"name":"k","scopes":[%q]}`, c.name)).str(t, "secret")
		}
	}
	// Ids that no thing has: where an operation is allowed, there is nothing to do.
	fill := strings.NewReplacer("{tenant}", tenant, "{project}", "rights", "{schema}", "public", "{table}", "none")
	other := regexp.MustCompile(`\{[a-z_]+\}`)
	for _, r := range rightsOf(t, s, false) {
		path := other.ReplaceAllString(fill.Replace(r.operation.Path), "01900000-0000-7000-8000-000000000000")
		for _, c := range callers {
			if r.may[c.name] && r.operation.Method != http.MethodGet {
				continue // it would happen
			}
			a := s.call(keys[c.name], r.operation.Method, path, map[bool]string{true: "{}"}[r.operation.RequestBody != nil])
			refused := a.status == http.StatusForbidden || a.status == http.StatusUnauthorized
			switch {
			case r.may[c.name] && refused:
				t.Errorf("%s %s by %s is refused: %d %s", r.operation.Method, path, c.name, a.status, a.text)
			case !r.may[c.name] && !refused && (a.status != http.StatusNotFound || !strings.HasSuffix(path, ":restore")):
				t.Errorf("%s %s by %s is not refused: %d %s", r.operation.Method, path, c.name, a.status, a.text)
			}
		}
	}
}
