package openapi

import (
	"slices"
	"strings"

	"tenantry/tenants/metadata"
)

// endEndless makes members of inputs optional where every value would need another one
// of its own type inside. JSON Schema allows that, GraphQL doesn't.
func (t *types) endEndless() {
	for i := range t.declared.InputObjects {
		in := &t.declared.InputObjects[i]
		for f := range in.Fields {
			field := &in.Fields[f]
			if t.needs(*field, in.Name, map[string]bool{}) {
				field.Type = strings.TrimSuffix(field.Type, "!")
				t.note(at(t.places[in.Name], "properties", field.Name), "the property may be left out: a value would need one of its own type inside, without an end")
			}
		}
	}
}

// needs reports whether every value of a field has one of the named input type inside.
func (t *types) needs(f metadata.Argument, name string, seen map[string]bool) bool {
	to, required := strings.CutSuffix(f.Type, "!")
	at := slices.IndexFunc(t.declared.InputObjects, func(in metadata.InputType) bool { return in.Name == to })
	if !required || at < 0 || seen[to] {
		return false
	}
	seen[to] = true
	return to == name || slices.ContainsFunc(t.declared.InputObjects[at].Fields, func(f metadata.Argument) bool { return t.needs(f, name, seen) })
}
