package settings_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

func secret(text string) vault.Secret { return vault.NewSecret(text) }

// handlerTLS has a certificate that is its own authority.
var handlerTLS = sync.OnceValue(func() settings.HandlerTLS {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return settings.HandlerTLS{CA: text, Certificate: text, Key: secret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))}
})

func full() settings.Settings {
	sample := 0.25
	return settings.Settings{
		Database: settings.DatabaseSettings{URL: secret("canary-url")},
		Auth: settings.Auth{
			JWT: []settings.JWT{{Type: "HS256", Key: secret("canary-key"), Audience: []string{"a"}, Header: &settings.JWTHeader{Type: "Cookie", Name: "c"},
				ClaimsMap: map[string]settings.Claim{
					"x-hasura-allowed-roles": {Literal: json.RawMessage(`["user"]`)},
					"x-hasura-user-id":       {Path: "$.sub", Default: json.RawMessage(`"0"`)},
				}}, {JWKURL: "https://x/jwks"}},
			Webhook: &settings.WebhookAuth{URL: "https://x", Mode: "POST"}, UnauthorizedRole: "anonymous", CORS: settings.CORS{Origins: []string{"*"}},
		},
		Policies: []settings.Policy{{Name: "main", Text: "package authz"}}, PolicyData: json.RawMessage(`{"n":1.50}`),
		Variables:      []settings.Variable{{Name: "KEY", Value: secret("canary-variable"), Secret: true}},
		SigningSecrets: []settings.SigningSecret{settings.NewSigningSecret(time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC))},
		AllowlistMode:  "enforce", AllowlistRoles: map[string]string{"partner": "ids_only"}, AllowlistMatch: "subset", AuditSample: &sample, DevMode: true,
		HandlerTLS: handlerTLS(), SigningKeys: []settings.SigningKey{settings.NewSigningKey(time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC))},
	}
}

func TestTheStoredFormKeepsEverything(t *testing.T) {
	t.Parallel()
	s := full()
	text, err := settings.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	back, err := settings.Decode(text)
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%v\n%+v\n%+v", err, back, s)
	}
	// Every field of the type secret is in the test, so that a new one is too.
	found, err := vault.Extract(&s)
	if err != nil {
		t.Fatal(err)
	}
	if fields := vault.SecretFields(reflect.TypeFor[settings.Settings]()); len(fields) != len(found) {
		t.Errorf("fields %q, tested %d", fields, len(found))
	}
	if shown, err := json.Marshal(s); err != nil || strings.Contains(string(shown), "canary") {
		t.Errorf("settings shown: %s, %v", shown, err)
	}
	if _, err := settings.Decode([]byte(`canary`)); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("not the stored form: %v", err)
	}
	c := s.Clone()
	c.Auth.JWT[0].ClaimsMap["x-hasura-more"] = settings.Claim{}
	c.PolicyData[2] = 'x'
	*c.AuditSample = 1
	if !reflect.DeepEqual(s.Auth, full().Auth) || string(s.PolicyData) != `{"n":1.50}` || *s.AuditSample != 0.25 {
		t.Error("a clone shares what can be changed")
	}
}

func TestVariablesAreLookedUpAndExpandedOnce(t *testing.T) {
	t.Parallel()
	s := settings.Settings{}
	s = s.WithVariable(settings.Variable{Name: "B", Value: secret("{{A}}")})
	s = s.WithVariable(settings.Variable{Name: "A", Value: secret("1")})
	s = s.WithVariable(settings.Variable{Name: "EMPTY"})
	before := s
	s = s.WithVariable(settings.Variable{Name: "A", Value: secret("2")})
	if v, _ := before.Lookup("A"); v != "1" {
		t.Error("an edit changed the settings before it")
	}
	cases := map[string]struct {
		text, want string
		missing    []string
	}{
		"plain":           {"https://x/y", "https://x/y", nil},
		"one":             {"{{A}}/x{{ A }}", "2/x2", nil},
		"not twice":       {"{{B}}", "{{A}}", nil},
		"empty value":     {"<{{EMPTY}}>", "<>", nil},
		"missing":         {"{{NO}}{{A}}{{NO}}{{NEITHER}}", "{{NO}}2{{NO}}{{NEITHER}}", []string{"NO", "NEITHER"}},
		"environment":     {"{{PATH}}", "{{PATH}}", []string{"PATH"}},
		"other templates": {"{{$body.A}} {{ A", "{{$body.A}} {{ A", nil},
	}
	for name, c := range cases {
		if got, missing := s.Expand(c.text); got != c.want || !slices.Equal(missing, c.missing) {
			t.Errorf("%s: %q, missing %q", name, got, missing)
		}
	}
	if s, there := s.WithoutVariable("A"); !there || len(s.Variables) != 2 {
		t.Error("A was not removed")
	}
	if _, there := s.WithoutVariable("a"); there {
		t.Error("names are case-sensitive")
	}
	for name, ok := range map[string]bool{"A": true, "_a1": true, "": false, "1A": false, "A-B": false, "ä": false, "HASURA_GRAPHQL_X": false,
		"hasura_graphql_x": false, "HASURA": true, strings.Repeat("a", 129): false} {
		if wrong := settings.CheckVariableName(name); (wrong == "") != ok {
			t.Errorf("%q: %q", name, wrong)
		}
	}
}

