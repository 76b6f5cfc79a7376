package router

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/policy/authn"
	"tenantry/services/engine/instance"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// asAdmin lets admins of the project through: next gets their session.
func (r *router) asAdmin(surface authn.Surface, next func(c *fiber.Ctx, ctx context.Context, x exchange, s session.Session) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := r.open(c)
		ctx, cancel := context.WithTimeout(r.Base, commandTime)
		defer cancel()
		s, err := x.generation.Authn.AuthenticateCall(ctx, x.call(surface, nil))
		status := 0
		if err == nil && !s.IsAdmin() {
			err, status = errcode.New(errcode.AccessDenied, "restricted access : admin only").At("$"), fiber.StatusBadRequest
		}
		if err != nil {
			e := errcode.From(err)
			r.denied(c, x.generation, e)
			if status == 0 {
				status = e.Status()
			}
			return sendJSON(c.Status(status), graphqlhttp.MediaJSON, restError(e, false))
		}
		return next(c, ctx, x, s)
	}
}

// config tells the settings of the project that tools look for, none of them
// secret (contracts §16).
func (r *router) config(c *fiber.Ctx, _ context.Context, x exchange, _ session.Session) error {
	set := x.generation.Instance.Settings
	jwt := []fiber.Map{}
	for _, j := range set.Auth.JWT {
		one := fiber.Map{"claims_namespace": j.ClaimsNamespace, "claims_format": j.ClaimsFormat, "claims_map": nil, "header": j.Header}
		if j.ClaimsNamespace == "" && j.ClaimsNamespacePath == "" && j.ClaimsMap == nil {
			one["claims_namespace"] = settings.DefaultNamespace
		}
		if j.ClaimsFormat == "" {
			one["claims_format"] = "json"
		}
		if j.ClaimsMap != nil {
			one["claims_map"] = j.ClaimsMap
		}
		jwt = append(jwt, one)
	}
	features := []string{}
	if !set.Compat.IgnoreNamingConventions {
		features = append(features, "naming_convention")
	}
	enforced := set.AllowlistMode == "enforce" || set.AllowlistMode == "ids_only"
	return c.JSON(fiber.Map{
		"version": dialectVersion, "is_admin_secret_set": true, "is_auth_hook_set": set.Auth.Webhook != nil,
		"is_jwt_set": len(jwt) > 0, "jwt": jwt, "is_allow_list_enabled": enforced,
		"is_function_permissions_inferred": set.Compat.InferFunctionPermissions, "is_remote_schema_permissions_enabled": true,
		"live_queries": fiber.Map{"batch_size": 100, "refetch_delay": 1}, "streaming_queries": fiber.Map{"batch_size": 100, "refetch_delay": 1},
		"console_assets_dir": nil, "experimental_features": features, "is_prometheus_metrics_enabled": false,
		"is_apollo_federation_enabled": set.Compat.ApolloFederation, "default_naming_convention": nil, "feature_flags": []string{},
	})
}

// probeTime bounds the look at one database.
const probeTime = 5 * time.Second

// sources tells of each database of the project whether it answers.
func (r *router) sources(c *fiber.Ctx, ctx context.Context, x exchange, _ session.Session) error {
	g := x.generation
	out := fiber.Map{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, src := range g.Instance.Document.Sources {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTime)
			defer cancel()
			health := r.probe(ctx, g.Probe, src)
			mu.Lock()
			defer mu.Unlock()
			out[src.Name] = health
		})
	}
	work.Wait()
	return c.JSON(out)
}

func (r *router) probe(ctx context.Context, probe func(context.Context, string) error, src metadata.Source) fiber.Map {
	health := fiber.Map{"status": "OK", "error": nil, "timestamp": time.Now().UTC().Format(time.RFC3339)}
	if err := probe(ctx, src.Name); err != nil {
		health["status"], health["error"] = "FAILED", fiber.Map{"message": errcode.From(err).Message, "extra": nil}
		if ctx.Err() != nil {
			health["status"], health["error"] = "TIMEOUT", "the database did not answer in time"
		}
	}
	return health
}

// dump serves pg_dump of a source.
func (r *router) dump(c *fiber.Ctx, ctx context.Context, x exchange, s session.Session) error {
	text, err := r.Metadata.Dump(ctx, x.generation.Project, bytes.Clone(c.Request().Body()))
	event := audit.Event{
		Kind: audit.KindAdmin, TenantID: x.generation.Project.TenantID, ProjectID: x.generation.Project.ID, Actor: instance.Actor(s), Role: s.Role,
		Action: "v1alpha1/pg_dump", Outcome: audit.OK, RequestID: x.id, IP: x.ip,
	}
	if err != nil {
		e := errcode.From(err)
		event.Outcome, event.Code = audit.Failed, string(e.Code)
		r.Recorder.Record(event)
		if e.Code == errcode.Unexpected && e.OwnStatus() == 0 {
			r.Logger.Error("dump failed", "type", "http-log", "request_id", x.id, "error", err)
		}
		return sendJSON(c.Status(commandStatus(e)), graphqlhttp.MediaJSON, restError(e, true))
	}
	r.Recorder.Record(event)
	c.Set(fiber.HeaderContentType, "application/sql; charset=utf-8")
	return c.Send(text)
}

// state tells what the project keeps in memory on this node, for developers.
func (r *router) state(parts func(g *instance.Instance) any) func(c *fiber.Ctx, ctx context.Context, x exchange, s session.Session) error {
	return func(c *fiber.Ctx, _ context.Context, x exchange, _ session.Session) error {
		return c.JSON(parts(x.generation.Instance))
	}
}

// keySetAge is for how long others keep the key set: a key signs only when it has
// been there for longer.
const keySetAge = settings.SigningKeyLead - 10*time.Second

// keySet publishes the keys by which delegation tokens are verified.
func (r *router) keySet(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "public, max-age="+strconv.Itoa(int(keySetAge.Seconds())))
	c.Set(fiber.HeaderContentType, "application/jwk-set+json")
	return c.Send(generation(c).Instance.Delegation.KeySet())
}

// registerService adds what is about the project itself rather than its data.
func (r *router) registerService(project fiber.Router) {
	project.Get("/healthz", r.health)
	project.Get("/healthz/sources", r.asAdmin(authn.MetadataRead, r.sources))
	project.Get("/v1/version", r.version)
	project.Get("/.well-known/jwks.json", r.keySet)
	project.Get("/v1alpha1/config", r.asAdmin(authn.MetadataRead, r.config))
	project.Post("/v1alpha1/pg_dump", r.asAdmin(authn.Metadata, r.dump))
	project.Get("/dev/ekg", r.asAdmin(authn.MetadataRead, r.state(func(i *instance.Instance) any {
		return fiber.Map{"resource_version": i.ResourceVersion, "inconsistent_objects": len(i.Inconsistencies)}
	})))
	project.Get("/dev/plan_cache", r.asAdmin(authn.MetadataRead, r.state(func(i *instance.Instance) any {
		return fiber.Map{"prepared_operations": i.Prepared()}
	})))
	none := func(*instance.Instance) any { return fiber.Map{} }
	project.Get("/dev/subscriptions", r.asAdmin(authn.MetadataRead, r.state(none)))
	project.Get("/dev/subscriptions/extended", r.asAdmin(authn.MetadataRead, r.state(none)))
}
