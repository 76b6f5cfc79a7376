package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"tenantry/tenants/vault"
)

// DecodeAuth reads what the control API takes as a project's authentication:
// {jwt: [contracts §3], webhook, unauthorized_role, identity_variables, cors}. It is strict and
// tells all mistakes at once; the error is Mistakes.
func DecodeAuth(text []byte) (Auth, error) {
	var m Mistakes
	v, err := decode(text)
	if err != nil {
		// Not the decoder's error: it may repeat a part of a key.
		m.add("", "expected one JSON object")
		return Auth{}, m
	}
	var a Auth
	m.object(v, "", fields{
		"jwt":               m.list(func(v any, pointer string) { a.JWT = append(a.JWT, m.jwt(v, pointer)) }),
		"webhook":           func(v any, pointer string) { a.Webhook = m.webhook(v, pointer) },
		"unauthorized_role": m.text(&a.UnauthorizedRole),
		"identity_variables": m.list(func(v any, pointer string) {
			name, _ := v.(string)
			name = strings.ToLower(name)
			if !identityForm().MatchString(name) || name == "x-hasura-role" || slices.Contains(a.IdentityVariables, name) {
				m.add(pointer, "expected the name of a session variable other than x-hasura-role, each once, such as x-hasura-org-id")
			}
			a.IdentityVariables = append(a.IdentityVariables, name)
		}),
		"cors": func(v any, pointer string) {
			m.object(v, pointer, fields{"origins": m.list(func(v any, pointer string) {
				origin, _ := v.(string)
				if !originForm().MatchString(origin) {
					m.add(pointer, "expected *, or an origin such as https://app.example.com or https://*.example.com")
				}
				a.CORS.Origins = append(a.CORS.Origins, origin)
			})})
		},
	})
	if len(a.IdentityVariables) > MaxIdentityVariables {
		m.add("/identity_variables", "expected at most %d session variables", MaxIdentityVariables)
	}
	if a.UnauthorizedRole == "admin" {
		m.add("/unauthorized_role", "expected a role other than admin: everybody would have it")
	}
	if err := m.err(); err != nil {
		return Auth{}, err
	}
	return a, nil
}

var identityForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^x-hasura-[a-z0-9_-]{1,64}$`)
})

// originForm is an origin: a scheme, a host whose first label may be *, a port;
// no path.
var originForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\*|[a-z][a-z0-9+.-]*://(\*\.)?([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$`)
})

// sharedKeys reports whether an address is that of keys which sign for every
// customer of a service, so that only the audience tells their tokens apart.
func sharedKeys(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch host := strings.ToLower(u.Hostname()); host {
	case "www.googleapis.com", "googleapis.com", "appleid.apple.com", "login.microsoftonline.com", "login.windows.net", "www.facebook.com", "limited.facebook.com":
		return true
	default:
		return strings.HasSuffix(host, ".googleapis.com")
	}
}

// maxSkew is the most that clocks may differ, in seconds.
const maxSkew = 3600

func (m *Mistakes) jwt(v any, pointer string) JWT {
	var j JWT
	var key string
	m.object(v, pointer, fields{
		"type":                  m.oneOf(&j.Type, jwtTypes...),
		"key":                   m.text(&key),
		"jwk_url":               m.text(&j.JWKURL),
		"claims_namespace":      m.text(&j.ClaimsNamespace),
		"claims_namespace_path": m.text(&j.ClaimsNamespacePath),
		"claims_format":         m.oneOf(&j.ClaimsFormat, "json", "stringified_json"),
		"claims_map":            func(v any, pointer string) { j.ClaimsMap = m.claimsMap(v, pointer) },
		"audience": func(v any, pointer string) {
			if one, ok := v.(string); ok && one != "" {
				j.Audience = []string{one}
				return
			}
			m.texts(&j.Audience)(v, pointer)
			if len(j.Audience) == 0 {
				m.add(pointer, "expected a string, or a list of at least one")
			}
		},
		"issuer":       m.text(&j.Issuer),
		"allowed_skew": m.seconds(&j.AllowedSkew, maxSkew),
		"header":       func(v any, pointer string) { j.Header = m.jwtHeader(v, pointer) },
	})
	j.Key = vault.NewSecret(key)
	if members, ok := v.(map[string]any); ok {
		m.jwtWhole(members, j, pointer)
	}
	return j
}

