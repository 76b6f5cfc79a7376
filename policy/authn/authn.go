// Package authn turns the headers of a request into a session: who the request
// acts as. It is the first stage after the router; everything behind it reads
// the session and never the headers.
//
// An Authenticator belongs to one project's settings. It holds hashes of admin
// secrets and keys, the compiled token settings, and a cache of verified
// tokens.
package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/policy/delegation"
	"tenantry/tenants"
	"tenantry/tenants/settings"
)

// Headers are the headers of a request. Names are looked up in any case.
type Headers interface {
	// Lookup returns the first value of a header. A header that is present and
	// empty is present.
	Lookup(name string) (value string, present bool)
	// All calls f for each header, in any order.
	All(f func(name, value string))
}

// Surface is the API that a request came in by: what a key may do depends on it.
type Surface int

// The surfaces of a project.
const (
	// GraphQL is queries, mutations, subscriptions and saved operations.
	GraphQL Surface = iota
	// Metadata is the metadata and schema commands, with changes.
	Metadata
	// MetadataRead is those commands that change nothing.
	MetadataRead
	// Data is the commands on data, for whoever may use GraphQL; but for handlers
	// that call back.
	Data
)

// onData reports whether roles decide there, as against admins alone.
func (s Surface) onData() bool { return s == GraphQL || s == Data }

// Secret is an admin secret: its id for the audit, and its SHA-256.
type Secret struct {
	ID   string
	Hash []byte
}

// Key is a key of the project or of its tenant.
type Key struct {
	ID        string
	TenantID  string
	Hash      []byte
	Role      tenants.Role // of a tenant's key
	Scopes    []string     // of a project's key
	ExpiresAt *time.Time
}

