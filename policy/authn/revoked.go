package authn

import (
	"slices"
	"time"

	"tenantry/api/errcode"
	"tenantry/tenants/settings"
)

// userVariable names the user of a session.
const userVariable = "x-hasura-user-id"

// issued is what a revocation looks at in a token.
type issued struct {
	ids   []string // its jti, and that of the token which it comes from
	users []string // its sub and x-hasura-user-id
	// at is when it was issued; the epoch when it does not say.
	at time.Time
}

// checkRevoked refuses tokens that were taken back. Who does not say when it was
// issued counts as issued before.
func checkRevoked(list []settings.Revocation, token issued) error {
	for _, r := range list {
		switch {
		case r.TokenID != "":
			if !slices.Contains(token.ids, r.TokenID) {
				continue
			}
		case r.User != "":
			// The second in which it was revoked is over: what is issued in it may be
			// from before.
			if !slices.Contains(token.users, r.User) || token.at.After(r.At) {
				continue
			}
		case r.IssuedBefore == nil || !token.at.Before(*r.IssuedBefore):
			continue
		}
		return errcode.New(errcode.InvalidJWT, "Could not verify JWT: JWTRevoked")
	}
	return nil
}
