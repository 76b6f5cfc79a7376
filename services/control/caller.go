package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/authn"
	"tenantry/policy/authz"
	"tenantry/services/revision"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// caller is who holds the key of a request.
type caller struct {
	kind    string // authz.Caller…
	key     tenants.Key
	tenant  tenants.Tenant
	project *tenants.Project // of a project's key
}

// call is one request that passed the guard: who asks, and whose thing it is
// about.
type call struct {
	caller    caller
	endpoint  *endpoint
	tenant    tenants.Tenant  // target; zero where the path names none
	project   tenants.Project // target; zero where the path names none
	requestID string
	ip        string
	base      string // of URLs in the answer
	// mostRetention is how many days projects may keep runs.
	mostRetention int
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

var errNoKey = problem(http.StatusUnauthorized, errcode.Unauthorized, "send a key: Authorization: Bearer <key>")

var errBadKey = problem(http.StatusUnauthorized, errcode.Unauthorized, "the key is not valid")

// authenticate finds who asks. An address that guesses keys has to wait, as one
// that guesses those of a project has.
func (s *service) authenticate(ctx context.Context, o owned, ip string) (caller, error) {
	header := o.Header("Authorization")
	if header == "" {
		return caller{kind: authz.CallerAnonymous}, nil
	}
	who, err := s.holder(ctx, header, ip)
	if err != nil && !errors.Is(err, errBadKey) {
		return caller{}, err
	}
	if wait := s.failures.Attempt(s.Loopback, o, ip, who.id(), s.Now()); wait > 0 {
		p := problem(http.StatusTooManyRequests, errcode.RateLimitExceeded,
			fmt.Sprintf("too many wrong keys from this address; try again in %d s", int(math.Ceil(wait.Seconds()))))
		return caller{}, p
	}
	if err == nil && who.key.ID != "" {
		s.Store.TouchKeys(who.key.ID)
	}
	return who, err
}

// id of the key that a caller holds; "" when it is none.
func (c caller) id() string {
	if c.kind == authz.CallerOperator {
		return c.kind
	}
	return c.key.ID
}

// holder finds whose key the Authorization header carries; errBadKey: nobody's.
func (s *service) holder(ctx context.Context, header, ip string) (caller, error) {
	scheme, key, _ := strings.Cut(header, " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "bearer") || key == "" {
		return caller{}, errBadKey
	}
	hash := vault.Hash(key)
	if len(s.OperatorKeyHash) > 0 && subtle.ConstantTimeCompare(hash, s.OperatorKeyHash) == 1 {
		return caller{kind: authz.CallerOperator}, nil
	}
	found, err := s.Store.FindKey(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return caller{}, errBadKey
	}
	if err != nil {
		return caller{}, err
	}
	if found.Project != nil && !authn.AllowedFrom(found.Key.Scopes, ip) {
		return caller{}, errBadKey
	}
	who := caller{kind: authz.CallerTenantKey, key: found.Key, tenant: found.Tenant, project: found.Project}
	if found.Project != nil {
		who.kind = authz.CallerProjectKey
	}
	return who, nil
}

// actor is the caller as the audit names it.
func (c caller) actor() audit.Actor {
	switch c.kind {
	case authz.CallerOperator:
		return audit.Actor{Kind: audit.ActorOperator, ID: "operator"}
	case authz.CallerTenantKey:
		return audit.Actor{Kind: audit.ActorTenantKey, ID: c.key.ID}
	case authz.CallerProjectKey:
		return audit.Actor{Kind: audit.ActorProjectKey, ID: c.key.ID}
	}
	return audit.Actor{Kind: audit.ActorUser, ID: authz.CallerAnonymous}
}

func (c caller) role() string {
	if c.kind == authz.CallerOperator {
		return string(tenants.Operator)
	}
	return string(c.key.Role)
}

// projectID of a project's key.
func (c caller) projectID() string {
	if c.project == nil {
		return ""
	}
	return c.project.ID
}

// author of changes made by the call.
func (c *call) author() revision.Author {
	return revision.Author{Actor: c.caller.actor(), TenantID: c.tenant.ID, IP: c.ip, RequestID: c.requestID}
}

// event is the audit event of a change that the call makes outside of
// services/revision.
func (c *call) event(action, target string, detail map[string]any) audit.Event {
	return audit.Event{
		Kind: audit.KindChange, TenantID: c.tenant.ID, ProjectID: c.project.ID,
		Actor: c.caller.actor(), Role: c.caller.role(), Action: action, Target: target,
		Outcome: audit.OK, RequestID: c.requestID, IP: c.ip, Detail: detail,
	}
}

// in names a thing of the call's project, as the audit does.
func (c *call) in(parts ...string) string {
	return strings.Join(append([]string{c.project.Slug}, parts...), "/")
}
