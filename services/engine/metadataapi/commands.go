package metadataapi

import (
	"context"
	"fmt"
	"strings"

	"tenantry/tenants/metadata"
)

// commands are those of an endpoint, by name without the prefix pg_. The legacy
// endpoint takes all of them.
func commands(e Endpoint) map[string]command {
	switch e {
	case Metadata:
		return metadataCommands
	case Query:
		return queryCommands
	}
	return allCommands
}

var metadataCommands, queryCommands, allCommands map[string]command

func init() { // literals would refer to themselves through bulk
	queryCommands = map[string]command{
		"run_sql": {run: runSQL}, "bulk": {run: bulk}, "concurrent_bulk": {run: concurrentBulk, reads: true},
		"select": {run: onData, reads: true, data: true}, "count": {run: onData, reads: true, data: true},
		"insert": {run: onData, data: true}, "update": {run: onData, data: true}, "delete": {run: onData, data: true},
	}
	metadataCommands = map[string]command{
		"bulk": {run: bulk}, "bulk_keep_going": {run: bulkKeepGoing}, "bulk_atomic": {run: bulk},
		"concurrent_bulk": {run: concurrentBulk, reads: true},

		"export_metadata": {run: exportMetadata, reads: true}, "replace_metadata": {run: replaceMetadata},
		"reload_metadata": {run: reloadMetadata}, "clear_metadata": {run: clearMetadata},
		"get_inconsistent_metadata": {run: getInconsistent, reads: true}, "drop_inconsistent_metadata": {run: dropInconsistent},
		"dump_internal_state": {run: dumpState, reads: true},
		"get_catalog_state":   {run: getCatalogState, reads: true}, "set_catalog_state": {run: setCatalogState},

		"add_source": {run: addSource}, "update_source": {run: updateSource},
		"drop_source": {run: dropSource}, "rename_source": {run: renameSource},
		"set_query_tags":    step(metadata.SetQueryTags, func(a metadata.QueryTagsArgs) string { return "source" }),
		"get_source_tables": {run: getSourceTables, reads: true}, "get_table_info": {run: getTableInfo, reads: true},
		"get_source_trackables": {run: getTrackables, reads: true},
		"list_source_kinds":     {run: listSourceKinds, reads: true}, "get_source_kind_capabilities": {run: getCapabilities, reads: true},

		"track_table": {run: trackTable}, "add_existing_table_or_view": {run: trackTable}, "untrack_table": {run: untrackTable},
		"track_tables": {run: trackTables}, "untrack_tables": {run: untrackTables},
		"set_table_customization": step(metadata.SetTableCustomization,
			func(a metadata.CustomizeTableArgs) string { return tableName(a.Source, a.Table) }),
		"set_table_custom_fields": step(metadata.SetTableCustomFields,
			func(a metadata.CustomFieldsArgs) string { return tableName(a.Source, a.Table) }),
		"set_table_is_enum": step(metadata.SetTableIsEnum,
			func(a metadata.TableEnumArgs) string { return tableName(a.Source, a.Table) }),
		"set_apollo_federation_config": step(metadata.SetApolloFederation,
			func(a metadata.FederationArgs) string { return tableName(a.Source, a.Table) }),

		"create_object_relationship": step(metadata.CreateObjectRelationship, relationshipName("object_relation")),
		"create_array_relationship":  step(metadata.CreateArrayRelationship, relationshipName("array_relation")),
		"drop_relationship":          linked(metadata.DropRelationship),
		"rename_relationship":        linked(metadata.RenameRelationship),
		"set_relationship_comment":   step(metadata.SetRelationshipComment, nil),
		"suggest_relationships":      {run: suggestRelationships, reads: true},
		"create_remote_relationship": remoteRelationship(metadata.CreateRemoteRelationship),
		"update_remote_relationship": remoteRelationship(metadata.UpdateRemoteRelationship),
		"delete_remote_relationship": step(metadata.DeleteRemoteRelationship, nil),

		"create_select_permission": step(metadata.CreateSelectPermission, permissionName[metadata.SelectRule]("select")),
		"create_insert_permission": step(metadata.CreateInsertPermission, permissionName[metadata.InsertRule]("insert")),
		"create_update_permission": step(metadata.CreateUpdatePermission, permissionName[metadata.UpdateRule]("update")),
		"create_delete_permission": step(metadata.CreateDeletePermission, permissionName[metadata.DeleteRule]("delete")),
		"drop_select_permission":   step(metadata.DropSelectPermission, nil),
		"drop_insert_permission":   step(metadata.DropInsertPermission, nil),
		"drop_update_permission":   step(metadata.DropUpdatePermission, nil),
		"drop_delete_permission":   step(metadata.DropDeletePermission, nil),
		"set_permission_comment":   step(metadata.SetPermissionComment, nil),

		"track_function": {run: trackFunction}, "untrack_function": {run: untrackFunction},
		"set_function_customization": step(metadata.SetFunctionCustomization,
			func(a metadata.CustomizeFunctionArgs) string { return "function " + a.Function.String() }),
		"create_function_permission": step(metadata.CreateFunctionPermission, nil),
		"drop_function_permission":   step(metadata.DropFunctionPermission, nil),
		"add_computed_field": step(metadata.AddComputedField, func(a metadata.ComputedFieldArgs) string {
			return fmt.Sprintf("computed_field %s in %s", a.Name, tableName(a.Source, a.Table))
		}),
		"drop_computed_field": linked(metadata.DropComputedField),

		"track_logical_model":                    step(metadata.TrackLogicalModel, func(a metadata.LogicalModelArgs) string { return "logical_model " + a.Name }),
		"untrack_logical_model":                  step(metadata.UntrackLogicalModel, nil),
		"create_logical_model_select_permission": step(metadata.CreateLogicalModelSelectPermission, nil),
		"drop_logical_model_select_permission":   step(metadata.DropLogicalModelSelectPermission, nil),
		"track_native_query":                     step(metadata.TrackNativeQuery, func(a metadata.NativeQueryArgs) string { return "native_query " + a.RootField }),
		"untrack_native_query":                   step(metadata.UntrackNativeQuery, nil),
		"get_native_query":                       {run: getNativeQuery, reads: true},
		"get_logical_model":                      {run: getLogicalModel, reads: true},

		"create_action":            step(metadata.CreateAction, func(a metadata.ActionArgs) string { return "action " + a.Name }),
		"update_action":            step(metadata.UpdateAction, func(a metadata.ActionArgs) string { return "action " + a.Name }),
		"drop_action":              {run: dropAction},
		"cancel_async_action":      {run: cancelAsyncAction},
		"test_webhook_transform":   {run: testTransform, reads: true},
		"create_action_permission": step(metadata.CreateActionPermission, nil),
		"drop_action_permission":   step(metadata.DropActionPermission, nil),
		"set_custom_types":         step(metadata.SetCustomTypes, func(metadata.CustomTypes) string { return "custom_types" }),
		"add_custom_type":          step(metadata.AddCustomType, func(metadata.CustomTypeArgs) string { return "custom_types" }),
		"update_custom_type":       step(metadata.UpdateCustomType, func(metadata.CustomTypeArgs) string { return "custom_types" }),
		"drop_custom_type": step(func(doc *metadata.Document, a nameArgs) (*metadata.Document, error) {
			return metadata.DropCustomType(doc, a.Name)
		}, func(nameArgs) string { return "custom_types" }),

		"create_event_trigger": {run: createEventTrigger}, "delete_event_trigger": step(metadata.DeleteEventTrigger, nil),
		"create_cron_trigger": {run: createCronTrigger}, "get_cron_triggers": {run: getCronTriggers, reads: true},
		"delete_cron_trigger": step(func(doc *metadata.Document, a nameArgs) (*metadata.Document, error) {
			return metadata.DeleteCronTrigger(doc, a.Name)
		}, nil),

		"create_query_collection":                 step(metadata.CreateQueryCollection, nil),
		"rename_query_collection":                 step(metadata.RenameQueryCollection, nil),
		"drop_query_collection":                   step(metadata.DropQueryCollection, nil),
		"add_query_to_collection":                 step(metadata.AddQueryToCollection, nil),
		"drop_query_from_collection":              step(metadata.DropQueryFromCollection, nil),
		"add_collection_to_allowlist":             {run: addToAllowlist},
		"update_scope_of_collection_in_allowlist": step(metadata.SetAllowlistScope, nil),
		"drop_collection_from_allowlist": step(func(doc *metadata.Document, a collectionArgs) (*metadata.Document, error) {
			return metadata.DropCollectionFromAllowlist(doc, a.Collection)
		}, nil),
		"create_rest_endpoint": step(metadata.CreateRESTEndpoint, func(a metadata.RESTEndpoint) string { return "rest_endpoint " + a.Name }),
		"drop_rest_endpoint":   step(metadata.DropRESTEndpoint, nil),

		"add_inherited_role":  step(metadata.AddInheritedRole, func(a metadata.InheritedRole) string { return "inherited_role " + a.Role }),
		"drop_inherited_role": step(metadata.DropInheritedRole, nil),
		"set_api_limits":      step(metadata.SetAPILimits, nil),
		"remove_api_limits": step(func(doc *metadata.Document, _ struct{}) (*metadata.Document, error) {
			return metadata.RemoveAPILimits(doc), nil
		}, nil),
		"set_graphql_schema_introspection_options": step(metadata.SetIntrospection, nil),
	}
	allCommands = map[string]command{}
	for _, set := range []map[string]command{metadataCommands, queryCommands} {
		for name, run := range set {
			allCommands[name] = run
		}
	}
}

