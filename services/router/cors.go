package router

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/services/live"
)

// cors lets pages of the project's origins read the answer. It reports whether
// the request was a preflight, which is answered without the engine. Without
// configured origins no page of another origin may read anything.
func (r *router) cors(c *fiber.Ctx, g *live.Generation) bool {
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return false
	}
	preflight := c.Method() == fiber.MethodOptions
	c.Vary(fiber.HeaderOrigin)
	allowed, named := allowedOrigin(g.Instance.Settings.Auth.CORS.Origins, origin)
	if !allowed {
		return preflight
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	if named { // never for "*": any page could act with the cookies of its readers
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
	c.Set(fiber.HeaderAccessControlExposeHeaders, "x-request-id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Idempotency-Replayed")
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET,POST,PUT,PATCH,DELETE,OPTIONS") // of REST endpoints too
	if preflight {
		if wanted := c.Get(fiber.HeaderAccessControlRequestHeaders); wanted != "" {
			c.Set(fiber.HeaderAccessControlAllowHeaders, wanted)
		}
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	return preflight
}

// socketOrigin tells whether a page of an origin may open a socket, and whether
// the cookies that its browser sends count. Browsers let every page open sockets
// to everywhere, with cookies: what they keep from pages over HTTP is kept here.
// Programs without an origin, and pages of the same host, may do both.
func socketOrigin(list []string, origin, host string) (allowed, cookies bool) {
	if origin == "" {
		return true, true
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, host) {
		return true, true
	}
	return allowedOrigin(list, origin)
}

// hostLabel is a part of a host's name between dots, in lower case.
var hostLabel = regexp.MustCompile(`^[a-z0-9_-]+$`)

// allowedOrigin compares an origin with "*", exact origins, and origins whose
// first label is a wildcard; named is false where only "*" allows it.
func allowedOrigin(list []string, origin string) (allowed, named bool) {
	for _, a := range list {
		if a == "*" {
			allowed = true
			continue
		}
		if strings.EqualFold(a, origin) {
			return true, true
		}
		if before, after, ok := strings.Cut(a, "*."); ok {
			rest, found := strings.CutPrefix(strings.ToLower(origin), strings.ToLower(before))
			label, domain, dotted := strings.Cut(rest, ".")
			if found && dotted && hostLabel.MatchString(label) && strings.EqualFold(domain, after) {
				return true, true
			}
		}
	}
	return allowed, false
}
