// Package live keeps the projects that this node serves: project → entry →
// current generation (instance and authenticator). It loads a project on first
// use, swaps the generation when the project changes, and evicts what is idle.
//
// What remembers traffic (pools, rate windows, metric handles) belongs to the
// entry and outlives a swap; what follows from a revision belongs to its
// generation.
package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/policy/allowlist"
	"tenantry/policy/authn"
	"tenantry/policy/limits"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/tenants"
	"tenantry/tenants/store"
)

// Deps are the collaborators of a registry.
type Deps struct {
	Store  *store.Store
	Pools  *source.Pools
	Client *http.Client // guarded: handlers, key sets, auth webhooks
	// ClientWith is a guarded client for the handlers of a project that has
	// authorities or a certificate of its own; nil: no project may.
	ClientWith func(config *tls.Config) *http.Client
	Metrics    *metrics.Metrics
	Recorder   *audit.Recorder
	Logger     *slog.Logger
	Version    string
	// AuditSample is the share of ordinary requests that are audited, 0 to 1, where
	// the project says nothing else.
	AuditSample float64
	// Loopback says whose address one of this machine is, where guessing is slowed.
	Loopback authn.Loopback
	// SharedLimits is where nodes count rate limits together; nil: each alone.
	SharedLimits *limits.Shared
	// Outdated hears of a project whose databases are not as their catalogs say,
	// which must not wait; may be nil.
	Outdated func(projectID string)
	// Plans are what the operator grants, by name of the plan; tenants of others are
	// not bound.
	Plans map[string]limits.Plan
	// Idle is how long an unused project stays in memory; 0 means 15 minutes.
	Idle time.Duration
}

// Registry is the set of live projects. Safe for concurrent use.
type Registry struct {
	deps  Deps
	loads singleflight.Group

	mu      sync.RWMutex
	entries map[string]*Entry // by project id
	ids     map[string]string // slug → id
	// limiters outlive generations, so that a change of configuration does not
	// open a new rate window.
	limiters map[string]*limits.Limiter
	// usages are what tenants use, and projects by themselves, by id; they too outlive
	// generations.
	usages map[string]*limits.Usage
	// failures outlive them too, so that it does not forget who guesses.
	failures map[string]*authn.Failures
	traffic  map[string]*allowlist.Traffic
	calls    map[string]*instance.Calls
	trials   map[string]*instance.Trial
}

// New makes an empty registry.
func New(d Deps) *Registry {
	if d.Idle == 0 {
		d.Idle = 15 * time.Minute
	}
	return &Registry{deps: d, entries: map[string]*Entry{}, ids: map[string]string{}, limiters: map[string]*limits.Limiter{}, usages: map[string]*limits.Usage{}, failures: map[string]*authn.Failures{}, traffic: map[string]*allowlist.Traffic{}, calls: map[string]*instance.Calls{}, trials: map[string]*instance.Trial{}}
}

// Entry is one live project.
type Entry struct {
	ID string

	current atomic.Pointer[Generation]
	used    atomic.Int64 // unix seconds
	// serial orders swaps: an older revision never replaces a newer one.
	serial sync.Mutex
}

// Generation is a project at one revision. Immutable.
type Generation struct {
	Project  tenants.Project
	Tenant   tenants.Tenant
	Instance *instance.Instance
	Authn    *authn.Authenticator
	sources  []*source.Source
	opened   map[string]*source.Source // the same, by name
	handlers *http.Client              // of its own; nil: that of all
	state    store.ProjectState
	digest   string
}

// Current is the generation that serves now.
func (e *Entry) Current() *Generation { return e.current.Load() }

// Refused tells why a project serves nobody, or nil.
func (g *Generation) Refused() *errcode.Error {
	if g.Project.Status != tenants.Active || g.Tenant.Status != tenants.Active {
		return errcode.New(errcode.ProjectSuspended, "the project is suspended")
	}
	return nil
}

// ErrUnknown is what Get says of a project that does not exist.
var ErrUnknown = errcode.New(errcode.NotFound, "project not found")

// Get finds a project by slug or id, loading it on first use. The name is copied
// when it is kept.
func (r *Registry) Get(ctx context.Context, slugOrID string) (*Entry, error) {
	if e := r.find(slugOrID); e != nil {
		e.used.Store(time.Now().Unix())
		return e, nil
	}
	slugOrID = strings.Clone(slugOrID)
	loaded, err, _ := r.loads.Do(slugOrID, func() (any, error) {
		// The load serves every waiting request, so one that leaves must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return r.load(ctx, slugOrID)
	})
	if err != nil {
		return nil, err
	}
	return loaded.(*Entry), nil
}

func (r *Registry) find(slugOrID string) *Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id, ok := r.ids[slugOrID]; ok {
		return r.entries[id]
	}
	return r.entries[slugOrID]
}