type nameArgs struct {
	Name string `json:"name"`
}

type collectionArgs struct {
	Collection string `json:"collection"`
}

// unsupported tells of a command of the dialect that this version does not have,
// and what it is about.
func unsupported(name string) (what string, ok bool) {
	for _, of := range []struct{ part, what string }{
		{"scheduled_event", "scheduled events"}, {"event", "event triggers"}, {"cron_trigger", "cron triggers"}, {"remote_schema", "remote schemas"},
		{"connection_template", "connection templates"}, {"tls_allowlist", "TLS allow-lists"}, {"opentelemetry", "OpenTelemetry settings"},
		{"metrics_config", "metrics settings"},
	} {
		if strings.Contains(name, of.part) {
			return of.what, true
		}
	}
	for _, kind := range []string{"mssql_", "bigquery_", "citus_", "cockroach_", "mysql_"} {
		if strings.HasPrefix(name, kind) {
			return "sources of other kinds than Postgres", true
		}
	}
	return "", false
}

// step makes a command of a pure edit; object names what it is about.
func step[A any](f func(*metadata.Document, A) (*metadata.Document, error), object func(A) string) command {
	return command{run: func(ctx context.Context, c call) (any, error) {
		args, err := decodeArgs[A](c)
		if err != nil {
			return nil, err
		}
		name := ""
		if object != nil {
			name = object(args)
		}
		return success, c.edit(ctx, name, func(doc *metadata.Document) (*metadata.Document, error) { return f(doc, args) })
	}}
}

// linked makes a command of an edit that asks where relationships lead.
func linked[A any](f func(*metadata.Document, A, metadata.TargetOf) (*metadata.Document, error)) command {
	return command{run: func(ctx context.Context, c call) (any, error) {
		args, err := decodeArgs[A](c)
		if err != nil {
			return nil, err
		}
		targetOf := c.targetOf()
		return success, c.edit(ctx, "", func(doc *metadata.Document) (*metadata.Document, error) { return f(doc, args, targetOf) })
	}}
}

// tableName names a table as inconsistencies do.
func tableName(source string, t metadata.TableName) string {
	if source == "" {
		source = metadata.DefaultSource
	}
	return fmt.Sprintf("table %s in source %s", t, source)
}

func relationshipName(kind string) func(metadata.CreateRelationshipArgs) string {
	return func(a metadata.CreateRelationshipArgs) string {
		return fmt.Sprintf("%s %s in %s", kind, a.Name, tableName(a.Source, a.Table))
	}
}

func permissionName[R any](kind string) func(metadata.CreatePermissionArgs[R]) string {
	return func(a metadata.CreatePermissionArgs[R]) string {
		return fmt.Sprintf("%s_permission %s in %s", kind, a.Role, tableName(a.Source, a.Table))
	}
}
