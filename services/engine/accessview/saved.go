package accessview

import (
	"context"
	"fmt"
	"time"

	"tenantry/api/session"
	"tenantry/services/engine/operation"
)

// savedTime bounds asking the policy about saved operations: what is found until then
// is told.
const savedTime = 5 * time.Second

// saved tells of saved operations that are broken, whatever broke them: those of the
// allow-list, for a role that they are for or for everybody, and REST endpoints.
func (l *linter) saved(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, savedTime)
	defer cancel()
	for i, c := range l.project.Document.QueryCollections {
		roles := []string{}
		for _, entry := range l.project.Document.Allowlist {
			switch {
			case entry.Collection != c.Name:
			case entry.Scope != nil && !entry.Scope.Global:
				roles = append(roles, entry.Scope.Roles...)
			default:
				roles = append(roles, session.Admin)
			}
		}
		for j, q := range c.Definition.Queries {
			path := fmt.Sprintf("$.query_collections[%d].definition.queries[%d]", i, j)
			if len(roles) == 0 {
				break
			}
			if reason := l.invalid(session.Admin, q.Query); reason != "" {
				l.add("broken-operation", "medium", "", c.Name+"."+q.Name, path, "the operation of the allow-list is valid for nobody: %s", reason)
				continue
			}
			for _, role := range roles {
				switch reason := l.invalid(role, q.Query); {
				case reason != "":
					l.add("broken-operation", "medium", role, c.Name+"."+q.Name, path, "the operation of the allow-list is not valid for the role that it is for: %s", reason)
				case role == session.Admin && l.denied(ctx, q.Query):
					l.add("broken-operation", "medium", "", c.Name+"."+q.Name, path, "the policy denies the operation of the allow-list to all roles but admin")
				case role != session.Admin:
					if reason := l.project.Refused(ctx, role, q.Query); reason != "" && ctx.Err() == nil {
						l.add("broken-operation", "medium", role, c.Name+"."+q.Name, path, "the operation of the allow-list does not work for the role that it is for: %s", reason)
					}
				}
			}
		}
	}
	for i, e := range l.project.Document.RESTEndpoints {
		for _, made := range l.project.Endpoints.All() {
			if made.Name != e.Name {
				continue
			}
			if reason := l.invalid(session.Admin, made.Query); reason != "" {
				l.add("broken-endpoint", "medium", "", e.Name, fmt.Sprintf("$.rest_endpoints[%d]", i), "the query of the REST endpoint is valid for nobody: %s", reason)
			} else if l.denied(ctx, made.Query) {
				l.add("broken-endpoint", "medium", "", e.Name, fmt.Sprintf("$.rest_endpoints[%d]", i), "the policy denies the query of the REST endpoint to all roles but admin")
			}
		}
	}
}

// denied reports whether the policy lets no role run an operation that is valid for
// some.
func (l *linter) denied(ctx context.Context, text string) bool {
	some := false
	for _, role := range l.project.Access.Roles() {
		if role == session.Admin || l.invalid(role, text) != "" {
			continue
		}
		if some = true; ctx.Err() != nil || l.project.Refused(ctx, role, text) == "" {
			return false
		}
	}
	return some
}

// invalid says why an operation is not valid for a role; empty when it is.
func (l *linter) invalid(role, text string) string {
	view, _ := l.project.Schema(role, true)
	if _, err := operation.Prepare(view, text, ""); err != nil {
		return err.Error()
	}
	return ""
}
