package authn_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/tenants"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

// headers of a request; an empty value is a header that is present and empty.
type headers map[string]string

func (h headers) Lookup(name string) (string, bool) {
	for k, v := range h {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

func (h headers) All(f func(name, value string)) {
	for _, k := range slices.Sorted(maps.Keys(h)) {
		f(k, h[k])
	}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func authenticator(t *testing.T, cfg authn.Config) *authn.Authenticator {
	t.Helper()
	// A transport of its own: a test server that closes ends what others have idle in
	// the default one.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	a, err := authn.New(cfg, &http.Client{Transport: transport}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func refused(t *testing.T, name string, err error, code errcode.Code, message string) {
	t.Helper()
	e := errcode.From(err)
	if e == nil || e.Code != code || e.Message != message {
		t.Errorf("%s: expected %s %q, got %v", name, code, message, err)
	}
}

func keyed() authn.Config {
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key := func(id, secret, tenant string, role tenants.Role, expires *time.Time, scopes ...string) authn.Key {
		return authn.Key{ID: id, TenantID: tenant, Hash: vault.Hash(secret), Role: role, ExpiresAt: expires, Scopes: scopes}
	}
	return authn.Config{
		Project: "p1", TenantID: "t1",
		AdminSecrets: []authn.Secret{{ID: "s1", Hash: vault.Hash("first")}, {ID: "s2", Hash: vault.Hash("second")}},
		Keys: []authn.Key{
			key("k1", "pk_user", "t1", "", &future, "graphql:role=user", "graphql:role=editor"),
			key("k2", "pk_old", "t1", "", &past, "graphql:role=user"),
			key("k3", "pk_write", "t1", "", nil, "metadata:write"),
			key("k4", "pk_read", "t1", "", nil, "metadata:read"),
		},
		TenantKeys: []authn.Key{
			key("k5", "tk_dev", "t1", tenants.Developer, nil), key("k6", "tk_view", "t1", tenants.Viewer, nil), key("k7", "tk_other", "t2", tenants.Owner, nil),
		},
	}
}

func TestAnAdminSecretDecidesAloneAndTakesTheClientsVariables(t *testing.T) {
	t.Parallel()
	cfg := keyed()
	cfg.Auth.UnauthorizedRole = "anonymous"
	a := authenticator(t, cfg)
	s, err := a.Authenticate(t.Context(), headers{
		"X-Hasura-Admin-Secret": "second", "X-Hasura-Role": "user", "X-Hasura-User-Id": "7", "X-Hasura-Empty": "", "Accept": "x",
		"x-hasura-use-backend-only-permissions": "true",
	}, "192.0.2.1", authn.GraphQL)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "7", "x-hasura-empty": "", "x-hasura-use-backend-only-permissions": "true"}
	if s.Role != "user" || s.Project != "p1" || s.IP != "192.0.2.1" || s.Auth != session.AuthAdminSecret || s.Actor != "s2" || !s.BackendOnly || !maps.Equal(s.Variables, want) {
		t.Errorf("%+v", s)
	}
	s, err = a.Authenticate(t.Context(), headers{"x-hasura-access-key": "first"}, "", authn.Metadata)
	if err != nil || s.Role != session.Admin || s.Variables["x-hasura-role"] != "admin" || s.BackendOnly {
		t.Errorf("%+v %v", s, err)
	}
	for _, wrong := range []string{"", "third", "first ", "FIRST"} {
		_, err := a.Authenticate(t.Context(), headers{"x-hasura-admin-secret": wrong, "Authorization": "Bearer pk_user"}, "", authn.GraphQL)
		refused(t, wrong, err, errcode.AccessDenied, `invalid "x-hasura-admin-secret"/"x-hasura-access-key"`)
	}
}

func TestKeysReachOnlyWhatTheirScopesAndRolesCover(t *testing.T) {
	t.Parallel()
	a := authenticator(t, keyed())
	for _, test := range []struct {
		key, role string
		surface   authn.Surface
		want      string // the role, or the error
	}{
		{"pk_user", "", authn.GraphQL, "user"},
		{"pk_user", "editor", authn.GraphQL, "editor"},
		{"pk_user", "admin", authn.GraphQL, "Your requested role is not in allowed roles"},
		{"pk_user", "", authn.Metadata, "the scopes of the API key do not cover this"},
		{"pk_old", "", authn.GraphQL, "invalid or expired API key"},
		{"pk_unknown", "", authn.GraphQL, "invalid or expired API key"},
		{"pk_write", "", authn.GraphQL, "the scopes of the API key do not cover this"},
		{"pk_write", "", authn.Metadata, "admin"},
		{"pk_read", "", authn.Metadata, "the scopes of the API key do not cover this"},
		{"pk_read", "", authn.MetadataRead, "admin"},
		{"tk_dev", "", authn.Metadata, "admin"},
		{"tk_dev", "", authn.GraphQL, "a tenant's key is not accepted here; use a key of the project"},
		{"tk_view", "", authn.Metadata, "the role of the key does not cover this"},
		{"tk_other", "", authn.Metadata, "invalid or expired API key"},
	} {
		h := headers{"authorization": "bearer " + test.key, "x-hasura-user-id": "1"}
		if test.role != "" {
			h["x-hasura-role"] = test.role
		}
		s, err := a.Authenticate(t.Context(), h, "", test.surface)
		if err != nil {
			refused(t, test.key, err, errcode.AccessDenied, test.want)
			continue
		}
		if s.Role != test.want || s.Actor == "" || !maps.Equal(s.Variables, map[string]string{"x-hasura-role": test.want}) {
			t.Errorf("%s: %+v", test.key, s)
		}
	}
}

func TestASessionEndsWithItsKey(t *testing.T) {
	t.Parallel()
	cfg := keyed()
	s, err := authenticator(t, cfg).Authenticate(t.Context(), headers{"Authorization": "Bearer pk_user"}, "", authn.GraphQL)
	if err != nil || !s.Expires.Equal(*cfg.Keys[0].ExpiresAt) {
		t.Errorf("ends at %s, %v", s.Expires, err)
	}
}

func TestWithoutCredentialsOnlyTheUnauthorizedRoleRemains(t *testing.T) {
	t.Parallel()
	a := authenticator(t, keyed())
	_, err := a.Authenticate(t.Context(), headers{"x-hasura-role": "admin"}, "", authn.GraphQL)
	refused(t, "no role", err, errcode.AccessDenied, "x-hasura-admin-secret/x-hasura-access-key required, but not found")

	cfg := keyed()
	cfg.Auth.UnauthorizedRole = "anonymous"
	s, err := authenticator(t, cfg).Authenticate(t.Context(), headers{"x-hasura-role": "admin", "x-hasura-user-id": "1"}, "", authn.GraphQL)
	if err != nil || s.Role != "anonymous" || s.Auth != session.AuthAnonymous || !maps.Equal(s.Variables, map[string]string{"x-hasura-role": "anonymous"}) {
		t.Errorf("%+v %v", s, err)
	}
}

func TestSettingsThatCannotBeUsedAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := authn.New(authn.Config{Auth: settings.Auth{JWT: []settings.JWT{
		{Type: "RS256", Key: vault.NewSecret("not a key")},
		{Type: "HS257", Key: vault.NewSecret("x")},
		{Type: "HS256"},
		{Type: "HS256", Key: vault.NewSecret("x"), ClaimsNamespacePath: "$..x"},
		{Type: "HS256", Key: vault.NewSecret("x"), ClaimsMap: map[string]settings.Claim{"x-hasura-user-id": {Path: "$.a["}}},
		{Type: "ES256", Key: vault.NewSecret(publicPEM(t, ed))},
	}}}, http.DefaultClient, quiet)
	for _, part := range []string{"jwt[0].key", "jwt[1].type", "jwt[2].key", "jwt[3].claims_namespace_path", "jwt[4].claims_map.x-hasura-user-id", "jwt[5].key"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named: %v", part, err)
		}
	}
}

func TestAHeaderThatSaysWhoAsksIsFoundTwiceHoweverFarApart(t *testing.T) {
	t.Parallel()
	a := authenticator(t, keyed())
	sent := headers{"Authorization": "Bearer pk_user"}
	for i := range 20 {
		sent["X-Hasura-"+string(rune('A'+i))] = "1"
	}
	if _, err := a.Authenticate(t.Context(), sent, "", authn.GraphQL); err != nil {
		t.Fatalf("each once: %v", err)
	}
	sent["authorization"] = "Bearer tk_dev" // comes last
	if _, err := a.Authenticate(t.Context(), sent, "", authn.GraphQL); errcode.From(err) == nil || errcode.From(err).Code != errcode.InvalidHeaders {
		t.Errorf("a second token after 20 other headers: %v", err)
	}
}
