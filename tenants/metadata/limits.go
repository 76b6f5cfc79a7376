package metadata

// APILimits are the tenant's own limits (contracts §12.2). Admin is exempt.
type APILimits struct {
	Disabled   bool       `json:"disabled,omitempty"`
	DepthLimit *IntLimit  `json:"depth_limit,omitempty"`
	NodeLimit  *IntLimit  `json:"node_limit,omitempty"`
	TimeLimit  *IntLimit  `json:"time_limit,omitempty"` // seconds
	BatchLimit *IntLimit  `json:"batch_limit,omitempty"`
	RateLimit  *RateLimit `json:"rate_limit,omitempty"`
}

// IntLimit is a number for everybody, overridden per role.
type IntLimit struct {
	Global  int            `json:"global"`
	PerRole map[string]int `json:"per_role,omitempty"`
}

// RateLimit bounds requests per minute.
type RateLimit struct {
	Global  RateRule            `json:"global"`
	PerRole map[string]RateRule `json:"per_role,omitempty"`
}

// RateRule is one bound: a key is the role, plus the address or the values of
// session variables when UniqueParams says so.
type RateRule struct {
	MaxRequestsPerMinute int `json:"max_reqs_per_min"`
	// UniqueParams is nil, ["IP"] ("IP" in JSON) or names of session variables.
	UniqueParams UniqueParams `json:"unique_params,omitempty"`
}

// UniqueParams is the string "IP" or a list of session variables in JSON.
type UniqueParams []string
