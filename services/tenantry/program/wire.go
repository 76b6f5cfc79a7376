package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"

	"tenantry/policy/authn"
	"tenantry/policy/limits"
	"tenantry/services/control"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/services/livequery"
	"tenantry/services/revision"
	"tenantry/services/router"
	"tenantry/services/router/socket"
	"tenantry/services/tenantry/config"
	"tenantry/services/worker"
	"tenantry/tenants/vault"
)

// The share of ordinary requests that are audited.
const (
	auditSampleDev   = 1.0
	auditSampleServe = 0.01
)

// maxBody is the largest request of the public listener: metadata and SQL.
const maxBody = 32 << 20

// callTimeout bounds calls to tenants' addresses that have no limit of their
// own; an action's own timeout is shorter.
const callTimeout = 2 * time.Minute

// firstRequests is how long what goes on beside requests waits after a start, so that
// those which wait for it are answered first: each watch is a session with Postgres.
const firstRequests = 250 * time.Millisecond

// wire puts the services together: one listener with the data plane under /p
// and the control API under /api/v1.
func wire(p parts) (wired, error) {
	pools := source.NewPools(p.Guard.DialDatabase)
	pools.Trusted = p.DialManaged
	shared, err := openSharedLimits(p)
	if err != nil {
		return wired{}, err
	}
	revisions := &revision.Service{Store: p.Store, Pools: pools, Logger: p.Logger}
	follower := revision.NewFollower(revisions)
	registry := live.New(live.Deps{
		Store: p.Store, Pools: pools, Client: p.Guard.HTTP(callTimeout), Metrics: p.Metrics, Recorder: p.Recorder, Logger: p.Logger, Version: p.Version,
		AuditSample:  auditSample(p.Config.Command),
		Loopback:     loopback(p.Config),
		SharedLimits: shared,
		Outdated:     follower.Notice,
		ClientWith:   func(config *tls.Config) *http.Client { return p.Guard.HTTPWith(config, callTimeout) },
		Plans:        p.Config.Plans,
	})
	revisions.Live = registry
	if p.Cluster != nil {
		revisions.Cluster = p.Cluster
	}
	// Requests run under base, which ends when the time to drain has passed, never
	// under fiber's context, which ends when draining begins.
	base, cut := context.WithCancel(context.Background())
	app := newApp(p)
	sockets := socket.NewHub(socket.Limits{MaxFrame: router.MaxGraphQLBody})
	subscriptions, runs := livequery.NewHub(livequery.Limits{}), livequery.NewRuns(p.Store, 0, p.Logger)
	ip := clientIP(p.Config.TrustedProxies)
	router.New(app, router.Deps{
		Live: registry, Metadata: &metadataapi.API{Revisions: revisions, Store: p.Store, Pools: pools},
		Metrics: p.Metrics, Recorder: p.Recorder, Sockets: sockets, Subscriptions: subscriptions, Runs: runs, Logger: p.Logger, Base: base, Version: p.Version,
		GraphiQL: p.Config.Command == config.Dev, ClientIP: ip,
	})
	prepareControl := mountControl(app, control.Deps{
		Store: p.Store, Revisions: revisions, Recorder: p.Recorder, CheckEgress: p.Guard.Check,
		OperatorKeyHash: operatorHash(p.OperatorKey), Signup: p.Config.Signup, Managed: p.Cluster != nil, Plans: p.Config.Plans,
		Metrics: p.Metrics.WriteProject, Logger: p.Logger, Address: ip, Loopback: loopback(p.Config), Reload: registry.Reload, Traffic: registry.Traffic, Observe: p.Metrics.ControlRequest,
		MostRunRetention: p.Config.RunRetentionMax,
	})
	watching, stopWatching := context.WithCancel(base)
	var background sync.WaitGroup
	later := func(run func(context.Context)) {
		background.Go(func() {
			select {
			case <-watching.Done():
			case <-time.After(firstRequests):
				run(watching)
			}
		})
	}
	later(registry.Run)
	later(follower.Run)
	later(runs.Run)
	later(func(context.Context) { prepareControl() })
	var deliveries *worker.Worker
	if p.Config.Worker {
		deliveries = worker.New(worker.Deps{Store: p.Store, Live: registry, Metrics: p.Metrics, Logger: p.Logger, Concurrency: p.Config.WorkerConcurrency, MostRetention: p.Config.RunRetentionMax})
		later(deliveries.Run)
	}
	return wired{Public: public{app, sockets, deliveries}, Close: func(context.Context) error {
		stopWatching()
		background.Wait()
		cut()
		registry.Close()
		return shared.Close()
	}}, nil
}

