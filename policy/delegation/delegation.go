// Package delegation makes and reads the tokens by which the handler of an action
// calls back as the caller (contracts §14). A token is a JWT that the project's
// own key signs; services/engine/action sends one with every call of a handler,
// policy/authn takes them, and the router publishes the keys.
//
// Keys belong to one project at one revision of its settings: what they remember
// of tokens goes with a change, so that no token outlives a revocation.
package delegation

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/settings"
)

// MaxDepth is how many handlers may stand between a client and a request.
const MaxDepth = 5

const (
	// Grace is what a token lasts beyond the timeout of the call that it goes with.
	Grace = 30 * time.Second
	// Reuse is how long a token goes with further calls of the same caller: it is
	// made to last that much longer, so that none ends before its time.
	Reuse = 15 * time.Second
)

// issuerPrefix begins the issuer of every project. It is no address, since a
// project may be reached by several.
const issuerPrefix = "urn:tenantry:project:"

// Issuer is the iss of a project's tokens.
func Issuer(projectID string) string { return issuerPrefix + projectID }

// typ tells these tokens from all others that may be signed with the same keys.
const typ = "delegation+jwt"

// TraceMember is our member of tracestate, "tenantry=d:2": how many handlers stand
// between the client and whoever is called. It bounds loops of handlers that call
// back with credentials of their own and pass the trace on.
const TraceMember = "tenantry"

// Exceeded is the public error of a chain of call-backs that is too long.
func Exceeded() *errcode.Error {
	return errcode.New(errcode.ActionRecursionLimit, "actions have called each other more than %d times", MaxDepth)
}

// CheckCall refuses to call one more handler where the chain is as long as it may
// be.
func CheckCall(s session.Session) *errcode.Error {
	if s.Depth >= MaxDepth {
		return Exceeded()
	}
	return nil
}

// Keys are a project's key pairs, ready to use. Safe for concurrent use; nil and
// the Keys of a project without a key sign nothing and accept nothing.
type Keys struct {
	project string
	keys    []key
	now     func() time.Time

	mu         sync.Mutex
	young, old map[string]minted
}

type key struct {
	id      string
	header  string // of tokens, encoded
	private ed25519.PrivateKey
	public  ed25519.PublicKey
	since   time.Time // when it begins to sign
	until   time.Time // tokens of it are accepted; zero: for ever
}

// New makes the keys of a project's settings. now is the clock; nil is time.Now.
func New(projectID string, s settings.Settings, now func() time.Time) *Keys {
	if now == nil {
		now = time.Now
	}
	k := &Keys{project: projectID, now: now, young: map[string]minted{}}
	for i, pair := range s.SigningKeys {
		private := pair.Private()
		if private == nil {
			continue // settings are validated when they are saved
		}
		header, _ := json.Marshal(header{Type: typ, Algorithm: "EdDSA", ID: pair.ID}) // texts always encode
		k.keys = append(k.keys, key{
			id: pair.ID, header: encode(header), private: private, public: private.Public().(ed25519.PublicKey),
			since: s.SigningSince(i), until: s.VerifyingUntil(i),
		})
	}
	return k
}

type header struct {
	Type      string `json:"typ"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
}

func (k *key) ended(now time.Time) bool { return !k.until.IsZero() && !now.Before(k.until) }

// signing is the newest key that signs; nil when there is none.
func (k *Keys) signing(now time.Time) *key {
	for i := len(k.keys) - 1; i >= 0; i-- {
		if !now.Before(k.keys[i].since) || i == 0 {
			return &k.keys[i]
		}
	}
	return nil
}

// KeySet is the JSON Web Key Set by which others verify the project's tokens:
// also with the key that will sign next.
func (k *Keys) KeySet() []byte {
	type public struct {
		Type      string `json:"kty"`
		Curve     string `json:"crv"`
		X         string `json:"x"`
		Use       string `json:"use"`
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
	}
	set := struct {
		Keys []public `json:"keys"`
	}{[]public{}}
	if k != nil {
		now := k.now()
		for _, one := range k.keys {
			if !one.ended(now) {
				set.Keys = append(set.Keys, public{"OKP", "Ed25519", encode(one.public), "sig", "EdDSA", one.id})
			}
		}
	}
	text, _ := json.Marshal(set) // texts always encode
	return text
}

// claims are the body of a token.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub,omitempty"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
	// Authenticated is when the first caller's credential was issued; of what is no
	// token, when the request came.
	Authenticated float64 `json:"auth_time"`
	Depth         int     `json:"depth"`
	Action        string  `json:"action"`
	Origin        origin  `json:"origin"`
	// Variables are the session as JWT mode would read it.
	Variables map[string]any `json:"https://hasura.io/jwt/claims"`
}

// origin is the first caller.
type origin struct {
	Auth    session.Auth `json:"auth"`
	Actor   string       `json:"actor,omitempty"`
	TokenID string       `json:"jti,omitempty"`
}

const (
	defaultRole  = "x-hasura-default-role"
	allowedRoles = "x-hasura-allowed-roles"
	userVariable = "x-hasura-user-id"
)

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func decode(text string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(text) }

// Claimed reports whether a bearer token says that it is a delegation token, of
// whatever project: by its issuer, before anything is verified. Such a token is
// judged here and nowhere else.
func Claimed(token string) bool {
	_, rest, _ := strings.Cut(token, ".")
	body, _, ok := strings.Cut(rest, ".")
	if !ok || !mentions(body, issuerFragments) {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || !strings.Contains(string(text), issuerPrefix) {
		return false
	}
	var who struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(text, &who) == nil && strings.HasPrefix(who.Issuer, issuerPrefix)
}

// issuerFragments are what base64 makes of issuerPrefix, for each of the three
// places that it can have in a group of three bytes: by them, tokens of others are
// told apart without being decoded.
var issuerFragments = func() (out [3]string) {
	for before := range out {
		const bits = 6
		text := encode(append(make([]byte, before), issuerPrefix...))
		whole := (before + len(issuerPrefix)) * 8 / bits
		out[before] = text[(before*8+bits-1)/bits : whole]
	}
	return out
}()

func mentions(text string, fragments [3]string) bool {
	for _, f := range fragments {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}
