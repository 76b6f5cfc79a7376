package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
)

// Inherited is a role that unites others.
type Inherited struct {
	Role    string
	Members []string
	// Pointer is its place in the document, as $.inherited_roles[0].
	Pointer string
}

// inheritedRoles resolves the inherited roles, members before those that inherit
// from them. One whose members are unknown, or that inherits from itself, is left
// out.
func (r *resolver) inheritedRoles() {
	doc := r.model.Metadata.InheritedRoles
	known := map[string]bool{}
	for _, name := range r.model.Roles {
		known[name] = true
	}
	at := make(map[string]int, len(doc))
	for i, role := range doc {
		at[role.Role], known[role.Role] = i, true
	}
	inCircle := map[string]bool{}
	for rest := doc; ; {
		cycle := metadata.RoleCycle(rest)
		if cycle == nil {
			break
		}
		for _, name := range cycle {
			inCircle[name] = true
		}
		for _, name := range cycle[1:] {
			r.inheritedInconsistency(at[name], &doc[at[name]], "found cycle(s) in roles: "+strings.Join(cycle, ", "))
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(role metadata.InheritedRole) bool { return inCircle[role.Role] })
	}
	done := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		i, inherited := at[name]
		if !inherited || done[name] || inCircle[name] {
			return
		}
		done[name] = true
		for _, member := range doc[i].Set {
			add(member)
		}
		r.inheritedRole(i, &doc[i], known)
	}
	for _, role := range doc {
		add(role.Role)
	}
	for _, role := range r.model.Inherited {
		if !slices.Contains(r.model.Roles, role.Role) {
			r.model.Roles = append(r.model.Roles, role.Role)
		}
	}
	slices.Sort(r.model.Roles)
}

func (r *resolver) inheritedRole(i int, doc *metadata.InheritedRole, known map[string]bool) {
	missing := map[string]bool{}
	for _, member := range doc.Set {
		if !known[member] {
			missing[member] = true
		}
	}
	if len(missing) > 0 {
		r.inheritedInconsistency(i, doc, fmt.Sprintf("the following parent role(s) are not found: %s which are required to construct the inherited role: %s",
			strings.Join(slices.Sorted(maps.Keys(missing)), ", "), doc.Role))
		return
	}
	members := slices.Compact(slices.Sorted(slices.Values(doc.Set)))
	r.model.Inherited = append(r.model.Inherited, Inherited{Role: doc.Role, Members: members, Pointer: fmt.Sprintf("$.inherited_roles[%d]", i)})
}

func (r *resolver) inheritedInconsistency(i int, doc *metadata.InheritedRole, reason string) {
	r.report(Inconsistency{
		Type: "inherited_role", Name: "inherited role " + doc.Role, Definition: doc,
		Reason: reasonPrefix + reason, Pointer: fmt.Sprintf("$.inherited_roles[%d]", i),
	})
}

// ambiguousPermission is the type of what AmbiguousPermission reports.
const ambiguousPermission = "inherited role permission inconsistency"

// Ambiguous reports whether i says that members of an inherited role disagree:
// nothing of the metadata is wrong by itself, so no change is refused for it.
func (i Inconsistency) Ambiguous() bool { return i.Type == ambiguousPermission }

// AmbiguousPermission says that a role can't inherit a permission on a table
// because its members have different ones. Kind is insert, update or delete.
func (t *Table) AmbiguousPermission(role Inherited, kind string) Inconsistency {
	return Inconsistency{
		Type: ambiguousPermission, Name: role.Role,
		Entity: map[string]any{"permission_type": kind, "source": t.Source, "table": ShortName(t.Name)},
		Reason: fmt.Sprintf("Could not inherit permission for the role '%s' for the entity: '%s permission, table: %s, source: '%s''",
			role.Role, kind, ShortName(t.Name), t.Source),
		Pointer: role.Pointer,
	}
}
