package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// reservedVariables begins names of environment variables that are the engine's.
const reservedVariables = "HASURA_GRAPHQL_"

// validate finds what no database is needed for: empty and repeated names,
// values that are none of those allowed.
func (d *Document) validate() []Problem {
	c := &decoder{}
	sources := unique{c: c, all: "sources"}
	for i := range d.Sources {
		s, at := &d.Sources[i], fmt.Sprintf("$.sources[%d]", i)
		sources.add(at+".name", s.Name)
		c.customization(s.Customization, at+".customization")
		c.configuration(s.Configuration, at+".configuration")
		tables, triggers := unique{c: c, what: "table"}, unique{c: c, what: "event trigger"}
		for j := range s.Tables {
			path := fmt.Sprintf("%s.tables[%d]", at, j)
			tables.add(path+".table", s.Tables[j].Table.String())
			c.table(&s.Tables[j], path)
			c.eventTriggers(s.Tables[j].EventTriggers, &triggers, path+".event_triggers")
		}
		c.functions(s.Functions, at+".functions")
		c.nativeQueries(s.NativeQueries, at+".native_queries")
		c.logicalModels(s.LogicalModels, at+".logical_models")
	}
	actions := unique{c: c, all: "actions"}
	for i := range d.Actions {
		at := fmt.Sprintf("$.actions[%d]", i)
		actions.add(at+".name", d.Actions[i].Name)
		c.headers(d.Actions[i].Definition.Headers, at+".definition.headers")
		roles := unique{c: c, what: "permission for role"}
		for j, p := range d.Actions[i].Permissions {
			roles.add(fmt.Sprintf("%s.permissions[%d].role", at, j), p.Role)
		}
	}
	c.collections(d)
	c.inherited(d.InheritedRoles)
	c.cronTriggers(d.CronTriggers, "$.cron_triggers")
	c.limits(d.APILimits, "$.api_limits")
	c.permissionTests(d.PermissionTests, "$.permission_tests")
	return c.problems
}

// unique refuses empty and repeated names.
type unique struct {
	c    *decoder
	what string
	// all names the things of a list at the top of the document, in the plural:
	// the dialect tells of those as a whole.
	all  string
	seen map[string]bool
}

func (u *unique) add(path, name string) {
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	if name == "" {
		u.c.fail(path, "empty string not allowed")
	} else if u.seen[name] && u.all != "" {
		u.c.fail("$", "multiple declarations exist for the following %s: %s", u.all, name)
	} else if u.seen[name] {
		u.c.fail(path, "multiple declarations exist for the %s %q", u.what, name)
	}
	u.seen[name] = true
}

func (d *decoder) table(t *Table, at string) {
	relationships := unique{c: d, what: "relationship"}
	for i, r := range t.ObjectRelationships {
		relationships.add(fmt.Sprintf("%s.object_relationships[%d].name", at, i), r.Name)
	}
	for i, r := range t.ArrayRelationships {
		relationships.add(fmt.Sprintf("%s.array_relationships[%d].name", at, i), r.Name)
	}
	for i, r := range t.RemoteRelationships {
		relationships.add(fmt.Sprintf("%s.remote_relationships[%d].name", at, i), r.Name)
	}
	d.computedFields(t.ComputedFields, at+".computed_fields")
	roles(d, at+".select_permissions", t.SelectPermissions, func(p SelectPermission) string { return p.Role })
	roles(d, at+".insert_permissions", t.InsertPermissions, func(p InsertPermission) string { return p.Role })
	roles(d, at+".update_permissions", t.UpdatePermissions, func(p UpdatePermission) string { return p.Role })
	roles(d, at+".delete_permissions", t.DeletePermissions, func(p DeletePermission) string { return p.Role })
	for i, p := range t.SelectPermissions {
		path := fmt.Sprintf("%s.select_permissions[%d].permission", at, i)
		if p.Permission.Limit != nil && *p.Permission.Limit < 0 {
			d.fail(path+".limit", "expected a number not below 0")
		}
		d.rootFields(p.Permission.QueryRootFields, path+".query_root_fields", "select", "select_by_pk", "select_aggregate")
		d.rootFields(p.Permission.SubscriptionRootFields, path+".subscription_root_fields",
			"select", "select_by_pk", "select_aggregate", "select_stream")
	}
	if f := t.ApolloFederation; f != nil && f.Enable != "v1" {
		d.fail(at+".apollo_federation_config.enable", "expected v1")
	}
	if t.Configuration != nil {
		for _, key := range slices.Sorted(maps.Keys(t.Configuration.CustomRootFields)) {
			if !slices.Contains(rootFieldKeys, key) {
				d.fail(member(at+".configuration.custom_root_fields", key), "unknown key")
			}
		}
	}
}

var rootFieldKeys = strings.Fields("select select_by_pk select_aggregate select_stream insert insert_one " +
	"update update_by_pk update_many delete delete_by_pk")

func (d *decoder) rootFields(list *[]string, at string, allowed ...string) {
	if list == nil {
		return
	}
	for i, name := range *list {
		if !slices.Contains(allowed, name) {
			d.fail(fmt.Sprintf("%s[%d]", at, i), "expected one of %s", strings.Join(allowed, ", "))
		}
	}
}

func roles[P any](d *decoder, at string, permissions []P, role func(P) string) {
	u := unique{c: d, what: "permission for role"}
	for i, p := range permissions {
		u.add(fmt.Sprintf("%s[%d].role", at, i), role(p))
	}
}

