// Package instance is one project's engine: model, access, policy and schemas,
// built once per revision and never changed. Execute is the request path on one
// screen. services/live builds a new instance beside the old one and swaps it.
//
// What remembers traffic (pools, limiters, breakers) is not here: it outlives
// the swap and is handed in as Outside.
package instance

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/policy/access"
	"tenantry/policy/allowlist"
	"tenantry/policy/authz"
	"tenantry/policy/delegation"
	"tenantry/policy/filter"
	"tenantry/policy/limits"
	"tenantry/services/engine/action"
	"tenantry/services/engine/deadline"
	"tenantry/services/engine/executor"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/rest"
	"tenantry/services/engine/schema"
	"tenantry/services/engine/source"
	"tenantry/services/engine/transform"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
)

// Config is one revision of a project: everything that an instance follows from.
type Config struct {
	Project         tenants.Project
	ResourceVersion int64
	SettingsVersion int64
	Document        *metadata.Document
	Catalogs        map[string]*catalog.Catalog // by source
	Settings        settings.Settings
}

// Outside is what an instance uses and does not own.
type Outside struct {
	Sources  map[string]*source.Source
	Client   *http.Client // guarded
	Limiter  *limits.Limiter
	Traffic  *allowlist.Traffic // nil: operations are not noted
	Quota    *limits.Quota      // of the tenant; nil: none
	Trial    *Trial             // counts what a policy on trial would do otherwise; nil: forgotten with the instance
	Metrics  *metrics.Project
	Recorder *audit.Recorder
	// Runs keeps the runs of asynchronous actions; nil refuses them.
	Runs RunStore
	// Answers keeps the answers to mutations with an idempotency key; nil refuses them.
	Answers AnswerStore
	// Calls is what the project's calls of handlers have in common; nil means that the
	// instance's own calls have nothing in common with others'.
	Calls   *Calls
	Logger  *slog.Logger
	Version string
	// AuditSample is the share of ordinary requests that are audited, 0 to 1, where
	// the project says nothing else.
	AuditSample float64
	// Outdated hears that a database is not as its catalog says, which must not
	// wait; may be nil.
	Outdated func()
}

// Calls is what the calls of a project's handlers have in common: how many run, and
// which handlers fail. It outlives instances.
type Calls = action.Traffic

// NewCalls makes the Calls of a project; its circuits are counted.
func NewCalls(m *metrics.Project) *Calls { return action.NewTraffic(m.RecordCircuit) }

// Instance is one project's engine. Immutable but for its caches; safe for
// concurrent use.
type Instance struct {
	Config
	Model  *model.Model
	Access *access.Access
	// Inconsistencies are what the model and access left out.
	Inconsistencies []model.Inconsistency
	// Endpoints are the saved operations that are served as REST.
	Endpoints *rest.Endpoints
	// Delegation makes and verifies the tokens by which handlers call back.
	Delegation *delegation.Keys

	outside Outside

	deadlines deadline.Shared

	policy    *authz.Policy
	shadow    *authz.Policy // on trial; nil for none
	allowlist *allowlist.List
	executor  executor.Executor
	prepared  *otter.Cache[operationKey, *prepared]
	// made is shared, as prepared is, with the instances that differ in the data of
	// the policy alone.
	*made
}

// made is what an instance has made on first use.
type made struct {
	validations, plans atomic.Int64

	mu      sync.Mutex
	schemas map[schemaKey]*schema.Schema
	// roles are those that the policy narrows, by type of operation.
	roles map[narrowKey]*access.Role
	// trialRoles are those as the policy on trial would narrow them.
	trialRoles map[narrowKey]*access.Role
	// told are the policy's own filters, for those who ask.
	told map[policyRows]filter.Expr
}

type schemaKey struct {
	role        string
	backendOnly bool
	relay       bool
}

// preparedBytes bounds the cache of prepared operations of one instance.
const preparedBytes = 8 << 20

