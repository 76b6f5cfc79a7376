// Package metadata is the project's metadata document in the dialect's version
// 3 form: what the tenant says of tables, permissions, actions and the rest.
//
// It decodes strictly (unknown keys are refused with their JSON path, all
// mistakes at once), and edits are pure functions from document to document.
// It knows nothing of the database: tenants/model resolves a document against a
// catalog. The keys and their meaning are those of contracts §9.1.
package metadata

import "encoding/json"

// Document is a whole metadata document. Export order is stable; absent and
// default values are left out.
type Document struct {
	Version          int                  `json:"version"`
	Sources          []Source             `json:"sources" required:"false"`
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
	Network          json.RawMessage      `json:"network,omitempty"`
	MetricsConfig    json.RawMessage      `json:"metrics_config,omitempty"`
	OpenTelemetry    json.RawMessage      `json:"opentelemetry,omitempty"`
	BackendConfigs   json.RawMessage      `json:"backend_configs,omitempty"`
	// PermissionTests is a key of our own.
	PermissionTests []PermissionTest `json:"permission_tests,omitempty"`
}

// Source is one database of the project.
type Source struct {
	Name          string               `json:"name"`
	Kind          string               `json:"kind" required:"false"` // postgres when left out
	Configuration SourceConfiguration  `json:"configuration"`
	Customization *SourceCustomization `json:"customization,omitempty"`
	QueryTags     json.RawMessage      `json:"query_tags,omitempty"`
	HealthCheck   json.RawMessage      `json:"health_check,omitempty"`
	Tables        []Table              `json:"tables" required:"false"`
	Functions     []Function           `json:"functions,omitempty"`
	NativeQueries []NativeQuery        `json:"native_queries,omitempty"`
	LogicalModels []LogicalModel       `json:"logical_models,omitempty"`
}

// SourceConfiguration says how to reach a source.
type SourceConfiguration struct {
	ConnectionInfo     ConnectionInfo    `json:"connection_info"`
	ReadReplicas       []json.RawMessage `json:"read_replicas,omitempty"`
	ExtensionsSchema   string            `json:"extensions_schema,omitempty"`
	ConnectionTemplate json.RawMessage   `json:"connection_template,omitempty"`
	ConnectionSet      []json.RawMessage `json:"connection_set,omitempty"`
}

// ConnectionInfo is how to connect. The URL of a project's own database is not
// here in clear: it is {"from_env": "TENANTRY_DATABASE"} and sealed elsewhere.
type ConnectionInfo struct {
	DatabaseURL           json.RawMessage `json:"database_url"`
	IsolationLevel        string          `json:"isolation_level,omitempty"`
	UsePreparedStatements *bool           `json:"use_prepared_statements,omitempty"`
	PoolSettings          *PoolSettings   `json:"pool_settings,omitempty"`
	SSLConfiguration      json.RawMessage `json:"ssl_configuration,omitempty"`
}

// PoolSettings bound the pool of a source; times are seconds.
type PoolSettings struct {
	MaxConnections      *int `json:"max_connections,omitempty"`
	TotalMaxConnections *int `json:"total_max_connections,omitempty"`
	IdleTimeout         *int `json:"idle_timeout,omitempty"`
	Retries             *int `json:"retries,omitempty"`
	PoolTimeout         *int `json:"pool_timeout,omitempty"`
	ConnectionLifetime  *int `json:"connection_lifetime,omitempty"`
}

// Table is a tracked table with all that hangs on it.
type Table struct {
	Table               TableName            `json:"table"`
	IsEnum              bool                 `json:"is_enum,omitempty"`
	Configuration       *TableConfiguration  `json:"configuration,omitempty"`
	ObjectRelationships []Relationship       `json:"object_relationships,omitempty"`
	ArrayRelationships  []Relationship       `json:"array_relationships,omitempty"`
	RemoteRelationships []RemoteRelationship `json:"remote_relationships,omitempty"`
	ComputedFields      []ComputedField      `json:"computed_fields,omitempty"`
	SelectPermissions   []SelectPermission   `json:"select_permissions,omitempty"`
	InsertPermissions   []InsertPermission   `json:"insert_permissions,omitempty"`
	UpdatePermissions   []UpdatePermission   `json:"update_permissions,omitempty"`
	DeletePermissions   []DeletePermission   `json:"delete_permissions,omitempty"`
	EventTriggers       []EventTrigger       `json:"event_triggers,omitempty"`
	ApolloFederation    *ApolloFederation    `json:"apollo_federation_config,omitempty"`
}

// ApolloFederation makes rows of a table entities of a federation.
type ApolloFederation struct {
	Enable string `json:"enable"` // the version: v1
}

// TableConfiguration renames and comments a table and its columns.
type TableConfiguration struct {
	CustomName        string                     `json:"custom_name,omitempty"`
	Comment           *string                    `json:"comment,omitempty"`
	CustomRootFields  map[string]json.RawMessage `json:"custom_root_fields,omitempty"`
	ColumnConfig      map[string]ColumnConfig    `json:"column_config,omitempty"`
	CustomColumnNames map[string]string          `json:"custom_column_names,omitempty"`
}

// ColumnConfig renames and comments one column.
type ColumnConfig struct {
	CustomName string  `json:"custom_name,omitempty"`
	Comment    *string `json:"comment,omitempty"`
}

// Relationship is an object or array relationship.
type Relationship struct {
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
	Using   Using  `json:"using"`
}

// Using says how two tables are related: exactly one of the two is set.
type Using struct {
	ForeignKey *ForeignKeyOn        `json:"foreign_key_constraint_on,omitempty"`
	Manual     *ManualConfiguration `json:"manual_configuration,omitempty"`
}