func (d *decoder) headers(headers []Header, at string) {
	for i, h := range headers {
		path := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case h.Name == "":
			d.fail(path+".name", "empty string not allowed")
		case h.Value != "" && h.ValueFromEnv != "":
			d.fail(path, "expected either value or value_from_env")
		case strings.HasPrefix(h.ValueFromEnv, reservedVariables):
			d.fail(path, "env variables starting with %q are not allowed in value_from_env: %s", reservedVariables, h.ValueFromEnv)
		}
	}
}

func (d *decoder) collections(doc *Document) {
	collections := unique{c: d, all: "query collections"}
	for i := range doc.QueryCollections {
		at := fmt.Sprintf("$.query_collections[%d]", i)
		collections.add(at+".name", doc.QueryCollections[i].Name)
		d.queries(doc.QueryCollections[i].Definition.Queries, at+".definition.queries")
	}
	allowed := unique{c: d, all: "allowlist entries"}
	for i, entry := range doc.Allowlist {
		at := fmt.Sprintf("$.allowlist[%d]", i)
		allowed.add(at+".collection", entry.Collection)
		if entry.Collection != "" && !collections.seen[entry.Collection] {
			d.fail(at+".collection", "query collection with name %q does not exist", entry.Collection)
		}
		d.scope(entry.Scope, at+".scope")
	}
}

func (d *decoder) queries(queries []NamedQuery, at string) {
	u := unique{c: d, what: "query"}
	for i, q := range queries {
		u.add(fmt.Sprintf("%s[%d].name", at, i), q.Name)
	}
}

func (d *decoder) scope(s *AllowlistScope, at string) {
	switch {
	case s == nil:
	case s.Global && s.Roles != nil:
		d.fail(at+".roles", "a global scope has no roles")
	case !s.Global && len(s.Roles) == 0:
		d.fail(at+".roles", "expected at least one role")
	case !s.Global:
		u := unique{c: d, what: "role"}
		for i, role := range s.Roles {
			u.add(fmt.Sprintf("%s.roles[%d]", at, i), role)
		}
	}
}

func (d *decoder) limits(l *APILimits, at string) {
	if l == nil {
		return
	}
	d.oneOf(at+".mode", l.Mode, LimitsEnforce, LimitsAudit)
	for _, limit := range []struct {
		name string
		of   *IntLimit
	}{
		{"depth_limit", l.DepthLimit}, {"node_limit", l.NodeLimit}, {"time_limit", l.TimeLimit}, {"batch_limit", l.BatchLimit},
		{"cost_limit", l.CostLimit}, {"token_limit", l.TokenLimit}, {"alias_limit", l.AliasLimit}, {"root_field_limit", l.RootFieldLimit},
		{"directive_limit", l.DirectiveLimit}, {"body_limit", l.BodyLimit},
	} {
		if limit.of == nil {
			continue
		}
		path := at + "." + limit.name
		d.notNegative(path+".global", limit.of.Global)
		for _, role := range slices.Sorted(maps.Keys(limit.of.PerRole)) {
			d.notNegative(member(path+".per_role", role), limit.of.PerRole[role])
		}
	}
	if b := l.CostBudget; b != nil {
		path := at + ".cost_budget"
		d.budget(b.Global, path+".global")
		for _, role := range slices.Sorted(maps.Keys(b.PerRole)) {
			d.budget(b.PerRole[role], member(path+".per_role", role))
		}
	}
	if l.RateLimit == nil {
		return
	}
	path := at + ".rate_limit"
	d.rate(l.RateLimit.Global, path+".global")
	for _, rules := range []struct {
		name string
		of   map[string]RateRule
	}{
		{"per_role", l.RateLimit.PerRole}, {"per_operation", l.RateLimit.PerOperation}, {"per_action", l.RateLimit.PerAction},
	} {
		for _, key := range slices.Sorted(maps.Keys(rules.of)) {
			d.rate(rules.of[key], member(path+"."+rules.name, key))
		}
	}
}

// maxBurst keeps the arithmetic of buckets within 64 bits.
const maxBurst = 1_000_000

func (d *decoder) rate(r RateRule, at string) {
	d.notNegative(at+".max_reqs_per_min", r.MaxRequestsPerMinute)
	d.notNegative(at+".burst", r.Burst)
	d.oneOf(at+".algorithm", r.Algorithm, SlidingWindow, TokenBucket)
	if r.Burst > maxBurst {
		d.fail(at+".burst", "expected at most %d", maxBurst)
	}
	if r.Burst > 0 && r.Algorithm != TokenBucket {
		d.fail(at+".burst", "expected no burst: a sliding window has none, only the algorithm %q has", TokenBucket)
	}
	d.uniqueParams(r.UniqueParams, at)
}

func (d *decoder) budget(r CostRule, at string) {
	d.notNegative(at+".max_cost_per_min", r.MaxCostPerMinute)
	d.uniqueParams(r.UniqueParams, at)
}

func (d *decoder) uniqueParams(names UniqueParams, at string) {
	if len(names) == 1 && names[0] == "IP" {
		return
	}
	for i, name := range names {
		if len(name) < 10 || !strings.EqualFold(name[:9], "x-hasura-") {
			d.fail(fmt.Sprintf("%s.unique_params[%d]", at, i), "expected a session variable, as x-hasura-user-id")
		}
	}
}

// oneOf checks a text that may be absent.
func (d *decoder) oneOf(path, text string, allowed ...string) {
	if text != "" && !slices.Contains(allowed, text) {
		d.fail(path, "expected %q or %q, got %q", allowed[0], allowed[1], text)
	}
}

func (d *decoder) notNegative(path string, n int) {
	if n < 0 {
		d.fail(path, "expected a number not below 0")
	}
}
