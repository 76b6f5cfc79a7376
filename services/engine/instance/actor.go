package instance

import (
	"errors"
	"strings"

	"tenantry/api/session"
	"tenantry/ops/audit"
)

// Actor is who a session is, for the audit: the first caller where a handler calls
// back.
func Actor(s session.Session) audit.Actor {
	switch s.Origin() {
	case session.AuthAdminSecret:
		return audit.Actor{Kind: "admin_secret", ID: s.Actor}
	case session.AuthAPIKey:
		return audit.Actor{Kind: "project_key", ID: s.Actor}
	case session.AuthTenantKey:
		return audit.Actor{Kind: "tenant_key", ID: s.Actor}
	}
	id := s.Actor
	if user, ok := s.Lookup("x-hasura-user-id"); ok && id == "" {
		id = user
	}
	return audit.Actor{Kind: "user", ID: id}
}

// AdminUse reports whether a session makes use of an admin secret: itself, or the
// handler that its owner called acts as an admin. It is audited always.
func AdminUse(s session.Session) bool {
	return s.Auth == session.AuthAdminSecret || s.Delegation != nil && s.IsAdmin()
}

// Delegated adds to an event's detail whose handler it was that called back.
func Delegated(s session.Session, detail map[string]any) map[string]any {
	if s.Delegation != nil {
		detail["auth"], detail["delegated_by"], detail["depth"] = string(s.Auth), s.Delegation.Action, s.Depth
	}
	return detail
}

// operatorText is an error with its private causes, for logs.
func operatorText(err error) string {
	var out []string
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		if len(out) == 0 || !strings.Contains(out[len(out)-1], text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ": ")
}
