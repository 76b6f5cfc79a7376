package authn_test

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/policy/authn"
	"tenantry/tenants/settings"
)

func TestRevokedTokensAreRefused(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	before, after := now.Add(-time.Minute), now.Add(time.Minute)
	for _, test := range []struct {
		name    string
		revoked settings.Revocation
		claims  map[string]any
		refused bool
	}{
		{"the user's token", settings.Revocation{User: "u1", At: now}, map[string]any{"sub": "u1", "iat": before.Unix()}, true},
		{"one of the same second", settings.Revocation{User: "u1", At: now}, map[string]any{"sub": "u1", "iat": now.Unix()}, true},
		{"a later one", settings.Revocation{User: "u1", At: now}, map[string]any{"sub": "u1", "iat": after.Unix()}, false},
		{"one without a time", settings.Revocation{User: "u1", At: now}, map[string]any{"sub": "u1"}, true},
		{"another user's", settings.Revocation{User: "u1", At: now}, map[string]any{"sub": "u2", "iat": before.Unix()}, false},
		{"by the session variable", settings.Revocation{User: "7", At: now}, map[string]any{"iat": before.Unix()}, true},
		{"by id", settings.Revocation{TokenID: "t1", At: now}, map[string]any{"jti": "t1", "iat": after.Unix()}, true},
		{"by another id", settings.Revocation{TokenID: "t1", At: now}, map[string]any{"jti": "t2"}, false},
		{"all that are older", settings.Revocation{IssuedBefore: &now, At: now}, map[string]any{"iat": before.Unix()}, true},
		{"all that are older, without a time", settings.Revocation{IssuedBefore: &now, At: now}, nil, true},
		{"all that are older, a new one", settings.Revocation{IssuedBefore: &now, At: now}, map[string]any{"iat": now.Unix()}, false},
	} {
		cfg := hs(func(*settings.JWT) {})
		cfg.Revoked = []settings.Revocation{{TokenID: "other", At: now}, test.revoked}
		// Tokens that are dated a minute ahead are from a clock that is.
		cfg.Auth.JWT[0].AllowedSkew = 120
		extra := map[string]any{"https://hasura.io/jwt/claims": map[string]any{
			"x-hasura-allowed-roles": []string{"user"}, "x-hasura-default-role": "user", "x-hasura-user-id": "7",
		}}
		for k, v := range test.claims {
			extra[k] = v
		}
		token := sign(t, jwt.SigningMethodHS256, []byte(shared), claims(extra))
		_, err := authenticator(t, cfg).Authenticate(t.Context(), headers{"Authorization": "Bearer " + token}, "", authn.GraphQL)
		if !test.refused && err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if test.refused {
			refused(t, test.name, err, errcode.InvalidJWT, "Could not verify JWT: JWTRevoked")
		}
	}
}
