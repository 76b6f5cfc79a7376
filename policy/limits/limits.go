// Package limits keeps the limits that a tenant sets for the clients of its
// project: requests per minute before the operation is planned, depth and
// number of nodes once it is measured, length of a batch, and time. The role
// admin is exempt from all of them.
//
// What is beyond a limit is an error here; whether it refuses the operation or is
// only counted, while the limits are on trial, is the caller's to ask OnTrial.
package limits

import (
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/metadata"
)

// Measure is the size of an operation, fragments expanded and introspection
// left out.
type Measure struct {
	Depth int // nested selection sets below the operation
	Nodes int // fields that have a selection set
	// Of the document.
	Tokens, Aliases, RootFields, Directives int
}

// Check compares a measured operation with the limits of the session's role.
// The error is an *errcode.Error that names the limit and the actual number.
func Check(cfg *metadata.APILimits, s session.Session, m Measure) error {
	if exempt(cfg, s) {
		return nil
	}
	if limit, ok := of(cfg.DepthLimit, s); ok && m.Depth > limit {
		return errcode.New(errcode.DepthLimitExceeded, "depth limit exceeded: the limit is %d, the operation has depth %d", limit, m.Depth)
	}
	if limit, ok := of(cfg.NodeLimit, s); ok && m.Nodes > limit {
		return errcode.New(errcode.NodeLimitExceeded, "node limit exceeded: the limit is %d, the operation has %d nodes", limit, m.Nodes)
	}
	for _, part := range [...]struct {
		limit  *metadata.IntLimit
		actual int
		what   string
	}{
		{cfg.TokenLimit, m.Tokens, "tokens"}, {cfg.AliasLimit, m.Aliases, "aliases"},
		{cfg.RootFieldLimit, m.RootFields, "root fields"}, {cfg.DirectiveLimit, m.Directives, "directives"},
	} {
		if limit, ok := of(part.limit, s); ok && part.actual > limit {
			return errcode.New(errcode.DocumentLimitExceeded, "document limit exceeded: the limit is %d %s, the document has %d", limit, part.what, part.actual)
		}
	}
	return nil
}

// Cost is the limit of what an operation may cost; false when there is none.
func Cost(cfg *metadata.APILimits, s session.Session) (limit int, ok bool) {
	if exempt(cfg, s) {
		return 0, false
	}
	return of(cfg.CostLimit, s)
}

// CheckCost compares the objects that an operation may touch with the limit.
func CheckCost(limit, cost int) error {
	if cost <= limit {
		return nil
	}
	return errcode.New(errcode.CostLimitExceeded, "cost limit exceeded: the limit is %d objects, the operation may touch %d; set lower limits on its lists", limit, cost)
}

// CheckBody compares the size of a request's body with the limit.
func CheckBody(cfg *metadata.APILimits, s session.Session, bytes int) error {
	if exempt(cfg, s) {
		return nil
	}
	if limit, ok := of(cfg.BodyLimit, s); ok && bytes > limit {
		return errcode.New(errcode.DocumentLimitExceeded, "document limit exceeded: the limit is %d bytes, the body has %d", limit, bytes)
	}
	return nil
}

// CheckBatch compares the number of operations in one request with the limit.
func CheckBatch(cfg *metadata.APILimits, s session.Session, n int) error {
	if exempt(cfg, s) {
		return nil
	}
	if limit, ok := of(cfg.BatchLimit, s); ok && n > limit {
		return errcode.New(errcode.BatchLimitExceeded, "batch limit exceeded: the limit is %d, the batch has %d operations", limit, n)
	}
	return nil
}

// TimeLimit is how long a whole operation may take; 0 is no limit. A configured
// limit of 0 seconds leaves no time at all: it comes back as one nanosecond.
func TimeLimit(cfg *metadata.APILimits, s session.Session) time.Duration {
	if exempt(cfg, s) {
		return 0
	}
	limit, ok := of(cfg.TimeLimit, s)
	if !ok {
		return 0
	}
	return max(time.Duration(limit)*time.Second, 1)
}

// TimeExceeded is the error of an operation that ran into its time limit.
func TimeExceeded(limit, actual time.Duration) *errcode.Error {
	return errcode.New(errcode.TimeLimitExceeded, "time limit exceeded: the limit is %g seconds, the operation was stopped after %.1f seconds",
		limit.Truncate(time.Millisecond).Seconds(), actual.Seconds())
}

// OnTrial reports whether operations beyond the limits pass and are counted alone.
func OnTrial(cfg *metadata.APILimits) bool { return cfg != nil && cfg.Mode == metadata.LimitsAudit }

func exempt(cfg *metadata.APILimits, s session.Session) bool {
	return cfg == nil || cfg.Disabled || s.IsAdmin()
}

// of is the limit for a session's role; ok is false when there is none.
func of(l *metadata.IntLimit, s session.Session) (limit int, ok bool) {
	if l == nil {
		return 0, false
	}
	if limit, ok := l.PerRole[s.Role]; ok {
		return limit, true
	}
	return l.Global, true
}
