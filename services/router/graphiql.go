package router

import (
	"embed"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// graphiqlFiles are the page and the published builds that it needs, compressed,
// so that it works without a network; NOTICE says whose they are.
//
//go:embed graphiql
var graphiqlFiles embed.FS

// graphiql serves the GraphiQL page of a project.
func (r *router) graphiql(c *fiber.Ctx) error {
	if !strings.HasSuffix(c.Path(), "/") {
		return c.Redirect(c.Path()+"/", fiber.StatusFound) // the page's links are relative
	}
	page, err := graphiqlFiles.ReadFile("graphiql/page.html")
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	// A slug holds nothing that HTML could read.
	return c.SendString(strings.ReplaceAll(string(page), "{{PROJECT}}", generation(c).Project.Slug))
}

// graphiqlAsset serves one of the page's files.
func (r *router) graphiqlAsset(c *fiber.Ctx) error {
	name := strings.Clone(c.Params("name"))
	body, err := graphiqlFiles.ReadFile("graphiql/" + name + ".gz")
	if err != nil {
		return fiber.ErrNotFound
	}
	media := "text/javascript; charset=utf-8"
	if strings.HasSuffix(name, ".css") {
		media = "text/css; charset=utf-8"
	}
	c.Set(fiber.HeaderContentType, media)
	c.Set(fiber.HeaderContentEncoding, "gzip")
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	return c.Send(body)
}
