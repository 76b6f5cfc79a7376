package sdl

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Conflict is a type that is declared already, differently.
type Conflict struct {
	Type string
	// Owners are the actions that use the present declaration, sorted; none when
	// it was declared by itself.
	Owners []string
}

// ConflictError names all types that can't be merged; never without conflicts.
type ConflictError struct {
	// Action is whose types were to be added.
	Action    string
	Conflicts []Conflict
}

// Error names both owners of every type.
func (e *ConflictError) Error() string {
	lines := make([]string, len(e.Conflicts))
	for i, c := range e.Conflicts {
		owner := "the custom types"
		if len(c.Owners) > 0 {
			owner = "the action '" + strings.Join(c.Owners, "', '") + "'"
		}
		lines[i] = fmt.Sprintf("type '%s' of the action '%s' differs from the type of that name in %s", c.Type, e.Action, owner)
	}
	return strings.Join(lines, "\n")
}

// MergeTypes adds the types of an action to those of the document: identical
// ones are shared, different ones are a *ConflictError. Types that only the
// action of that name uses so far are replaced. The document is not modified.
func MergeTypes(doc *metadata.Document, add metadata.CustomTypes, action string) (*metadata.CustomTypes, error) {
	merged := Without(doc.CustomTypes, Owned(doc, action))
	present := fieldsByType(merged)
	failure := &ConflictError{Action: action}
	conflict := func(name string) {
		failure.Conflicts = append(failure.Conflicts, Conflict{name, owners(doc, name, action)})
	}
	mergeKind(present, &merged.Scalars, add.Scalars, func(t metadata.ScalarType) string { return t.Name },
		func(a, b metadata.ScalarType) bool { return a == b }, conflict)
	mergeKind(present, &merged.Enums, add.Enums, func(t metadata.EnumType) string { return t.Name },
		func(a, b metadata.EnumType) bool {
			return a.Description == b.Description && slices.Equal(a.Values, b.Values)
		}, conflict)
	mergeKind(present, &merged.InputObjects, add.InputObjects, func(t metadata.InputType) string { return t.Name },
		func(a, b metadata.InputType) bool {
			return a.Description == b.Description && sameFields(a.Fields, b.Fields)
		}, conflict)
	mergeKind(present, &merged.Objects, add.Objects, func(t metadata.ObjectType) string { return t.Name }, sameObject, conflict)
	if len(failure.Conflicts) > 0 {
		return nil, failure
	}
	return merged, nil
}

func mergeKind[T any](present map[string][]metadata.Argument, list *[]T, add []T, name func(T) string, same func(old, added T) bool, conflict func(string)) {
	for _, t := range add {
		if _, taken := present[name(t)]; !taken {
			*list = append(*list, t)
			continue
		}
		at := slices.IndexFunc(*list, func(old T) bool { return name(old) == name(t) })
		if at < 0 || !same((*list)[at], t) { // of another kind, or different
			conflict(name(t))
		}
	}
}

func sameFields(a, b []metadata.Argument) bool {
	return slices.EqualFunc(a, b, func(a, b metadata.Argument) bool {
		return a.Name == b.Name && a.Description == b.Description && canonical(a.Type) == canonical(b.Type)
	})
}

// canonical is a type reference without its spaces.
func canonical(ref string) string {
	t, err := model.ParseTypeRef(ref)
	if err != nil {
		return ref
	}
	return t.String()
}

// sameObject takes an added type without relationships as the same: SDL has no
// form for them, so their absence says nothing.
func sameObject(old, added metadata.ObjectType) bool {
	if old.Description != added.Description || !sameFields(old.Fields, added.Fields) {
		return false
	}
	if len(added.Relationships) == 0 {
		return true
	}
	return reflect.DeepEqual(sortedRelationships(old.Relationships), sortedRelationships(added.Relationships))
}

func sortedRelationships(list []metadata.TypeRelationship) []metadata.TypeRelationship {
	sorted := slices.Clone(list)
	for i := range sorted {
		if sorted[i].Source == "" {
			sorted[i].Source = "default"
		}
	}
	slices.SortFunc(sorted, func(a, b metadata.TypeRelationship) int { return strings.Compare(a.Name, b.Name) })
	return sorted
}

// Owned are the types that an action uses and no other action or type outside of
// them does: those that go when it goes. Sorted.
func Owned(doc *metadata.Document, action string) []string {
	mine := map[string]bool{}
	for i := range doc.Actions {
		if doc.Actions[i].Name == action {
			for _, name := range reachable(doc.CustomTypes, &doc.Actions[i]) {
				mine[name] = true
			}
		}
	}
	for i := range doc.Actions {
		if doc.Actions[i].Name != action {
			for _, name := range reachable(doc.CustomTypes, &doc.Actions[i]) {
				delete(mine, name)
			}
		}
	}
	if doc.CustomTypes != nil {
		keepReferred(fieldsByType(doc.CustomTypes), mine)
	}
	names := make([]string, 0, len(mine))
	for name := range mine {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// keepReferred takes out of mine what a type outside of mine refers to, until
// nothing does.
func keepReferred(fields map[string][]metadata.Argument, mine map[string]bool) {
	for again := true; again; {
		again = false
		for name, members := range fields {
			if mine[name] {
				continue
			}
			for _, f := range members {
				if base := baseName(f.Type); mine[base] {
					delete(mine, base)
					again = true
				}
			}
		}
	}
}

// owners are the other actions that use a type, sorted.
func owners(doc *metadata.Document, name, except string) []string {
	var list []string
	for i := range doc.Actions {
		a := &doc.Actions[i]
		if a.Name != except && slices.Contains(reachable(doc.CustomTypes, a), name) {
			list = append(list, a.Name)
		}
	}
	slices.Sort(list)
	return list
}

// Without is a copy of types that lacks the named ones.
func Without(types *metadata.CustomTypes, names []string) *metadata.CustomTypes {
	out := &metadata.CustomTypes{}
	if types == nil {
		return out
	}
	out.Scalars = without(types.Scalars, names, func(t metadata.ScalarType) string { return t.Name })
	out.Enums = without(types.Enums, names, func(t metadata.EnumType) string { return t.Name })
	out.InputObjects = without(types.InputObjects, names, func(t metadata.InputType) string { return t.Name })
	out.Objects = without(types.Objects, names, func(t metadata.ObjectType) string { return t.Name })
	return out
}

func without[T any](list []T, names []string, name func(T) string) []T {
	var kept []T
	for _, t := range list {
		if !slices.Contains(names, name(t)) {
			kept = append(kept, t)
		}
	}
	return kept
}
