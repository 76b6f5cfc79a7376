// Package impact tells what a change of a project means for its clients: what
// each role's schema gains and loses, who may do more or less, and which saved
// operations would no longer work. services/revision asks it for dry runs; it
// compares two resolved projects and changes nothing.
package impact

import (
	"maps"
	"slices"

	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/services/engine/schema"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Side is a project before or after the change. Read only.
type Side struct {
	Document *metadata.Document
	Model    *model.Model
	Access   *access.Access
	// Options are those of the project's schemas.
	Options schema.Options
}

// Impact is what a change means. Lists are sorted, and empty where nothing
// changes.
type Impact struct {
	Schema     []SchemaChange    `json:"schema_changes" nullable:"false" doc:"Lines of the schema that each role gains and loses."`
	Access     []AccessChange    `json:"access_changes" nullable:"false" doc:"Who may do more or less."`
	Operations []BrokenOperation `json:"broken_operations" nullable:"false" doc:"Operations of the allow-list that would no longer be served."`
	Endpoints  []BrokenEndpoint  `json:"broken_endpoints" nullable:"false" doc:"REST endpoints that would no longer be served."`
}

// Compare tells what the step from before to after means.
func Compare(before, after Side) *Impact {
	out := &Impact{Schema: []SchemaChange{}, Operations: []BrokenOperation{}, Endpoints: []BrokenEndpoint{}}
	c := comparison{before: before, after: after, roles: roles(before, after)}
	for _, role := range c.roles {
		if change := c.schemaOf(role); len(change.Added)+len(change.Removed) > 0 {
			out.Schema = append(out.Schema, change)
		}
	}
	out.Access = CompareAccess(before, after)
	c.operations(out)
	c.endpoints(out)
	return out
}

const admin = session.Admin

// roles are those of both sides, admin among them, sorted.
func roles(before, after Side) []string {
	all := map[string]bool{admin: true}
	for _, s := range []Side{before, after} {
		for _, role := range s.Access.Roles() {
			all[role] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

type comparison struct {
	before, after Side
	roles         []string
	// views are the schemas of both sides, made when first asked for.
	views map[view]*schema.Schema
	// refused is asked instead of the schemas, if it is there.
	refused func(after bool, role, text string) string
}

type view struct {
	after bool
	role  string
}

func (c *comparison) schema(after bool, role string) *schema.Schema {
	key := view{after, role}
	if s := c.views[key]; s != nil {
		return s
	}
	side := c.before
	if after {
		side = c.after
	}
	r, _ := side.Access.Role(role)
	options := side.Options
	options.BackendOnly = true // what backends alone may do counts too
	s := schema.For(side.Model, r, options)
	if c.views == nil {
		c.views = map[view]*schema.Schema{}
	}
	c.views[key] = s
	return s
}
