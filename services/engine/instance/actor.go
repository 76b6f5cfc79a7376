package instance

import (
	"errors"
	"strings"

	"tenantry/api/session"
	"tenantry/ops/audit"
)

// Actor is who a session is, for the audit.
func Actor(s session.Session) audit.Actor {
	switch s.Auth {
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
