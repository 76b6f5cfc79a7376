package model

import (
	"fmt"

	"tenantry/tenants/metadata"
)

// eventTriggers reports the event triggers of a table: what is wrong with them,
// or that this version does not deliver events.
func (r *resolver) eventTriggers(t *Table) {
	for i := range t.Metadata.EventTriggers {
		doc := &t.Metadata.EventTriggers[i]
		found := Inconsistency{
			Type: "event_trigger", Name: fmt.Sprintf("event_trigger %s in %s", doc.Name, t.owner()), Definition: doc,
			Reason: NotSupported("event triggers"), Kept: true, Pointer: fmt.Sprintf("%s.event_triggers[%d]", t.Pointer, i),
		}
		if reason := t.eventTriggerProblem(doc); reason != "" {
			found.Reason, found.Kept = fmt.Sprintf("%sin event trigger %q: %s", reasonPrefix, doc.Name, reason), false
		}
		r.report(found)
	}
}

func (t *Table) eventTriggerProblem(doc *metadata.EventTrigger) string {
	for _, op := range doc.Definition.Listened() {
		for _, name := range op.ColumnNames() {
			if _, ok := t.stored[name]; !ok {
				return fmt.Sprintf("column %q of %s does not exist in table %q", name, op.Name, ShortName(t.Name))
			}
		}
	}
	return ""
}
