package authn_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

const shared = "a shared secret of more than thirty-two bytes"

var (
	_, ed, _ = ed25519.GenerateKey(rand.Reader)
	ec, _    = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func certificatePEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// claims of an ordinary token, with changes on top.
func claims(changes map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "u7", "iss": "https://issuer.example", "aud": "app", "exp": time.Now().Add(time.Hour).Unix(),
		settings.DefaultNamespace: map[string]any{
			"x-hasura-allowed-roles": []any{"user", "editor"}, "x-hasura-default-role": "user",
			"X-Hasura-User-Id": "7", "x-hasura-org": 12345678901234567, "x-hasura-teams": []any{"a", "b c", `d"`}, "x-hasura-flags": map[string]any{"on": true}, "other": "x",
		},
	}
	maps.Copy(c, changes)
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i+1 < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hs(changes func(*settings.JWT)) authn.Config {
	j := settings.JWT{Type: "HS256", Key: vault.NewSecret(shared)}
	if changes != nil {
		changes(&j)
	}
	return authn.Config{Project: "p1", Auth: settings.Auth{JWT: []settings.JWT{j}}}
}

func TestTokensOfEveryTypeAreVerified(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		typ, key string
		method   jwt.SigningMethod
		signer   any
	}{
		{"HS256", shared, jwt.SigningMethodHS256, []byte(shared)},
		{"HS384", shared, jwt.SigningMethodHS384, []byte(shared)},
		{"HS512", shared, jwt.SigningMethodHS512, []byte(shared)},
		{"RS256", publicPEM(t, rsaKey()), jwt.SigningMethodRS256, rsaKey()},
		{"RS512", certificatePEM(t, rsaKey()), jwt.SigningMethodRS512, rsaKey()},
		{"ES256", strings.ReplaceAll(publicPEM(t, ec), "\n", `\n`), jwt.SigningMethodES256, ec},
		{"Ed25519", publicPEM(t, ed), jwt.SigningMethodEdDSA, ed},
	} {
		a := authenticator(t, authn.Config{Project: "p1", Auth: settings.Auth{JWT: []settings.JWT{{Type: test.typ, Key: vault.NewSecret(test.key)}}}})
		token := sign(t, test.method, test.signer, claims(nil))
		for range 2 { // the second time from the cache
			s, err := a.Authenticate(t.Context(), headers{"Authorization": "Bearer " + token, "x-hasura-user-id": "8", "x-hasura-more": "x"}, "", authn.GraphQL)
			if err != nil {
				t.Errorf("%s: %v", test.typ, errcode.From(err).Unwrap())
				continue
			}
			want := map[string]string{
				"x-hasura-role": "user", "x-hasura-user-id": "7", "x-hasura-org": "12345678901234567",
				"x-hasura-teams": `{a,"b c","d\""}`, "x-hasura-flags": `{"on":true}`,
			}
			if s.Role != "user" || s.Auth != session.AuthJWT || s.Actor != "u7" || s.BackendOnly || !maps.Equal(s.Variables, want) {
				t.Errorf("%s: %+v", test.typ, s)
			}
		}
		s, err := a.Authenticate(t.Context(), headers{"authorization": "Bearer " + token, "x-hasura-role": "editor"}, "", authn.GraphQL)
		if err != nil || s.Role != "editor" || s.Variables["x-hasura-role"] != "editor" {
			t.Errorf("%s: %+v %v", test.typ, s, err)
		}
	}
}

func TestForgedTokensAreRefusedWithOneText(t *testing.T) {
	t.Parallel()
	rs := authenticator(t, authn.Config{Auth: settings.Auth{UnauthorizedRole: "anonymous", JWT: []settings.JWT{{Type: "RS256", Key: vault.NewSecret(publicPEM(t, rsaKey()))}}}})
	good := sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil))
	parts := strings.Split(good, ".")
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	payload := func(c jwt.MapClaims) string {
		b, _ := json.Marshal(c)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	none := sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil))
	for name, token := range map[string]string{
		"the public key as a shared secret": sign(t, jwt.SigningMethodHS256, []byte(publicPEM(t, rsaKey())), claims(nil)),
		"an algorithm of another family":    sign(t, jwt.SigningMethodPS256, rsaKey(), claims(nil)),
		"another key":                       sign(t, jwt.SigningMethodRS256, stranger, claims(nil)),
		"none":                              none,
		"None":                              base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None","typ":"JWT"}`)) + "." + parts[1] + ".",
		"another payload":                   parts[0] + "." + payload(claims(map[string]any{"sub": "u8"})) + "." + parts[2],
		"no signature":                      parts[0] + "." + parts[1] + ".",
		"a header that must be understood":  sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil), "crit", "b64", "b64", "false"),
		"a key of its own in the header":    sign(t, jwt.SigningMethodRS256, stranger, claims(nil), "jku", "https://evil.example/jwks.json", "kid", "../../x"),
	} {
		_, err := rs.Authenticate(t.Context(), headers{"Authorization": "Bearer " + token}, "", authn.GraphQL)
		refused(t, name, err, errcode.InvalidJWT, "Could not verify JWT: JWSError JWSInvalidSignature")
	}
	for name, value := range map[string]string{"no scheme": good, "basic": "Basic dTpw", "empty": "", "two tokens": "Bearer a b"} {
		_, err := rs.Authenticate(t.Context(), headers{"Authorization": value}, "", authn.GraphQL)
		refused(t, name, err, errcode.InvalidHeaders, "Malformed Authorization header")
	}
	_, err := rs.Authenticate(t.Context(), headers{"Authorization": "Bearer abc"}, "", authn.GraphQL)
	refused(t, "no token", err, errcode.InvalidJWT, "Could not verify JWT: malformed token")
}

