package impact

import (
	"maps"
	"slices"

	"tenantry/services/engine/operation"
	"tenantry/tenants/metadata"
)

// BrokenOperation is an operation of the allow-list that a role could run before
// and can't after.
type BrokenOperation struct {
	Collection string `json:"collection"`
	Query      string `json:"query"`
	Role       string `json:"role,omitempty"`
	Reason     string `json:"reason"`
}

// BrokenEndpoint is a REST endpoint that a role could call before and can't
// after.
type BrokenEndpoint struct {
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"`
	Reason string `json:"reason"`
}

// saved is one operation of a collection.
type saved struct{ collection, name string }

func texts(doc *metadata.Document) map[saved]string {
	out := map[saved]string{}
	for _, c := range doc.QueryCollections {
		for _, q := range c.Definition.Queries {
			out[saved{c.Name, q.Name}] = q.Query
		}
	}
	return out
}

// operations looks at what the allow-list has before.
func (c *comparison) operations(out *Impact) {
	now, allowed := texts(c.after.Document), map[string]bool{}
	for _, entry := range c.after.Document.Allowlist {
		allowed[entry.Collection] = true
	}
	for _, entry := range c.before.Document.Allowlist {
		roles := c.roles
		if entry.Scope != nil && !entry.Scope.Global {
			roles = entry.Scope.Roles
		}
		for _, collection := range c.before.Document.QueryCollections {
			if collection.Name != entry.Collection {
				continue
			}
			for _, q := range collection.Definition.Queries {
				text, kept := now[saved{collection.Name, q.Name}]
				broken := BrokenOperation{Collection: collection.Name, Query: q.Name}
				if !kept || !allowed[collection.Name] {
					broken.Reason = "it is no longer in the allow-list"
					out.Operations = append(out.Operations, broken)
					continue
				}
				for _, role := range roles {
					if broken.Role, broken.Reason = role, c.breaks(role, q.Query, text); broken.Reason != "" {
						out.Operations = append(out.Operations, broken)
					}
				}
			}
		}
	}
}

// Broken are saved operations that stay, and that roles can no longer run which could
// before. Admin is one of the roles.
type Broken struct {
	Operations []BrokenOperation
	Endpoints  []BrokenEndpoint
}

// None reports whether nothing is broken.
func (b Broken) None() bool { return len(b.Operations)+len(b.Endpoints) == 0 }

// Breaks tells what of the allow-list and of the REST endpoints a step breaks.
func Breaks(before, after Side) Broken {
	if len(before.Document.Allowlist)+len(before.Document.RESTEndpoints) == 0 {
		return Broken{}
	}
	c := comparison{before: before, after: after, roles: roles(before, after)}
	if maps.Equal(texts(before.Document), texts(after.Document)) { // who loses nothing loses no operation
		c.roles = slices.DeleteFunc(c.roles, func(role string) bool { return len(c.schemaOf(role).Removed) == 0 })
	}
	if len(c.roles) == 0 {
		return Broken{}
	}
	var out Impact
	c.operations(&out)
	c.endpoints(&out)
	// Without a role, it was taken out.
	return Broken{
		slices.DeleteFunc(out.Operations, func(o BrokenOperation) bool { return o.Role == "" || !slices.Contains(c.roles, o.Role) }),
		slices.DeleteFunc(out.Endpoints, func(e BrokenEndpoint) bool { return e.Role == "" }),
	}
}

// BreaksUnder tells which saved operations of a document roles can no longer run after
// a change of something else, its policy say. refused says why a role can't run one.
func BreaksUnder(doc *metadata.Document, roles []string, refused func(after bool, role, text string) string) Broken {
	c := comparison{before: Side{Document: doc}, after: Side{Document: doc}, roles: roles, refused: refused}
	var out Impact
	c.operations(&out)
	c.endpoints(&out)
	return Broken{out.Operations, out.Endpoints}
}

// endpoints looks at the REST endpoints that there are before.
func (c *comparison) endpoints(out *Impact) {
	was, now := texts(c.before.Document), texts(c.after.Document)
	left := map[string]metadata.RESTEndpoint{}
	for _, e := range c.after.Document.RESTEndpoints {
		left[e.Name] = e
	}
	for _, e := range c.before.Document.RESTEndpoints {
		is, kept := left[e.Name]
		before, there := was[saved{e.Definition.Query.Collection, e.Definition.Query.Query}]
		after, found := now[saved{is.Definition.Query.Collection, is.Definition.Query.Query}]
		broken := BrokenEndpoint{Name: e.Name}
		switch {
		case !there:
			continue
		case !kept:
			broken.Reason = "the endpoint is gone"
		case !found:
			broken.Reason = "its query is gone"
		case e.URL != is.URL:
			broken.Reason = "its url is " + is.URL + " now"
		}
		if broken.Reason != "" {
			out.Endpoints = append(out.Endpoints, broken)
			continue
		}
		for _, role := range c.roles {
			if broken.Role, broken.Reason = role, c.breaks(role, before, after); broken.Reason != "" {
				out.Endpoints = append(out.Endpoints, broken)
			}
		}
	}
}

// breaks says why a role can no longer run an operation that it could; empty
// when it can, or never could.
func (c *comparison) breaks(role, before, after string) string {
	if c.refused != nil {
		if c.refused(false, role, before) != "" {
			return ""
		}
		return c.refused(true, role, after)
	}
	if _, err := operation.Prepare(c.schema(false, role), before, ""); err != nil {
		return ""
	}
	if _, err := operation.Prepare(c.schema(true, role), after, ""); err != nil {
		return err.Error()
	}
	return ""
}
