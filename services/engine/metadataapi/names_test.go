package metadataapi_test

import (
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/services/engine/metadataapi"
)

// Every name of the dialect is known, with and without the prefix of its kind of
// source: as a command, or as one that this version does not have.
func TestAllCommandsOfTheDialectAreKnown(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, names := range []struct {
		has      bool
		prefixed string
		plain    string
	}{
		{has: true, prefixed: `add_source update_source drop_source get_source_tables get_table_info get_source_trackables get_native_query get_logical_model
			track_table track_tables untrack_tables untrack_table set_table_customization set_table_is_enum
			create_object_relationship create_array_relationship drop_relationship rename_relationship set_relationship_comment suggest_relationships
			create_select_permission create_insert_permission create_update_permission create_delete_permission
			drop_select_permission drop_insert_permission drop_update_permission drop_delete_permission set_permission_comment
			track_function untrack_function set_function_customization create_function_permission drop_function_permission
			add_computed_field drop_computed_field track_logical_model untrack_logical_model
			create_logical_model_select_permission drop_logical_model_select_permission track_native_query untrack_native_query
			create_event_trigger delete_event_trigger set_apollo_federation_config`,
			plain: `bulk bulk_keep_going bulk_atomic concurrent_bulk export_metadata replace_metadata reload_metadata clear_metadata get_inconsistent_metadata
			drop_inconsistent_metadata rename_source list_source_kinds get_source_kind_capabilities dump_internal_state set_query_tags
			create_cron_trigger delete_cron_trigger get_cron_triggers set_custom_types add_custom_type update_custom_type drop_custom_type create_action update_action drop_action create_action_permission
			drop_action_permission create_query_collection rename_query_collection drop_query_collection add_query_to_collection drop_query_from_collection
			add_collection_to_allowlist update_scope_of_collection_in_allowlist drop_collection_from_allowlist create_rest_endpoint drop_rest_endpoint
			add_inherited_role drop_inherited_role set_api_limits remove_api_limits set_graphql_schema_introspection_options test_webhook_transform
			get_catalog_state set_catalog_state`},
		{prefixed: `test_connection_template redeliver_event invoke_event_trigger get_event_logs get_event_invocation_logs get_event_by_id
			create_remote_relationship update_remote_relationship delete_remote_relationship`,
			plain: `cleanup_event_trigger_logs pause_event_trigger_cleanups resume_event_trigger_cleanups create_scheduled_event delete_scheduled_event
			get_scheduled_events get_scheduled_event_invocations add_remote_schema update_remote_schema remove_remote_schema reload_remote_schema
			introspect_remote_schema add_remote_schema_permissions drop_remote_schema_permissions create_remote_schema_remote_relationship
			update_remote_schema_remote_relationship delete_remote_schema_remote_relationship add_host_to_tls_allowlist drop_host_from_tls_allowlist
			set_metrics_config remove_metrics_config set_opentelemetry_config set_opentelemetry_status`},
	} {
		all := strings.Fields(names.plain)
		for _, name := range strings.Fields(names.prefixed) {
			all = append(all, "pg_"+name, name)
		}
		for _, name := range all {
			_, e := p.sendTo(metadataapi.Metadata, `{"type": "`+name+`", "args": {"no such argument": 1}}`)
			switch {
			case e != nil && e.Path == "$.type" && e.Code != errcode.NotSupported:
				t.Errorf("%s is not known: %v", name, e)
			case names.has && e != nil && e.Code == errcode.NotSupported && e.Path == "$.type":
				t.Errorf("%s is not there: %v", name, e)
			}
		}
	}
}