func TestTimesAudienceAndIssuerAreChecked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	strict := func(j *settings.JWT) {
		j.Audience, j.Issuer, j.AllowedSkew = []string{"app", "app2"}, "https://issuer.example", 10
	}
	for _, test := range []struct {
		name    string
		changes map[string]any
		want    string // empty: accepted
	}{
		{"valid", nil, ""},
		{"one of several audiences", map[string]any{"aud": []string{"x", "app2"}}, ""},
		{"expired within the skew", map[string]any{"exp": now.Add(-5 * time.Second).Unix()}, ""},
		{"expired", map[string]any{"exp": now.Add(-20 * time.Second).Unix()}, "Could not verify JWT: JWTExpired"},
		{"not yet valid", map[string]any{"nbf": now.Add(time.Minute).Unix()}, "Could not verify JWT: JWTNotYetValid"},
		{"another audience", map[string]any{"aud": "other"}, "Could not verify JWT: JWTNotInAudience"},
		{"no audience", map[string]any{"aud": nil}, "Could not verify JWT: JWTNotInAudience"},
		{"another issuer", map[string]any{"iss": "https://issuer.example/"}, "Could not verify JWT: JWTNotInIssuer"},
		{"an expiry that is no number", map[string]any{"exp": "soon"}, "Could not verify JWT: JWTClaimsSetDecodeError"},
	} {
		a := authenticator(t, hs(strict))
		_, err := a.Authenticate(t.Context(), headers{"authorization": "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(shared), claims(test.changes))}, "", authn.GraphQL)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		refused(t, test.name, err, errcode.InvalidJWT, test.want)
	}
}

func TestACachedTokenEndsWithItsExpiry(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	cfg := hs(nil)
	cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	a := authenticator(t, cfg)
	h := headers{"authorization": "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(shared), claims(map[string]any{"exp": now.Add(30 * time.Second).Unix()}))}
	if _, err := a.Authenticate(t.Context(), h, "", authn.GraphQL); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	now = now.Add(31 * time.Second)
	mu.Unlock()
	_, err := a.Authenticate(t.Context(), h, "", authn.GraphQL)
	refused(t, "after expiry", err, errcode.InvalidJWT, "Could not verify JWT: JWTExpired")
}

func TestClaimsAreFoundWhereTheSettingsSay(t *testing.T) {
	t.Parallel()
	roles := map[string]any{"x-hasura-allowed-roles": []any{"user"}, "x-hasura-default-role": "user"}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	none := map[string]any{settings.DefaultNamespace: nil}
	for _, test := range []struct {
		name     string
		settings func(*settings.JWT)
		claims   map[string]any
		code     errcode.Code
		want     string // the user id, or the error
	}{
		{"namespace", func(j *settings.JWT) { j.ClaimsNamespace = "ns" }, map[string]any{"ns": with(roles, "x-hasura-user-id", "1")}, "", "1"},
		{"namespace path", func(j *settings.JWT) { j.ClaimsNamespacePath = "$.a['b.c'][0]" }, map[string]any{"a": map[string]any{"b.c": []any{with(roles, "x-hasura-user-id", "2")}}}, "", "2"},
		{"the token itself", func(j *settings.JWT) { j.ClaimsNamespacePath = "$" }, with(roles, "x-hasura-user-id", "3"), "", "3"},
		{"stringified", func(j *settings.JWT) { j.ClaimsFormat = "stringified_json" }, map[string]any{settings.DefaultNamespace: `{"x-hasura-allowed-roles":["user"],"x-hasura-default-role":"user","x-hasura-user-id":"4"}`}, "", "4"},
		{"map", func(j *settings.JWT) {
			j.ClaimsMap = map[string]settings.Claim{
				"x-hasura-allowed-roles": {Literal: raw(`["user"]`)}, "x-hasura-default-role": {Path: "$.role", Default: raw(`"user"`)}, "X-Hasura-User-Id": {Path: "$.user.id"},
			}
		}, map[string]any{"user": map[string]any{"id": "5"}}, "", "5"},
		{"map without its path", func(j *settings.JWT) {
			j.ClaimsMap = map[string]settings.Claim{"x-hasura-user-id": {Path: "$.user.id"}}
		}, nil, errcode.JWTInvalidClaims, "JWT claim from claims_map, x-hasura-user-id not found"},
		{"no claims", nil, map[string]any{settings.DefaultNamespace: nil}, errcode.JWTInvalidClaims, "expecting object when claims_format is json"},
		{"no namespace", func(j *settings.JWT) { j.ClaimsNamespace = "ns" }, none, errcode.JWTInvalidClaims, "claims key: 'ns' not found"},
		{"no path", func(j *settings.JWT) { j.ClaimsNamespacePath = "$.x.y" }, nil, errcode.JWTInvalidClaims, "claims not found at claims_namespace_path: '$.x.y'"},
		{"not stringified", func(j *settings.JWT) { j.ClaimsFormat = "stringified_json" }, nil, errcode.JWTInvalidClaims, "expecting stringified json when claims_format is stringified_json"},
		{"no allowed roles", nil, map[string]any{settings.DefaultNamespace: map[string]any{"x-hasura-default-role": "user"}}, errcode.JWTMissingRoleClaims, "JWT claim does not contain x-hasura-allowed-roles"},
		{"no default role", nil, map[string]any{settings.DefaultNamespace: map[string]any{"x-hasura-allowed-roles": []any{"user"}}}, errcode.JWTMissingRoleClaims, "JWT claim does not contain x-hasura-default-role"},
		{"roles in a string", nil, map[string]any{settings.DefaultNamespace: map[string]any{"x-hasura-allowed-roles": "user", "x-hasura-default-role": "user"}}, errcode.JWTInvalidClaims, "invalid x-hasura-allowed-roles; should be a list of roles"},
		{"a default role that is not allowed", nil, map[string]any{settings.DefaultNamespace: map[string]any{"x-hasura-allowed-roles": []any{"user"}, "x-hasura-default-role": "admin"}}, errcode.AccessDenied, "Your requested role is not in allowed roles"},
	} {
		a := authenticator(t, hs(test.settings))
		s, err := a.Authenticate(t.Context(), headers{"authorization": "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(shared), claims(test.claims))}, "", authn.GraphQL)
		if test.code != "" {
			refused(t, test.name, err, test.code, test.want)
			continue
		}
		_, lists := s.Variables["x-hasura-allowed-roles"]
		if err != nil || s.Variables["x-hasura-user-id"] != test.want || lists {
			t.Errorf("%s: %+v %v", test.name, s, err)
		}
	}
}

func with(m map[string]any, key string, value any) map[string]any {
	c := maps.Clone(m)
	c[key] = value
	return c
}

func TestTokensAreFoundInTheConfiguredPlace(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodHS256, []byte(shared), claims(nil))
	missing := "Missing 'Authorization' or 'Cookie' header in JWT authentication mode"
	for _, test := range []struct {
		name string
		at   *settings.JWTHeader
		h    headers
		want string
	}{
		{"authorization", nil, headers{"AUTHORIZATION": "Bearer " + token}, ""},
		{"cookie", &settings.JWTHeader{Type: "Cookie", Name: "sid"}, headers{"Cookie": "a=b; sid=" + token + "; sidx=1", "Content-Type": "application/json"}, ""},
		{"custom header", &settings.JWTHeader{Type: "CustomHeader", Name: "X-Token"}, headers{"x-token": token}, ""},
		{"elsewhere than the cookie", &settings.JWTHeader{Type: "Cookie", Name: "sid"}, headers{"Authorization": "Bearer " + token, "Cookie": "xsid=" + token}, missing},
		{"elsewhere than the custom header", &settings.JWTHeader{Type: "CustomHeader", Name: "X-Token"}, headers{"Authorization": "Bearer " + token}, missing},
		{"nowhere", nil, headers{"x-hasura-role": "user"}, missing},
	} {
		a := authenticator(t, hs(func(j *settings.JWT) { j.Header = test.at }))
		_, err := a.Authenticate(t.Context(), test.h, "", authn.GraphQL)
		if test.want != "" {
			refused(t, test.name, err, errcode.InvalidHeaders, test.want)
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestSeveralIssuersAreToldApart(t *testing.T) {
	t.Parallel()
	config := func(key, issuer string) settings.JWT {
		return settings.JWT{Type: "HS256", Key: vault.NewSecret(key), Issuer: issuer}
	}
	a := authenticator(t, authn.Config{Auth: settings.Auth{JWT: []settings.JWT{config("key of a", "a"), config("key of b", "b")}}})
	ask := func(a *authn.Authenticator, key, issuer string) error {
		_, err := a.Authenticate(t.Context(), headers{"authorization": "Bearer " + sign(t, jwt.SigningMethodHS256, []byte(key), claims(map[string]any{"iss": issuer}))}, "", authn.GraphQL)
		return err
	}
	if err := ask(a, "key of b", "b"); err != nil {
		t.Error(err)
	}
	refused(t, "a's key, b's name", ask(a, "key of a", "b"), errcode.InvalidJWT, "Could not verify JWT: JWSError JWSInvalidSignature")
	refused(t, "a stranger", ask(a, "key of a", "c"), errcode.InvalidJWT, "Could not verify JWT: JWTNotInIssuer")
	any := authenticator(t, authn.Config{Auth: settings.Auth{JWT: []settings.JWT{config("key of a", ""), config("key of b", "b")}}})
	refused(t, "two that match", ask(any, "key of b", "b"), errcode.InvalidHeaders, "Could not verify JWT: Multiple JWTs found")
}
