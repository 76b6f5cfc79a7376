package metadata

import (
	"encoding/json"
	"reflect"
	"slices"
)

// Decode reads a document of version 3, or one of version 1 or 2, which becomes
// a version 3 document with the one source "default". All mistakes are told at
// once: the error is a *DecodeError.
func Decode(data []byte) (*Document, error) {
	n, err := scan(data)
	if err != nil {
		return nil, notJSON(err)
	}
	d := &decoder{}
	doc := &Document{}
	switch {
	case !d.expect(n, '{', "$", "an object"):
	case isLegacy(n):
		var legacy legacyDocument
		d.object(n, reflect.ValueOf(&legacy).Elem(), "$")
		doc = legacy.upgrade()
	default:
		d.object(n, reflect.ValueOf(doc).Elem(), "$")
		if doc.Version != 3 && len(d.problems) == 0 {
			d.fail("$.version", "expected version 1, 2 or 3")
		}
	}
	for i := range doc.Sources {
		if doc.Sources[i].Kind == "" {
			doc.Sources[i].Kind = "postgres"
		}
	}
	if len(d.problems) == 0 {
		d.problems = doc.validate()
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return doc, nil
}

// isLegacy reports whether a document has the form before version 3. Version 1
// did not write its version.
func isLegacy(n node) bool {
	tables, sources := false, false
	for i, key := range n.keys {
		switch key {
		case "version":
			return string(n.items[i].raw) == "1" || string(n.items[i].raw) == "2"
		case "tables":
			tables = true
		case "sources":
			sources = true
		}
	}
	return tables && !sources
}

// legacyDocument is a document of version 1 or 2: one database, its tables and
// functions at the top level.
type legacyDocument struct {
	Version          int                  `json:"version,omitempty"`
	Tables           []Table              `json:"tables,omitempty"`
	Functions        []legacyFunction     `json:"functions,omitempty"`
	RemoteSchemas    []json.RawMessage    `json:"remote_schemas,omitempty"`
	Actions          []Action             `json:"actions,omitempty"`
	CustomTypes      *CustomTypes         `json:"custom_types,omitempty"`
	QueryCollections []QueryCollection    `json:"query_collections,omitempty"`
	Allowlist        []AllowlistEntry     `json:"allowlist,omitempty"`
	RESTEndpoints    []RESTEndpoint       `json:"rest_endpoints,omitempty"`
	InheritedRoles   []InheritedRole      `json:"inherited_roles,omitempty"`
	CronTriggers     []CronTrigger        `json:"cron_triggers,omitempty"`
	APILimits        *APILimits           `json:"api_limits,omitempty"`
	Introspection    *IntrospectionSwitch `json:"graphql_schema_introspection,omitempty"`
}

// OwnDatabase is the database_url of a project's own database.
const OwnDatabase = `{"from_env":"TENANTRY_DATABASE"}`

func (l *legacyDocument) upgrade() *Document {
	source := Source{
		Name: "default", Kind: "postgres",
		Configuration: SourceConfiguration{ConnectionInfo: ConnectionInfo{DatabaseURL: json.RawMessage(OwnDatabase)}},
		Tables:        l.Tables,
	}
	for _, f := range l.Functions {
		source.Functions = append(source.Functions, Function(f))
	}
	return &Document{
		Version: 3, Sources: []Source{source},
		RemoteSchemas: l.RemoteSchemas, Actions: l.Actions, CustomTypes: l.CustomTypes,
		QueryCollections: l.QueryCollections, Allowlist: l.Allowlist, RESTEndpoints: l.RESTEndpoints,
		InheritedRoles: l.InheritedRoles, CronTriggers: l.CronTriggers,
		APILimits: l.APILimits, Introspection: l.Introspection,
	}
}

// legacyFunction is a function or, as version 1 has it, a bare name.
type legacyFunction Function

// UnmarshalJSON reads a name or {function}.
func (f *legacyFunction) UnmarshalJSON(data []byte) error { return unmarshal(f, data) }

func (f *legacyFunction) decode(d *decoder, n node, path string) {
	if n.kind() == '"' || n.kind() == '{' && !slices.Contains(n.keys, "function") {
		f.Function.decode(d, n, path)
		return
	}
	d.value(n, reflect.ValueOf((*Function)(f)).Elem(), path)
}
