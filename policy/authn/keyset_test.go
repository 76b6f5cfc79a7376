package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/policy/authn"
	"tenantry/policy/egress"
	"tenantry/tenants/settings"
)

// issuer serves a key set and counts how often it is fetched.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey
	down    bool
	fetches int
	control string // Cache-Control
	extra   []map[string]any
}

func newIssuer(t *testing.T, ids ...string) *issuer {
	t.Helper()
	s := &issuer{keys: map[string]*ecdsa.PrivateKey{}}
	s.rotate(t, ids...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fetches++
		if s.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		keys := append([]map[string]any{}, s.extra...)
		for id, k := range s.keys {
			encode := func(n *big.Int) string {
				return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
			}
			keys = append(keys, map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": encode(k.X), "y": encode(k.Y)})
		}
		w.Header().Set("Cache-Control", s.control)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	}))
	t.Cleanup(s.Close)
	return s
}

// rotate replaces all keys.
func (s *issuer) rotate(t *testing.T, ids ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = map[string]*ecdsa.PrivateKey{}
	for _, id := range ids {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.keys[id] = k
	}
}

func (s *issuer) set(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

func (s *issuer) count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.fetches }

func (s *issuer) sign(t *testing.T, id string) string {
	t.Helper()
	s.mu.Lock()
	key := s.keys[id]
	s.mu.Unlock()
	return sign(t, jwt.SigningMethodES256, key, claims(nil), "kid", id)
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

func withKeySet(t *testing.T, url string, c *clock) func(token string) error {
	t.Helper()
	guard := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	a, err := authn.New(authn.Config{Now: c.now, Auth: settings.Auth{JWT: []settings.JWT{{JWKURL: url}}}}, guard.HTTP(5*time.Second), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return func(token string) error {
		_, err := a.Authenticate(t.Context(), headers{"authorization": "Bearer " + token}, "", authn.GraphQL)
		return err
	}
}

const badSignature = "Could not verify JWT: JWSError JWSInvalidSignature"

func TestAKeySetIsFetchedOnceAndFollowsRotation(t *testing.T) {
	t.Parallel()
	s, c := newIssuer(t, "one"), &clock{at: time.Now()}
	ask := withKeySet(t, s.URL, c)
	if s.count() != 0 {
		t.Error("fetched before a token came")
	}
	old := s.sign(t, "one")
	if err := ask(old); err != nil {
		t.Fatal(errcode.From(err).Unwrap())
	}
	if err := ask(sign(t, jwt.SigningMethodES256, s.keys["one"], claims(nil))); err != nil {
		t.Errorf("a token without a key id: %v", err)
	}
	// Rotation: the unknown id is fetched at once, but not more often than every
	// ten seconds; a withdrawn key stops counting, cached tokens with it.
	s.rotate(t, "two")
	refused(t, "too soon", ask(s.sign(t, "two")), errcode.InvalidJWT, badSignature)
	c.pass(11 * time.Second)
	if err := ask(s.sign(t, "two")); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Minute)
	refused(t, "a withdrawn key", ask(old), errcode.InvalidJWT, badSignature)
	before := s.count()
	for range 20 {
		refused(t, "unknown ids", ask(sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "nobody")), errcode.InvalidJWT, badSignature)
	}
	if n := s.count() - before; n > 1 {
		t.Errorf("unknown key ids caused %d fetches", n)
	}
}

func TestKeysOutliveAnIssuerThatIsDownForADay(t *testing.T) {
	t.Parallel()
	s, c := newIssuer(t, "one"), &clock{at: time.Now()}
	s.control = "public, max-age=60"
	ask := withKeySet(t, s.URL, c)
	token := sign(t, jwt.SigningMethodES256, s.keys["one"], claims(map[string]any{"exp": time.Now().Add(72 * time.Hour).Unix()}), "kid", "one")
	if err := ask(token); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.down = true })
	c.pass(2 * time.Minute) // older than max-age: refreshed in the background
	if err := ask(token); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(5 * time.Second); s.count() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the answer's max-age was not followed")
		}
	}
	c.pass(23 * time.Hour)
	if err := ask(token); err != nil {
		t.Error(err)
	}
	c.pass(2 * time.Hour)
	refused(t, "after a day", ask(token), errcode.InvalidJWT, badSignature)
	s.set(func() { s.down = false })
	c.pass(11 * time.Second)
	if err := ask(token); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
}

func TestAKeySetMayHoldStrangeKeysButNoSharedSecret(t *testing.T) {
	t.Parallel()
	s, c := newIssuer(t, "one"), &clock{at: time.Now()}
	s.extra = []map[string]any{
		{"kty": "oct", "kid": "secret", "alg": "HS256", "k": base64.RawURLEncoding.EncodeToString([]byte(shared))},
		{"kty": "EC", "crv": "P-256", "kid": "broken", "x": "!", "y": "!"},
		{"kty": "future", "kid": "new"},
	}
	ask := withKeySet(t, s.URL, c)
	if err := ask(s.sign(t, "one")); err != nil {
		t.Error(errcode.From(err).Unwrap())
	}
	refused(t, "a public secret", ask(sign(t, jwt.SigningMethodHS256, []byte(shared), claims(nil), "kid", "secret")), errcode.InvalidJWT, badSignature)
}

func TestAKeySetThatCannotBeReadRefusesQuickly(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "one")
	for name, body := range map[string]string{"no JSON": "<html>", "no keys": `{"keys":[]}`, "too large": `{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		t.Cleanup(server.Close)
		refused(t, name, withKeySet(t, server.URL, &clock{at: time.Now()})(token), errcode.InvalidJWT, badSignature)
	}
	a, err := authn.New(authn.Config{Auth: settings.Auth{JWT: []settings.JWT{{JWKURL: "http://127.0.0.1:1/"}}}}, egress.New(egress.Options{}).HTTP(time.Second), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	_, err = a.Authenticate(t.Context(), headers{"authorization": "Bearer " + token}, "", authn.GraphQL)
	refused(t, "a forbidden address", err, errcode.InvalidJWT, badSignature)
}

func TestKeysAreFetchedAgainBeforeTheyEndWithoutARequest(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, "one")
	s.control = "max-age=1" // at least ten seconds are assumed
	c := &clock{at: time.Now()}
	ask := withKeySet(t, s.URL, c)
	if err := ask(s.sign(t, "one")); err != nil {
		t.Fatal(err)
	}
	for range 120 {
		if s.count() > 1 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%d fetches", s.count())
}
