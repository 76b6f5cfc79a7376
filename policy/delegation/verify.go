package delegation

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"tenantry/api/session"
)

// What is wrong with a token that is refused.
var (
	ErrMalformed = errors.New("delegation: malformed token")
	ErrSignature = errors.New("delegation: no key of the project has signed the token")
	ErrProject   = errors.New("delegation: the token is for another project")
	ErrExpired   = errors.New("delegation: the token has expired")
	ErrDepth     = errors.New("delegation: too many handlers stand between the client and this request")
)

// Delegated is what a verified token says.
type Delegated struct {
	// Session is whom the handler acts as; IP is not in it.
	Session session.Session
	// ID is the token's own jti, Subject its user.
	ID, Subject string
}

// Verify reads a token: its form and algorithm, its signature by a key that still
// counts, for whom it is, its time and its depth. The error is one of Err….
func (k *Keys) Verify(token string) (Delegated, error) {
	if k == nil {
		return Delegated{}, ErrSignature
	}
	head, rest, _ := strings.Cut(token, ".")
	body, signature, ok := strings.Cut(rest, ".")
	text, err := decode(body)
	var c claims
	if !ok || err != nil || json.Unmarshal(text, &c) != nil {
		return Delegated{}, ErrMalformed
	}
	// Told before the signature is looked at: that of another project can't be
	// checked here, and the token's owner knows what it is for.
	if c.Issuer != Issuer(k.project) || c.Audience != k.project {
		return Delegated{}, ErrProject
	}
	now := k.now()
	if !k.signed(head, token[:len(token)-len(signature)-1], signature, now) {
		return Delegated{}, ErrSignature
	}
	expires := time.Unix(c.Expires, 0)
	switch {
	case !now.Before(expires):
		return Delegated{}, ErrExpired
	case c.Depth < 1 || c.Depth > MaxDepth:
		return Delegated{}, ErrDepth
	}
	role, _ := c.Variables[defaultRole].(string)
	if role == "" {
		return Delegated{}, ErrMalformed
	}
	variables := make(map[string]string, len(c.Variables))
	for name, value := range c.Variables {
		if text, ok := value.(string); ok && name != defaultRole {
			variables[name] = text
		}
	}
	variables[session.RoleVariable] = role
	return Delegated{ID: c.ID, Subject: c.Subject, Session: session.Session{
		Project: k.project, Role: role, Variables: variables, Auth: session.AuthDelegation, Actor: c.Origin.Actor,
		Expires: expires, IssuedAt: fromSeconds(c.Authenticated), TokenID: c.Origin.TokenID, Depth: c.Depth,
		Delegation: &session.Delegation{Action: c.Action, Auth: c.Origin.Auth},
	}}, nil
}

// signed reports whether a key that still counts has signed. A header that is not
// byte by byte what that key's tokens have is refused: there is no other
// algorithm, no key that the token brings itself, nothing to choose.
func (k *Keys) signed(header, text, signature string, now time.Time) bool {
	given, err := decode(signature)
	if err != nil {
		return false
	}
	for i := range k.keys {
		if one := &k.keys[i]; one.header == header && !one.ended(now) {
			return ed25519.Verify(one.public, []byte(text), given)
		}
	}
	return false
}