// jwtWhole checks what members mean for each other. What was given decides, not
// what could be read, so that one mistake is not told as two.
func (m *Mistakes) jwtWhole(given map[string]any, j JWT, pointer string) {
	has := func(name string) bool { return given[name] != nil }
	switch {
	case has("key") == has("jwk_url"):
		m.add(pointer, "expected exactly one of key and jwk_url")
	case has("jwk_url"):
		if j.JWKURL != "" {
			m.url(j.JWKURL, below(pointer, "jwk_url"))
		}
		if sharedKeys(j.JWKURL) && !has("audience") {
			m.add(below(pointer, "audience"), "expected: the keys of this address sign the tokens of all customers of the service")
		}
	case !has("type"):
		m.add(below(pointer, "type"), "expected with a key: one of %s", strings.Join(jwtTypes, ", "))
	case j.Type != "" && !j.Key.IsZero():
		if wrong := checkKey(j.Type, j.Key.Reveal()); wrong != "" {
			m.add(below(pointer, "key"), "%s", wrong)
		}
	}
	if has("claims_namespace") && has("claims_namespace_path") {
		m.add(below(pointer, "claims_namespace_path"), "expected not together with claims_namespace")
	}
}

func (m *Mistakes) jwtHeader(v any, pointer string) *JWTHeader {
	var h JWTHeader
	m.object(v, pointer, fields{"type": m.oneOf(&h.Type, "Authorization", "Cookie", "CustomHeader"), "name": m.text(&h.Name)})
	members, _ := v.(map[string]any)
	switch {
	case members == nil:
	case members["type"] == nil:
		m.add(below(pointer, "type"), "expected one of Authorization, Cookie, CustomHeader")
	case h.Type == "Authorization" && members["name"] != nil:
		m.add(below(pointer, "name"), "expected only with Cookie or CustomHeader")
	case h.Type != "" && h.Type != "Authorization" && members["name"] == nil:
		m.add(below(pointer, "name"), "expected the name of the cookie or header")
	}
	return &h
}

func (m *Mistakes) claimsMap(v any, pointer string) map[string]Claim {
	members, ok := v.(map[string]any)
	if !ok {
		m.add(pointer, "expected an object of session variables")
		return nil
	}
	claims := map[string]Claim{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at, lower := below(pointer, name), strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-hasura-") {
			m.add(at, "expected a session variable: x-hasura-…")
			continue
		}
		if _, twice := claims[lower]; twice {
			m.add(at, "given twice, in different case")
			continue
		}
		claims[lower] = m.claim(members[name], at)
	}
	for _, required := range []string{"x-hasura-allowed-roles", "x-hasura-default-role"} {
		if _, ok := claims[required]; !ok {
			m.add(pointer, "expected %s among the variables", required)
		}
	}
	return claims
}

func (m *Mistakes) claim(v any, pointer string) Claim {
	raw := func(v any, pointer string) json.RawMessage {
		switch elements := v.(type) {
		case string:
		case []any:
			for i, e := range elements {
				if _, ok := e.(string); !ok {
					m.add(below(pointer, fmt.Sprint(i)), "expected a string")
				}
			}
		default:
			m.add(pointer, "expected a string, a list of strings, or {path, default}")
		}
		text, _ := json.Marshal(v)
		return text
	}
	if _, ok := v.(map[string]any); !ok {
		return Claim{Literal: raw(v, pointer)}
	}
	var c Claim
	m.object(v, pointer, fields{"path": m.text(&c.Path), "default": func(v any, pointer string) { c.Default = raw(v, pointer) }})
	if members := v.(map[string]any); members["path"] == nil {
		m.add(below(pointer, "path"), "expected a JSONPath")
	}
	return c
}

func (m *Mistakes) webhook(v any, pointer string) *WebhookAuth {
	var w WebhookAuth
	m.object(v, pointer, fields{"url": m.text(&w.URL), "mode": m.oneOf(&w.Mode, "GET", "POST"), "omit_request": m.flag(&w.OmitRequest), "disable_cache": m.flag(&w.DisableCache)})
	switch members, _ := v.(map[string]any); {
	case w.URL != "":
		m.url(w.URL, below(pointer, "url"))
	case members != nil && members["url"] == nil:
		m.add(below(pointer, "url"), "expected the address of the service")
	}
	return &w
}

// url checks an address of the tenant's. One that begins with a template is
// only known when it is used; policy/egress looks at every address anyway.
func (m *Mistakes) url(text, pointer string) {
	if strings.HasPrefix(text, "{{") && len(Names(text)) > 0 {
		return
	}
	u, err := url.Parse(template.ReplaceAllString(text, "x"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		m.add(pointer, "expected an absolute http or https URL")
		return
	}
	if u.User != nil {
		m.add(pointer, "expected a URL without user and password")
	}
}
