package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authz"
	"tenantry/services/engine/operation"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// ownCollection is the query collection that holds the operations of this
// resource for everybody; those for some roles lie in collections of the same
// name with the roles behind it.
const ownCollection = "tenantry_allowlist"

type allowlistView struct {
	Mode        string                 `json:"mode" enum:"disabled,audit,enforce,ids_only"`
	Roles       map[string]string      `json:"roles,omitempty" nullable:"false" doc:"Modes of roles that have one of their own, by role."`
	Match       string                 `json:"match,omitempty" enum:"exact,normalized,subset"`
	Operations  []allowedOperationView `json:"operations,omitempty" nullable:"false"`
	Collections []string               `json:"collections,omitempty" nullable:"false" doc:"Query collections of the metadata that are allowed as well."`
}

type allowedOperationView struct {
	Name  string   `json:"name" minLength:"1" maxLength:"256"`
	Query string   `json:"query" minLength:"1" maxLength:"262144"`
	Roles []string `json:"roles,omitempty" nullable:"false" doc:"Every role when absent."`
}

type allowlistOutput struct {
	ETag string `header:"ETag"`
	Body allowlistView
}

func (s *service) registerAllowlist() {
	register(s, endpoint{id: "getAllowlist", method: http.MethodGet, path: "/projects/{project}/allowlist", class: authz.ClassRead, tag: "Limits",
		summary: "Which operations may run"}, s.getAllowlist)
	register(s, endpoint{id: "putAllowlist", method: http.MethodPut, path: "/projects/{project}/allowlist", class: authz.ClassWrite, tag: "Limits",
		maxBody: 16 << 20, summary: "Set which operations may run"}, s.putAllowlist)
}

func isOwnCollection(name string) bool {
	return name == ownCollection || strings.HasPrefix(name, ownCollection+":")
}

func showAllowlist(o revision.Outcome) *allowlistOutput {
	v := allowlistView{
		Mode: orDefault(o.Settings.AllowlistMode, settings.AllowlistModes[0]), Match: orDefault(o.Settings.AllowlistMatch, settings.AllowlistMatches[0]),
		Operations: []allowedOperationView{}, Collections: []string{}, Roles: o.Settings.AllowlistRoles,
	}
	for _, entry := range o.Document.Allowlist {
		if !isOwnCollection(entry.Collection) {
			v.Collections = append(v.Collections, entry.Collection)
			continue
		}
		var roles []string
		if entry.Scope != nil && !entry.Scope.Global {
			roles = entry.Scope.Roles
		}
		for _, collection := range o.Document.QueryCollections {
			if collection.Name != entry.Collection {
				continue
			}
			for _, q := range collection.Definition.Queries {
				v.Operations = append(v.Operations, allowedOperationView{q.Name, q.Query, roles})
			}
		}
	}
	slices.SortFunc(v.Operations, func(a, b allowedOperationView) int { return strings.Compare(a.Name, b.Name) })
	// Either half has versions of its own.
	return &allowlistOutput{ETag: fmt.Sprintf(`"%d.%d"`, o.ResourceVersion, o.SettingsVersion), Body: v}
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (s *service) getAllowlist(ctx context.Context, c *call, _ *ProjectPath) (*allowlistOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	return showAllowlist(current), nil
}

type putAllowlistInput struct {
	ProjectPath
	Precondition
	Body allowlistView
}

func (s *service) putAllowlist(ctx context.Context, c *call, in *putAllowlistInput) (*allowlistOutput, error) {
	if mistakes := in.Body.check(); mistakes != nil {
		return nil, invalid(mistakes...)
	}
	change := revision.Change{
		Author: c.author(), Action: "allowlist.put", Target: c.in("allowlist"),
		Detail: map[string]any{"mode": in.Body.Mode, "operations": len(in.Body.Operations)},
		Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
			return in.Body.into(doc)
		},
		Settings: func(set settings.Settings) (settings.Settings, error) {
			set.AllowlistMode, set.AllowlistMatch, set.AllowlistRoles = in.Body.Mode, in.Body.Match, in.Body.Roles
			return set, nil
		},
	}
	if in.IfMatch != "" && in.IfMatch != "*" {
		if _, err := fmt.Sscanf(in.IfMatch, `"%d.%d"`, &change.ExpectVersion, &change.ExpectSettings); err != nil {
			return nil, errPrecondition
		}
	}
	o, err := s.Revisions.Apply(ctx, c.project.ID, change)
	if err != nil {
		return nil, matched(in.IfMatch, err)
	}
	return showAllowlist(o), nil
}