// Resolve is the pure part of building: metadata and catalogs to model and
// access, with all inconsistencies. services/revision judges a change by it. Of the
// settings it reads the dialect's switches and the names of variables.
func Resolve(doc *metadata.Document, catalogs map[string]*catalog.Catalog, set settings.Settings) (*model.Model, *access.Access, []model.Inconsistency) {
	m := model.Resolve(doc, catalogs, model.Options{IgnoreNamingConventions: set.Compat.IgnoreNamingConventions})
	withdrawn := transform.Withdraw(m)
	a, refused := access.Build(m)
	_, endpoints := rest.New(doc)
	return m, a, slices.Concat(m.Inconsistencies, withdrawn, refused, endpoints, unset(doc, set))
}

// CompilePolicies compiles the project's Rego modules, and those on trial, nil when
// there are none; the error is an *authz.CompileError with all problems.
func CompilePolicies(ctx context.Context, s settings.Settings) (policy, shadow *authz.Policy, err error) {
	if policy, err = compilePolicy(ctx, s.Policies, s.PolicyData); err != nil || len(s.ShadowPolicies) == 0 {
		return policy, nil, err
	}
	modules := slices.DeleteFunc(slices.Clone(s.Policies), func(p settings.Policy) bool {
		return slices.ContainsFunc(s.ShadowPolicies, func(other settings.Policy) bool { return other.Name == p.Name })
	})
	shadow, err = compilePolicy(ctx, append(modules, s.ShadowPolicies...), s.PolicyData)
	return policy, shadow, err
}

func compilePolicy(ctx context.Context, policies []settings.Policy, data []byte) (*authz.Policy, error) {
	return authz.Compile(ctx, Modules(policies), data)
}

// Modules are the modules of settings as policies are compiled from them.
func Modules(policies []settings.Policy) []authz.Module {
	modules := make([]authz.Module, len(policies))
	for i, p := range policies {
		modules[i] = authz.Module{Name: p.Name, Text: p.Text}
	}
	return modules
}

// Build makes the engine of a revision. An error means that the revision can't
// serve: its policy doesn't compile, or a setting can't be read. Inconsistent
// metadata is no error: the rest serves.
func Build(ctx context.Context, c Config, outside Outside) (*Instance, error) {
	i := &Instance{Config: c, outside: outside, made: &made{
		schemas: map[schemaKey]*schema.Schema{}, roles: map[narrowKey]*access.Role{}, trialRoles: map[narrowKey]*access.Role{}, told: map[policyRows]filter.Expr{},
	}}
	i.Model, i.Access, i.Inconsistencies = Resolve(c.Document, c.Catalogs, c.Settings)
	i.Endpoints, _ = rest.New(c.Document)
	var err error
	if i.policy, i.shadow, err = CompilePolicies(ctx, c.Settings); err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	i.prepared, err = otter.New(&otter.Options[operationKey, *prepared]{
		MaximumWeight: preparedBytes, Weigher: func(_ operationKey, p *prepared) uint32 { return p.weight() },
	})
	if err != nil {
		return nil, err
	}
	return i, i.wire()
}

// WithPolicyData makes the engine of a revision that differs in the policy's data
// alone: what was validated, planned and narrowed stays. The error is an
// *authz.CompileError about the data.
func (i *Instance) WithPolicyData(ctx context.Context, c Config, outside Outside) (*Instance, error) {
	c.Document = i.Document
	other := &Instance{
		Config: c, outside: outside, Model: i.Model, Access: i.Access, Inconsistencies: i.Inconsistencies, Endpoints: i.Endpoints,
		prepared: i.prepared, made: i.made,
	}
	var err error
	if other.policy, err = i.policy.WithData(ctx, c.Settings.PolicyData); err != nil {
		return nil, err
	}
	if i.shadow != nil {
		if other.shadow, err = i.shadow.WithData(ctx, c.Settings.PolicyData); err != nil {
			return nil, err
		}
	}
	return other, other.wire()
}

