package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/ops/metrics"
	"tenantry/policy/allowlist"
	"tenantry/policy/authn"
	"tenantry/policy/egress"
	"tenantry/policy/limits"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/tenants"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// Build makes a generation of a project as it was read, without serving it yet:
// services/revision builds before it commits, so that what can't serve is
// refused.
func (r *Registry) Build(ctx context.Context, state store.ProjectState) (*Generation, error) {
	doc, err := metadata.Decode(state.Document)
	if err != nil {
		return nil, fmt.Errorf("stored metadata: %w", err)
	}
	g := &Generation{Project: state.Project, Tenant: state.Tenant, state: state, digest: digest(state)}
	quota := r.quota(state.Tenant, state.Project.ID)
	sources, err := r.sources(g, doc, quota)
	if err != nil {
		g.giveBack()
		return nil, err
	}
	handlers, err := r.clientFor(g, state.Settings.HandlerTLS)
	if err != nil {
		g.giveBack()
		return nil, err
	}
	var outdated func()
	if r.deps.Outdated != nil {
		outdated = func() { r.deps.Outdated(state.Project.ID) }
	}
	counted := meter{quota, r.deps.Metrics.ForProject(state.Project.Slug)}
	handlers, client := egress.Metered(handlers, counted), egress.Metered(r.deps.Client, counted)
	build := instance.Build
	if e := r.find(state.Project.ID); e != nil {
		if now := e.Current(); now != nil && differsInPolicyData(now.state, state) {
			build = now.Instance.WithPolicyData
		}
	}
	g.Instance, err = build(ctx, instance.Config{
		Project: state.Project, ResourceVersion: state.ResourceVersion, SettingsVersion: state.SettingsVersion,
		Document: doc, Catalogs: state.Catalogs, Settings: state.Settings,
	}, instance.Outside{
		Sources: sources, Client: handlers, Limiter: r.limiter(state.Project.ID), Quota: quota, Traffic: r.trafficOf(state.Project.ID), Trial: r.trialOf(state.Project.ID),
		Metrics: r.deps.Metrics.ForProject(state.Project.Slug), Recorder: r.deps.Recorder, Runs: r.deps.Store, Answers: r.deps.Store, Calls: r.callsOf(state.Project), Logger: r.deps.Logger, Version: r.deps.Version, AuditSample: r.deps.AuditSample,
		Outdated: outdated,
	})
	if err != nil {
		g.giveBack()
		return nil, err
	}
	if g.Authn, err = authn.New(r.authnConfig(state, g.Instance), client, r.deps.Logger); err != nil {
		g.giveBack()
		return nil, err
	}
	return g, nil
}

// differsInPolicyData reports whether two states of a project have the same engine
// but for the data of its policy.
func differsInPolicyData(a, b store.ProjectState) bool {
	if bytes.Equal(a.Settings.PolicyData, b.Settings.PolicyData) || !bytes.Equal(a.Document, b.Document) {
		return false
	}
	for _, state := range []*store.ProjectState{&a, &b} {
		state.SettingsVersion, state.Settings.PolicyData = 0, nil
	}
	left, err := settings.Encode(a.Settings)
	if err != nil {
		return false
	}
	right, err := settings.Encode(b.Settings)
	return err == nil && bytes.Equal(left, right) && digest(a) == digest(b)
}

// giveBack gives back what a generation holds of what many share.
func (g *Generation) giveBack() {
	for _, s := range g.sources {
		s.Close()
	}
	if g.handlers != nil {
		g.handlers.CloseIdleConnections()
	}
}

// clientFor is the way to a project's handlers.
func (r *Registry) clientFor(g *Generation, of settings.HandlerTLS) (*http.Client, error) {
	if of.IsZero() {
		return r.deps.Client, nil
	}
	if r.deps.ClientWith == nil {
		return nil, errcode.New(errcode.NotSupported, "projects may not have authorities or certificates of their own here")
	}
	config, err := of.Config()
	if err != nil {
		return nil, fmt.Errorf("handler_tls: %w", err)
	}
	g.handlers = r.deps.ClientWith(config)
	return g.handlers, nil
}

func (r *Registry) limiter(projectID string) *limits.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.limiters[projectID]
	if !ok {
		l = limits.NewSharedLimiter(r.deps.SharedLimits, projectID)
		r.limiters[projectID] = l
	}
	return l
}

func (r *Registry) failuresOf(projectID string) *authn.Failures {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.failures[projectID]
	if !ok {
		f = authn.NewFailures()
		r.failures[projectID] = f
	}
	return f
}