// ForeignKeyOn names the columns of a foreign key: of the table itself (Table
// nil) or of the referencing Table. In JSON a column, a list of columns, or
// {table, column|columns}.
type ForeignKeyOn struct {
	Table   *TableName
	Columns []string
}

// ManualConfiguration maps columns to columns without a constraint.
type ManualConfiguration struct {
	RemoteTable    TableName         `json:"remote_table"`
	ColumnMapping  map[string]string `json:"column_mapping"`
	InsertionOrder string            `json:"insertion_order,omitempty"`
}

// Columns is a list of columns, or all of them ("*" in JSON).
type Columns struct {
	All  bool
	List []string
}

// SelectPermission lets a role read rows.
type SelectPermission struct {
	Role       string     `json:"role"`
	Comment    string     `json:"comment,omitempty"`
	Permission SelectRule `json:"permission"`
}

// SelectRule is what a role may read.
type SelectRule struct {
	Columns           Columns         `json:"columns"`
	Filter            json.RawMessage `json:"filter"`
	Limit             *int            `json:"limit,omitempty"`
	AllowAggregations bool            `json:"allow_aggregations,omitempty"`
	ComputedFields    []string        `json:"computed_fields,omitempty"`
	// Masks say what is shown of columns instead of their values, by database name.
	Masks map[string]Mask `json:"masks,omitempty"`
	// nil means all, empty means none.
	QueryRootFields        *[]string `json:"query_root_fields,omitempty"`
	SubscriptionRootFields *[]string `json:"subscription_root_fields,omitempty"`
}

// InsertPermission lets a role insert rows.
type InsertPermission struct {
	Role       string     `json:"role"`
	Comment    string     `json:"comment,omitempty"`
	Permission InsertRule `json:"permission"`
}

// InsertRule is what a role may insert.
type InsertRule struct {
	Check         json.RawMessage            `json:"check"`
	Columns       *Columns                   `json:"columns,omitempty"` // nil means all
	Set           map[string]json.RawMessage `json:"set,omitempty"`
	BackendOnly   bool                       `json:"backend_only,omitempty"`
	ValidateInput *InputValidation           `json:"validate_input,omitempty"`
	// MaxAffectedRows of one mutation; 0 is no limit.
	MaxAffectedRows int `json:"max_affected_rows,omitempty"`
}

// UpdatePermission lets a role update rows.
type UpdatePermission struct {
	Role       string     `json:"role"`
	Comment    string     `json:"comment,omitempty"`
	Permission UpdateRule `json:"permission"`
}

// UpdateRule is what a role may update.
type UpdateRule struct {
	Columns       Columns                    `json:"columns"`
	Filter        json.RawMessage            `json:"filter"`
	Check         json.RawMessage            `json:"check,omitempty"`
	Set           map[string]json.RawMessage `json:"set,omitempty"`
	BackendOnly   bool                       `json:"backend_only,omitempty"`
	ValidateInput *InputValidation           `json:"validate_input,omitempty"`
	// MaxAffectedRows of one mutation; 0 is no limit.
	MaxAffectedRows int `json:"max_affected_rows,omitempty"`
}

// DeletePermission lets a role delete rows.
type DeletePermission struct {
	Role       string     `json:"role"`
	Comment    string     `json:"comment,omitempty"`
	Permission DeleteRule `json:"permission"`
}

// DeleteRule is what a role may delete.
type DeleteRule struct {
	Filter        json.RawMessage  `json:"filter"`
	BackendOnly   bool             `json:"backend_only,omitempty"`
	ValidateInput *InputValidation `json:"validate_input,omitempty"`
	// MaxAffectedRows of one mutation; 0 is no limit.
	MaxAffectedRows int `json:"max_affected_rows,omitempty"`
}

// TableName is a table's name; a plain string in JSON means schema public.
type TableName struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// QueryCollection is a named list of operations.
type QueryCollection struct {
	Name       string                    `json:"name"`
	Comment    string                    `json:"comment,omitempty"`
	Definition QueryCollectionDefinition `json:"definition"`
}

// QueryCollectionDefinition holds the operations of a collection.
type QueryCollectionDefinition struct {
	Queries []NamedQuery `json:"queries"`
}

// NamedQuery is one operation's text.
type NamedQuery struct {
	Name  string `json:"name"`
	Query string `json:"query"`
}

// AllowlistEntry allows the operations of a collection.
type AllowlistEntry struct {
	Collection string          `json:"collection"`
	Scope      *AllowlistScope `json:"scope,omitempty"`
}

// AllowlistScope says for whom: everybody, or listed roles.
type AllowlistScope struct {
	Global bool     `json:"global"`
	Roles  []string `json:"roles,omitempty"`
}

// RESTEndpoint exposes an operation of a collection as REST.
type RESTEndpoint struct {
	Name       string                 `json:"name"`
	URL        string                 `json:"url"`
	Methods    []string               `json:"methods"`
	Comment    string                 `json:"comment,omitempty"`
	Definition RESTEndpointDefinition `json:"definition"`
}

// RESTEndpointDefinition points at the operation.
type RESTEndpointDefinition struct {
	Query struct {
		Collection string `json:"collection_name"`
		Query      string `json:"query_name"`
	} `json:"query"`
}

// InheritedRole unites roles.
type InheritedRole struct {
	Role string   `json:"role_name"`
	Set  []string `json:"role_set"`
}

// IntrospectionSwitch turns introspection off for roles.
type IntrospectionSwitch struct {
	DisabledForRoles []string `json:"disabled_for_roles"`
}
