package router

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
)

// graphqlPath reports whether the request's path speaks GraphQL errors; the
// other paths speak the dialect's {path, error, code}.
func graphqlPath(c *fiber.Ctx) bool {
	return strings.HasSuffix(c.Path(), "/graphql") || strings.HasSuffix(c.Path(), "/relay")
}

// refuse answers with an error before there is a session, in the form of the
// path: unknown and suspended projects carry their status on every path.
func refuse(c *fiber.Ctx, e *errcode.Error) error {
	c.Status(e.Status())
	return answerForm(c, e)
}

// restError is the error form of the metadata API (contracts §1.9).
func restError(e *errcode.Error, internal bool) []byte {
	path := e.Path
	if path == "" {
		path = "$"
	}
	doc := map[string]any{"path": path, "error": e.Message, "code": string(e.Code)}
	if internal && e.Internal != nil {
		doc["internal"] = e.Internal
	}
	out, err := json.Marshal(doc)
	if err != nil { // a detail that doesn't encode is left out
		delete(doc, "internal")
		out, _ = json.Marshal(doc)
	}
	return out
}

// sendJSON answers with a document that nobody changes any more.
func sendJSON(c *fiber.Ctx, media string, body []byte) error {
	c.Set(fiber.HeaderContentType, media+"; charset=utf-8")
	c.Response().SetBodyRaw(body)
	return nil
}

// wantsStatuses reports whether the client asked for the GraphQL-over-HTTP
// media type, and with it for HTTP statuses.
func wantsStatuses(h headers) bool {
	accept, _ := h.Lookup(fiber.HeaderAccept)
	return strings.Contains(accept, graphqlhttp.MediaResponse)
}

// graphqlStatus is the status of a GraphQL refusal where statuses are wanted.
// What a client can only answer by another request is 400, as the specification
// of GraphQL over HTTP says.
func graphqlStatus(e *errcode.Error) int {
	if e == nil {
		return fiber.StatusOK
	}
	return e.Status()
}

// ErrorHandler answers what no route answered, in the error form of the path.
func ErrorHandler(c *fiber.Ctx, err error) error {
	var known *fiber.Error
	e := errcode.From(err)
	switch {
	case !errors.As(err, &known):
	case known.Code == fiber.StatusNotFound:
		e = errcode.New(errcode.NotFound, "resource does not exist")
	case known.Code == fiber.StatusMethodNotAllowed:
		e = errcode.New(errcode.MethodNotAllowed, "the method is not allowed here")
	case known.Code == fiber.StatusRequestEntityTooLarge:
		e = errcode.New(errcode.BadRequest, "the body is too large")
		c.Set(fiber.HeaderConnection, "close")
		c.Status(known.Code)
		return answerForm(c, e)
	case known.Code < fiber.StatusInternalServerError:
		e = errcode.New(errcode.BadRequest, "the request can't be read")
	}
	c.Status(e.Status())
	return answerForm(c, e)
}

// answerForm writes an error in the form of its path: GraphQL's, or that of the
// dialect's other APIs.
func answerForm(c *fiber.Ctx, e *errcode.Error) error {
	if graphqlPath(c) {
		return sendJSON(c, graphqlhttp.MediaJSON, graphqlhttp.ErrorBody(e, false))
	}
	return sendJSON(c, graphqlhttp.MediaJSON, restError(e, false))
}