// Config is what an Authenticator needs to know of a project.
type Config struct {
	Project      string // id
	TenantID     string
	AdminSecrets []Secret
	Keys         []Key // of the project, pk_…
	TenantKeys   []Key // of the tenant, tk_…
	Auth         settings.Auth
	Revoked      []settings.Revocation
	// Delegation verifies the tokens of handlers that call back; nil refuses them.
	Delegation *delegation.Keys
	// Loopback says whose address one of this machine is, for Failures.
	Loopback Loopback
	// Failures slows down who guesses; nil makes one for this Authenticator alone.
	Failures *Failures
	// Failed hears of each refusal by one of the Failed… words; nil does not.
	Failed func(what string)
	// Used hears of each use of a secret or key by its id; nil does not.
	Used func(auth session.Auth, id string)
	// Agent and SigningKeys are of the calls of the project's services: key sets and the
	// authentication webhook. Without keys they are not signed.
	Agent       string
	SigningKeys []webhook.SigningKey
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// What a request was refused for.
const (
	FailedAdminSecret = "admin_secret"
	FailedKey         = "api_key"
	FailedToken       = "jwt"
	FailedDelegation  = "delegation"
	FailedWebhook     = "webhook"
	FailedWaiting     = "waiting" // its address had failed too often
	FailedForgery     = "forgery" // a page of another origin could have sent it
	FailedNone        = "none"    // there was no credential
)

// Call is one request to authenticate.
type Call struct {
	Headers Headers
	// RequestID is what an authentication webhook is told as x-request-id.
	RequestID string
	IP        string // as the edge believes it
	Surface   Surface
	// Request is the GraphQL request as JSON, for an authentication webhook in
	// POST mode; nil leaves it out.
	Request []byte
	// OriginChecked says that the edge knows the page that sent the request, so
	// that its cookies count.
	OriginChecked bool
	// SetCookie gets the cookies that an authentication webhook sets; nil drops
	// them.
	SetCookie func(value string)
}

// Authenticator makes sessions. It is safe for concurrent use.
type Authenticator struct {
	cfg    Config
	tokens []*tokenConfig
	hook   *hook
	cache  *cache[*identity]
	// delegations are the sessions of delegation tokens.
	delegations *cache[session.Session]
	now         func() time.Time
	stop        context.CancelFunc
}

// New compiles a project's settings. client reaches the tenant's addresses (key
// sets, webhook): the egress guard's. Nothing is fetched before the first token
// needs it. The error names every setting that cannot be used.
func New(cfg Config, client *http.Client, logger *slog.Logger) (*Authenticator, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Failures == nil {
		cfg.Failures = NewFailures()
	}
	if cfg.Failed == nil {
		cfg.Failed = func(string) {}
	}
	if cfg.Used == nil {
		cfg.Used = func(session.Auth, string) {}
	}
	client = standardClient(client, cfg)
	ctx, stop := context.WithCancel(context.Background())
	a := &Authenticator{cfg: cfg, cache: newCache[*identity](cacheSize), delegations: newCache[session.Session](cacheSize), now: cfg.Now, stop: stop}
	var failed []error
	for i, j := range cfg.Auth.JWT {
		t, err := newTokenConfig(ctx, j, client, logger, cfg.Now)
		if err != nil {
			failed = append(failed, fmt.Errorf("jwt[%d].%w", i, err))
			continue
		}
		a.tokens = append(a.tokens, t)
	}
	if w := cfg.Auth.Webhook; w != nil {
		a.hook = newHook(*w, client, cfg.Now)
	}
	if len(failed) > 0 {
		stop()
		return nil, errors.Join(failed...)
	}
	return a, nil
}

// Close ends background fetches. Calls that are running finish.
func (a *Authenticator) Close() { a.stop() }

// Authenticate finds who a request acts as. Errors are *errcode.Error.
func (a *Authenticator) Authenticate(ctx context.Context, h Headers, ip string, s Surface) (session.Session, error) {
	return a.AuthenticateCall(ctx, Call{Headers: h, IP: ip, Surface: s})
}

// AuthenticateCall is Authenticate with all that a call may bring. The order is
// that of contracts §2: the first credential that is present decides alone, and
// a wrong one is never passed over for the next.
func (a *Authenticator) AuthenticateCall(ctx context.Context, c Call) (session.Session, error) {
	if name := repeated(c.Headers); name != "" {
		return session.Session{}, errcode.New(errcode.InvalidHeaders, "the header %q is there twice", name)
	}
	s, err := a.identify(ctx, c)
	if err != nil {
		return session.Session{}, err
	}
	s.Project, s.IP, s.Depth = a.cfg.Project, c.IP, max(s.Depth, traceDepth(c.Headers))
	return s, nil
}

func (a *Authenticator) identify(ctx context.Context, c Call) (session.Session, error) {
	for _, name := range []string{adminSecretHeader, accessKeyHeader} {
		if secret, present := c.Headers.Lookup(name); present {
			return a.admin(c, secret)
		}
	}
	if token, ok := bearer(c.Headers); ok {
		switch {
		case strings.HasPrefix(token, "pk_"):
			return a.projectKey(c, token)
		case strings.HasPrefix(token, "tk_"):
			return a.tenantKey(c, token)
		case delegation.Claimed(token):
			s, err := a.delegated(c, token)
			if err != nil {
				a.cfg.Failed(FailedDelegation)
			}
			return s, err
		}
	}
	switch {
	case len(a.tokens) > 0:
		s, found, err := a.token(ctx, c)
		if err != nil {
			a.cfg.Failed(failedBy(err, FailedToken))
		}
		if found || err != nil {
			return s, err
		}
	case a.hook != nil:
		s, err := a.askHook(ctx, c)
		if err != nil {
			a.cfg.Failed(failedBy(err, FailedWebhook))
		}
		return s, err
	}
	if role := a.cfg.Auth.UnauthorizedRole; role != "" {
		// Nothing that the client sends counts: it proved nothing.
		return session.Session{Role: role, Variables: map[string]string{session.RoleVariable: role}, Auth: session.AuthAnonymous}, nil
	}
	a.cfg.Failed(FailedNone)
	if len(a.tokens) > 0 {
		return session.Session{}, errcode.New(errcode.InvalidHeaders, "Missing 'Authorization' or 'Cookie' header in JWT authentication mode")
	}
	return session.Session{}, errcode.New(errcode.AccessDenied, "x-hasura-admin-secret/x-hasura-access-key required, but not found")
}

func (a *Authenticator) admin(c Call, secret string) (session.Session, error) {
	id, ok := "", false
	sum := sha256.Sum256([]byte(secret))
	for _, s := range a.cfg.AdminSecrets { // all of them, so that time tells nothing
		if subtle.ConstantTimeCompare(sum[:], s.Hash) == 1 {
			id, ok = s.ID, true
		}
	}
	if wait := a.admit(c, id); wait > 0 {
		a.cfg.Failed(FailedWaiting)
		return session.Session{}, errWait(wait)
	}
	if !ok {
		a.cfg.Failed(FailedAdminSecret)
		return session.Session{}, errcode.New(errcode.AccessDenied, `invalid "x-hasura-admin-secret"/"x-hasura-access-key"`)
	}
	a.cfg.Used(session.AuthAdminSecret, id)
	variables := clientVariables(c.Headers)
	role := variables[session.RoleVariable]
	if role == "" {
		role = session.Admin
	}
	variables[session.RoleVariable] = role
	backendOnly := strings.EqualFold(variables[backendOnlyHeader], "true")
	return session.Session{Role: role, Variables: variables, Auth: session.AuthAdminSecret, Actor: id, BackendOnly: backendOnly}, nil
}

// admit is how long an attempt has to wait; id is the credential that was found.
func (a *Authenticator) admit(c Call, id string) time.Duration {
	return a.cfg.Failures.Attempt(a.cfg.Loopback, c.Headers, c.IP, id, a.now())
}

// projectKey decides the role by the key's scopes: graphql:role=… for queries,
// metadata:read and metadata:write for the commands. The client's own x-hasura-*
// headers choose among the roles and are otherwise dropped.
func (a *Authenticator) projectKey(c Call, token string) (session.Session, error) {
	k, err := a.find(c, a.cfg.Keys, token)
	if err != nil {
		return session.Session{}, err
	}
	if !AllowedFrom(k.Scopes, c.IP) {
		return session.Session{}, errcode.New(errcode.AccessDenied, "the API key is not accepted from this address")
	}
	if !c.Surface.onData() {
		if slices.Contains(k.Scopes, "metadata:write") || c.Surface == MetadataRead && slices.Contains(k.Scopes, "metadata:read") {
			return keySession(session.Admin, session.AuthAPIKey, k.ID), nil
		}
		return session.Session{}, errcode.New(errcode.AccessDenied, "the scopes of the API key do not cover this")
	}
	var roles []string
	for _, scope := range k.Scopes {
		if role, ok := strings.CutPrefix(scope, "graphql:role="); ok && role != "" {
			roles = append(roles, role)
		}
	}
	if len(roles) == 0 {
		return session.Session{}, errcode.New(errcode.AccessDenied, "the scopes of the API key do not cover this")
	}
	role, err := chooseRole(c.Headers, roles, roles[0])
	if err != nil {
		return session.Session{}, err
	}
	s := keySession(role, session.AuthAPIKey, k.ID)
	if k.ExpiresAt != nil {
		s.Expires = *k.ExpiresAt
	}
	return s, nil
}

// tenantKey lets developers of the tenant use the metadata commands.
func (a *Authenticator) tenantKey(c Call, token string) (session.Session, error) {
	k, err := a.find(c, a.cfg.TenantKeys, token)
	if err != nil {
		return session.Session{}, err
	}
	switch {
	case c.Surface.onData():
		return session.Session{}, errcode.New(errcode.AccessDenied, "a tenant's key is not accepted here; use a key of the project")
	case k.Role != tenants.Owner && k.Role != tenants.Admin && k.Role != tenants.Developer:
		return session.Session{}, errcode.New(errcode.AccessDenied, "the role of the key does not cover this")
	}
	return keySession(session.Admin, session.AuthTenantKey, k.ID), nil
}

// find is the key of a token, with what guards against guessing. Another tenant's
// key is none.
func (a *Authenticator) find(c Call, keys []Key, token string) (Key, error) {
	k, ok := a.key(keys, token)
	if wait := a.admit(c, k.ID); wait > 0 {
		a.cfg.Failed(FailedWaiting)
		return Key{}, errWait(wait)
	}
	if !ok {
		a.cfg.Failed(FailedKey)
		return Key{}, errcode.New(errcode.AccessDenied, "invalid or expired API key")
	}
	a.cfg.Used(session.AuthAPIKey, k.ID)
	return k, nil
}

func (a *Authenticator) key(keys []Key, token string) (Key, bool) {
	sum := sha256.Sum256([]byte(token))
	var found *Key
	for i := range keys {
		if subtle.ConstantTimeCompare(sum[:], keys[i].Hash) == 1 {
			found = &keys[i]
		}
	}
	if found == nil || found.TenantID != a.cfg.TenantID || found.ExpiresAt != nil && !a.now().Before(*found.ExpiresAt) {
		return Key{}, false
	}
	return *found, true
}

// fromScope begins a scope that says from which networks a key is accepted.
const fromScope = "ip="

// AllowedFrom reports whether a key with these scopes is accepted from an address:
// from anywhere without a scope ip=<network>, else from those networks alone.
func AllowedFrom(scopes []string, ip string) bool {
	limited := false
	for _, scope := range scopes {
		network, ok := strings.CutPrefix(scope, fromScope)
		if !ok {
			continue
		}
		limited = true
		prefix, err := netip.ParsePrefix(network)
		addr, wrong := netip.ParseAddr(ip)
		if err == nil && wrong == nil && prefix.Contains(addr.Unmap().WithZone("")) {
			return true
		}
	}
	return !limited
}

// failedBy is the word for a failure, unless the error has one of its own.
func failedBy(err error, what string) string {
	if errors.Is(err, errForgery) {
		return FailedForgery
	}
	return what
}

func keySession(role string, auth session.Auth, id string) session.Session {
	return session.Session{Role: role, Variables: map[string]string{session.RoleVariable: role}, Auth: auth, Actor: id}
}

// chooseRole is the role that the client asks for, if it is allowed.
func chooseRole(h Headers, allowed []string, standard string) (string, error) {
	role, _ := h.Lookup(session.RoleVariable)
	if role == "" {
		role = standard
	}
	i := slices.Index(allowed, role)
	if i < 0 {
		return "", errcode.New(errcode.AccessDenied, "Your requested role is not in allowed roles")
	}
	return allowed[i], nil
}
