package program

import (
	"context"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"tenantry/policy/authz"
	"tenantry/services/control"
)

// controlPrefix is where the control API and its readable page are.
const controlPrefix = "/api/"

// mountControl has the control API answer what is under its prefix. It is made when
// the first such request comes, or prepare is called: compiling its policy and putting
// its hundred endpoints together takes as long as all else at a start.
func mountControl(app *fiber.App, deps control.Deps) (prepare func() *fiber.App) {
	prepare = sync.OnceValue(func() *fiber.App {
		var err error
		if deps.Control, err = authz.NewControl(context.Background()); err != nil {
			panic(err) // a mistake in this program, which answers nobody then
		}
		api := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: control.ErrorHandler})
		control.New(api, deps)
		return api
	})
	app.Use(func(c *fiber.Ctx) error {
		if !strings.HasPrefix(c.Path(), controlPrefix) {
			return c.Next()
		}
		prepare().Handler()(c.Context())
		return nil
	})
	return prepare
}
