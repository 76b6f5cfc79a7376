package authn

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/settings"
)

// tokenConfig is one entry of the token settings, compiled.
type tokenConfig struct {
	at     settings.JWTHeader
	issuer string
	parser *jwt.Parser
	skew   time.Duration
	// key finds the verification key of a token; exactly one of the two is set.
	key    any
	keys   *keySet
	claims *claimsReader
}

func newTokenConfig(ctx context.Context, j settings.JWT, client *http.Client, logger *slog.Logger, now func() time.Time) (*tokenConfig, error) {
	t := &tokenConfig{issuer: j.Issuer, skew: time.Duration(j.AllowedSkew) * time.Second}
	if j.Header != nil {
		t.at = *j.Header
	}
	methods := asymmetric
	if j.JWKURL != "" {
		t.keys = newKeySet(ctx, j.JWKURL, client, logger, now)
	} else {
		var err error
		if t.key, methods, err = parseKey(j.Type, j.Key); err != nil {
			return nil, err
		}
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(methods), jwt.WithJSONNumber(), jwt.WithTimeFunc(now), jwt.WithLeeway(t.skew),
	}
	if len(j.Audience) > 0 {
		options = append(options, jwt.WithAudience(j.Audience...))
	}
	if j.Issuer != "" {
		options = append(options, jwt.WithIssuer(j.Issuer))
	}
	t.parser = jwt.NewParser(options...)
	var err error
	t.claims, err = newClaimsReader(j)
	return t, err
}

// token authenticates by the token settings. found is false when the request
// has no token at any of the places.
func (a *Authenticator) token(ctx context.Context, c Call) (s session.Session, found bool, err error) {
	type candidate struct {
		config int
		text   string
		key    cacheKey
		id     *identity // when the token was verified before
	}
	candidates := make([]candidate, 0, 1)
	for i, t := range a.tokens {
		text, present, err := locate(c.Headers, t.at)
		if err != nil {
			return session.Session{}, true, err
		}
		if !present {
			continue
		}
		found = true
		if t.at.Type == "Cookie" {
			if err := checkForgery(c); err != nil {
				return session.Session{}, true, err
			}
		}
		key := tokenKey(i, text)
		id, _ := a.cache.get(key, a.now())
		if id == nil && t.issuer != "" && t.issuer != unverifiedIssuer(text) {
			continue
		}
		candidates = append(candidates, candidate{i, text, key, id})
	}
	switch {
	case !found:
		return session.Session{}, false, nil
	case len(candidates) == 0:
		return session.Session{}, true, errcode.New(errcode.InvalidJWT, "Could not verify JWT: JWTNotInIssuer")
	case len(candidates) > 1:
		return session.Session{}, true, errcode.New(errcode.InvalidHeaders, "Could not verify JWT: Multiple JWTs found")
	}
	id := candidates[0].id
	if id == nil {
		if id, err = a.verify(ctx, candidates[0].config, candidates[0].text); err != nil {
			return session.Session{}, true, err
		}
		a.cache.put(candidates[0].key, id, id.until)
	}
	role, err := chooseRole(c.Headers, id.roles, id.standard)
	if err != nil {
		return session.Session{}, true, err
	}
	return session.Session{
		Role: role, Variables: id.as(role), Auth: session.AuthJWT, Actor: id.subject, Expires: id.expires, IssuedAt: id.issued, TokenID: id.tokenID,
	}, true, nil
}

// verify returns what a token says once its signature and times hold. It may be
// remembered for a short while, never beyond its expiry.
func (a *Authenticator) verify(ctx context.Context, config int, text string) (*identity, error) {
	t := a.tokens[config]
	claims := jwt.MapClaims{}
	if _, err := t.parser.ParseWithClaims(text, claims, t.keyfunc(ctx)); err != nil {
		return nil, errcode.New(errcode.InvalidJWT, "Could not verify JWT: %s", reason(err)).Because(err)
	}
	id, err := t.claims.read(claims)
	if err != nil {
		return nil, err
	}
	id.tokenID, _ = claims["jti"].(string)
	id.issued = time.Unix(0, 0)
	if at, err := claims.GetIssuedAt(); err == nil && at != nil {
		id.issued = at.Time
	}
	revocable := issued{ids: []string{id.tokenID}, users: []string{id.subject, id.variables[userVariable]}, at: id.issued}
	if err := checkRevoked(a.cfg.Revoked, revocable); err != nil {
		return nil, err
	}
	id.until = a.now().Add(cacheFor)
	if exp, err := claims.GetExpirationTime(); err == nil && exp != nil {
		id.expires = exp.Add(t.skew)
		if id.expires.Before(id.until) {
			id.until = id.expires
		}
	}
	return id, nil
}

func (t *tokenConfig) keyfunc(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if _, has := token.Header["crit"]; has {
			return nil, errCritical
		}
		if t.keys != nil {
			return t.keys.find(ctx, token)
		}
		return t.key, nil
	}
}

// errCritical is said of a token whose header demands to be understood as no other
// is (RFC 7515 §4.1.11).
var errCritical = errors.New("the token has critical extensions, and none are known")

// reason is the public word for a failure. All failures of signature, algorithm
// and key have the same one.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "malformed token"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return "JWSError JWSInvalidSignature"
	case errors.Is(err, jwt.ErrTokenExpired):
		return "JWTExpired"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "JWTNotYetValid"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "JWTNotInIssuer"
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "JWTNotInAudience"
	}
	return "JWTClaimsSetDecodeError"
}

// unverifiedIssuer reads a token's issuer, only to choose the settings that it
// is then verified with.
func unverifiedIssuer(text string) string {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text, claims); err != nil {
		return ""
	}
	issuer, _ := claims.GetIssuer()
	return issuer
}
