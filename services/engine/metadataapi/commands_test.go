package metadataapi_test

import (
	"fmt"
	"strings"
	"testing"

	"tenantry/api/errcode"
	"tenantry/services/engine/metadataapi"
)

func TestSQLIsFollowedByTheMetadata(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql  string
		args string // more of run_sql
		code errcode.Code
		says string
		has  []string
	}{
		"a renamed table": {sql: "ALTER TABLE author RENAME TO writer", has: []string{
			`{"name":"writer","schema":"public"}`, `!"name":"author","schema"`, `"foreign_key_constraint_on":{"column":"author_id"`}},
		"a table in another schema": {sql: "CREATE SCHEMA s; ALTER TABLE author SET SCHEMA s", has: []string{`{"name":"author","schema":"s"}`}},
		"a renamed column": {sql: "ALTER TABLE author RENAME name TO title; ALTER TABLE article RENAME author_id TO by; ALTER TABLE article RENAME title TO name",
			has: []string{`{"author":{"title":{"_eq":"X-Hasura-Name"}}}`, `{"articles":{"name":{"_eq":"x"}}}`, `"set":{"title":"X-Hasura-Name"}`,
				`"columns":["id","name"]`, `"foreign_key_constraint_on":"by"`}},
		"columns that swap their names": {sql: "ALTER TABLE article RENAME id TO x; ALTER TABLE article RENAME title TO id; ALTER TABLE article RENAME x TO title",
			has: []string{`"columns":["title","id"]`, `{"articles":{"id":{"_eq":"x"}}}`}},
		"a dropped table that another needs": {sql: "DROP TABLE article", code: errcode.DependencyError,
			says: `cannot drop due to the following dependent objects: relationship author.articles in source "default"`},
		"a dropped table with cascade":      {sql: "DROP TABLE article", args: `, "cascade": true`, has: []string{`!"articles"`, `!"article"`, `"author"`}},
		"a dropped table that nobody needs": {sql: "DROP TABLE loose", has: []string{`"author"`}},
		"a dropped column that permissions use": {sql: "ALTER TABLE author DROP COLUMN vip", code: errcode.DependencyError,
			says: `permission author.user.insert in source "default"`},
		"a dropped column with cascade": {sql: "ALTER TABLE author DROP COLUMN vip", args: `, "cascade": true`, has: []string{`!insert_permissions`, `select_permissions`}},
		"a column of another type that a constant is compared with": {sql: "ALTER TABLE author ALTER vip TYPE text", code: errcode.DependencyError,
			says: `cannot change type of column "vip" in table "author" because of the following dependencies: permission author.user.insert in source "default"`},
		"a foreign key that a relationship stands on": {sql: "ALTER TABLE article DROP CONSTRAINT article_author_id_fkey", code: errcode.Unexpected,
			says: "cannot continue due to new inconsistent metadata"},
		"what is not to be checked":            {sql: "DROP TABLE article", args: `, "check_metadata_consistency": false`, has: []string{`"article"`}},
		"statements outside of a transaction":  {sql: "CREATE INDEX CONCURRENTLY ON author (name)", args: `, "no_transaction": true`, has: []string{`"author"`}},
		"writing where only reading is wanted": {sql: "INSERT INTO loose VALUES (1)", args: `, "read_only": true`, code: errcode.PostgresError, says: "query execution failed"},
		"a mistake":                            {sql: "SELECT * FROM nowhere", code: errcode.PostgresError, says: "query execution failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := library(t)
			before, version := p.export()
			args := fmt.Sprintf(`{"sql": %q%s}`, test.sql, test.args)
			if test.code != "" {
				p.fails("run_sql", args, test.code, "$.args", test.says)
				if after, now := p.export(); after != before || now != version {
					t.Errorf("version %d became %d, and the metadata\n%s", version, now, after)
				}
				answer := p.do("get_inconsistent_metadata", `{}`)
				if at(answer, "is_consistent") != true {
					t.Errorf("the statements were not rolled back: %v", answer)
				}
				return
			}
			p.do("run_sql", args)
			p.holds(test.has...)
		})
	}
}

