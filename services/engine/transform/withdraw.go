package transform

import (
	"fmt"
	"slices"

	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// Withdraw takes the actions out of a model whose transforms do not compile, and
// reports each mistake with its place. The model must not be shared yet.
func Withdraw(m *model.Model) []model.Inconsistency {
	var found []model.Inconsistency
	m.Actions = slices.DeleteFunc(m.Actions, func(a *model.Action) bool {
		own := mistakesOf(a.Metadata, pointer(m, a))
		found = append(found, own...)
		return len(own) > 0
	})
	return found
}

func pointer(m *model.Model, a *model.Action) string {
	i := slices.IndexFunc(m.Metadata.Actions, func(doc metadata.Action) bool { return doc.Name == a.Name })
	return fmt.Sprintf("$.actions[%d].definition", i)
}

func mistakesOf(doc *metadata.Action, pointer string) []model.Inconsistency {
	_, request := CompileRequest(doc.Definition.RequestTransform)
	_, response := CompileResponse(doc.Definition.ResponseTransform)
	var out []model.Inconsistency
	for _, part := range []struct {
		key      string
		mistakes Mistakes
	}{{".request_transform", request}, {".response_transform", response}} {
		for _, mistake := range part.mistakes {
			out = append(out, model.Inconsistency{
				Type: "action", Name: "action " + doc.Name, Definition: doc,
				Reason: fmt.Sprintf("Inconsistent object: in action %q; %s%s: %s",
					doc.Name, part.key[1:], mistake.Key, mistake.Error.Error()),
				Pointer: pointer + part.key + mistake.Key,
			})
		}
	}
	return out
}
