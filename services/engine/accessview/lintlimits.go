package accessview

import (
	"maps"
	"slices"

	"tenantry/api/session"
	"tenantry/tenants/metadata"
)

// limits tells of limits of 0, which let no request through: they are valid, and
// seldom meant. What switches off a single thing (an operation, an action, aliases,
// directives) is left out.
func (l *linter) limits() {
	all := l.project.Document.APILimits
	if all == nil || all.Disabled {
		return
	}
	for _, one := range []struct {
		name  string
		limit *metadata.IntLimit
	}{
		{"depth_limit", all.DepthLimit}, {"time_limit", all.TimeLimit}, {"batch_limit", all.BatchLimit}, {"token_limit", all.TokenLimit},
		{"root_field_limit", all.RootFieldLimit}, {"body_limit", all.BodyLimit},
	} {
		if one.limit != nil {
			l.limit(one.name, "", one.limit.Global, one.limit.PerRole)
		}
	}
	if rate := all.RateLimit; rate != nil {
		l.limit("rate_limit", ".max_reqs_per_min", rate.Global.MaxRequestsPerMinute, perRole(rate.PerRole, func(r metadata.RateRule) int { return r.MaxRequestsPerMinute }))
	}
	if budget := all.CostBudget; budget != nil {
		l.limit("cost_budget", ".max_cost_per_min", budget.Global.MaxCostPerMinute, perRole(budget.PerRole, func(r metadata.CostRule) int { return r.MaxCostPerMinute }))
	}
}

func perRole[R any](rules map[string]R, number func(R) int) map[string]int {
	out := make(map[string]int, len(rules))
	for role, rule := range rules {
		out[role] = number(rule)
	}
	return out
}

func (l *linter) limit(name, member string, global int, roles map[string]int) {
	const rule = "limit-refuses-all"
	if global == 0 {
		l.add(rule, "medium", "", name, "$.api_limits."+name+".global"+member, "the limit is 0: every request is refused but those of admins and of roles with a limit of their own")
	}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		if roles[role] == 0 && role != session.Admin {
			l.add(rule, "medium", role, name, "$.api_limits."+name+".per_role."+role+member, "the limit of the role is 0: all of its requests are refused")
		}
	}
}
