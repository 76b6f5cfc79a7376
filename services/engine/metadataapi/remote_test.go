package metadataapi_test

import (
	"fmt"
	"testing"

	"tenantry/api/errcode"
	"tenantry/ops/postgres/pgtest"
)

// twoSources is the library with a source of readers beside it, and a relationship
// to it.
func twoSources(t *testing.T) *project {
	p := library(t)
	p.do("pg_add_source", fmt.Sprintf(`{"name": "other", "configuration": {"connection_info": {"database_url": %q}}}`, pgtest.Database(t)))
	p.do("run_sql", `{"source": "other", "sql": "CREATE TABLE reader (id int PRIMARY KEY, favourite bigint, nick text)"}`)
	p.do("pg_track_table", `{"source": "other", "table": "reader"}`)
	p.do("pg_create_remote_relationship", `{"table": "author", "name": "readers", "definition": {"to_source":
		{"source": "other", "table": "reader", "relationship_type": "array", "field_mapping": {"id": "favourite"}}}}`)
	return p
}

const leads = `"remote_relationships":[{"definition":{"to_source":{"field_mapping":{"id":"favourite"},"relationship_type":"array","source":"other","table":{"name":"reader","schema":"public"}}},"name":"readers"}]`

func TestARelationshipToAnotherSourceIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	p := twoSources(t)
	p.holds(leads)
	to := func(name, source, table, mapping string) string {
		return fmt.Sprintf(`{"table": "author", "name": %q, "definition": {"to_source": {"source": %q, "table": %q, "relationship_type": "object", "field_mapping": %s}}}`,
			name, source, table, mapping)
	}
	const create, update = "create_remote_relationship", "pg_update_remote_relationship"
	p.fails(create, to("readers", "other", "reader", `{"id": "id"}`), errcode.AlreadyExists, "$.args", `field with name "readers" already exists in table "author"`)
	p.fails(create, to("articles", "other", "reader", `{"id": "id"}`), errcode.AlreadyExists, "$.args", `field with name "articles" already exists`)
	p.fails(create, to("name", "other", "reader", `{"id": "id"}`), errcode.InvalidConfiguration, "$.args", "conflicts with postgres column")
	p.fails(create, to("x", "nowhere", "reader", `{"id": "id"}`), errcode.InvalidConfiguration, "$.args", `source "nowhere" does not exist`)
	p.fails(create, to("x", "other", "nothing", `{"id": "id"}`), errcode.InvalidConfiguration, "$.args", `table "nothing" does not exist in source: other`)
	p.fails(create, to("x", "other", "reader", `{"name": "id"}`), errcode.InvalidConfiguration, "$.args", `can't be compared`)
	p.fails("create_array_relationship", `{"table": "author", "name": "readers", "using": {"foreign_key_constraint_on": {"table": "article", "column": "author_id"}}}`,
		errcode.AlreadyExists, "$.args", `field with name "readers" already exists`)
	p.fails(update, to("x", "other", "reader", `{"id": "id"}`), errcode.NotExists, "$.args", `remote relationship "x" does not exist in table "author"`)
	p.fails(update, to("readers", "other", "reader", `{"nix": "id"}`), errcode.InvalidConfiguration, "$.args", `column "nix" of field_mapping does not exist`)
	p.fails(create, `{"table": "author", "name": "x", "definition": {"to_source": {"source": "other", "table": "reader", "relationship_type": "many", "field_mapping": {}}}}`,
		errcode.ParseFailed, "$.definition.to_source.relationship_type", `expected object or array, but got "many"`)
	p.fails(create, `{"table": "author", "name": "x", "definition": {"to": {}}}`, errcode.ParseFailed, "$.definition", "expected to_source or to_remote_schema")
	p.fails(create, `{"table": "author", "name": "x", "definition": {"to_remote_schema": {"remote_schema": "r"}}}`, errcode.NotSupported, "$.args.definition", "not supported by this version")
	p.fails(create, `{"table": "author", "name": "x", "hasura_fields": ["id"], "remote_schema": "r", "remote_field": {}}`, errcode.NotSupported, "$.args.remote_schema", "not supported by this version")
	p.holds(leads)
	p.do(update, to("readers", "other", "reader", `{"id": "id"}`))
	p.holds(`"field_mapping":{"id":"id"},"relationship_type":"object"`)
	p.fails("delete_remote_relationship", `{"table": "author", "name": "x"}`, errcode.NotExists, "$.args", `remote relationship "x" does not exist`)
	p.do("pg_delete_remote_relationship", `{"table": "author", "name": "readers"}`)
	p.holds("!remote_relationships")
}

func TestWhatARelationshipLeadsToIsNotDroppedUnnoticed(t *testing.T) {
	t.Parallel()
	p := twoSources(t)
	const dependent = `cannot drop due to the following dependent objects: remote relationship author.readers in source "default"`
	p.fails("pg_drop_source", `{"name": "other"}`, errcode.DependencyError, "$.args", dependent)
	p.fails("pg_untrack_table", `{"source": "other", "table": "reader"}`, errcode.DependencyError, "$.args", dependent)
	p.fails("run_sql", `{"source": "other", "sql": "DROP TABLE reader"}`, errcode.DependencyError, "$.args", dependent)
	p.fails("run_sql", `{"source": "other", "sql": "ALTER TABLE reader DROP COLUMN favourite"}`, errcode.DependencyError, "$.args", dependent)
	p.fails("run_sql", `{"sql": "ALTER TABLE author DROP COLUMN id CASCADE"}`, errcode.DependencyError, "$.args", "remote relationship author.readers")

	p.do("run_sql", `{"source": "other", "sql": "ALTER TABLE reader DROP COLUMN nick; ALTER TABLE reader RENAME favourite TO likes; ALTER TABLE reader RENAME TO fan"}`)
	p.sql("ALTER TABLE author RENAME id TO number")
	p.do("rename_source", `{"name": "other", "new_name": "fans"}`)
	p.holds(`{"to_source":{"field_mapping":{"number":"likes"},"relationship_type":"array","source":"fans","table":{"name":"fan","schema":"public"}}}`)

	p.do("run_sql", `{"source": "fans", "sql": "ALTER TABLE fan DROP COLUMN likes", "cascade": true}`)
	p.holds("!remote_relationships", `"name":"fan"`)
	p.do("pg_create_remote_relationship", `{"table": "author", "name": "fan", "definition": {"to_source":
		{"source": "fans", "table": "fan", "relationship_type": "object", "field_mapping": {"number": "id"}}}}`)
	p.do("pg_untrack_table", `{"source": "fans", "table": "fan", "cascade": true}`)
	p.holds("!remote_relationships", `!"name":"fan"`, `"name":"author"`)
	p.do("pg_drop_source", `{"name": "fans"}`)
}
