// Package control is the control API, /api/v1: sign-up, tenants, projects, keys
// and everything that a project is configured with, as REST with an OpenAPI
// document made from the Go types.
//
// A request passes the edge (request id, time limit, one form of errors), the
// guard (whose key, whose thing, allowed by policy/authz.Control), the store of
// idempotent answers, and then one handler. Handlers change projects through
// services/revision alone, and tenants and credentials through tenants/store;
// both write the audit event in the transaction of the change.
package control

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"tenantry/ops/audit"
	"tenantry/policy/allowlist"
	"tenantry/policy/authn"
	"tenantry/policy/authz"
	"tenantry/policy/limits"
	"tenantry/services/engine/accessview"
	"tenantry/services/engine/impact"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// Revisions is what the control API needs of services/revision.
type Revisions interface {
	Apply(ctx context.Context, project string, c revision.Change) (revision.Outcome, error)
	Current(ctx context.Context, project string) (revision.Outcome, error)
	Create(ctx context.Context, author revision.Author, p store.NewProject, database revision.Database) (revision.Created, error)
	Catalog(ctx context.Context, project string) (*catalog.Catalog, error)
	MoveDatabase(ctx context.Context, author revision.Author, project string, url vault.Secret) (revision.Outcome, error)
	SDL(ctx context.Context, project, role string) (string, error)
	TestPermissions(ctx context.Context, project string) ([]instance.TestResult, error)
	VerifyHandler(ctx context.Context, project string, v instance.Verification) ([]instance.ProbeResult, error)
	// TestPolicies and TryPolicies take the policy as edit leaves it; nothing is
	// stored.
	TestPolicies(ctx context.Context, project string, edit func(*settings.Settings) error) (authz.TestRun, error)
	TryPolicies(ctx context.Context, project string, edit func(*settings.Settings) error) (accessview.Project, error)
	Access(ctx context.Context, project string) (accessview.Project, error)
	CompareAccess(ctx context.Context, project string, from, to int64) ([]impact.AccessChange, error)
}

// Who may sign up.
const (
	SignupOpen     = "open"
	SignupOperator = "operator"
)

// Deps are the collaborators of the control API. Store, Revisions, Control and
// Recorder are required.
type Deps struct {
	Store     *store.Store
	Revisions Revisions
	Control   *authz.Control
	Recorder  *audit.Recorder
	// CheckEgress says whether a tenant's URL may be called; nil lets all pass.
	CheckEgress func(rawURL string) error
	// OperatorKeyHash is the vault.Hash of the operator's key; empty: there is none.
	OperatorKeyHash []byte
	Signup          string // SignupOpen, or SignupOperator when empty
	// SignupsPerHour bounds sign-ups from one address; 10 when 0.
	SignupsPerHour int
	// Plans are those of the configuration, by name.
	Plans map[string]limits.Plan
	// Plan of new tenants; "free" when empty.
	Plan string
	// Reload makes this node follow a change of a project that was not made
	// through Revisions: of its status or its keys. Other nodes are told by the
	// store. nil: this node is told by the store as well, a moment later.
	Reload func(ctx context.Context, projectID string)
	// Traffic tells which operations of a project's clients this node has seen since
	// a time that are not in its allow-list; nil knows of none.
	Traffic func(projectID string, since time.Time) []allowlist.Operation
	// Observe counts an answer by operation id ("" when no route was found); may be nil.
	Observe func(operation string, status int, took time.Duration)
	// MostRunRetention is how many days projects may keep runs that have ended at
	// most; store.MostRunRetention when 0.
	MostRunRetention int
	// Managed says whether the installation makes databases for projects.
	Managed bool
	// Metrics writes the exposition of one project, by slug.
	Metrics func(w io.Writer, slug string) error
	Logger  *slog.Logger // slog.Default() when nil
	// BaseURL is what the endpoints in answers begin with, without a slash at
	// its end; nil takes the scheme and host of the request.
	BaseURL func(c *fiber.Ctx) string
	// Address is a caller's address as the edge believes it; nil is c.IP().
	Address func(c *fiber.Ctx) string
	// Loopback says whose address one of this machine is, where guessing of keys is
	// slowed.
	Loopback authn.Loopback
	// Now is the clock of sign-up limits and key expiry; time.Now when nil.
	Now func() time.Time
}

func (d Deps) withDefaults() Deps {
	if d.CheckEgress == nil {
		d.CheckEgress = func(string) error { return nil }
	}
	if d.Signup == "" {
		d.Signup = SignupOperator
	}
	if d.SignupsPerHour <= 0 {
		d.SignupsPerHour = 10
	}
	if d.MostRunRetention <= 0 {
		d.MostRunRetention = store.MostRunRetention
	}
	if d.Plan == "" {
		d.Plan = "free"
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.BaseURL == nil {
		d.BaseURL = func(c *fiber.Ctx) string { return c.BaseURL() }
	}
	if d.Address == nil {
		d.Address = func(c *fiber.Ctx) string { return c.IP() }
	}
	if d.Reload == nil {
		d.Reload = func(context.Context, string) {}
	}
	if d.Traffic == nil {
		d.Traffic = func(string, time.Time) []allowlist.Operation { return nil }
	}
	if d.Observe == nil {
		d.Observe = func(string, int, time.Duration) {}
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}

// service holds what the handlers share.
type service struct {
	Deps
	api     huma.API
	signups *signups
	// failures slow down who guesses keys.
	failures *authn.Failures
	routes   []route // for 405
}

// New registers the control API under /api/v1, and its readable page at
// /api/docs, on app. The app should have an IdleTimeout, a BodyLimit of at
// least 32 MiB, and ErrorHandler for what fails before a route is found.
func New(app *fiber.App, deps Deps) huma.API {
	s := &service{Deps: deps.withDefaults()}
	s.signups = newSignups(s.SignupsPerHour)
	s.failures = authn.NewFailures()
	s.api = s.openAPI(app)
	app.Use(prefix, s.edge)
	s.api.UseMiddleware(ownedStrings, s.guard, s.idempotent)
	s.registerTenants()
	s.registerPlans()
	s.registerKeys()
	s.registerProjects()
	s.registerAdminSecrets()
	s.registerTables()
	s.registerMetadata()
	s.registerCodegen() // before the actions: their path of one name would take it
	s.registerOpenAPI()
	s.registerVerification()
	s.registerDerivation()
	s.registerActions()
	s.registerRuns()
	s.registerPolicies()
	s.registerPolicyTrials()
	s.registerAccess()
	s.registerPermissionTests()
	s.registerLimits()
	s.registerCompat()
	s.registerAllowlist()
	s.registerDocuments()
	s.registerAuth()
	s.registerSessions()
	s.registerSigningSecrets()
	s.registerSigningKeys()
	s.registerHandlerTLS()
	s.registerVariables()
	s.registerAudit()
	s.registerViews()
	s.registerDocument(app)
	app.Use(prefix, s.noRoute)
	return s.api
}
