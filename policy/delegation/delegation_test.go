package delegation_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/session"
	"tenantry/policy/delegation"
	"tenantry/tenants/settings"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func keyed(at ...time.Time) settings.Settings {
	var s settings.Settings
	for _, one := range at {
		s.SigningKeys = append(s.SigningKeys, settings.NewSigningKey(one))
	}
	return s
}

// caller is a user with a token of their own.
func caller() session.Session {
	return session.Session{
		Project: "p1", Role: "user", Auth: session.AuthJWT, Actor: "sub7", TokenID: "t1", IssuedAt: start.Add(-time.Hour), BackendOnly: true, IP: "192.0.2.1",
		Variables: map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "7", "x-hasura-teams": `{a,"b c"}`, "x-hasura-empty": "", "x-hasura-default-role": "admin"},
	}
}

const timeout = 20 * time.Second

func TestAHandlerActsAsItsCallerAndNoMore(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	keys := delegation.New("p1", keyed(start), c.now)
	token := keys.Token(caller(), "pay", timeout)
	got, err := keys.Verify(token)
	if err != nil || !delegation.Claimed(token) {
		t.Fatal(err)
	}
	expires := start.Add(timeout + delegation.Grace + delegation.Reuse)
	want := session.Session{
		Project: "p1", Role: "user", Auth: session.AuthDelegation, Actor: "sub7", TokenID: "t1", IssuedAt: start.Add(-time.Hour), Expires: expires, Depth: 1,
		Variables:  map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "7", "x-hasura-teams": `{a,"b c"}`, "x-hasura-empty": ""},
		Delegation: &session.Delegation{Action: "pay", Auth: session.AuthJWT},
	}
	if !got.Session.IssuedAt.Equal(want.IssuedAt) || !got.Session.Expires.Equal(want.Expires) {
		t.Errorf("issued %v, expires %v", got.Session.IssuedAt, got.Session.Expires)
	}
	got.Session.IssuedAt, got.Session.Expires = want.IssuedAt, want.Expires
	if !reflect.DeepEqual(got.Session, want) || got.Subject != "7" || got.ID == "" {
		t.Errorf("%+v\n%+v", got.Session, want)
	}
	// A handler in between does not hide who began.
	second, err := keys.Verify(keys.Token(got.Session, "audit", timeout))
	if err != nil || second.Session.Depth != 2 || second.Session.Actor != "sub7" || second.Session.Delegation.Auth != session.AuthJWT || second.Session.Delegation.Action != "audit" ||
		!second.Session.IssuedAt.Equal(want.IssuedAt) {
		t.Errorf("%+v %v", second.Session, err)
	}
}

func TestOthersVerifyATokenByTheKeySet(t *testing.T) {
	t.Parallel()
	keys := delegation.New("p1", keyed(start), (&clock{start}).now)
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(keys.KeySet(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v %s", err, keys.KeySet())
	}
	x, _ := base64.RawURLEncoding.DecodeString(set.Keys[0]["x"])
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(delegation.Issuer("p1")), jwt.WithAudience("p1"), jwt.WithTimeFunc((&clock{start}).now)).
		ParseWithClaims(keys.Token(caller(), "pay", timeout), claims, func(*jwt.Token) (any, error) { return ed25519.PublicKey(x), nil })
	if err != nil || parsed.Header["kid"] != set.Keys[0]["kid"] || set.Keys[0]["kid"] == "" {
		t.Fatalf("%v %v %v", err, parsed, set)
	}
	variables, _ := claims[settings.DefaultNamespace].(map[string]any)
	if claims["sub"] != "7" || claims["depth"] != 1.0 || variables["x-hasura-default-role"] != "user" || !reflect.DeepEqual(variables["x-hasura-allowed-roles"], []any{"user"}) {
		t.Errorf("%v", claims)
	}
}