func (r *Registry) load(ctx context.Context, slugOrID string) (*Entry, error) {
	state, err := r.deps.Store.LoadProject(ctx, slugOrID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("load project: %w", err)
	}
	g, err := r.Build(ctx, state)
	if err != nil {
		return nil, err
	}
	return r.Swap(g), nil
}

// Swap makes g the current generation of its project, unless a newer one
// already is; the old one drains. The caller must not use g afterwards, but
// through the entry.
func (r *Registry) Swap(g *Generation) *Entry {
	e := r.entry(g)
	e.serial.Lock()
	defer e.serial.Unlock()
	old := e.current.Load()
	if old != nil && older(g.state, old.state) {
		r.retire(g)
		return e
	}
	e.current.Store(g)
	r.deps.Metrics.ForProject(g.Project.Slug).ReadPool(e.pool)
	if old != nil && old != g {
		r.retire(old)
	}
	return e
}

// older reports whether a was read before b was.
func older(a, b store.ProjectState) bool {
	return a.ResourceVersion < b.ResourceVersion || a.SettingsVersion < b.SettingsVersion
}

func (r *Registry) entry(g *Generation) *Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[g.Project.ID]
	if !ok {
		e = &Entry{ID: g.Project.ID}
		r.entries[g.Project.ID] = e
	}
	e.used.Store(time.Now().Unix())
	r.ids[g.Project.Slug] = g.Project.ID
	return e
}

// drainTime is how long requests of a replaced generation may go on.
const drainTime = 2 * time.Minute

// retire closes what a generation owns, once its requests have ended.
func (r *Registry) retire(g *Generation) {
	time.AfterFunc(drainTime, g.close)
}

func (g *Generation) close() {
	g.Authn.Close()
	g.giveBack()
}

// Reload reads a changed project again and swaps; one that is not live is left
// alone, and one that is gone is dropped. A revision that can't be built leaves
// the old one serving.
func (r *Registry) Reload(ctx context.Context, projectID string) {
	r.mu.RLock()
	e := r.entries[projectID]
	r.mu.RUnlock()
	if e == nil {
		return
	}
	state, err := r.deps.Store.LoadProject(ctx, projectID)
	if errors.Is(err, store.ErrNotFound) {
		r.drop(projectID)
		return
	}
	if err != nil {
		r.deps.Logger.Error("project not reloaded", "type", "metadata", "project_id", projectID, "error", err)
		return
	}
	if now := e.Current(); now != nil && now.digest == digest(state) {
		return // this node made the change itself
	}
	g, err := r.Build(ctx, state)
	if err != nil {
		r.deps.Logger.Error("project keeps its old revision", "type", "metadata", "project_id", projectID, "error", err)
		return
	}
	r.Swap(g)
}

func (r *Registry) drop(projectID string) {
	r.mu.Lock()
	e := r.entries[projectID]
	delete(r.entries, projectID)
	delete(r.limiters, projectID)
	delete(r.usages, projectID)
	delete(r.failures, projectID)
	delete(r.traffic, projectID)
	delete(r.trials, projectID)
	delete(r.calls, projectID)
	for slug, id := range r.ids {
		if id == projectID {
			delete(r.ids, slug)
		}
	}
	if e != nil {
		r.dropUsage(e.Current())
	}
	r.mu.Unlock()
	if e == nil {
		return
	}
	if g := e.current.Load(); g != nil {
		r.deps.Metrics.Forget(g.Project.Slug)
		r.retire(g)
	}
}

// Run follows changes made on any node and evicts idle projects, until ctx ends.
func (r *Registry) Run(ctx context.Context) {
	go r.evict(ctx)
	r.deps.Store.Watch(ctx, func(projectID string) {
		if projectID != "" {
			r.Reload(ctx, projectID)
			return
		}
		for _, id := range r.live() { // anything may have changed meanwhile
			r.Reload(ctx, id)
		}
	})
}

func (r *Registry) live() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]string, 0, len(r.entries))
	for id := range r.entries {
		out = append(out, id)
	}
	return out
}

func (r *Registry) evict(ctx context.Context) {
	tick := time.NewTicker(r.deps.Idle / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, id := range r.idle(now) {
				r.drop(id)
			}
		}
	}
}

func (r *Registry) idle(now time.Time) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []string
	for id, e := range r.entries {
		if now.Unix()-e.used.Load() > int64(r.deps.Idle.Seconds()) {
			out = append(out, id)
		}
	}
	return out
}

// Close ends all generations at once: at the end of the program.
func (r *Registry) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if g := e.current.Load(); g != nil {
			g.close()
		}
	}
	r.entries, r.ids = map[string]*Entry{}, map[string]string{}
}
