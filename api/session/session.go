// Package session holds who a request acts as: the value that authentication
// makes and every later stage reads.
package session

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Admin is the role that no permission restricts.
const Admin = "admin"

// RoleVariable is the session variable that names the role.
const RoleVariable = "x-hasura-role"

// Auth says how a session was authenticated.
type Auth string

// The ways to authenticate.
const (
	AuthAdminSecret Auth = "admin_secret"
	AuthAPIKey      Auth = "api_key"
	AuthTenantKey   Auth = "tenant_key"
	AuthJWT         Auth = "jwt"
	AuthWebhook     Auth = "webhook"
	AuthDelegation  Auth = "delegation"
	AuthAnonymous   Auth = "anonymous"
)

// Session is who a request acts as. It is made once by policy/authn, never
// changed afterwards, and safe to share.
type Session struct {
	// Project is the id of the project that the session belongs to.
	Project string
	// Role was chosen for this request and is allowed to the caller.
	Role string
	// Variables are the x-hasura-* variables, names in lower case, x-hasura-role
	// among them. Present and empty is not the same as absent.
	Variables map[string]string
	Auth      Auth
	// Actor identifies the credential for the audit: the id of a secret or key,
	// or the subject of a token. Never a secret itself.
	Actor string
	// BackendOnly is true when backend-only permissions may be used.
	BackendOnly bool
	// Expires is when the credential ends, for what outlives a request; zero when
	// it does not end by itself.
	Expires time.Time
	// IssuedAt is when the credential was issued: the epoch for a token that does
	// not say so, zero for what is no token.
	IssuedAt time.Time
	// TokenID is the jti of the client's token; empty when it has none.
	TokenID string
	// IP is the caller's address as the edge believes it.
	IP string
	// Depth counts delegated call-backs: 0 for a client, +1 for each handler in
	// between.
	Depth int
	// Delegation tells how a handler came to act as the caller; nil unless Auth is
	// AuthDelegation.
	Delegation *Delegation
}

// Delegation is what a delegated session says beside whom it acts as: Actor,
// IssuedAt and TokenID are those of the first caller.
type Delegation struct {
	Action string // whose handler calls back
	Auth   Auth   // how the first caller was authenticated
}

// Origin is how the first caller was authenticated.
func (s Session) Origin() Auth {
	if s.Delegation != nil {
		return s.Delegation.Auth
	}
	return s.Auth
}

// IsAdmin reports whether no permission restricts the session.
func (s Session) IsAdmin() bool { return s.Role == Admin }

// Lookup returns a session variable by its name in any case.
func (s Session) Lookup(name string) (string, bool) {
	v, ok := s.Variables[strings.ToLower(name)]
	return v, ok
}

// Names returns the names of the variables in order.
func (s Session) Names() []string { return slices.Sorted(maps.Keys(s.Variables)) }

// IsVariable reports whether a rule's string value names a session variable.
func IsVariable(value string) bool {
	return len(value) > 9 && strings.EqualFold(value[:9], "x-hasura-")
}