// parts are the decoded header and body of a token, and its signature.
func parts(t *testing.T, token string) (header, body map[string]any, signature string) {
	t.Helper()
	pieces := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &body} {
		text, err := base64.RawURLEncoding.DecodeString(pieces[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, body, pieces[2]
}

func segment(t *testing.T, v map[string]any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func TestTokensThatAreNotTheProjectsOwnAreRefused(t *testing.T) {
	t.Parallel()
	own := keyed(start)
	keys := delegation.New("p1", own, (&clock{start}).now)
	good := keys.Token(caller(), "pay", timeout)
	header, body, signature := parts(t, good)
	private := own.SigningKeys[0].Private()
	// forged is a token with changes of header and body, signed as method and key say.
	forged := func(method jwt.SigningMethod, key any, headers, claims map[string]any) string {
		h, b := maps.Clone(header), maps.Clone(body)
		maps.Copy(h, headers)
		maps.Copy(b, claims)
		text := segment(t, h) + "." + segment(t, b)
		signature, err := method.Sign(text, key)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	signed := func(claims map[string]any) string { // by whoever has the project's key
		h := strings.Split(good, ".")[0]
		b := maps.Clone(body)
		maps.Copy(b, claims)
		text := h + "." + segment(t, b)
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	wider := map[string]any{settings.DefaultNamespace: map[string]any{"x-hasura-default-role": "admin", "x-hasura-allowed-roles": []string{"admin"}}}
	other := delegation.New("p2", keyed(start), (&clock{start}).now).Token(caller(), "pay", timeout)
	moved := delegation.New("p2", own, (&clock{start}).now).Token(caller(), "pay", timeout) // of the same key
	for name, c := range map[string]struct {
		token string
		err   error
	}{
		"as it was made":                   {signed(nil), nil},
		"another project's":                {other, delegation.ErrProject},
		"another project's, same key":      {moved, delegation.ErrProject},
		"the right issuer, another reader": {signed(map[string]any{"aud": "p2"}), delegation.ErrProject},
		"another body":                     {strings.Split(good, ".")[0] + "." + segment(t, wider) + "." + signature, delegation.ErrProject},
		"a wider role":                     {strings.Split(good, ".")[0] + "." + segment(t, merged(body, wider)) + "." + signature, delegation.ErrSignature},
		"no algorithm":                     {forged(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"alg": "none"}, nil), delegation.ErrSignature},
		"the public key as a secret":       {forged(jwt.SigningMethodHS256, []byte(private.Public().(ed25519.PublicKey)), map[string]any{"alg": "HS256"}, nil), delegation.ErrSignature},
		"a stranger's key under our name":  {forged(jwt.SigningMethodEdDSA, stranger, nil, nil), delegation.ErrSignature},
		"a key that it brings itself":      {forged(jwt.SigningMethodEdDSA, stranger, map[string]any{"kid": "x", "jwk": "y"}, nil), delegation.ErrSignature},
		"no signature":                     {good[:len(good)-len(signature)], delegation.ErrSignature},
		"not for delegation":               {forged(jwt.SigningMethodEdDSA, private, map[string]any{"typ": "JWT"}, nil), delegation.ErrSignature},
		"expired":                          {signed(map[string]any{"exp": start.Unix()}), delegation.ErrExpired},
		"without an end":                   {signed(map[string]any{"exp": 0}), delegation.ErrExpired},
		"too deep":                         {signed(map[string]any{"depth": 6}), delegation.ErrDepth},
		"as deep as may be":                {signed(map[string]any{"depth": 5}), nil},
		"without a depth":                  {signed(map[string]any{"depth": 0}), delegation.ErrDepth},
		"without a role":                   {signed(map[string]any{settings.DefaultNamespace: map[string]any{}}), delegation.ErrMalformed},
		"half of it":                       {good[:len(good)/2], delegation.ErrMalformed},
		"nothing":                          {"", delegation.ErrMalformed},
	} {
		if got, err := keys.Verify(c.token); !errors.Is(err, c.err) || c.err != nil && got.Session.Role != "" {
			t.Errorf("%s: %v, expected %v", name, err, c.err)
		}
	}
	for _, token := range []string{other, moved, forged(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"alg": "none"}, nil)} {
		if !delegation.Claimed(token) {
			t.Errorf("%s would be judged by a tenant's own keys", token)
		}
	}
	theirs := segment(t, map[string]any{"alg": "HS256"}) + "." + segment(t, map[string]any{"iss": "https://login.example.com", "note": "urn:tenantry:project:p1"}) + ".x"
	for _, token := range []string{theirs, "", "a.b.c", "pk_abc", "..", "a.b"} {
		if delegation.Claimed(token) {
			t.Errorf("%q is taken for ours", token)
		}
	}
	var none *delegation.Keys
	if _, err := none.Verify(good); !errors.Is(err, delegation.ErrSignature) || none.Token(caller(), "pay", timeout) != "" || string(none.KeySet()) != `{"keys":[]}` {
		t.Errorf("without keys: %v", err)
	}
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func TestATokenServesTheSameCallerForAWhile(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	keys := delegation.New("p1", keyed(start), c.now)
	first := keys.Token(caller(), "pay", timeout)
	for name, change := range map[string]func(*session.Session){
		"another role":  func(s *session.Session) { s.Role = "manager" },
		"another user":  func(s *session.Session) { s.Variables["x-hasura-user-id"] = "8" },
		"one more":      func(s *session.Session) { s.Variables["x-hasura-more"] = "" },
		"another way":   func(s *session.Session) { s.Auth = session.AuthWebhook },
		"another actor": func(s *session.Session) { s.Actor = "sub8" },
		"another token": func(s *session.Session) { s.TokenID = "t2" },
		"a later login": func(s *session.Session) { s.IssuedAt = start },
		"deeper":        func(s *session.Session) { s.Depth = 1 },
		"values run on": func(s *session.Session) {
			s.Variables = map[string]string{"x-hasura-a": "x-hasura-bc", "x-hasura-d": ""}
		},
		"values run on, 2": func(s *session.Session) {
			s.Variables = map[string]string{"x-hasura-a": "x-hasura-b", "cx-hasura-d": ""}
		},
	} {
		s := caller()
		change(&s)
		if keys.Token(s, "pay", timeout) == first {
			t.Errorf("%s gets the token of someone else", name)
		}
	}
	if keys.Token(caller(), "other", timeout) == first {
		t.Error("another action gets the token of this one")
	}
	c.at = start.Add(delegation.Reuse - time.Millisecond)
	again := keys.Token(caller(), "pay", timeout)
	got, err := keys.Verify(again)
	if again != first || err != nil || got.Session.Expires.Before(c.at.Add(timeout+delegation.Grace)) {
		t.Errorf("reused %v, %v: lasts %v", again == first, err, got.Session.Expires.Sub(c.at))
	}
	c.at = start.Add(delegation.Reuse)
	if keys.Token(caller(), "pay", timeout) == first {
		t.Error("a token goes with calls that it may not outlast")
	}
	for i := range 3000 { // bounded, and right all the same
		s := caller()
		s.Variables["x-hasura-user-id"] = strings.Repeat("u", i)
		if got, err := keys.Verify(keys.Token(s, "pay", timeout)); err != nil || len(got.Subject) != i && i > 0 {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestKeysRotateWithoutRefusingATokenThatCounts(t *testing.T) {
	t.Parallel()
	old, c := keyed(start.Add(-time.Hour)), &clock{start}
	before := delegation.New("p1", old, c.now).Token(caller(), "pay", timeout)
	both, ok := old.WithSigningKey(settings.NewSigningKey(start))
	if !ok {
		t.Fatal("one key more is too many")
	}
	keys := delegation.New("p1", both, c.now)
	kid := func(token string) any { header, _, _ := parts(t, token); return header["kid"] }
	at := func(after time.Duration) string { c.at = start.Add(after); return keys.Token(caller(), "pay", timeout) }
	if strings.Count(string(keys.KeySet()), `"kid"`) != 2 {
		t.Error("the next key is not published")
	}
	if kid(at(settings.SigningKeyLead-time.Second)) != old.SigningKeys[0].ID {
		t.Error("the new key signs before others can know it")
	}
	last := at(settings.SigningKeyLead - time.Second)
	late := at(settings.SigningKeyLead + delegation.Reuse)
	if kid(late) != both.SigningKeys[1].ID {
		t.Error("the new key does not sign")
	}
	for _, token := range []string{last, late} {
		if _, err := keys.Verify(token); err != nil {
			t.Errorf("%v", err)
		}
	}
	if _, err := keys.Verify(before); err != nil && !errors.Is(err, delegation.ErrExpired) {
		t.Errorf("a token from before: %v", err)
	}
	c.at = start.Add(settings.SigningKeyLead + settings.SigningKeyOverlap)
	if _, err := keys.Verify(last); !errors.Is(err, delegation.ErrSignature) || strings.Count(string(keys.KeySet()), `"kid"`) != 1 {
		t.Errorf("the old key still counts: %v %s", err, keys.KeySet())
	}
	// A key that got out is removed, and the other one signs at once.
	c.at = start
	both.SigningKeys = both.SigningKeys[1:]
	keys = delegation.New("p1", both, c.now)
	if _, err := keys.Verify(before); !errors.Is(err, delegation.ErrSignature) || kid(keys.Token(caller(), "pay", timeout)) != both.SigningKeys[0].ID {
		t.Errorf("%v", err)
	}
	// No more than three, but those that have ended make room.
	many := keyed(start, start, start)
	if _, ok := many.WithSigningKey(settings.NewSigningKey(start)); ok {
		t.Error("a fourth key")
	}
	if next, ok := many.WithSigningKey(settings.NewSigningKey(start.Add(time.Hour))); !ok || len(next.SigningKeys) != 2 {
		t.Errorf("after an hour: %v, %d", ok, len(next.SigningKeys))
	}
}

func BenchmarkToken(b *testing.B) {
	keys := delegation.New("p1", keyed(start), nil)
	s := caller()
	b.ReportAllocs()
	for b.Loop() {
		keys.Token(s, "pay", timeout)
	}
}

func BenchmarkMintedToken(b *testing.B) {
	keys := delegation.New("p1", keyed(start), nil)
	s := caller()
	b.ReportAllocs()
	for b.Loop() {
		s.Depth++
		keys.Token(s, "pay", timeout)
	}
}

func TestATokenIsClaimedWhereverItsIssuerStands(t *testing.T) {
	t.Parallel()
	for n := range 9 {
		body := `{"a":"` + strings.Repeat("x", n) + `","iss":"` + delegation.Issuer("p") + `"}`
		if !delegation.Claimed("e30." + base64.RawURLEncoding.EncodeToString([]byte(body)) + ".c2ln") {
			t.Errorf("%s is not claimed", body)
		}
		other := strings.Replace(body, "tenantry", "tenantly", 1)
		if delegation.Claimed("e30." + base64.RawURLEncoding.EncodeToString([]byte(other)) + ".c2ln") {
			t.Errorf("%s is claimed", other)
		}
	}
}
