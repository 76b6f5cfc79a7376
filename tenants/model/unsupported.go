package model

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tenantry/tenants/metadata"
)

// reportUnsupported reports everything of the document that this version keeps
// but does not serve, so that nothing is silently without effect.
func (r *resolver) reportUnsupported() {
	doc := r.model.Metadata
	list := func(kind, what, pointer string, objects []json.RawMessage) {
		for i, object := range objects {
			r.unsupported(kind, what, fmt.Sprintf("%s[%d]", pointer, i), object)
		}
	}
	list("remote_schema", "remote schemas", "$.remote_schemas", doc.RemoteSchemas)
	for i := range doc.CronTriggers {
		t := &doc.CronTriggers[i]
		r.report(Inconsistency{
			Type: "cron_trigger", Name: "cron_trigger " + t.Name, Definition: t, Reason: NotSupported("cron triggers"),
			Pointer: fmt.Sprintf("$.cron_triggers[%d]", i), Kept: true,
		})
	}
	r.setting("network", "network settings", "$.network", doc.Network)
	r.setting("metrics_config", "metrics settings", "$.metrics_config", doc.MetricsConfig)
	r.setting("opentelemetry", "OpenTelemetry settings", "$.opentelemetry", doc.OpenTelemetry)
	r.setting("backend_configs", "backend settings", "$.backend_configs", doc.BackendConfigs)
	for i := range doc.Sources {
		s, pointer := &doc.Sources[i], fmt.Sprintf("$.sources[%d]", i)
		r.setting("source", "query tags", pointer+".query_tags", s.QueryTags)
		r.setting("source", "health checks of a source", pointer+".health_check", s.HealthCheck)
		r.setting("source", "connection templates", pointer+".configuration.connection_template", s.Configuration.ConnectionTemplate)
		list("source", "read replicas", pointer+".configuration.read_replicas", s.Configuration.ReadReplicas)
		list("source", "connection sets", pointer+".configuration.connection_set", s.Configuration.ConnectionSet)
	}
}

func (r *resolver) unsupported(kind, what, pointer string, object json.RawMessage) {
	r.report(Inconsistency{Type: kind, Name: kind + " " + nameOf(object), Definition: object, Reason: NotSupported(what), Pointer: pointer})
}

// setting reports a setting that says something.
func (r *resolver) setting(kind, what, pointer string, object json.RawMessage) {
	if !empty(object) {
		r.report(Inconsistency{Type: kind, Name: kind, Definition: object, Reason: NotSupported(what), Pointer: pointer})
	}
}

func empty(object json.RawMessage) bool {
	switch string(bytes.Join(bytes.Fields(object), nil)) {
	case "", "null", "{}", "[]":
		return true
	}
	return false
}

// nameOf is the name of an object that is not read otherwise.
func nameOf(object json.RawMessage) string {
	var named struct {
		Name      string          `json:"name"`
		Role      string          `json:"role_name"`
		RootField string          `json:"root_field_name"`
		Function  json.RawMessage `json:"function"`
	}
	// An object of another form has no name; it is reported all the same.
	_ = json.Unmarshal(object, &named)
	var function metadata.TableName
	if named.Function != nil && function.UnmarshalJSON(named.Function) == nil {
		return function.String()
	}
	for _, name := range []string{named.Name, named.Role, named.RootField} {
		if name != "" {
			return name
		}
	}
	return "without a name"
}
