// Package router is the HTTP edge of the data plane: path → project → instance.
// It reads headers and body once and copies them out of fiber's buffers,
// authenticates, hands the request to the project's instance, presents the
// answer and records the trail. It decides nothing about data.
package router

import (
	"context"
	"log/slog"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/live"
	"tenantry/services/livequery"
	"tenantry/services/router/socket"
)

// Deps are the collaborators of the router.
type Deps struct {
	Live     *live.Registry
	Metadata *metadataapi.API
	Metrics  *metrics.Metrics
	Recorder *audit.Recorder
	// Sockets are the WebSockets of all projects; whoever stops the listener drains
	// them.
	Sockets *socket.Hub
	// Subscriptions are those of all sockets, and Runs wakes them.
	Subscriptions *livequery.Hub
	Runs          *livequery.Runs
	Logger        *slog.Logger
	// Base is cancelled when the time to drain has passed; requests run under it,
	// never under fiber's context.
	Base context.Context
	// Version is told at /v1/version as Tenantry's own.
	Version string
	// GraphiQL serves a page per project: dev only.
	GraphiQL bool
	// ClientIP tells the caller's address: the peer's, or what a trusted proxy says.
	ClientIP func(c *fiber.Ctx) string
}

// MaxGraphQLBody is the largest GraphQL request, and the largest message of a
// WebSocket.
const MaxGraphQLBody = 1 << 20

type router struct{ Deps }

// New registers the data plane of all projects on app.
func New(app *fiber.App, d Deps) {
	r := &router{d}
	project := app.Group("/p/:project", r.locate)
	r.registerService(project)
	project.Post("/v1/graphql", r.graphql(false))
	project.Get("/v1/graphql", r.socketOr(r.graphql(false), socketPath{}))
	project.Post("/v1alpha1/graphql", r.graphql(true))
	project.Get("/v1alpha1/graphql", r.socketOr(postOnly, socketPath{pathErrors: true}))
	project.Post("/v1beta1/relay", r.graphqlFlavour(false, true))
	project.Get("/v1beta1/relay", r.socketOr(r.graphqlFlavour(false, true), socketPath{relay: true}))
	project.Post("/v1/graphql/explain", r.explain)
	project.Post("/v1/actions/:id/complete", r.completeRun)
	project.All("/api/rest/*", r.rest)
	project.Get("/api/swagger/json", r.swagger)
	project.Post("/v1/metadata", r.metadata(metadataapi.Metadata))
	project.Post("/v2/query", r.metadata(metadataapi.Query))
	project.Post("/v1/query", r.metadata(metadataapi.LegacyQuery))
	if d.GraphiQL {
		project.Get("/", r.graphiql)
		project.Get("/assets/:name", r.graphiqlAsset)
	}
}

const (
	headerRequestID = "x-request-id"
	maxRequestID    = 128
)

// RequestID gives every request an id: the client's if it is well formed, else
// a new one. It is middleware for the whole public listener.
func RequestID(c *fiber.Ctx) error {
	id := strings.Clone(c.Get(headerRequestID))
	if !validRequestID(id) {
		id = uuid.NewString()
	}
	c.Locals(headerRequestID, id)
	c.Set(headerRequestID, id)
	return c.Next()
}

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_.:", c) >= 0) {
			return false
		}
	}
	return true
}

func requestID(c *fiber.Ctx) string {
	id, _ := c.Locals(headerRequestID).(string)
	return id
}

// locate finds the project before anything else: unknown and suspended ones are
// refused here, in the error form of the path.
func (r *router) locate(c *fiber.Ctx) error {
	entry, err := r.Live.Get(r.Base, c.Params("project"))
	if err != nil {
		e := errcode.From(err)
		if e.Code == errcode.Unexpected {
			r.Logger.Error("project not loaded", "type", "http-log", "request_id", requestID(c), "error", err)
		}
		return refuse(c, e)
	}
	g := entry.Current()
	if e := g.Refused(); e != nil {
		r.denied(c, g, e)
		return refuse(c, e)
	}
	c.Locals(generationKey, g)
	// Not a route of its own: one for all paths would make fiber answer 405 where
	// there is nothing.
	if r.cors(c, g) || c.Method() == fiber.MethodOptions {
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.Next()
}

const generationKey = "generation"

func generation(c *fiber.Ctx) *live.Generation {
	g, _ := c.Locals(generationKey).(*live.Generation)
	return g
}

// health tells whether all objects of the project resolve (contracts §16).
func (r *router) health(c *fiber.Ctx) error {
	if len(generation(c).Instance.Inconsistencies) == 0 {
		return c.SendString("OK")
	}
	if c.QueryBool("strict") {
		return c.Status(fiber.StatusInternalServerError).SendString("ERROR: inconsistent objects in schema")
	}
	return c.SendString("WARN: inconsistent objects in schema")
}

// dialectVersion is the version of the dialect that tools look for.
const dialectVersion = "v2.48.0"

func (r *router) version(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"version": dialectVersion, "server_type": "ce", "tenantry": r.Version})
}
