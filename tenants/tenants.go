// Package tenants holds the nouns of the control plane: who owns what. It is
// plain data; tenants/store keeps it, services/control shows it.
package tenants

import "time"

// Status says whether a tenant or project serves requests.
type Status string

// The statuses.
const (
	Active    Status = "active"
	Suspended Status = "suspended"
	Deleted   Status = "deleted"
)

// Tenant is a customer of the installation.
type Tenant struct {
	ID    string // uuid v7
	Slug  string // unique in the installation
	Name  string
	Email string
	Plan  string
	// PlanBounds are those that the operator stored for the plan, by name; nil where
	// the configuration says them. Quota are bounds of this tenant alone, in the
	// place of the plan's; 0 is no bound.
	PlanBounds, Quota map[string]int
	Status            Status
	CreatedAt         time.Time
}

// Plan is a plan that the operator stored.
type Plan struct {
	Name      string
	Bounds    map[string]int
	UpdatedAt time.Time
}

// Project is one GraphQL API of a tenant.
type Project struct {
	ID        string // uuid v7
	TenantID  string
	Slug      string // unique in the installation
	Name      string
	Plan      string
	Status    Status
	Managed   bool // the platform made its database
	CreatedAt time.Time
	// RunRetention is how many days runs of asynchronous actions are kept after they
	// have ended; 0 is as long as by default.
	RunRetention int
}

// Role is what a tenant's key may do in the control API.
type Role string

// The roles of keys, from most to least.
const (
	Operator  Role = "operator" // the installation's, not a tenant's
	Owner     Role = "owner"
	Admin     Role = "admin"
	Developer Role = "developer"
	Viewer    Role = "viewer"
	Billing   Role = "billing"
)

// Key is a credential of the control API or of a project. The secret itself is
// shown once and kept as a hash.
type Key struct {
	ID        string
	TenantID  string
	ProjectID string // empty for a tenant's key
	Name      string
	Role      Role     // of a tenant's key
	Scopes    []string // of a project's key
	Prefix    string   // the readable beginning, such as tk_AbC1
	CreatedAt time.Time
	ExpiresAt *time.Time
	LastUsed  *time.Time
}

// AdminSecret is one of a project's admin secrets, kept as a hash.
type AdminSecret struct {
	ID        string
	ProjectID string
	Name      string
	Prefix    string
	CreatedAt time.Time
	LastUsed  *time.Time
}