func pemOf(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAuthIsReadStrictlyAndAllMistakesAreTold(t *testing.T) {
	t.Parallel()
	rsaKey, err1 := rsa.GenerateKey(rand.Reader, 2048)
	ecKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edKey, _, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("s", 32)
	hs := `"type":"HS256","key":"` + long + `"`
	cases := map[string]struct {
		text string
		bad  []string // pointers
	}{
		"nothing":       {`{}`, nil},
		"nulls":         {`{"jwt":null,"webhook":null,"cors":null,"unauthorized_role":null}`, nil},
		"shared secret": {`{"jwt":[{` + hs + `}]}`, nil},
		"RSA":           {`{"jwt":[{"type":"RS256","key":` + pemOf(t, rsaKey.Public()) + `}]}`, nil},
		"EC":            {`{"jwt":[{"type":"ES256","key":` + pemOf(t, ecKey.Public()) + `}]}`, nil},
		"Ed25519":       {`{"jwt":[{"type":"Ed25519","key":` + pemOf(t, edKey) + `}]}`, nil},
		"key set":       {`{"jwt":[{"jwk_url":"https://id.example.com/jwks","audience":"a","issuer":"i","allowed_skew":60,"header":{"type":"Cookie","name":"t"}}]}`, nil},
		"set by name":   {`{"jwt":[{"jwk_url":"{{IDP}}/jwks"}]}`, nil},
		"claims map":    {`{"jwt":[{` + hs + `,"claims_map":{"X-Hasura-Allowed-Roles":["a"],"x-hasura-default-role":{"path":"$.r","default":"a"}}}]}`, nil},
		"webhook":       {`{"webhook":{"url":"https://x","mode":"POST","omit_request":true},"unauthorized_role":"anonymous","cors":{"origins":["*","https://*.a.io","http://localhost:3000"]}}`, nil},
		"identity":      {`{"identity_variables":["x-hasura-user-id","X-Hasura-Org-Id"]}`, nil},
		"no identity": {`{"identity_variables":["x-hasura-role","org","x-hasura-a","X-HASURA-A",1,"x-hasura-b","x-hasura-c","x-hasura-d","x-hasura-e"]}`,
			[]string{"/identity_variables/0", "/identity_variables/1", "/identity_variables/3", "/identity_variables/4", "/identity_variables"}},
		"not JSON":       {`{`, []string{""}},
		"two values":     {`{}{}`, []string{""}},
		"a list":         {`[]`, []string{""}},
		"unknown":        {`{"jwts":[]}`, []string{"/jwts"}},
		"key and set":    {`{"jwt":[{` + hs + `,"jwk_url":"https://x"}]}`, []string{"/jwt/0"}},
		"neither":        {`{"jwt":[{"type":"HS256"}]}`, []string{"/jwt/0"}},
		"no type":        {`{"jwt":[{"key":"` + long + `"}]}`, []string{"/jwt/0/type"}},
		"none":           {`{"jwt":[{"type":"none","key":"` + long + `"}]}`, []string{"/jwt/0/type"}},
		"short secret":   {`{"jwt":[{"type":"HS512","key":"` + long + `"}]}`, []string{"/jwt/0/key"}},
		"masked":         {`{"jwt":[{"type":"HS256","key":"***"}]}`, []string{"/jwt/0/key"}},
		"public as HMAC": {`{"jwt":[{"type":"RS256","key":"` + long + `"}]}`, []string{"/jwt/0/key"}},
		"PEM as secret":  {`{"jwt":[{"type":"HS256","key":` + pemOf(t, ecKey.Public()) + `}]}`, []string{"/jwt/0/key"}},
		"other family":   {`{"jwt":[{"type":"RS256","key":` + pemOf(t, ecKey.Public()) + `}]}`, []string{"/jwt/0/key"}},
		"other curve":    {`{"jwt":[{"type":"ES384","key":` + pemOf(t, ecKey.Public()) + `}]}`, []string{"/jwt/0/key"}},
		"many": {`{"unauthorized_role":"admin","cors":{"origins":["https://x/path",1]},"webhook":{"mode":"PUT"},
			"jwt":[{"jwk_url":"ftp://x","audience":[],"allowed_skew":-1,"claims_format":"xml","header":{"type":"Cookie"},"extra/~":1},
				{"jwk_url":"/relative","claims_map":{"role":"x","x-hasura-default-role":{"default":1},"x-hasura-allowed-roles":[1]}}, 7]}`,
			[]string{"/unauthorized_role", "/cors/origins/0", "/cors/origins/1", "/webhook/mode", "/webhook/url", "/jwt/0/jwk_url", "/jwt/0/audience",
				"/jwt/0/allowed_skew", "/jwt/0/claims_format", "/jwt/0/header/name", "/jwt/0/extra~1~0", "/jwt/1/jwk_url", "/jwt/1/claims_map/role",
				"/jwt/1/claims_map/x-hasura-default-role/default", "/jwt/1/claims_map/x-hasura-default-role/path", "/jwt/1/claims_map/x-hasura-allowed-roles/0", "/jwt/2"}},
	}
	for name, c := range cases {
		auth, err := settings.DecodeAuth([]byte(c.text))
		var mistakes settings.Mistakes
		errors.As(err, &mistakes)
		var got []string
		for _, m := range mistakes {
			got = append(got, m.Pointer)
		}
		slices.Sort(got)
		slices.Sort(c.bad)
		if !slices.Equal(got, c.bad) || (err != nil && !reflect.DeepEqual(auth, settings.Auth{})) {
			t.Errorf("%s: mistakes %v, want %q", name, err, c.bad)
		}
		if err != nil && strings.Contains(err.Error(), long) {
			t.Errorf("%s: the mistakes repeat a key", name)
		}
	}
	auth, err := settings.DecodeAuth([]byte(cases["claims map"].text))
	if err != nil {
		t.Fatal(err)
	}
	j := auth.JWT[0]
	if j.Key.Reveal() != long || string(j.ClaimsMap["x-hasura-allowed-roles"].Literal) != `["a"]` || j.ClaimsMap["x-hasura-default-role"].Path != "$.r" ||
		string(j.ClaimsMap["x-hasura-default-role"].Default) != `"a"` {
		t.Errorf("%+v", j)
	}
}

func TestSettingsAreValidatedWhole(t *testing.T) {
	t.Parallel()
	if err := full().Validate(); err != nil {
		t.Errorf("good settings: %v", err)
	}
	nan := math.NaN()
	cases := map[string]struct {
		change func(*settings.Settings)
		bad    string
	}{
		"third signing secret": {func(s *settings.Settings) {
			s.SigningSecrets = append(s.SigningSecrets, settings.NewSigningSecret(time.Now()), settings.NewSigningSecret(time.Now()))
		}, "/signing_secrets"},
		"newest secret ends":  {func(s *settings.Settings) { s.SigningSecrets[0].ExpiresAt = time.Now() }, "/signing_secrets/0/expires_at"},
		"weak signing secret": {func(s *settings.Settings) { s.SigningSecrets[0].Secret = secret("whsec_c2hvcnQ=") }, "/signing_secrets/0/secret"},
		"variable's name":     {func(s *settings.Settings) { s.Variables[0].Name = "1" }, "/variables/0/name"},
		"variable twice":      {func(s *settings.Settings) { s.Variables = append(s.Variables, s.Variables[0]) }, "/variables/1/name"},
		"policy's name":       {func(s *settings.Settings) { s.Policies[0].Name = "../x" }, "/policies/0/name"},
		"policy data":         {func(s *settings.Settings) { s.PolicyData = json.RawMessage(`[]`) }, "/policy_data"},
		"the mode of a role":  {func(s *settings.Settings) { s.AllowlistRoles = map[string]string{"user": "on"} }, "/allowlist_roles/user"},
		"a mode of the admin": {func(s *settings.Settings) { s.AllowlistRoles = map[string]string{"admin": "enforce"} }, "/allowlist_roles/admin"},
		"mode":                {func(s *settings.Settings) { s.AllowlistMode = "on" }, "/allowlist_mode"},
		"match":               {func(s *settings.Settings) { s.AllowlistMatch = "some" }, "/allowlist_match"},
		"sample":              {func(s *settings.Settings) { s.AuditSample = &nan }, "/audit_sample"},
	}
	for name, c := range cases {
		s := full()
		c.change(&s)
		var mistakes settings.Mistakes
		if err := s.Validate(); !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Pointer != c.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSingleSigningKeyOfOlderSettingsIsKept(t *testing.T) {
	t.Parallel()
	seed := strings.Repeat("A", 43) + "="
	s, err := settings.Decode([]byte(`{"settings": {"project_key": "***"}, "secrets": {"ProjectKey": "` + seed + `"}}`))
	if err != nil || len(s.SigningKeys) != 1 || s.SigningKeys[0].Seed.Reveal() != seed || s.SigningKeys[0].ID == "" || s.Validate() != nil {
		t.Fatalf("%+v %v", s.SigningKeys, err)
	}
	again, err := settings.Decode([]byte(`{"settings": {"project_key": "***"}, "secrets": {"ProjectKey": "` + seed + `"}}`))
	if err != nil || again.SigningKeys[0].ID != s.SigningKeys[0].ID {
		t.Errorf("its id changes: %v", err)
	}
	if c := s.Clone(); !reflect.DeepEqual(c, s) {
		t.Errorf("%+v", c)
	}
}
