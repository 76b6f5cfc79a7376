package control

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
)

// bearerScheme names the way to authenticate in the OpenAPI document.
const bearerScheme = "key"

// apiVersion is that of the control API, not of the program.
const apiVersion = "1"

// openAPI makes the API with an empty document.
func (s *service) openAPI(app *fiber.App) huma.API {
	config := huma.DefaultConfig("Tenantry control API", apiVersion)
	config.CreateHooks = nil // no $schema links in answers
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "Tenants, projects and everything that a project is configured with. Errors are problem documents (RFC 9457) with a stable code; " +
		"lists are paged by cursor; every POST takes an Idempotency-Key; every answer carries x-request-id. What belongs to another tenant is 404."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearerScheme: {Type: "http", Scheme: "bearer", Description: "A key of the operator, a tenant (tk_…) or a project (pk_…)."},
	}
	return humafiber.NewWithGroup(app, escapeVerbs{app}, config)
}

// registerDocument serves the OpenAPI document and the readable page, without a
// key. They are made when somebody asks for them: together they would be a fifth of
// what the program does until it serves.
func (s *service) registerDocument(app *fiber.App) {
	s.describePolicyBody()
	document := sync.OnceValues(func() ([]byte, error) { return json.Marshal(s.api.OpenAPI()) })
	app.Get(prefix+"/openapi.json", func(c *fiber.Ctx) error {
		text, err := document()
		if err != nil {
			return err
		}
		c.Set("Content-Type", "application/openapi+json")
		return c.Send(text)
	})
	s.routes = append(s.routes, route{http.MethodGet, prefix + "/openapi.json"})
	page := sync.OnceValues(func() ([]byte, error) {
		var page bytes.Buffer
		err := docsPage().Execute(&page, describe(s.api.OpenAPI()))
		return page.Bytes(), err
	})
	app.Get("/api/docs", func(c *fiber.Ctx) error {
		text, err := page()
		if err != nil {
			return err
		}
		c.Set(requestIDHeader, requestID(c.Get(requestIDHeader)))
		c.Set("Content-Type", "text/html; charset=utf-8")
		c.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		return c.Send(text)
	})
}

// describePolicyBody adds the JSON form of a policy, which huma's description
// of a raw body has no room for.
func (s *service) describePolicyBody() {
	item := s.api.OpenAPI().Paths[prefix+"/projects/{project}/policies/{name}"]
	text := &huma.Schema{Type: huma.TypeString}
	item.Put.RequestBody.Required = true
	item.Put.RequestBody.Content["text/plain"] = &huma.MediaType{Schema: text}
	item.Put.RequestBody.Content["application/json"] = &huma.MediaType{Schema: &huma.Schema{
		Type: huma.TypeObject, Required: []string{"text"}, Properties: map[string]*huma.Schema{"text": text},
	}}
}

//go:embed docs.html
var docsText string

var docsPage = sync.OnceValue(func() *template.Template { return template.Must(template.New("docs").Parse(docsText)) })

type docsGroup struct {
	Tag        string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Class, Body, Answer string
	Parameters                                     []*huma.Param
}

// describe arranges the document for reading: by tag, in order of paths.
func describe(doc *huma.OpenAPI) []docsGroup {
	groups := map[string][]docsOperation{}
	var tags []string
	var paths []string
	for path := range doc.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			tag := op.Tags[0]
			if !slices.Contains(tags, tag) {
				tags = append(tags, tag)
			}
			groups[tag] = append(groups[tag], describeOperation(doc, op))
		}
	}
	slices.Sort(tags)
	var out []docsGroup
	for _, tag := range tags {
		out = append(out, docsGroup{tag, groups[tag]})
	}
	return out
}

func describeOperation(doc *huma.OpenAPI, op *huma.Operation) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Parameters: op.Parameters}
	d.Class, _ = op.Extensions["x-tenantry-class"].(string)
	if op.RequestBody != nil {
		d.Body = shapeOf(doc, op.RequestBody.Content)
	}
	if answer := op.Responses[itoa(op.DefaultStatus)]; answer != nil {
		d.Answer = itoa(op.DefaultStatus) + " " + shapeOf(doc, answer.Content)
	}
	return d
}

// shapeOf writes the JSON form of a body with types for values.
func shapeOf(doc *huma.OpenAPI, content map[string]*huma.MediaType) string {
	media := content["application/json"]
	if media == nil {
		return strings.Join(slices.Sorted(maps.Keys(content)), ", ")
	}
	var b strings.Builder
	writeShape(&b, doc.Components.Schemas, media.Schema, "", 0)
	return b.String()
}

// maxShape is how deep a shape is written.
const maxShape = 6

func writeShape(b *strings.Builder, registry huma.Registry, schema *huma.Schema, indent string, depth int) {
	for schema != nil && schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	switch {
	case schema == nil || depth > maxShape:
		b.WriteString("…")
	case len(schema.OneOf) > 0:
		for i, one := range schema.OneOf {
			if i > 0 {
				b.WriteString(" | ")
			}
			writeShape(b, registry, one, indent, depth+1)
		}
	case schema.Type == huma.TypeArray:
		b.WriteString("[")
		writeShape(b, registry, schema.Items, indent, depth+1)
		b.WriteString("]")
	case schema.Type == huma.TypeObject && len(schema.Properties) > 0:
		b.WriteString("{\n")
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			optional := "?"
			if slices.Contains(schema.Required, name) {
				optional = ""
			}
			b.WriteString(indent + "  " + name + optional + ": ")
			writeShape(b, registry, schema.Properties[name], indent+"  ", depth+1)
			b.WriteString("\n")
		}
		b.WriteString(indent + "}")
	case len(schema.Enum) > 0:
		for i, v := range schema.Enum {
			if i > 0 {
				b.WriteString(" | ")
			}
			text, _ := json.Marshal(v)
			b.Write(text)
		}
	case schema.Type == "":
		b.WriteString("any")
	default:
		b.WriteString(schema.Type)
	}
}