func TestResultsOfSQLAreText(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	answer := p.sql("SELECT 1 AS a; SELECT 2 AS b, NULL AS c, true AS d")
	if got := fmt.Sprint(answer); got != "map[result:[[b c d] [2 NULL t]] result_type:TuplesOk]" {
		t.Error(got)
	}
	if got := fmt.Sprint(p.sql("SET TIME ZONE 'UTC'")); got != "map[result:<nil> result_type:CommandOk]" {
		t.Error(got)
	}
}

func TestABulkIsOnePieceOfWork(t *testing.T) {
	t.Parallel()
	p := library(t)
	before, version := p.export()
	for _, kind := range []string{"bulk", "bulk_atomic"} {
		p.fails(kind, `[{"type": "track_table", "args": "loose"}, {"type": "set_custom_types", "args": {"scalars": [{"name": "S"}]}},
			{"type": "track_table", "args": {"table": "nowhere"}}]`, errcode.InvalidConfiguration, "$.args[2].args", "no such table/view exists")
		if after, now := p.export(); after != before || now != version {
			t.Errorf("%s left %s", kind, after)
		}
	}
	p.do("bulk", `[{"type": "track_table", "args": "loose"}, {"type": "pg_set_table_is_enum", "args": {"table": "loose", "is_enum": false}},
		{"type": "pg_set_table_customization", "args": {"table": "loose", "configuration": {"custom_name": "Free"}}}]`)
	if _, now := p.export(); now != version+1 {
		t.Errorf("version %d became %d, want one more", version, now)
	}
	p.holds(`"custom_name":"Free"`)
	answer := p.do("bulk_keep_going", `[{"type": "track_table", "args": "nowhere"}, {"type": "untrack_table", "args": {"table": "loose"}}]`)
	if list, _ := answer.([]any); len(list) != 2 || at(list[0], "code") != "invalid-configuration" || at(list[0], "path") != "$.args[0].args" || at(list[1], "message") != "success" {
		t.Errorf("bulk_keep_going answered %v", answer)
	}
	p.holds(`!"loose"`)
	p.fails("concurrent_bulk", `[{"type": "clear_metadata", "args": {}}]`, errcode.BadRequest, "$.args[0].type", "only read")
	p.do("concurrent_bulk", `[{"type": "export_metadata", "args": {}}, {"type": "run_sql", "args": {"sql": "SELECT 1", "read_only": true}}]`)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	p := library(t)
	document, version := p.export()
	step := func(what string, by int, run func()) {
		t.Helper()
		run()
		_, now := p.export()
		if now != version+by {
			t.Errorf("%s: version %d became %d", what, version, now)
		}
		version = now
	}
	step("a command without effect", 0, func() { p.do("pg_set_table_is_enum", `{"table": "author", "is_enum": false}`) })
	step("SQL that changes no table", 0, func() { p.sql("INSERT INTO loose VALUES (1)") })
	step("a reload", 1, func() { p.do("reload_metadata", `{}`) })
	step("an equal document", 1, func() { p.do("replace_metadata", document) })
	step("a comment", 1, func() {
		p.do("pg_set_permission_comment", `{"table": "article", "role": "user", "type": "select", "comment": "why"}`)
	})
	_, e := p.sendTo(metadataapi.Metadata, fmt.Sprintf(`{"type": "clear_metadata", "args": {}, "resource_version": %d}`, version-1))
	want := fmt.Sprintf("metadata resource version referenced (%d) did not match current version", version-1)
	if e == nil || e.Code != errcode.Conflict || e.Path != "$" || e.Message != want || e.Status() != 409 {
		t.Errorf("an old version: %+v", e)
	}
}

func TestCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := library(t)
	before, version := p.export()
	p.fails("random", `{}`, errcode.ParseFailed, "$.type", "random")
	p.fails("create_scheduled_event", `{}`, errcode.NotSupported, "$.type", "scheduled events")
	p.fails("create_query_collection", `{"name": "", "definition": {"queries": []}}`, errcode.ParseFailed, "$.name", "empty string not allowed")
	p.fails("untrack_table", `{"table": "author", "casc": true}`, errcode.ParseFailed, "$.casc", "unknown key")
	p.fails("untrack_table", `{"table": "author"}`, errcode.DependencyError, "$.args", `relationship article.author in source "default"`)
	p.fails("track_table", `"author"`, errcode.AlreadyTracked, "$.args", `view/table already tracked: "author"`)
	p.fails("untrack_table", `{"table": "loose"}`, errcode.AlreadyUntracked, "$.args", `view/table already untracked: "loose"`)
	p.fails("track_function", `"author"`, errcode.NotSupported, "$.args", `table with name "author" already exists`)
	p.fails("drop_relationship", `{"table": "author", "relationship": "articles"}`, errcode.DependencyError, "$.args",
		`cannot drop due to the following dependent objects: permission article.user.select in source "default"`)
	p.fails("add_computed_field", `{"table": "nowhere", "name": "x", "definition": {"function": "f"}}`, errcode.NotExists, "$.args.table", "does not exist")
	p.fails("set_table_custom_fields", `{"table": "author", "custom_root_fields": {}, "custom_column_names": {"name": "articles"}}`,
		errcode.Unexpected, "$.args", "cannot continue due to new inconsistent metadata")
	p.fails("create_select_permission", `{"table": "author", "role": "user", "permission": {"columns": ["nope"], "filter": {}}}`,
		errcode.InvalidConfiguration, "$.args", `in permission for role "user"`)
	p.fails("pg_drop_source", `{"name": "other"}`, errcode.NotExists, "$.args", `source with name "other" does not exist`)
	for body, want := range map[string]string{
		`{`: "invalid-json $", `"type: count"`: "parse-failed $", `{"type": "export_metadata", "version": 3, "args": {}}`: "parse-failed $.version",
	} {
		if _, e := p.send(body); e == nil || string(e.Code)+" "+e.Path != want {
			t.Errorf("%s: %v, want %s", body, e, want)
		}
	}
	if after, now := p.export(); after != before || now != version {
		t.Errorf("refused commands left\n%s", after)
	}
}

func TestARelationshipIsRenamedInRules(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("pg_rename_relationship", `{"table": "author", "name": "articles", "new_name": "works"}`)
	p.do("rename_relationship", `{"table": "article", "name": "author", "new_name": "writer"}`)
	p.holds(`{"writer":{"name":{"_eq":"X-Hasura-Name"}}}`, `{"writer":{"works":{"title":{"_eq":"x"}}}}`, `"name":"works"`, `!articles`)
}

func TestSuggestionsLeaveOutWhatIsThere(t *testing.T) {
	t.Parallel()
	p := library(t)
	all := at(p.do("pg_suggest_relationships", `{}`), "relationships").([]any)
	if len(all) != 2 || fmt.Sprint(at(all[0], "type"), at(at(all[0], "from"), "columns")) != "object[author_id]" {
		t.Errorf("suggested %v", all)
	}
	if left := at(p.do("pg_suggest_relationships", `{"omit_tracked": true}`), "relationships").([]any); len(left) != 0 {
		t.Errorf("suggested again %v", left)
	}
}

func TestTablesAreTrackedAllOrWithWarnings(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.fails("pg_track_tables", `{"allow_warnings": false, "tables": [{"table": "loose"}, {"table": "nowhere"}]}`, "metadata-warnings", "$.args", "warnings")
	p.holds(`!"loose"`)
	answer := p.do("pg_track_tables", `{"tables": [{"table": "loose"}, {"table": "nowhere"}]}`)
	if warnings, _ := at(answer, "warnings").([]any); len(warnings) != 1 {
		t.Errorf("answered %v", answer)
	}
	p.holds(`"loose"`)
}

