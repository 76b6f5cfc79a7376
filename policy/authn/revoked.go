package authn

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/tenants/settings"
)

// userVariable names the user of a session.
const userVariable = "x-hasura-user-id"

// checkRevoked refuses tokens that were taken back. Who does not say when it was
// issued counts as issued before.
func checkRevoked(list []settings.Revocation, claims jwt.MapClaims, id *identity) error {
	if len(list) == 0 {
		return nil
	}
	var issued time.Time
	if at, err := claims.GetIssuedAt(); err == nil && at != nil {
		issued = at.Time
	}
	tokenID, _ := claims["jti"].(string)
	user := id.variables[userVariable]
	for _, r := range list {
		switch {
		case r.TokenID != "":
			if r.TokenID != tokenID {
				continue
			}
		case r.User != "":
			// The second in which it was revoked is over: what is issued in it may be
			// from before.
			if r.User != id.subject && r.User != user || issued.After(r.At) {
				continue
			}
		case r.IssuedBefore == nil || !issued.Before(*r.IssuedBefore):
			continue
		}
		return errcode.New(errcode.InvalidJWT, "Could not verify JWT: JWTRevoked")
	}
	return nil
}
