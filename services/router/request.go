package router

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/graphqlhttp"
)

// headers are a request's headers, copied out of fiber's buffers, which are
// reused for the next request.
type headers []graphqlhttp.Header

func copyHeaders(c *fiber.Ctx) headers {
	var text strings.Builder // all of them in one piece: they live as long as the request
	text.Grow(len(c.Request().Header.RawHeaders()) + 64)
	out := make(headers, 0, 12)
	for name, value := range c.Request().Header.All() {
		from := text.Len()
		text.Write(name)
		text.Write(value)
		both := text.String()[from:]
		out = append(out, graphqlhttp.Header{Name: both[:len(name)], Value: both[len(name):]})
	}
	return out
}

// Lookup returns the first value of a header; present and empty is present.
func (h headers) Lookup(name string) (string, bool) {
	for _, one := range h {
		if strings.EqualFold(one.Name, name) {
			return one.Value, true
		}
	}
	return "", false
}

// All calls f for each header.
func (h headers) All(f func(name, value string)) {
	for _, one := range h {
		f(one.Name, one.Value)
	}
}