// check finds what is wrong with the operations.
func (v *allowlistView) check() (mistakes []Mistake) {
	for role, mode := range v.Roles {
		at := "/roles/" + escapePointer(role)
		if role == "" || role == session.Admin {
			mistakes = append(mistakes, wrong(at, "expected a role other than admin, who may send anything"))
		}
		if !slices.Contains(settings.AllowlistModes, mode) {
			mistakes = append(mistakes, wrong(at, "expected one of %s", strings.Join(settings.AllowlistModes, ", ")))
		}
	}
	names := map[string]bool{}
	for i, op := range v.Operations {
		at := fmt.Sprintf("/operations/%d", i)
		if names[op.Name] {
			mistakes = append(mistakes, wrong(at+"/name", "another operation has the same name"))
		}
		names[op.Name] = true
		if _, err := operation.HashText(op.Query); err != nil {
			mistakes = append(mistakes, wrong(at+"/query", "expected one GraphQL operation: %s", errcode.From(err).Message))
		}
		if op.Roles != nil && len(op.Roles) == 0 {
			mistakes = append(mistakes, wrong(at+"/roles", "expected at least one role, or no roles at all for everybody"))
		}
		for j, role := range op.Roles {
			if role == "" || strings.Contains(role, ",") {
				mistakes = append(mistakes, wrong(fmt.Sprintf("%s/roles/%d", at, j), "expected a role"))
			}
		}
	}
	for i, name := range v.Collections {
		if isOwnCollection(name) {
			mistakes = append(mistakes, wrong(fmt.Sprintf("/collections/%d", i), "give its operations as operations"))
		}
	}
	return mistakes
}

// into replaces the allow-list of a document. Collections that stay allowed
// keep their scope.
func (v *allowlistView) into(doc *metadata.Document) (*metadata.Document, error) {
	doc = doc.Clone()
	scopes, exists := map[string]*metadata.AllowlistScope{}, map[string]bool{}
	for _, entry := range doc.Allowlist {
		scopes[entry.Collection] = entry.Scope
	}
	doc.QueryCollections = slices.DeleteFunc(doc.QueryCollections, func(q metadata.QueryCollection) bool { return isOwnCollection(q.Name) })
	for _, q := range doc.QueryCollections {
		exists[q.Name] = true
	}
	doc.Allowlist = nil
	var mistakes []Mistake
	for i, name := range v.Collections {
		if !exists[name] {
			mistakes = append(mistakes, wrong(fmt.Sprintf("/collections/%d", i), "the metadata has no such query collection"))
		}
		exists[name] = false // a second time is a mistake as well
		doc.Allowlist = append(doc.Allowlist, metadata.AllowlistEntry{Collection: name, Scope: scopes[name]})
	}
	if mistakes != nil {
		return nil, invalid(mistakes...)
	}
	for _, op := range v.Operations {
		addAllowed(doc, op)
	}
	return doc, nil
}

// addAllowed puts an operation into the collection of its roles.
func addAllowed(doc *metadata.Document, op allowedOperationView) {
	name := ownCollection
	var scope *metadata.AllowlistScope
	if len(op.Roles) > 0 {
		roles := slices.Compact(slices.Sorted(slices.Values(op.Roles)))
		name += ":" + strings.Join(roles, ",")
		scope = &metadata.AllowlistScope{Roles: roles}
	}
	at := slices.IndexFunc(doc.QueryCollections, func(q metadata.QueryCollection) bool { return q.Name == name })
	if at < 0 {
		at = len(doc.QueryCollections)
		doc.QueryCollections = append(doc.QueryCollections, metadata.QueryCollection{Name: name, Comment: "Operations of the control API's allowlist."})
		doc.Allowlist = append(doc.Allowlist, metadata.AllowlistEntry{Collection: name, Scope: scope})
	}
	queries := &doc.QueryCollections[at].Definition.Queries
	*queries = append(*queries, metadata.NamedQuery{Name: op.Name, Query: op.Query})
}
