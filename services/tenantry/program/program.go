// Package program is the running product around the rooms: it starts them in
// order, listens, and stops them in the opposite order. wire.go puts the rooms
// together; nothing here knows what a request is.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"tenantry/ops/audit"
	"tenantry/ops/health"
	"tenantry/ops/lifecycle"
	"tenantry/ops/logging"
	"tenantry/ops/metrics"
	"tenantry/policy/egress"
	"tenantry/services/engine/source"
	"tenantry/services/tenantry/config"
	"tenantry/services/tenantry/demo"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// closing is what the parts behind the public listener get to end in, after the
// listener has drained.
const closing = 10 * time.Second

// Run serves, as dev or serve, until ctx ends or a signal comes, and then stops
// in order. The banner of dev goes to stdout, the log to stderr. The error is
// one sentence for the operator; nil after a clean stop.
func Run(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	logger, err := logging.New(stderr, cfg.LogLevel)
	if err != nil {
		return err
	}
	lifecycle.TuneHeap()
	r := &run{cfg: cfg, stdout: stdout, stderr: stderr, logger: logger, failed: make(chan error, 4)}
	return lifecycle.Run(ctx, cfg.DrainTimeout+closing, r.serve)
}

// run is one run of the program.
type run struct {
	cfg    config.Config
	stdout io.Writer
	stderr io.Writer
	logger *slog.Logger
	checks health.Checks
	up     atomic.Bool
	failed chan error // parts that ended by themselves
}

// serve starts everything, in the order in which the parts need each other, and
// stays until the context ends or a part fails.
func (r *run) serve(ctx context.Context, stack *lifecycle.Stack) error {
	// The ports come first: that one is taken is found out before anything is
	// written.
	listeners, err := listen(r.cfg)
	if err != nil {
		return err
	}
	stack.Push("listeners", func(context.Context) error { listeners.close(); return nil })
	meters := newMetrics()
	r.checks.Add("started", r.started)
	r.serveOperator(listeners.operator, meters.Handler(), stack)

	base, err := r.openBase(ctx, stack)
	if err != nil {
		return err
	}
	recorder := audit.NewRecorder(base.store, audit.Options{Logger: r.logger})
	stack.Push("audit", recorder.Close)
	meters.ReadAudit(recorder.Stats)
	readStorePool(meters, base.store)

	addresses := listeners.addresses()
	wired, err := wire(parts{
		Config: r.cfg, Addresses: addresses, Version: Version,
		Store: base.store, Vault: base.vault, Guard: base.guard, Cluster: base.cluster, DialManaged: base.dialManaged,
		OperatorKey: base.operatorKey, Recorder: recorder, Metrics: meters, Checks: &r.checks, Logger: r.logger,
	})
	if err != nil {
		return err
	}
	stack.Push("services", wired.Close)

	// Below the public listener, so that it still answers while that drains.
	shop := demo.New(demo.Options{
		DataDir: r.cfg.DataDir, PublicURL: addresses.Public, OperatorURL: addresses.Operator, OperatorKey: base.operatorKey,
		ServerURL: base.serverURL, Logger: r.logger, Stderr: r.stderr,
	})
	stack.Push("demo handler", shop.Stop)
	r.servePublic(listeners.public, wired.Public, stack)

	if r.cfg.Demo {
		if err := shop.Start(ctx); err != nil {
			return fmt.Errorf("the demo tenant could not be made (start with --demo=false to go without): %w", err)
		}
	}
	r.up.Store(true)
	r.logger.Info("serving", "public", addresses.Public, "operator", addresses.Operator, "version", Version)
	if r.cfg.Command == config.Dev {
		if err := shop.Banner(r.stdout); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-r.failed:
		return err
	case <-base.ended:
		return errors.New("Postgres has ended by itself; its log is postgres.log in the data folder")
	}
}

// started is the check that keeps readiness off until all parts run.
func (r *run) started(context.Context) error {
	if !r.up.Load() {
		return errors.New("starting")
	}
	return nil
}

// parts are what wire puts the services together from.
type parts struct {
	Config      config.Config
	Addresses   addresses
	Version     string
	Store       *store.Store
	Vault       *vault.Vault
	Guard       *egress.Guard // for every address that a tenant chose
	Cluster     cluster       // nil: no managed databases
	DialManaged source.Dial   // how managed databases are reached; nil: by their URL
	OperatorKey vault.Secret  // empty: there is no operator key
	Recorder    *audit.Recorder
	Metrics     *metrics.Metrics
	Checks      *health.Checks
	Logger      *slog.Logger
}

// wired is what wire made of the parts.
type wired struct {
	Public publicServer
	// Close ends what the services started: watchers, pools. It is called after
	// the public listener has drained and before store and recorder end.
	Close func(context.Context) error
}

// publicServer serves the public listener; a *fiber.App is one.
type publicServer interface {
	Listener(net.Listener) error
	ShutdownWithContext(context.Context) error
}
