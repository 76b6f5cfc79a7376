package router

import (
	"math"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/policy/limits"
)

// answers are the responses to one HTTP request: one, or a batch in order.
type answers struct {
	batch     bool
	responses []graphqlhttp.Response
	rate      limits.Decision
}

// present is the one place where a GraphQL answer is written.
func (r *router) present(c *fiber.Ctx, x exchange, a answers) error {
	rateHeaders(c, a.rate, a.rateRefused())
	media := graphqlhttp.MediaJSON
	if wantsStatuses(x.headers) {
		media = graphqlhttp.MediaResponse
	}
	if x.get {
		c.Set(fiber.HeaderCacheControl, "no-store")
	}
	if a.batch && len(a.responses) > 0 && a.responses[0].Body != nil {
		return sendJSON(c, media, joinBatch(a.responses))
	}
	one := a.responses[0]
	for _, h := range one.Headers {
		c.Response().Header.Add(h.Name, h.Value)
	}
	if x.statuses {
		c.Status(graphqlStatus(one.Err))
	}
	return sendJSON(c, media, one.Document())
}

func joinBatch(responses []graphqlhttp.Response) []byte {
	size := 2
	for _, one := range responses {
		size += len(one.Body) + len(one.Extensions) + 16
	}
	out := append(make([]byte, 0, size), '[')
	for i, one := range responses {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, one.Document()...)
	}
	return append(out, ']')
}

// Names of the headers that tell of the rate limit, in the form in which the
// server keeps names; header names are the same in any case.
var (
	rateLimit     = []byte("Ratelimit-Limit")
	rateRemaining = []byte("Ratelimit-Remaining")
	rateReset     = []byte("Ratelimit-Reset")
	retryAfter    = []byte(fiber.HeaderRetryAfter)
)

func rateHeaders(c *fiber.Ctx, d limits.Decision, refused bool) {
	if !d.Applies {
		return
	}
	var room [20]byte
	number := func(n int) []byte { return strconv.AppendInt(room[:0], int64(n), 10) }
	h := &c.Response().Header
	h.SetCanonical(rateLimit, number(d.Limit))
	h.SetCanonical(rateRemaining, number(max(d.Remaining, 0)))
	seconds := number(int(math.Ceil(d.Reset.Seconds())))
	h.SetCanonical(rateReset, seconds)
	if refused {
		h.SetCanonical(retryAfter, seconds)
	}
}

// refusedForNow reports whether a later request may pass.
func refusedForNow(e *errcode.Error) bool {
	return e != nil && (e.Code == errcode.RateLimitExceeded || e.Code == errcode.QuotaExceeded)
}

func (a answers) rateRefused() bool {
	for _, one := range a.responses {
		if refusedForNow(one.Err) {
			return true
		}
	}
	return false
}
