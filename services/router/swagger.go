package router

import (
	"context"
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
)

// swagger answers /api/swagger/json: the OpenAPI document of the saved
// operations, admin only.
func (r *router) swagger(c *fiber.Ctx) error {
	x := exchange{generation: generation(c), headers: copyHeaders(c), ip: r.ClientIP(c), id: requestID(c)}
	ctx, cancel := context.WithTimeout(r.Base, commandTime)
	defer cancel()
	s, err := r.administrator(ctx, x)
	if err != nil {
		return r.refuseAdministrator(c, x, s, errcode.From(err))
	}
	r.recordCommand(x, s, "api/swagger/json", "", nil)
	text, err := json.Marshal(x.generation.Instance.OpenAPI())
	if err != nil {
		return err
	}
	return sendJSON(c, graphqlhttp.MediaJSON, text)
}
