// Package settings holds what a project is configured with beside its metadata:
// its database, authentication, policies, variables and secrets. Settings have
// revisions of their own and are sealed as a whole by tenants/store, so that no
// metadata command can widen access by leaving something out. services/control
// writes them, services/live builds a project's engine from them.
package settings

import (
	"encoding/json"

	"tenantry/tenants/vault"
)

// Settings are one project's settings. A value: a change is made on a Clone.
type Settings struct {
	Database   DatabaseSettings `json:"database"`
	Auth       Auth             `json:"auth"`
	Revoked    []Revocation     `json:"revoked,omitempty"` // at most MaxRevocations
	Policies   []Policy         `json:"policies,omitempty"`
	PolicyData json.RawMessage  `json:"policy_data,omitempty"` // a JSON object; Rego sees it as data.tenant
	// ShadowPolicies are modules on trial: with the other modules they decide beside
	// the policy, and only what they would decide otherwise is counted. One that has
	// the name of a policy stands for it.
	ShadowPolicies []Policy        `json:"shadow_policies,omitempty"`
	Variables      []Variable      `json:"variables,omitempty"`
	SigningSecrets []SigningSecret `json:"signing_secrets,omitempty"` // newest last, at most MaxSigningSecrets
	AllowlistMode  string          `json:"allowlist_mode,omitempty"`  // disabled (also when empty), audit, enforce, ids_only
	// AllowlistRoles are the modes of roles that have one of their own.
	AllowlistRoles map[string]string `json:"allowlist_roles,omitempty"`
	AllowlistMatch string            `json:"allowlist_match,omitempty"` // exact (also when empty), normalized, subset
	AuditSample    *float64          `json:"audit_sample,omitempty"`    // 0 to 1; nil is the installation's default
	DecisionLog    DecisionLog       `json:"decision_log,omitzero"`
	DevMode        bool              `json:"dev_mode,omitempty"` // clients see extensions.internal
	Compat         Compat            `json:"compat,omitzero"`
	// HandlerTLS is how the project's handlers are reached beside what the web trusts.
	HandlerTLS HandlerTLS `json:"handler_tls,omitzero"`
	// SigningKeys are the project's own key pairs, which sign delegation tokens;
	// oldest first, at most MaxSigningKeys.
	SigningKeys []SigningKey `json:"signing_keys,omitempty"`
}

// DatabaseSettings say how to reach the project's database.
type DatabaseSettings struct {
	URL vault.Secret `json:"url,omitzero"` // postgres://…; holds a password
}

// Auth says who may come in, beside admin secrets and keys.
type Auth struct {
	JWT     []JWT        `json:"jwt,omitempty"`
	Webhook *WebhookAuth `json:"webhook,omitempty"`
	// UnauthorizedRole is the role of requests without credentials; empty
	// refuses them.
	UnauthorizedRole string `json:"unauthorized_role,omitempty"`
	CORS             CORS   `json:"cors,omitzero"`
	// IdentityVariables are the session variables that say, beside the role, who a
	// client is: to whom runs of asynchronous actions and idempotency keys belong. In
	// lower case, at most MaxIdentityVariables; none means x-hasura-user-id.
	IdentityVariables []string `json:"identity_variables,omitempty"`
}

// MaxIdentityVariables bounds the variables that say who a client is.
const MaxIdentityVariables = 8

var defaultIdentity = []string{"x-hasura-user-id"}

// Identity are the session variables that say who a client is; not to be changed.
func (a Auth) Identity() []string {
	if len(a.IdentityVariables) == 0 {
		return defaultIdentity
	}
	return a.IdentityVariables
}

// JWT is one way to verify tokens (contracts §3): a key with its algorithm, or
// the address of a key set.
type JWT struct {
	Type                string           `json:"type,omitempty"` // HS256 … Ed25519; required with Key
	Key                 vault.Secret     `json:"key,omitzero"`   // shared secret, PEM public key or X.509 certificate
	JWKURL              string           `json:"jwk_url,omitempty"`
	ClaimsNamespace     string           `json:"claims_namespace,omitempty"`      // empty: DefaultNamespace, unless one of the next two is given
	ClaimsNamespacePath string           `json:"claims_namespace_path,omitempty"` // JSONPath, "$" for the token's top level
	ClaimsFormat        string           `json:"claims_format,omitempty"`         // json (also when empty) or stringified_json
	ClaimsMap           map[string]Claim `json:"claims_map,omitempty"`            // by session variable, in lower case
	Audience            []string         `json:"audience,omitempty"`
	Issuer              string           `json:"issuer,omitempty"`
	AllowedSkew         int              `json:"allowed_skew,omitempty"` // seconds
	Header              *JWTHeader       `json:"header,omitempty"`       // nil: Authorization
}

// DefaultNamespace is the claim that holds the x-hasura-* claims.
const DefaultNamespace = "https://hasura.io/jwt/claims"

// JWTHeader says where in a request the token is.
type JWTHeader struct {
	Type string `json:"type"`           // Authorization, Cookie or CustomHeader
	Name string `json:"name,omitempty"` // of the cookie or header
}

// Claim gives one session variable its value: a literal, or what lies at a path
// of the token.
type Claim struct {
	// Literal is JSON (a string, or a list of strings for
	// x-hasura-allowed-roles); nil when Path is set.
	Literal json.RawMessage
	// Path is a JSONPath such as $.user.id.
	Path string
	// Default is JSON for a path that the token does not have; nil: it must.
	Default json.RawMessage
}

type claimPath struct {
	Path    string          `json:"path"`
	Default json.RawMessage `json:"default,omitempty"`
}

// MarshalJSON writes the literal itself, or {path, default}.
func (c Claim) MarshalJSON() ([]byte, error) {
	if c.Path == "" {
		return c.Literal, nil
	}
	return json.Marshal(claimPath{c.Path, c.Default})
}

// UnmarshalJSON reads what MarshalJSON writes. It checks no more than the form;
// DecodeAuth checks.
func (c *Claim) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var p claimPath
		if err := json.Unmarshal(data, &p); err != nil {
			return err
		}
		*c = Claim{Path: p.Path, Default: p.Default}
		return nil
	}
	*c = Claim{Literal: json.RawMessage(append([]byte(nil), data...))}
	return nil
}

// WebhookAuth asks a service of the tenant who a request is (contracts §4).
type WebhookAuth struct {
	URL  string `json:"url"`
	Mode string `json:"mode,omitempty"` // GET (also when empty) or POST
	// OmitRequest leaves the GraphQL request out of a POST's body.
	OmitRequest bool `json:"omit_request,omitempty"`
	// DisableCache asks for every request, also for those whose answer says how
	// long it holds.
	DisableCache bool `json:"disable_cache,omitempty"`
}

// CORS says which origins' pages may call the project from a browser.
type CORS struct {
	// Origins are "*", exact origins, or origins with one leading wildcard label
	// (https://*.example.com). None: no page may.
	Origins []string `json:"origins,omitempty"`
}

// Policy is one Rego module of the project.
type Policy struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// DecisionLog says what is kept of the answers of the project's policy. Denials
// always are.
type DecisionLog struct {
	// Sample is the share of the other answers, 0 to 1; nil is that of the audit.
	Sample *float64 `json:"sample,omitempty"`
	// Values keeps the values of session variables beside their names.
	Values bool `json:"values,omitempty"`
}

// Variable is a value that metadata refers to by name. Every value is sealed
// and masked; Secret says whether the control API may give it back.
type Variable struct {
	Name   string       `json:"name"`
	Value  vault.Secret `json:"value"`
	Secret bool         `json:"secret"`
}
