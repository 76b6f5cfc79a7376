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
	h := &c.Request().Header
	copied := &headerCopy{}
	copied.list = copied.room[:0]
	copied.text.Grow(len(h.RawHeaders()) + 64)
	h.All()(copied.add)
	return copied.list
}

// headerCopy is a copy of headers in two pieces of memory: they live and die
// together.
type headerCopy struct {
	text strings.Builder
	list headers
	room [12]graphqlhttp.Header
}

func (h *headerCopy) add(name, value []byte) bool {
	from := h.text.Len()
	h.text.Write(name)
	h.text.Write(value)
	both := h.text.String()[from:]
	h.list = append(h.list, graphqlhttp.Header{Name: both[:len(name)], Value: both[len(name):]})
	return true
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