func TestSourcesKeepTheirAddressSealed(t *testing.T) {
	t.Parallel()
	p := library(t)
	other := newProject(t).url
	p.do("pg_add_source", fmt.Sprintf(`{"name": "other", "configuration": {"connection_info": {"database_url": %q}}}`, other))
	p.holds(`{"from_env":"SOURCE_OTHER_DATABASE_URL"}`, "!"+other, "!postgres://")
	p.do("run_sql", `{"source": "other", "sql": "CREATE TABLE far (id int PRIMARY KEY)"}`)
	p.do("pg_track_table", `{"source": "other", "table": "far"}`)
	p.fails("pg_add_source", fmt.Sprintf(`{"name": "other", "configuration": {"connection_info": {"database_url": %q}}}`, other),
		errcode.AlreadyExists, "$.args", `source with name "other" already exists`)
	p.do("rename_source", `{"name": "other", "new_name": "second"}`)
	p.holds(`"name":"second"`, `!"name":"other"`)
	if names := p.do("pg_get_source_tables", `{"source": "second"}`); fmt.Sprint(names) != "[map[name:far schema:public]]" {
		t.Error(names)
	}
	p.do("pg_drop_source", `{"name": "second"}`)
	p.holds(`!"second"`)
	_, e := p.send(`{"type": "pg_add_source", "args": {"name": "gone", "configuration": {"connection_info": {"database_url": "postgres://u:hidden@127.0.0.1:1/d"}}}}`)
	if e == nil || strings.Contains(fmt.Sprint(e, e.Internal), "hidden") {
		t.Errorf("a database that can't be reached: %v", e)
	}
	for address, says := range map[string]string{
		"postgres://u:hidden@h/d?sslrootcert=/etc/passwd": `the database URL has the parameter "sslrootcert"`, "service=hidden": "not a Postgres URL",
	} {
		_, e := p.send(fmt.Sprintf(`{"type": "pg_add_source", "args": {"name": "gone", "configuration": {"connection_info": {"database_url": %q}}}}`, address))
		if e == nil || e.Code != errcode.InvalidConfiguration || !strings.Contains(e.Message, says) || strings.Contains(fmt.Sprint(e, e.Internal), "hidden") {
			t.Errorf("%s: %v", address, e)
		}
	}
	p.holds(`!"gone"`)
	const address = "$.sources[0].configuration."
	for place, configuration := range map[string]string{
		address + "connection_info.database_url": `"connection_info": {"database_url": "host=h password=hidden"}`,
		address + "read_replicas":                `"connection_info": {"database_url": {"from_env": "X"}}, "read_replicas": [{"database_url": {"from_env": "Y"}}, {"database_url": "postgres:\/\/u:hidden@h/d"}]`,
		address + "connection_set":               `"connection_info": {"database_url": {"from_env": "X"}}, "connection_set": [{"name": "a", "connection_info": {"database_url": {"connection_parameters": {"password": "hidden"}}}}]`,
	} {
		p.fails("replace_metadata", fmt.Sprintf(`{"allow_inconsistent_metadata": true, "metadata": {"version": 3, "sources": [{"name": "default", "kind": "postgres", "tables": [], "configuration": {%s}}]}}`, configuration),
			errcode.InvalidConfiguration, place, "holds an address")
	}
	p.do("replace_metadata", `{"allow_inconsistent_metadata": true, "metadata": {"version": 3, "sources": [{"name": "default", "kind": "postgres", "tables": [],
		"configuration": {"connection_info": {"database_url": {"from_env": "PROJECT_DATABASE_URL"}}, "read_replicas": [{"database_url": {"from_env": "Y"}}]}}]}}`)
	p.holds(`"read_replicas"`)
}

