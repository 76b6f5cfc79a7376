package metadata

// APILimits are the tenant's own limits (contracts §12.2). Admin is exempt.
type APILimits struct {
	Disabled bool `json:"disabled,omitempty"`
	// Mode is LimitsEnforce, which empty stands for, or LimitsAudit.
	Mode       string    `json:"mode,omitempty"`
	DepthLimit *IntLimit `json:"depth_limit,omitempty"`
	NodeLimit  *IntLimit `json:"node_limit,omitempty"`
	TimeLimit  *IntLimit `json:"time_limit,omitempty"` // seconds
	BatchLimit *IntLimit `json:"batch_limit,omitempty"`
	CostLimit  *IntLimit `json:"cost_limit,omitempty"` // objects that an operation may touch
	// CostBudget bounds what the operations of a minute may cost together.
	CostBudget *CostBudget `json:"cost_budget,omitempty"`
	RateLimit  *RateLimit  `json:"rate_limit,omitempty"`

	// What a document may have; the platform's own bounds stay above them.
	TokenLimit     *IntLimit `json:"token_limit,omitempty"`
	AliasLimit     *IntLimit `json:"alias_limit,omitempty"`
	RootFieldLimit *IntLimit `json:"root_field_limit,omitempty"`
	DirectiveLimit *IntLimit `json:"directive_limit,omitempty"`
	BodyLimit      *IntLimit `json:"body_limit,omitempty"` // bytes
}

// What limits do with an operation that is beyond them.
const (
	LimitsEnforce = "enforce" // refuse it
	LimitsAudit   = "audit"   // count it, tell the operator, let it pass
)

// IntLimit is a number for everybody, overridden per role.
type IntLimit struct {
	Global  int            `json:"global"`
	PerRole map[string]int `json:"per_role,omitempty"`
}

// RateLimit bounds requests per minute.
type RateLimit struct {
	Global  RateRule            `json:"global"`
	PerRole map[string]RateRule `json:"per_role,omitempty"`
	// PerOperation are further bounds of single operations, by the name of the
	// operation or the hash of its text. Those of one operation count together.
	PerOperation map[string]RateRule `json:"per_operation,omitempty"`
	// PerAction are further bounds of operations that call an action, by its name.
	PerAction map[string]RateRule `json:"per_action,omitempty"`
}

// RateRule is one bound: a key is the role, plus the address or the values of
// session variables when UniqueParams says so.
type RateRule struct {
	MaxRequestsPerMinute int `json:"max_reqs_per_min"`
	// UniqueParams is nil, ["IP"] ("IP" in JSON) or names of session variables.
	UniqueParams UniqueParams `json:"unique_params,omitempty"`
	// Algorithm is SlidingWindow, which empty stands for, or TokenBucket.
	Algorithm string `json:"algorithm,omitempty"`
	// Burst is what a full bucket holds; 0 is MaxRequestsPerMinute.
	Burst int `json:"burst,omitempty"`
}

// CostBudget is a budget of costs per minute for everybody, overridden per role.
type CostBudget struct {
	Global  CostRule            `json:"global"`
	PerRole map[string]CostRule `json:"per_role,omitempty"`
}

// CostRule is one budget. No 60 seconds see more than it; who shares it is told as
// for a RateRule.
type CostRule struct {
	MaxCostPerMinute int          `json:"max_cost_per_min"` // objects, as of APILimits.CostLimit
	UniqueParams     UniqueParams `json:"unique_params,omitempty"`
}

// How requests are counted.
const (
	// SlidingWindow lets no 60 seconds see more than the limit.
	SlidingWindow = "sliding_window"
	// TokenBucket lets a burst pass at once and then requests at an even pace.
	TokenBucket = "token_bucket"
)

// UniqueParams is the string "IP" or a list of session variables in JSON.
type UniqueParams []string