// loopback says whose addresses those of this machine are: a client's where the
// proxies are named; in dev it may be anybody's.
func loopback(c config.Config) authn.Loopback {
	switch {
	case len(c.TrustedProxies) > 0:
		return authn.LoopbackClient
	case c.Command == config.Dev:
		return authn.LoopbackUnnamed
	}
	return authn.LoopbackDirect
}

// openSharedLimits opens the store in which nodes count together; nil when none
// is configured.
func openSharedLimits(p parts) (*limits.Shared, error) {
	if p.Config.RedisURL.IsZero() {
		return nil, nil
	}
	shared, err := limits.OpenShared(p.Config.RedisURL, p.Logger)
	if err != nil {
		return nil, fmt.Errorf("redis-url: %w", err)
	}
	p.Metrics.ReadSharedLimits(func() (uint64, bool) {
		s := shared.Stats()
		return s.Fallbacks, s.Up
	})
	return shared, nil
}

// public is the server of the public listener, with the sockets that it gave
// away and the deliveries that go on beside it.
type public struct {
	*fiber.App
	sockets    *socket.Hub
	deliveries *worker.Worker // nil: this node makes none
}

// ShutdownWithContext ends the listener, the sockets and the deliveries side by
// side.
func (p public) ShutdownWithContext(ctx context.Context) error {
	var parts sync.WaitGroup
	var drained error
	parts.Go(func() { drained = p.sockets.Drain(ctx) })
	if p.deliveries != nil {
		parts.Go(func() { p.deliveries.Drain(ctx) })
	}
	err := p.App.ShutdownWithContext(ctx)
	parts.Wait()
	return errors.Join(err, drained)
}

func newApp(p parts) *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "tenantry", DisableStartupMessage: true, BodyLimit: maxBody, ReadBufferSize: 64 << 10, Concurrency: 64 << 10,
		// huma leaves a read deadline on the connection, which would end it while
		// the client keeps it for the next request.
		IdleTimeout: time.Minute, ReadTimeout: time.Minute,
		ErrorHandler: presentError,
	})
	app.Use(router.RequestID)
	app.Use(recover.New(recover.Config{EnableStackTrace: true, StackTraceHandler: func(c *fiber.Ctx, e any) {
		p.Logger.Error("a request ended in a panic", "type", "http-log", "path", strings.Clone(c.Path()), "panic", fmt.Sprint(e))
	}}))
	return app
}

// presentError answers what no route answered, in the form of its API.
func presentError(c *fiber.Ctx, err error) error {
	if strings.HasPrefix(c.Path(), controlPrefix) {
		return control.ErrorHandler(c, err)
	}
	return router.ErrorHandler(c, err)
}

func auditSample(c config.Command) float64 {
	if c == config.Dev {
		return auditSampleDev
	}
	return auditSampleServe
}

func operatorHash(key vault.Secret) []byte {
	if key.IsZero() {
		return nil
	}
	return vault.Hash(key.Reveal())
}

// clientIP tells who calls: the peer, or, when the peer is a trusted proxy, the
// last address in X-Forwarded-For that is not one.
func clientIP(trusted []netip.Prefix) func(*fiber.Ctx) string {
	known := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	return func(c *fiber.Ctx) string {
		peer := strings.Clone(c.IP())
		addr, err := netip.ParseAddr(peer)
		if err != nil || !known(addr) {
			return peer
		}
		hops := strings.Split(strings.Clone(c.Get(fiber.HeaderXForwardedFor)), ",")
		for i := len(hops) - 1; i >= 0; i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			peer = hop.String()
			if !known(hop) {
				break
			}
		}
		return peer
	}
}
