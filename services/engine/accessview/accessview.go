// Package accessview answers who may reach what in a project, and why: by role, by
// table, by action, for a concrete session, and for an operation that was refused.
//
// It asks the same things that serve requests (the instance's schemas, the role as
// the project's policy leaves it, the instance's own judgement of an operation), so
// that its answers are those of the engine. It changes nothing and runs nothing.
package accessview

import (
	"context"
	"maps"
	"slices"
	"strings"

	"tenantry/api/session"
	"tenantry/policy/access"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/operation"
	"tenantry/services/engine/schema"
	"tenantry/tenants/model"
)

// Project answers questions about one revision of a project.
type Project struct{ *instance.Instance }

// Reach is all that a role may do.
type Reach struct {
	Role string `json:"role"`
	// Known is false for a role that no permission names: it may do nothing.
	Known    bool     `json:"known" doc:"False for a role that no permission names: it may do nothing."`
	Inherits []string `json:"inherits" nullable:"false" doc:"The roles that it unites, over all levels."`
	// Missing are session variables that rules need and the session lacks; only
	// of a concrete session.
	Missing []string     `json:"missing,omitempty" doc:"Session variables that rules need and the session does not have: what needs them is refused."`
	Tables  []TableReach `json:"tables" nullable:"false"`
	Queries []RootField  `json:"query_fields" nullable:"false"`
	// Mutations with BackendOnly are there for requests with backend privileges alone.
	Mutations []RootField `json:"mutation_fields" nullable:"false"`
	Actions   []string    `json:"actions" nullable:"false"`
	Functions []string    `json:"functions" nullable:"false" doc:"As source.schema.function."`
	Endpoints []string    `json:"rest_endpoints" nullable:"false" doc:"Names of the REST endpoints whose operation is valid for the role."`
	// Remote are relationships that lead to another source.
	Remote []string `json:"remote_fields" nullable:"false" doc:"Fields that lead to another source, as type.field."`
	Points []string `json:"policy_points" nullable:"false" doc:"Points at which the project's Rego is asked."`
}

// RootField is a field of a root type.
type RootField struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty" doc:"The field of the source that it is under."`
	Kind      string `json:"kind"`
	// Of is the table as source.schema.table, the action, or the function.
	Of          string `json:"of,omitempty"`
	BackendOnly bool   `json:"backend_only,omitempty"`
}

// Role tells all that a role may do. With a session, the rules have its values
// in their places; without (nil), they show the variables.
func (p Project) Role(ctx context.Context, role string, s *session.Session) Reach {
	granted, known := p.Access.Role(role)
	out := Reach{Role: role, Known: known, Inherits: []string{}, Tables: []TableReach{}, Queries: []RootField{}, Mutations: []RootField{},
		Actions: []string{}, Functions: []string{}, Endpoints: []string{}, Remote: []string{}, Points: p.points()}
	for _, name := range p.Access.Roles() {
		if name != role && !granted.Admin && granted.Includes(name) {
			out.Inherits = append(out.Inherits, name)
		}
	}
	backend, _ := p.Schema(role, true)
	plain, _ := p.Schema(role, false)
	missing := map[string]bool{}
	for _, t := range p.Model.RowTypes() {
		table := p.reach(ctx, role, t, backend, s)
		if table.empty() {
			continue
		}
		out.Tables = append(out.Tables, table)
		for _, name := range table.missing() {
			missing[name] = true
		}
		out.Remote = append(out.Remote, remotes(t, backend)...)
	}
	out.Missing = slices.Sorted(maps.Keys(missing))
	out.roots(backend.Roots(), plain.Roots())
	for _, a := range p.Model.Actions {
		if granted.Action(a) {
			out.Actions = append(out.Actions, a.Name)
		}
	}
	for _, e := range p.Endpoints.All() {
		if _, err := operation.Prepare(backend, e.Query, ""); err == nil {
			out.Endpoints = append(out.Endpoints, e.Name)
		}
	}
	return out
}