// callsOf are the calls of a project's handlers; they outlive generations, so that a
// change of configuration neither lets more of them run nor closes a circuit.
func (r *Registry) callsOf(p tenants.Project) *instance.Calls {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.calls[p.ID]
	if !ok {
		c = instance.NewCalls(r.deps.Metrics.ForProject(p.Slug))
		r.calls[p.ID] = c
	}
	return c
}

func (r *Registry) trafficOf(projectID string) *allowlist.Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.traffic[projectID]
	if !ok {
		f = allowlist.NewTraffic()
		r.traffic[projectID] = f
	}
	return f
}

func (r *Registry) trialOf(projectID string) *instance.Trial {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.trials[projectID]
	if !ok {
		t = &instance.Trial{}
		r.trials[projectID] = t
	}
	return t
}

// Traffic tells which operations that are not listed this node has seen of a
// project since a time.
func (r *Registry) Traffic(projectID string, since time.Time) []allowlist.Operation {
	return r.trafficOf(projectID).Since(since)
}

// used notes the last use of a credential.
func (r *Registry) used(auth session.Auth, id string) {
	if auth == session.AuthAdminSecret {
		r.deps.Store.TouchAdminSecrets(id)
		return
	}
	r.deps.Store.TouchKeys(id)
}

// quota holds a tenant to its plan; all its projects share what it counts.
func (r *Registry) quota(t tenants.Tenant, projectID string) *limits.Quota {
	plan := r.deps.Plans[t.Plan]
	if t.PlanBounds != nil {
		plan = limits.Plan{}.With(t.PlanBounds)
	}
	if plan = plan.With(t.Quota); plan == (limits.Plan{}) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return limits.NewQuota(plan, r.usage(t.ID), r.deps.SharedLimits, t.ID).ForProject(projectID, r.usage(projectID))
}

// usage is that of a tenant, or of a project by itself. The caller holds the lock.
func (r *Registry) usage(id string) *limits.Usage {
	u, ok := r.usages[id]
	if !ok {
		u = &limits.Usage{}
		r.usages[id] = u
	}
	return u
}

// meter counts the calls of a project's URLs.
type meter struct {
	quota   *limits.Quota
	metrics *metrics.Project
}

// Allow asks the tenant's plan.
func (m meter) Allow(ctx context.Context) error {
	err := m.quota.AllowEgress(ctx, time.Now())
	if err != nil {
		m.metrics.RecordQuotaRefusal()
	}
	return err
}

// Count tells the plan and the metrics.
func (m meter) Count(ctx context.Context, sent, received int64) {
	m.metrics.RecordEgress(sent, received)
	m.quota.ChargeEgress(ctx, time.Now(), sent+received)
}

// dropUsage forgets what a tenant uses when no project of it is live any more.
func (r *Registry) dropUsage(of *Generation) {
	if of == nil {
		return
	}
	for _, e := range r.entries {
		if g := e.Current(); g != nil && g.Tenant.ID == of.Tenant.ID {
			return
		}
	}
	delete(r.usages, of.Tenant.ID)
}

func (r *Registry) sources(g *Generation, doc *metadata.Document, quota *limits.Quota) (map[string]*source.Source, error) {
	out := map[string]*source.Source{}
	for _, s := range doc.Sources {
		o := options(s)
		o.MaxConnections = quota.CapConnections(o.MaxConnections, source.DefaultConnections)
		opened, err := openSource(r.deps.Pools, s, g.Project, g.state.Settings, o)
		if errors.Is(err, ErrNoAddress) {
			continue // the model reports it; the rest serves
		}
		if err != nil {
			return nil, err
		}
		g.sources = append(g.sources, opened)
		out[s.Name] = opened
	}
	g.opened = out
	return out, nil
}

// Probe connects to a source and says, in one public sentence, what is wrong.
func (g *Generation) Probe(ctx context.Context, source string) error {
	opened, ok := g.opened[source]
	if !ok {
		return errcode.New(errcode.InvalidConfiguration, "the address of the source is not known")
	}
	return opened.Probe(ctx)
}

// ErrNoAddress is what OpenSource says of a source whose address is unknown.
var ErrNoAddress = errors.New("the project has no variable with the source's database_url")

// OpenSource takes a share in the pool of a source: the project's database for
// the source "default", that of one of the project's variables where from_env
// names one. The caller closes it.
func OpenSource(pools *source.Pools, s metadata.Source, p tenants.Project, set settings.Settings) (*source.Source, error) {
	return openSource(pools, s, p, set, options(s))
}