// wire puts together what an instance uses.
func (i *Instance) wire() error {
	c, outside := i.Config, i.outside
	if outside.Trial == nil {
		i.outside.Trial = &Trial{}
	}
	i.policy.Observe(authz.Observer{
		Project: c.Project.ID, Evaluated: outside.Metrics.RecordPolicyEvaluation, Bound: i.logBound, Stuck: outside.Metrics.RecordStuckPolicy,
	})
	i.allowlist = allowedOperations(c)
	keys, err := signingKeys(c.Settings)
	if err != nil {
		return err
	}
	i.Delegation = delegation.New(c.Project.ID, c.Settings, nil)
	i.executor = executor.Executor{
		Sources: outside.Sources,
		Types:   i.Model.Types,
		Observe: i,
		Policy:  i.policy,
		Caller: action.New(action.Options{
			Client: outside.Client, Variables: c.Settings.Lookup, Expand: c.Settings.Expand,
			SigningKeys: keys, Delegation: i.Delegation, Version: outside.Version, ConfiguredFirst: !c.Settings.Compat.ClientHeadersFirst,
			Traffic: outside.Calls, Tenant: outside.Quota, MaxTimeout: outside.Quota.CallTimeout(),
		}),
	}
	if outside.Runs != nil {
		i.executor.Runs = runs{outside.Runs, c.Project.ID, c.Settings.Auth.Identity()}
	}
	return nil
}

// Schema is the GraphQL schema as a role sees it, made on first use.
func (i *Instance) Schema(role string, backendOnly bool) (*schema.Schema, *access.Role) {
	return i.schemaOf(role, backendOnly, false)
}

func (i *Instance) schemaOf(role string, backendOnly, relay bool) (*schema.Schema, *access.Role) {
	r, _ := i.Access.Role(role)
	i.mu.Lock()
	defer i.mu.Unlock()
	key := schemaKey{role, backendOnly, relay}
	if s, ok := i.schemas[key]; ok {
		return s, r
	}
	options := SchemaOptions(i.Settings.Compat)
	options.BackendOnly, options.Relay, options.NoIntrospection = backendOnly, relay, i.hidesIntrospection(role)
	s := schema.For(i.Model, i.policy.Shape(r, i.rows("")), options)
	if len(i.schemas) < maxSchemas {
		i.schemas[key] = s
	}
	return s, r
}

// SchemaOptions are the options of all schemas of a project.
func SchemaOptions(c settings.Compat) schema.Options {
	return schema.Options{
		CollapsesNull: c.V1BooleanNullCollapse, StringifiesNumbers: c.StringifyNumericTypes, InferFunctions: c.InferFunctionPermissions,
		Federation: c.ApolloFederation,
	}
}

// Prepared is how many operations are kept ready.
func (i *Instance) Prepared() int { return i.prepared.EstimatedSize() }

// maxSchemas bounds what unknown role names of forged or changing tokens can
// make an instance keep.
const maxSchemas = 1000

func (i *Instance) hidesIntrospection(role string) bool {
	if i.Document.Introspection == nil {
		return false
	}
	for _, name := range i.Document.Introspection.DisabledForRoles {
		if name == role {
			return true
		}
	}
	return false
}

// Program returns the compiled statements of an operation for explain and tests.
func (i *Instance) Program(role string, query, operationName string, variables map[string]any) (*executor.Program, error) {
	s, r := i.Schema(role, false)
	op, err := operation.Prepare(s, query, operationName)
	if err != nil {
		return nil, err
	}
	p := &prepared{key: operationKey{role: role}, operation: op, schema: s, role: r}
	vars, err := op.Coerce(variables)
	if err != nil {
		return nil, err
	}
	found, _, err := i.plan(p, vars)
	if err != nil {
		return nil, err
	}
	return found.Program, nil
}
