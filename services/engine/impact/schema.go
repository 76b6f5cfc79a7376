package impact

import (
	"maps"
	"slices"
)

// maxLines bounds the lines that are told of one role, each way.
const maxLines = 1000

// SchemaChange is what a role's schema gains and loses, line by line: a type as
// "type author", a field as "author.name: String!".
type SchemaChange struct {
	Role    string   `json:"role"`
	Added   []string `json:"added" nullable:"false"`
	Removed []string `json:"removed" nullable:"false"`
	// Omitted lines are not listed.
	Omitted int `json:"omitted,omitempty" doc:"How many further lines are not listed."`
}

func (c *comparison) schemaOf(role string) SchemaChange {
	before, after := c.schema(false, role).Lines(), c.schema(true, role).Lines()
	change := SchemaChange{Role: role}
	change.Added, change.Omitted = without(after, before)
	removed, omitted := without(before, after)
	change.Removed = removed
	change.Omitted += omitted
	return change
}

// without are the lines of a that b has not, in order, and how many more there
// are.
func without(a, b map[string]bool) (list []string, omitted int) {
	list = []string{}
	for _, line := range slices.Sorted(maps.Keys(a)) {
		switch {
		case b[line]:
		case len(list) == maxLines:
			omitted++
		default:
			list = append(list, line)
		}
	}
	return list, omitted
}
