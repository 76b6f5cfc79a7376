package authz

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tenantry/policy/filter"
)

// Describe is a filter as filter.String prints it, with what its late-bound values
// are evaluated from instead of their names: filters of two policies that say the
// same in the same words have the same text.
func (p *Policy) Describe(e filter.Expr) string {
	return filter.Filled(e, func(v filter.Param) (string, bool) {
		if v.From != filter.Late {
			return "", false
		}
		return "late{" + p.late.describe(v.Name) + "}", true
	})
}

// describe is what a late-bound value is evaluated from.
func (r *registry) describe(name string) string {
	id, rule, _ := strings.Cut(name, ".")
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.modules[id]
	if !ok {
		return name // why it is refused
	}
	var parts []string
	for _, one := range m.rules {
		if string(one.Head.Name) == rule {
			parts = append(parts, one.Head.Value.String()+" if "+one.Body.String())
		}
	}
	for _, module := range m.support {
		for _, one := range module.Rules {
			parts = append(parts, module.Package.Path.String()+"."+one.String())
		}
	}
	slices.Sort(parts)
	return renumbered(strings.Join(parts, "; "))
}

// generated are variables that the compiler names by their number.
var generated = regexp.MustCompile(`__local[a-z]*\d+__\d*|\$\d+|partial\d*_\d+`)

func renumbered(text string) string {
	names := map[string]string{}
	return generated.ReplaceAllStringFunc(text, func(found string) string {
		if names[found] == "" {
			names[found] = "v" + strconv.Itoa(len(names))
		}
		return names[found]
	})
}