// roots sorts root fields by operation; those that are not among plain are for
// backends alone.
func (r *Reach) roots(all, plain []schema.ShownRoot) {
	open := map[string]bool{}
	for _, f := range plain {
		open[f.Operation+" "+f.Namespace+"."+f.Name] = true
	}
	for _, f := range all {
		of, function := subject(f.RootField)
		field := RootField{Name: f.Name, Namespace: f.Namespace, Kind: string(f.Kind), Of: of, BackendOnly: !open[f.Operation+" "+f.Namespace+"."+f.Name]}
		if f.Operation == "query" {
			r.Queries = append(r.Queries, field)
		} else {
			r.Mutations = append(r.Mutations, field)
		}
		if function && !slices.Contains(r.Functions, of) {
			r.Functions = append(r.Functions, of)
		}
	}
}

// subject names what a root field is about.
func subject(f schema.RootField) (name string, function bool) {
	switch {
	case f.Table != nil:
		return nameOf(f.Table), false
	case f.Action != nil:
		return f.Action.Name, false
	case f.Function != nil:
		return f.Function.Source + "." + f.Function.Name.Schema + "." + f.Function.Name.Name, true
	case f.Native != nil:
		return f.Native.Source + "." + f.Native.Metadata.RootField, false
	}
	return "", false
}

// nameOf is a table as source.schema.table, or a logical model as source.model.
func nameOf(t *model.Table) string {
	if t.Logical != nil {
		return t.Source + "." + t.Name.Name
	}
	return t.Source + "." + t.Name.Schema + "." + t.Name.Name
}

// remotes are the fields of a table that lead to other sources.
func remotes(t *model.Table, view *schema.Schema) []string {
	var out []string
	for _, name := range view.Fields(t) {
		if _, _, remote := t.Remote(name); remote {
			out = append(out, t.Type+"."+name)
		}
	}
	return out
}

func (p Project) points() []string {
	out := []string{}
	for _, point := range p.Points() {
		out = append(out, string(point))
	}
	return out
}

// Grant is a way by which a role has something.
type Grant struct {
	Role string `json:"role"`
	// Via are the roles with the permission itself, when the role inherits it.
	Via []string `json:"via,omitempty" doc:"The roles that it inherits this from."`
}

// ActionReach tells who may call an action.
type ActionReach struct {
	Action string   `json:"action"`
	Type   string   `json:"type" enum:"query,mutation"`
	Roles  []Grant  `json:"roles" nullable:"false"`
	Points []string `json:"policy_points" nullable:"false" doc:"Points at which the project's Rego is asked about it."`
}

// Action tells who may call an action; false when there is none of that name.
func (p Project) Action(name string) (ActionReach, bool) {
	for _, a := range p.Model.Actions {
		if a.Name != name {
			continue
		}
		out := ActionReach{Action: name, Type: "mutation", Roles: []Grant{}, Points: []string{}}
		if a.Query {
			out.Type = "query"
		}
		for _, role := range p.Access.Roles() {
			if r, _ := p.Access.Role(role); r.Action(a) {
				out.Roles = append(out.Roles, Grant{role, via(r, a.Roles)})
			}
		}
		for _, point := range p.points() {
			if point == "operation" || point == "action" {
				out.Points = append(out.Points, point)
			}
		}
		return out, true
	}
	return ActionReach{}, false
}

// via are those of the named roles that r inherits from, unless it is one itself.
func via(r *access.Role, names []string) []string {
	if slices.Contains(names, r.Name) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !r.Includes(name) })
}

// TableAnswer tells who may reach a table.
type TableAnswer struct {
	Table string       `json:"table"`
	Roles []TableReach `json:"roles" nullable:"false"`
}

// Table tells which roles reach a table, named schema.table or
// source.schema.table; false when it is not tracked.
func (p Project) Table(ctx context.Context, name string) (TableAnswer, bool) {
	t := p.tracked(name)
	if t == nil {
		return TableAnswer{}, false
	}
	out := TableAnswer{Table: nameOf(t), Roles: []TableReach{}}
	for _, role := range p.Access.Roles() {
		view, _ := p.Schema(role, true)
		if reach := p.reach(ctx, role, t, view, nil); !reach.empty() {
			out.Roles = append(out.Roles, reach)
		}
	}
	return out, true
}

// tracked finds a table; without a source, the default one counts first.
func (p Project) tracked(name string) *model.Table {
	var found *model.Table
	for _, t := range p.Model.RowTypes() {
		full := nameOf(t)
		if full == name {
			return t
		}
		if _, rest, _ := strings.Cut(full, "."); rest == name && (found == nil || t.Source == "default") {
			found = t
		}
	}
	return found
}
