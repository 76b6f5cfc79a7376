package authn

import (
	"errors"
	"strconv"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/delegation"
)

// delegated is the session of a handler that calls back with the token that it
// was given: GraphQL as exactly the role that called it, and nothing else.
func (a *Authenticator) delegated(c Call, token string) (session.Session, error) {
	if c.Surface != GraphQL {
		return session.Session{}, errcode.New(errcode.AccessDenied, "a delegation token is not accepted here: it is for GraphQL alone")
	}
	key := tokenKey(delegationConfig, token)
	s, known := a.delegations.get(key, a.now())
	if !known {
		var err error
		if s, err = a.verifyDelegation(token); err != nil {
			return session.Session{}, err
		}
		until := a.now().Add(cacheFor)
		if s.Expires.Before(until) {
			until = s.Expires
		}
		a.delegations.put(key, s, until)
	}
	_, err := chooseRole(c.Headers, []string{s.Role}, s.Role)
	return s, err
}

// delegationConfig stands where the number of the token settings stands for other
// tokens.
const delegationConfig = -1

func (a *Authenticator) verifyDelegation(token string) (session.Session, error) {
	d, err := a.cfg.Delegation.Verify(token)
	switch {
	case errors.Is(err, delegation.ErrDepth):
		return session.Session{}, delegation.Exceeded()
	case err != nil:
		return session.Session{}, errcode.New(errcode.InvalidJWT, "Could not verify JWT: %s", delegationReason(err)).Because(err)
	}
	revocable := issued{
		ids: []string{d.ID, d.Session.TokenID}, users: []string{d.Subject, d.Session.Variables[userVariable]}, at: d.Session.IssuedAt,
	}
	if d.Session.Origin() == session.AuthJWT {
		revocable.users = append(revocable.users, d.Session.Actor) // the sub of the first caller's token
	}
	return d.Session, checkRevoked(a.cfg.Revoked, revocable)
}

// delegationReason is the public word for a failure, as for other tokens.
func delegationReason(err error) string {
	switch {
	case errors.Is(err, delegation.ErrExpired):
		return "JWTExpired"
	case errors.Is(err, delegation.ErrProject):
		return "JWTNotInAudience"
	case errors.Is(err, delegation.ErrMalformed):
		return "malformed token"
	}
	return "JWSError JWSInvalidSignature"
}

// traceDepth is what the trace of a request says of the handlers before it, where
// one calls back without a delegation token. A client that claims a depth only
// shortens what it may do.
func traceDepth(h Headers) int {
	state, present := h.Lookup("tracestate")
	if !present {
		return 0
	}
	for member := range strings.SplitSeq(state, ",") {
		if text, ours := strings.CutPrefix(strings.TrimSpace(member), delegation.TraceMember+"="); ours {
			if n, err := strconv.Atoi(strings.TrimPrefix(text, "d:")); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}
