package e2e

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var raw64 = base64.RawURLEncoding

// unsigned is the part of a JWT that is signed. Claims are those of the role
// reader as the issuer, changed by more.
func unsigned(t testing.TB, algorithm, issuer string, more map[string]any) string {
	t.Helper()
	header := map[string]any{"alg": algorithm, "typ": "JWT", "kid": "first"}
	claims := map[string]any{
		"iss": issuer, "sub": "someone", "exp": time.Now().Add(time.Hour).Unix(),
		"https://hasura.io/jwt/claims": map[string]any{
			"x-hasura-default-role": "reader", "x-hasura-allowed-roles": []string{"reader", "other"}, "x-hasura-user-id": "1",
		},
	}
	for key, value := range more {
		claims[key] = value
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return raw64.EncodeToString(text)
	}
	return encode(header) + "." + encode(claims)
}

func hs256(text string, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + raw64.EncodeToString(mac.Sum(nil))
}

func rs256(t testing.TB, text string, key *rsa.PrivateKey) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + raw64.EncodeToString(signature)
}

func rsaKey(t testing.TB) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestWhoeverIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	const secret = "a secret of the issuer hs, long enough for HS256"
	private, public := rsaKey(t)
	stranger, _ := rsaKey(t)

	var fetched atomic.Int64
	keys := webhooks(t, func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "first", "alg": "RS256", "use": "sig",
			"n": raw64.EncodeToString(private.N.Bytes()), "e": raw64.EncodeToString(big.NewInt(int64(private.E)).Bytes()),
		}}})
	})
	open := refusal{"access-denied", "=x-hasura-admin-secret/x-hasura-access-key required, but not found"}
	open.check(t, p.ask(nil, `{ books { id } }`))
	p.control(200, http.MethodPut, "/auth", map[string]any{"jwt": []any{
		map[string]any{"type": "HS256", "key": secret, "issuer": "hs"},
		map[string]any{"type": "RS256", "key": public, "issuer": "rs"},
		map[string]any{"jwk_url": keys + "/keys.json", "issuer": "jwks"},
	}})
	hs := func(more map[string]any) string { return hs256(unsigned(t, "HS256", "hs", more), []byte(secret)) }
	for name, token := range map[string]string{
		"HS256": hs(nil), "RS256": rs256(t, unsigned(t, "RS256", "rs", nil), private),
		"RS256 by a key set": rs256(t, unsigned(t, "RS256", "jwks", nil), private),
	} {
		t.Run(name, func(t *testing.T) {
			a := data(t, p.url("/v1/graphql"), bearer(token), `{ books { title author { name } } }`, nil)
			if a.at("data", "books", 0, "author", "name") != "Ursula K. Le Guin" {
				t.Errorf("%s", a.Text)
			}
			other := p.ask(bearer(token).with("X-Hasura-Role", "other"), `{ books { title } }`)
			refusal{"validation-failed", "=field 'books' not found in type: 'query_root'"}.check(t, other)
		})
	}
	if fetched.Load() == 0 {
		t.Error("the key set was never fetched")
	}

	invalid := func(reason string) refusal { return refusal{"invalid-jwt", "=Could not verify JWT: " + reason} }
	const signature = "JWSError JWSInvalidSignature"
	past := map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}
	forged := strings.Split(hs(nil), ".")
	forged[1] = strings.Split(unsigned(t, "HS256", "hs", map[string]any{"sub": "boss"}), ".")[1]
	for name, c := range map[string]struct {
		headers
		status int // where statuses are wanted
		refusal
	}{
		"no credentials":              {headers{}, 400, refusal{"invalid-headers", "=Missing 'Authorization' or 'Cookie' header in JWT authentication mode"}},
		"a wrong secret":              {headers{"X-Hasura-Admin-Secret": "wrong"}, 401, refusal{"access-denied", `=invalid "x-hasura-admin-secret"/"x-hasura-access-key"`}},
		"an empty secret":             {headers{"X-Hasura-Admin-Secret": ""}, 401, refusal{"access-denied", `=invalid "x-hasura-admin-secret"/"x-hasura-access-key"`}},
		"a secret beside a token":     {bearer(hs(nil)).with("X-Hasura-Admin-Secret", "wrong"), 401, refusal{"access-denied", `=invalid "x-hasura-admin-secret"/"x-hasura-access-key"`}},
		"an expired token":            {bearer(hs(past)), 401, invalid("JWTExpired")},
		"a token for later":           {bearer(hs(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})), 401, invalid("JWTNotYetValid")},
		"a forged token":              {bearer(strings.Join(forged, ".")), 401, invalid(signature)},
		"another key":                 {bearer(hs256(unsigned(t, "HS256", "hs", nil), []byte("another"))), 401, invalid(signature)},
		"no algorithm":                {bearer(unsigned(t, "none", "hs", nil) + "."), 401, invalid(signature)},
		"no algorithm, as RS256":      {bearer(unsigned(t, "none", "rs", nil) + "."), 401, invalid(signature)},
		"the public key as a secret":  {bearer(hs256(unsigned(t, "HS256", "rs", nil), []byte(public))), 401, invalid(signature)},
		"a secret for a key set":      {bearer(hs256(unsigned(t, "HS256", "jwks", nil), []byte(public))), 401, invalid(signature)},
		"a stranger's RSA key":        {bearer(rs256(t, unsigned(t, "RS256", "rs", nil), stranger)), 401, invalid(signature)},
		"a stranger for the key set":  {bearer(rs256(t, unsigned(t, "RS256", "jwks", nil), stranger)), 401, invalid(signature)},
		"an unknown issuer":           {bearer(hs256(unsigned(t, "HS256", "nobody", nil), []byte(secret))), 401, invalid("JWTNotInIssuer")},
		"no token":                    {bearer("nonsense"), 401, refusal{"invalid-jwt", "Could not verify JWT"}},
		"a scheme that is not known":  {headers{"Authorization": "Basic YTpi"}, 400, refusal{"invalid-headers", "=Malformed Authorization header"}},
		"no claims":                   {bearer(hs(map[string]any{"https://hasura.io/jwt/claims": nil})), 400, refusal{"jwt-invalid-claims", ""}},
		"claims without roles":        {bearer(hs(map[string]any{"https://hasura.io/jwt/claims": map[string]any{"x-hasura-default-role": "reader"}})), 400, refusal{"jwt-missing-role-claims", "x-hasura-allowed-roles"}},
		"a role that is not allowed":  {bearer(hs(nil)).with("X-Hasura-Role", "boss"), 401, refusal{"access-denied", "=Your requested role is not in allowed roles"}},
		"the role admin":              {bearer(hs(nil)).with("X-Hasura-Role", "admin"), 401, refusal{"access-denied", "=Your requested role is not in allowed roles"}},
		"an unknown key of a project": {bearer("pk_nonsense"), 401, refusal{"access-denied", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const query = `{"query": "{ books { id } }"}`
			c.check(t, must(t, 200, http.MethodPost, p.url("/v1/graphql"), c.headers, query))
			c.check(t, must(t, c.status, http.MethodPost, p.url("/v1alpha1/graphql"), c.headers, query))
			if a := send(t, http.MethodPost, p.url("/v1/metadata"), c.headers, `{"type": "export_metadata", "args": {}}`); a.Status != c.status || a.at("error") == nil {
				t.Errorf("a metadata command: %d %s", a.Status, a.Text)
			}
		})
	}
	t.Run("a role without rights on metadata", func(t *testing.T) {
		a := must(t, 400, http.MethodPost, p.url("/v1/metadata"), bearer(hs(nil)), `{"type": "export_metadata", "args": {}}`)
		if a.at("code") != "access-denied" || a.at("path") != "$.args" {
			t.Errorf("%s", a.Text)
		}
	})
	t.Run("an unknown project", func(t *testing.T) {
		unknown := p.s.PublicURL + "/p/nonsense"
		refusal{"not-found", "=project not found"}.check(t, must(t, 404, http.MethodPost, unknown+"/v1/graphql", p.admin, `{"query": "{ books { id } }"}`))
		if a := must(t, 404, http.MethodPost, unknown+"/v1/metadata", p.admin, `{"type": "export_metadata", "args": {}}`); a.at("code") != "not-found" {
			t.Errorf("%s", a.Text)
		}
		if a := must(t, 404, http.MethodGet, p.s.PublicURL+"/api/v1/projects/nonsense", p.owner, nil); a.at("code") != "not-found" {
			t.Errorf("%s", a.Text)
		}
	})
	t.Run("the secret of another project", func(t *testing.T) {
		other := newProject(t, p.s, managed)
		refusal{"access-denied", ""}.check(t, p.ask(other.admin, `{ books { id } }`))
		must(t, 401, http.MethodPost, p.url("/v2/query"), other.admin, `{"type": "run_sql", "args": {"sql": "select 1"}}`)
		must(t, 404, http.MethodGet, p.s.PublicURL+"/api/v1/projects/"+p.Slug, other.owner, nil)
	})
}