func openSource(pools *source.Pools, s metadata.Source, p tenants.Project, set settings.Settings, o source.Options) (*source.Source, error) {
	var from struct {
		Env string `json:"from_env"`
	}
	if err := json.Unmarshal(s.Configuration.ConnectionInfo.DatabaseURL, &from); err == nil && from.Env != "" {
		if value, ok := set.Lookup(from.Env); ok {
			opened, err := pools.Source(vault.NewSecret(value), o)
			if err != nil {
				return nil, errcode.New(errcode.InvalidConfiguration, "source %q: %s", s.Name, err.Error()).Because(err)
			}
			return opened, nil
		}
	}
	if s.Name != metadata.DefaultSource && !slices.Contains(ownDatabase, from.Env) {
		return nil, fmt.Errorf("source %q: %w: %q", s.Name, ErrNoAddress, from.Env)
	}
	o.Trusted = p.Managed // a managed database's address is the platform's word, not the tenant's
	return pools.Source(set.Database.URL, o)
}

// ownDatabase are the names by which metadata refers to the project's database.
var ownDatabase = []string{"PROJECT_DATABASE_URL", "TENANTRY_DATABASE"}

// isolations are the levels of transactions as metadata names them.
var isolations = map[string]source.Isolation{
	"read-committed": source.ReadCommitted, "repeatable-read": source.RepeatableRead, "serializable": source.Serializable,
}

func options(s metadata.Source) source.Options {
	var o source.Options
	info := s.Configuration.ConnectionInfo
	o.Unprepared = info.UsePreparedStatements != nil && !*info.UsePreparedStatements
	o.Isolation = isolations[info.IsolationLevel]
	if pool := info.PoolSettings; pool != nil {
		if pool.MaxConnections != nil {
			o.MaxConnections = *pool.MaxConnections
		}
		if pool.IdleTimeout != nil {
			o.IdleTimeout = time.Duration(*pool.IdleTimeout) * time.Second
		}
		if pool.ConnectionLifetime != nil {
			o.Lifetime = time.Duration(*pool.ConnectionLifetime) * time.Second
		}
	}
	return o
}

func (r *Registry) authnConfig(state store.ProjectState, of *instance.Instance) authn.Config {
	c := authn.Config{
		Project: state.Project.ID, TenantID: state.Tenant.ID, Auth: state.Settings.Auth, Revoked: state.Settings.Revoked, Delegation: of.Delegation,
		Agent: webhook.Agent(r.deps.Version), SigningKeys: of.SigningKeys(),
		Loopback: r.deps.Loopback, Failures: r.failuresOf(state.Project.ID), Failed: r.deps.Metrics.ForProject(state.Project.Slug).RecordAuthFailure, Used: r.used,
	}
	for _, s := range state.AdminSecrets {
		c.AdminSecrets = append(c.AdminSecrets, authn.Secret{ID: s.ID, Hash: s.Hash})
	}
	for _, k := range state.Keys {
		key := authn.Key{ID: k.Key.ID, TenantID: k.Key.TenantID, Hash: k.Hash, Role: k.Key.Role, Scopes: k.Key.Scopes, ExpiresAt: k.Key.ExpiresAt}
		if k.Key.ProjectID == "" {
			c.TenantKeys = append(c.TenantKeys, key)
		} else {
			c.Keys = append(c.Keys, key)
		}
	}
	return c
}

// Discard gives back what a generation that was built but never served holds.
func (g *Generation) Discard() { g.close() }

// digest differs where two states of a project do.
func digest(state store.ProjectState) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %v %v\n", state.ResourceVersion, state.SettingsVersion, state.Project, state.Tenant)
	for _, name := range slices.Sorted(maps.Keys(state.Catalogs)) {
		fmt.Fprintf(h, "%q %s\n", name, state.Catalogs[name].Fingerprint())
	}
	for _, s := range state.AdminSecrets {
		fmt.Fprintf(h, "secret %s %x\n", s.ID, s.Hash)
	}
	for _, k := range state.Keys {
		fmt.Fprintf(h, "key %s %x %v %s %v\n", k.Key.ID, k.Hash, k.Key.Scopes, k.Key.Role, k.Key.ExpiresAt)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pool sums up the connections of the project's sources.
func (e *Entry) pool() metrics.Pool {
	var sum metrics.Pool
	for _, s := range e.Current().sources {
		st := s.Stat()
		sum.InUse += int(st.InUse)
		sum.Idle += int(st.Idle)
		sum.Max += int(st.Max)
		sum.Waits += uint64(st.Waits)
		sum.Waited += st.WaitTime
		sum.Prepared += uint64(st.Prepared)
	}
	return sum
}
