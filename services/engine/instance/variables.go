package instance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
	"tenantry/tenants/settings"
)

// unset are the variables that actions name and the project does not have. They forbid
// no change and leave no action out, since metadata and variables come one after the
// other: the action's calls fail until the variable is there.
func unset(doc *metadata.Document, set settings.Settings) (out []model.Inconsistency) {
	for i := range doc.Actions {
		a := &doc.Actions[i]
		tell := func(key, what string, names []string) {
			for n := range names {
				names[n] = strconv.Quote(names[n])
			}
			if len(names) > 0 {
				out = append(out, model.Inconsistency{
					Type: "action", Name: "action " + a.Name, Definition: a, Kept: true,
					Reason:  fmt.Sprintf("Inconsistent object: in action %q; %s names variables that are not set: %s", a.Name, what, strings.Join(names, ", ")),
					Pointer: fmt.Sprintf("$.actions[%d].definition%s", i, key),
				})
			}
		}
		tell(".handler", "the handler", missing(a.Definition.Handler, set))
		for n, h := range a.Definition.Headers {
			names := missing(h.Value, set)
			if _, ok := set.Lookup(h.ValueFromEnv); !ok && h.ValueFromEnv != "" {
				names = append(names, h.ValueFromEnv)
			}
			tell(fmt.Sprintf(".headers[%d]", n), "the header "+strconv.Quote(h.Name), names)
		}
	}
	return out
}

// missing are the variables that a text names and the project does not have.
func missing(text string, set settings.Settings) []string {
	if !strings.Contains(text, "{{") {
		return nil
	}
	return slices.DeleteFunc(settings.Names(text), func(name string) bool { _, ok := set.Lookup(name); return ok })
}
