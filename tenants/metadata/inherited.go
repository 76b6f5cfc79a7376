package metadata

import (
	"encoding/json"
	"fmt"
	"slices"
)

// inherited refuses inherited roles that can't be: without members, of
// themselves, in a circle.
func (d *decoder) inherited(list []InheritedRole) {
	names := unique{c: d, what: "inherited role"}
	for i, r := range list {
		at := fmt.Sprintf("$.inherited_roles[%d]", i)
		names.add(at+".role_name", r.Role)
		switch {
		case r.Role == "admin":
			d.fail(at+".role_name", "the role admin can't be an inherited role")
		case len(r.Set) == 0:
			d.fail(at+".role_set", "expected at least one role")
		case slices.Contains(r.Set, r.Role):
			d.fail(at+".role_set", "an inherited role name cannot be in the role combination")
		}
		for j, member := range r.Set {
			if member == "" {
				d.fail(fmt.Sprintf("%s.role_set[%d]", at, j), "empty string not allowed")
			}
		}
	}
	if cycle := RoleCycle(list); len(cycle) > 2 {
		text, err := json.Marshal(cycle)
		if err != nil { // strings always encode
			panic(err)
		}
		d.fail("$.inherited_roles", "found cycle(s) in roles: %s", text)
	}
}

// RoleCycle finds roles that inherit from one another in a circle: from the
// first of them by name over its members back to it; nil when there is none.
func RoleCycle(list []InheritedRole) []string {
	members := make(map[string][]string, len(list))
	var names []string
	for _, r := range list {
		members[r.Role] = r.Set
		names = append(names, r.Role)
	}
	slices.Sort(names)
	for _, start := range names {
		if path := pathBack(members, start); path != nil {
			return path
		}
	}
	return nil
}

// pathBack leads from a role over members back to it.
func pathBack(members map[string][]string, start string) []string {
	seen := map[string]bool{}
	var walk func(path []string) []string
	walk = func(path []string) []string {
		for _, next := range members[path[len(path)-1]] {
			if next == start {
				return append(path, next)
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if found := walk(append(path[:len(path):len(path)], next)); found != nil {
				return found
			}
		}
		return nil
	}
	return walk([]string{start})
}
