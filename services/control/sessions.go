package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/tenants/settings"
)

func (s *service) registerSessions() {
	// Whoever takes back all tokens locks all users out.
	register(s, endpoint{id: "revokeSessions", method: http.MethodPost, path: "/projects/{project}/sessions:revoke", class: authz.ClassSecrets, tag: "Authentication",
		summary: "Take tokens back before they expire: of a user, one by its jti, or all issued before a time"}, s.revokeSessions)
}

type revokeSessionsInput struct {
	ProjectPath
	Body struct {
		User         string     `json:"user,omitempty" maxLength:"512" doc:"All tokens that the user has now: those with this sub or x-hasura-user-id."`
		TokenID      string     `json:"jti,omitempty" maxLength:"512" doc:"The token with this jti."`
		IssuedBefore *time.Time `json:"issued_before,omitempty" doc:"All tokens that were issued before, and those that do not say when they were."`
	}
}

type revokeSessionsOutput struct {
	Body struct {
		RevokedAt   time.Time `json:"revoked_at"`
		Revocations int       `json:"revocations" doc:"How many are in force."`
	}
}

// revokeSessions works on every node as soon as it hears of the change; open
// sockets of these tokens are closed.
func (s *service) revokeSessions(ctx context.Context, c *call, in *revokeSessionsInput) (*revokeSessionsOutput, error) {
	b := in.Body
	given := 0
	for _, is := range []bool{b.User != "", b.TokenID != "", b.IssuedBefore != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, invalid(wrong("", "expected exactly one of user, jti and issued_before"))
	}
	r := settings.Revocation{User: b.User, TokenID: b.TokenID, IssuedBefore: b.IssuedBefore, At: s.Now().UTC()}
	if b.IssuedBefore != nil && b.IssuedBefore.After(r.At.Add(time.Minute)) {
		return nil, invalid(wrong("/issued_before", "expected a time that is not in the future: tokens that are issued until then would not count either"))
	}
	o, err := s.changeSettings(ctx, c, "", "sessions.revoke", c.in("sessions"), func(set *settings.Settings) error {
		next, ok := set.WithRevocation(r)
		if !ok {
			return problem(http.StatusConflict, errcode.Conflict, fmt.Sprintf("the project has %d revocations; take back all tokens with issued_before", settings.MaxRevocations))
		}
		*set = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &revokeSessionsOutput{}
	out.Body.RevokedAt, out.Body.Revocations = r.At, len(o.Settings.Revoked)
	return out, nil
}
