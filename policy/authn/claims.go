package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

const (
	allowedRolesClaim = "x-hasura-allowed-roles"
	defaultRoleClaim  = "x-hasura-default-role"
)

// identity is what a verified token says. It is shared and never changed.
type identity struct {
	roles     []string
	standard  string            // the default role
	variables map[string]string // of the default role; sessions share it
	subject   string
	tokenID   string
	issued    time.Time // the epoch when the token does not say
	until     time.Time // how long the cache may keep it
	expires   time.Time // of the token, with the skew; zero: never
}

// as are the session variables with a role of the token.
func (id *identity) as(role string) map[string]string {
	if role == id.standard {
		return id.variables
	}
	variables := maps.Clone(id.variables)
	variables[session.RoleVariable] = role
	return variables
}

// claimsReader finds the x-hasura-* claims of a token.
type claimsReader struct {
	namespace string
	path      []step // instead of the namespace when atPath
	atPath    bool
	pathText  string
	text      bool // the claims are JSON in a string
	mapped    map[string]mappedClaim
}

type mappedClaim struct {
	literal any
	path    []step
	atPath  bool
	text    string
	hasElse bool
	orElse  any
}

func newClaimsReader(j settings.JWT) (*claimsReader, error) {
	r := &claimsReader{namespace: j.ClaimsNamespace, text: j.ClaimsFormat == "stringified_json", pathText: j.ClaimsNamespacePath}
	if r.namespace == "" {
		r.namespace = settings.DefaultNamespace
	}
	if j.ClaimsNamespacePath != "" {
		var err error
		if r.path, err = parsePath(j.ClaimsNamespacePath); err != nil {
			return nil, fmt.Errorf("claims_namespace_path: %w", err)
		}
		r.atPath = true
	}
	if j.ClaimsMap == nil {
		return r, nil
	}
	r.mapped = make(map[string]mappedClaim, len(j.ClaimsMap))
	for name, c := range j.ClaimsMap {
		m, err := newMappedClaim(c)
		if err != nil {
			return nil, fmt.Errorf("claims_map.%s: %w", name, err)
		}
		r.mapped[strings.ToLower(name)] = m
	}
	return r, nil
}

func newMappedClaim(c settings.Claim) (m mappedClaim, err error) {
	if c.Path == "" {
		m.literal, err = decode(c.Literal)
		return m, err
	}
	m.atPath, m.text = true, c.Path
	if m.path, err = parsePath(c.Path); err != nil {
		return m, err
	}
	if c.Default != nil {
		m.hasElse = true
		m.orElse, err = decode(c.Default)
	}
	return m, err
}

func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("expected JSON")
	}
	return v, nil
}

// read turns claims into roles and session variables. Errors are
// *errcode.Error.
func (r *claimsReader) read(token jwt.MapClaims) (*identity, error) {
	claims, err := r.collect(token)
	if err != nil {
		return nil, err
	}
	id := &identity{variables: make(map[string]string, len(claims))}
	id.subject, _ = token.GetSubject()
	if id.roles, err = roles(claims); err != nil {
		return nil, err
	}
	standard, ok := claims[defaultRoleClaim]
	if !ok {
		return nil, errcode.New(errcode.JWTMissingRoleClaims, "JWT claim does not contain %s", defaultRoleClaim)
	}
	if id.standard, ok = standard.(string); !ok || id.standard == "" {
		return nil, errcode.New(errcode.JWTInvalidClaims, "invalid %s; should be a role name", defaultRoleClaim)
	}
	for name, value := range claims {
		if name == allowedRolesClaim || name == defaultRoleClaim {
			continue
		}
		id.variables[name] = variable(value)
	}
	id.variables[session.RoleVariable] = id.standard
	return id, nil
}

// collect returns the x-hasura-* claims, names in lower case.
func (r *claimsReader) collect(token jwt.MapClaims) (map[string]any, error) {
	claims := map[string]any{}
	if r.mapped != nil {
		for name, m := range r.mapped {
			value := m.literal
			if m.atPath {
				var found bool
				if value, found = walk(map[string]any(token), m.path); !found {
					if !m.hasElse {
						return nil, errcode.New(errcode.JWTInvalidClaims, "JWT claim from claims_map, %s not found", name)
					}
					value = m.orElse
				}
			}
			claims[name] = value
		}
		return claims, nil
	}
	object, err := r.namespaced(token)
	if err != nil {
		return nil, err
	}
	// In order, so that of two names that differ in case always the same wins.
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if session.IsVariable(name) {
			claims[strings.ToLower(name)] = object[name]
		}
	}
	return claims, nil
}

func (r *claimsReader) namespaced(token jwt.MapClaims) (map[string]any, error) {
	var value any
	var found bool
	if r.atPath {
		if value, found = walk(map[string]any(token), r.path); !found {
			return nil, errcode.New(errcode.JWTInvalidClaims, "claims not found at claims_namespace_path: '%s'", r.pathText)
		}
	} else if value, found = token[r.namespace]; !found {
		return nil, errcode.New(errcode.JWTInvalidClaims, "claims key: '%s' not found", r.namespace)
	}
	if r.text {
		text, ok := value.(string)
		if ok {
			var err error
			value, err = decode([]byte(text))
			ok = err == nil
		}
		if !ok {
			return nil, errcode.New(errcode.JWTInvalidClaims, "expecting stringified json when claims_format is stringified_json")
		}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errcode.New(errcode.JWTInvalidClaims, "expecting object when claims_format is json")
	}
	return object, nil
}

func roles(claims map[string]any) ([]string, error) {
	value, ok := claims[allowedRolesClaim]
	if !ok {
		return nil, errcode.New(errcode.JWTMissingRoleClaims, "JWT claim does not contain %s", allowedRolesClaim)
	}
	list, ok := value.([]any)
	names := make([]string, len(list))
	for i := range list {
		if ok {
			names[i], ok = list[i].(string)
		}
	}
	if !ok {
		return nil, errcode.New(errcode.JWTInvalidClaims, "invalid %s; should be a list of roles", allowedRolesClaim)
	}
	return names, nil
}

// variable renders a claim: strings as they are, lists of strings as a Postgres
// array, everything else as JSON.
func variable(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		if text, ok := postgresArray(v); ok {
			return text
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func postgresArray(list []any) (string, bool) {
	var out catalog.Array
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return "", false
		}
		out.AddShort(s)
	}
	return out.String(), true
}
