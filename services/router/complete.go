package router

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// completionTime bounds the keeping of a result.
const completionTime = 10 * time.Second

// completeRun takes the result that the handler of an asynchronous action reports.
// The token that came with the delivery is all that it needs.
func (r *router) completeRun(c *fiber.Ctx) error {
	if encoded(c.Get(fiber.HeaderContentEncoding)) {
		return sendJSON(c.Status(errEncoded.Status()), graphqlhttp.MediaJSON, restError(errEncoded, false))
	}
	token, _ := strings.CutPrefix(strings.Clone(c.Get(fiber.HeaderAuthorization)), "Bearer ")
	ctx, cancel := context.WithTimeout(r.Base, completionTime)
	defer cancel()
	err := generation(c).Instance.CompleteRun(ctx, instance.Completion{
		Run: strings.Clone(c.Params("id")), Token: token, RequestID: requestID(c), IP: r.ClientIP(c),
		Body: bytes.Clone(c.Request().Body()), // as it came; fiber's own Body would decode it
	})
	if err != nil {
		e := errcode.From(err)
		if e.Code == errcode.Unexpected {
			r.Logger.Error("result of a run not kept", "type", "http-log", "request_id", requestID(c), "error", err)
		}
		return sendJSON(c.Status(e.Status()), graphqlhttp.MediaJSON, restError(e, false))
	}
	return c.SendStatus(fiber.StatusNoContent)
}
