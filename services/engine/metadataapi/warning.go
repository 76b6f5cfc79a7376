package metadataapi

import (
	"fmt"
	"maps"

	"tenantry/services/engine/impact"
)

// warning is what a command left out, or what its change has broken.
type warning struct {
	Code    string `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// maxBroken bounds the warnings of operations, and of endpoints, that a change broke.
const maxBroken = 20

// brokenBy are the warnings of a change that has broken saved operations.
func brokenBy(b impact.Broken) []warning {
	var out []warning
	for _, o := range b.Operations[:min(maxBroken, len(b.Operations))] {
		out = append(out, warning{"broken-operation", o.Collection + "." + o.Query,
			fmt.Sprintf("the operation of the allow-list no longer works for the role %q: %s", o.Role, o.Reason)})
	}
	for _, e := range b.Endpoints[:min(maxBroken, len(b.Endpoints))] {
		out = append(out, warning{"broken-endpoint", e.Name, fmt.Sprintf("the REST endpoint no longer works for the role %q: %s", e.Role, e.Reason)})
	}
	return out
}

// warned is an answer with more warnings; a bulk has them in its last answer that can
// have any.
func warned(answer any, more []warning) any {
	switch a := answer.(type) {
	case map[string]string:
		out := map[string]any{"warnings": more}
		for key, value := range a {
			out[key] = value
		}
		return out
	case map[string]any:
		out := maps.Clone(a)
		before, _ := a["warnings"].([]warning)
		out["warnings"] = append(before[:len(before):len(before)], more...)
		return out
	case []any:
		for i := len(a) - 1; i >= 0; i-- {
			switch a[i].(type) {
			case map[string]string, map[string]any:
				a[i] = warned(a[i], more)
				return a
			}
		}
	}
	return answer
}