func TestInconsistentObjectsAreToldAndDropped(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("run_sql", `{"sql": "DROP TABLE article", "check_metadata_consistency": false}`)
	answer := p.do("reload_metadata", `{}`)
	if at(answer, "is_consistent") != false || len(at(answer, "inconsistent_objects").([]any)) != 2 {
		t.Fatalf("answered %v", answer)
	}
	document, _ := p.export()
	p.fails("replace_metadata", document, errcode.Unexpected, "$.args", "cannot continue due to inconsistent metadata")
	p.do("replace_metadata", `{"allow_inconsistent_metadata": true, "metadata": `+document+`}`)
	p.do("drop_inconsistent_metadata", `{}`)
	p.holds(`!articles`, `!"article"`, `"author"`, `insert_permissions`)
	if answer := p.do("reload_metadata", `{}`); at(answer, "is_consistent") != true {
		t.Errorf("answered %v", answer)
	}
}

// What the Hasura CLI sends, with the forms of answers that it reads.
func TestTheCallsOfTheCLI(t *testing.T) {
	t.Parallel()
	p := library(t)
	bare, e := p.sendTo(metadataapi.LegacyQuery, `{"type":"export_metadata","args":{}}`)
	if e != nil || fmt.Sprint(at(bare, "version")) != "3" {
		t.Fatalf("export: %v %v", bare, e)
	}
	first := at(bare, "sources").([]any)[0]
	if at(first, "name") != "default" || at(first, "kind") != "postgres" {
		t.Errorf("the source: %v", first)
	}
	state, e := p.sendTo(metadataapi.Metadata, `{"args":{},"type":"get_catalog_state"}`)
	if e != nil || at(state, "id") == "" || fmt.Sprint(at(state, "cli_state"), at(state, "console_state")) != "map[] map[]" {
		t.Errorf("state: %v %v", state, e)
	}
	_, e = p.sendTo(metadataapi.Metadata, `{"type":"set_catalog_state","args":{"type":"cli","state":{"settings":{"migration_mode":"true"},
		"migrations":{"default":{"1":false}},"isStateCopyCompleted":true}}}`)
	state, again := p.sendTo(metadataapi.Metadata, `{"args":{},"type":"get_catalog_state"}`)
	if e != nil || again != nil || fmt.Sprint(at(state, "cli_state")) != "map[isStateCopyCompleted:true migrations:map[default:map[1:false]] settings:map[migration_mode:true]]" {
		t.Errorf("state: %v %v", state, e)
	}
	document, version := p.export()
	applied, e := p.sendTo(metadataapi.Metadata, `{"type":"bulk","args":[{"type":"replace_metadata","version":2,
		"args":{"allow_inconsistent_metadata":true,"metadata":`+document+`}}]}`)
	if list, _ := applied.([]any); e != nil || len(list) != 1 || at(list[0], "is_consistent") != true {
		t.Errorf("apply: %v %v", applied, e)
	}
	if after, now := p.export(); after != document || now != version+1 {
		t.Errorf("apply made version %d of %d and\n%s", now, version, after)
	}
	seeded, e := p.sendTo(metadataapi.Query, `{"type":"bulk","args":[{"type":"run_sql","args":{"source":"default","sql":"INSERT INTO loose VALUES (1)","cascade":false,"read_only":false}}]}`)
	if fmt.Sprint(seeded) != "[map[result:<nil> result_type:CommandOk]]" || e != nil {
		t.Errorf("seed: %v %v", seeded, e)
	}
	status, e := p.sendTo(metadataapi.Metadata, `{"type":"get_inconsistent_metadata","args":{}}`)
	if fmt.Sprint(status) != "map[inconsistent_objects:[] is_consistent:true]" || e != nil {
		t.Errorf("status: %v %v", status, e)
	}
	if _, e := p.sendTo(metadataapi.Query, `{"type":"export_metadata","args":{}}`); e == nil {
		t.Error("/v2/query takes a metadata command")
	}
}
