package metadataapi_test

import (
	"fmt"
	"testing"

	"tenantry/api/errcode"
)

func TestTablesAreNamedInAllForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ track, untrack string }{
		"a name":                        {`"loose"`, `"loose"`},
		"a name and its schema":         {`{"schema": "public", "name": "loose"}`, `{"schema": "public", "name": "loose"}`},
		"a table":                       {`{"table": "loose"}`, `{"table": "loose"}`},
		"a table, the schema beside":    {`{"table": "loose", "schema": "public"}`, `{"table": "loose", "schema": "public", "cascade": true}`},
		"a table, the schema inside":    {`{"table": {"name": "loose", "schema": "public"}}`, `{"table": {"name": "loose", "schema": "public"}}`},
		"with source and configuration": {`{"source": "default", "table": "loose", "configuration": {"custom_name": "Free"}, "is_enum": false}`, `{"source": "default", "table": "loose"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.sql(`CREATE TABLE loose (id int)`)
			p.do("track_table", c.track)
			p.holds(`"table":{"name":"loose","schema":"public"}`)
			p.do("untrack_table", c.untrack)
			p.holds(`!"loose"`)
		})
	}
	p := newProject(t)
	p.fails("track_table", `{"table": {"name": "a", "schema": "s"}, "schema": "public"}`, errcode.ParseFailed, "$.schema", "unknown key")
}

func TestATableWithoutAGraphQLNameIsTrackedAndNotShown(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.sql(`CREATE TABLE "users address" (id int PRIMARY KEY)`)
	if answer := p.do("track_table", `{"name": "users address"}`); fmt.Sprint(answer) != "map[message:success]" {
		t.Errorf("answered %v", answer)
	}
	state := p.do("dump_internal_state", `{}`)
	if len(at(state, "tables").(map[string]any)) != 0 || len(at(state, "inconsistent_objects").([]any)) != 0 || len(at(state, "warnings").([]any)) != 1 {
		t.Errorf("the state is %v", state)
	}
	p.do("set_table_customization", `{"table": "users address", "configuration": {"custom_name": "users_address"}}`)
	if state := p.do("dump_internal_state", `{}`); len(at(state, "tables").(map[string]any)) != 1 {
		t.Errorf("with a name the state is %v", state)
	}
}

// kept are the names of the inconsistent objects with whether all of them say
// that they are not supported.
func (p *project) kept() string {
	p.t.Helper()
	answer := p.do("get_inconsistent_metadata", `{}`)
	out := fmt.Sprint(at(answer, "is_consistent"))
	for _, o := range at(answer, "inconsistent_objects").([]any) {
		out += fmt.Sprintf(" | %s: %s", at(o, "name"), at(o, "reason"))
	}
	return out
}

func TestEventTriggersAreKept(t *testing.T) {
	t.Parallel()
	p := library(t)
	const hook = `, "webhook": "http://hook/{{X}}"`
	p.do("create_event_trigger", `{"name": "b", "table": "author", "insert": {"columns": "*"}`+hook+`, "headers": [{"name": "k", "value_from_env": "K"}]}`)
	p.do("pg_create_event_trigger", `{"name": "a", "source": "default", "table": {"schema": "public", "name": "author"},
		"update": {"columns": ["vip", "name"], "payload": ["id"]}, "enable_manual": true, "webhook_from_env": "HOOK", "retry_conf": {"num_retries": 3},
		"request_transform": {"version": 2, "body": {"action": "transform", "template": "{{$body.event.data.new}}"}}}`)
	p.holds(`"event_triggers":[{"definition":{"enable_manual":true,"update":{"columns":["vip","name"],"payload":["id"]}},"name":"a"`,
		`"retry_conf":{"num_retries":3}`, `"webhook_from_env":"HOOK"`)
	want := "false | event_trigger a in table author in source default: Inconsistent object: event triggers are not supported by this version" +
		" | event_trigger b in table author in source default: Inconsistent object: event triggers are not supported by this version"
	if got := p.kept(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, c := range map[string]struct {
		args, path, says string
		code             errcode.Code
	}{
		"no operation":         {`{"name": "t", "table": "author"` + hook + `}`, "$", "atleast one amongst insert/update/delete/enable_manual", errcode.ParseFailed},
		"no columns":           {`{"name": "t", "table": "author", "update": {"columns": []}` + hook + `}`, "$", "found empty column specification", errcode.ParseFailed},
		"no webhook":           {`{"name": "t", "table": "author", "insert": {"columns": "*"}}`, "$", "must provide webhook", errcode.ParseFailed},
		"two webhooks":         {`{"name": "t", "table": "author", "insert": {"columns": "*"}, "webhook_from_env": "X"` + hook + `}`, "$", "only one of", errcode.ParseFailed},
		"a strange name":       {`{"name": "a b", "table": "author", "insert": {"columns": "*"}` + hook + `}`, "$", "only alphanumeric", errcode.ParseFailed},
		"a long name":          {`{"name": "a123456789b123456789c123456789d123456789abc", "table": "author", "insert": {"columns": "*"}` + hook + `}`, "$", "at most 42", errcode.ParseFailed},
		"a name that is taken": {`{"name": "a", "table": "article", "insert": {"columns": "*"}` + hook + `}`, "$.args", `"a" already exists`, errcode.AlreadyExists},
		"nothing to replace":   {`{"name": "t", "replace": true, "table": "author", "insert": {"columns": "*"}` + hook + `}`, "$.args", `"t" does not exist`, errcode.NotExists},
		"an untracked table":   {`{"name": "t", "table": "loose", "insert": {"columns": "*"}` + hook + `}`, "$.args", `"loose" does not exist`, errcode.NotExists},
		"a column that is not": {`{"name": "t", "table": "author", "insert": {"columns": ["nope"]}` + hook + `}`, "$.args", `column "nope" of insert does not exist`, errcode.InvalidConfiguration},
		"negative retries":     {`{"name": "t", "table": "author", "insert": {"columns": "*"}, "retry_conf": {"num_retries": -1}` + hook + `}`, "$.retry_conf.num_retries", "not below 0", errcode.ParseFailed},
		"the engine's variable": {`{"name": "t", "table": "author", "insert": {"columns": "*"}, "headers": [{"name": "a", "value_from_env": "HASURA_GRAPHQL_X"}]` + hook + `}`, "$.headers[0]",
			"not allowed", errcode.ParseFailed},
		"a transform that does not compile": {`{"name": "t", "table": "author", "insert": {"columns": "*"}, "request_transform": {"version": 2, "body": {"action": "transform", "template": "{{ if"}}` + hook + `}`,
			"$.args", "request transform validation failed", errcode.ValidationFailed},
	} {
		p.fails("create_event_trigger", c.args, c.code, c.path, c.says)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	p.do("create_event_trigger", `{"name": "a", "replace": true, "table": "article", "delete": {"columns": "*"}, "webhook": "http://new"}`)
	p.holds(`"webhook":"http://new"`, `!"HOOK"`)
	document, _ := p.export()
	p.do("replace_metadata", document)
	if again, _ := p.export(); again != document {
		t.Errorf("replaced\n%s\nby\n%s", document, again)
	}
	p.do("delete_event_trigger", `{"name": "a"}`)
	p.fails("pg_delete_event_trigger", `{"name": "a"}`, errcode.NotExists, "$.args", "does not exist")
	p.fails("pg_invoke_event_trigger", `{"name": "b", "payload": {}}`, errcode.NotSupported, "$.type", "event triggers")
	if rows := p.sql(`SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal`); fmt.Sprint(at(rows, "result")) != "[[count] [0]]" {
		t.Errorf("triggers in the database: %v", rows)
	}
}

func TestEventTriggersFollowColumns(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("create_event_trigger", `{"name": "a", "table": "article", "update": {"columns": ["title"], "payload": ["id", "title"]}, "webhook": "http://w"}`)
	p.sql(`ALTER TABLE article RENAME title TO name`)
	p.holds(`"update":{"columns":["name"],"payload":["id","name"]}`)
	p.do("pg_drop_select_permission", `{"table": "article", "role": "user"}`)
	p.fails("run_sql", `{"sql": "ALTER TABLE article DROP name"}`, errcode.DependencyError, "$.args",
		`cannot drop due to the following dependent objects: event-trigger article.a in source "default"`)
	p.do("run_sql", `{"sql": "ALTER TABLE article DROP name", "cascade": true}`)
	p.holds(`!event_triggers`)
}

func TestCronTriggersAreKept(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	one := `{"name": "one", "webhook": "{{HOOK}}/foo", "schedule": "30 4 1 1 *", "headers": [{"name": "a", "value": "b"}], "payload": {"foo": "baz"}, "include_in_metadata": true%s}`
	p.do("create_cron_trigger", fmt.Sprintf(one, ""))
	p.fails("create_cron_trigger", fmt.Sprintf(one, ""), errcode.AlreadyExists, "$.args", "cron trigger with name: one already exists")
	p.do("create_cron_trigger", fmt.Sprintf(one, `, "replace": true, "comment": "why"`))
	p.do("create_cron_trigger", `{"name": "two", "webhook": "http://w", "schedule": "*/5 0-6,22 * jan mon-fri", "include_in_metadata": false}`)
	for args, want := range map[string]string{
		`{"name": "x", "webhook": "http://w", "schedule": "* * * *", "include_in_metadata": true}`:     "$.schedule five fields",
		`{"name": "x", "webhook": "http://w", "schedule": "60 * * * *", "include_in_metadata": true}`:  "$.schedule minute",
		`{"name": "x", "webhook": "http://w", "schedule": "* * * * */0", "include_in_metadata": true}`: "$.schedule step",
		`{"name": "x", "webhook": "", "schedule": "* * * * *", "include_in_metadata": true}`:           "$.webhook empty",
		`{"name": "x", "webhook": "http://w", "schedule": "* * * * *"}`:                                "$ include_in_metadata",
	} {
		var path, says string
		fmt.Sscan(want, &path, &says)
		p.fails("create_cron_trigger", args, errcode.ParseFailed, path, says)
	}
	p.holds(`"cron_triggers":[{"comment":"why","headers":[{"name":"a","value":"b"}],"include_in_metadata":true,"name":"one"`, `!retry_conf`, `!"two"`)
	document, _ := p.export()
	p.do("replace_metadata", `{"metadata": `+document+`}`)
	triggers := at(p.do("get_cron_triggers", `{}`), "cron_triggers").([]any)
	if len(triggers) != 2 || at(triggers[1], "name") != "two" ||
		fmt.Sprint(at(triggers[0], "retry_conf")) != "map[num_retries:0 retry_interval_seconds:10 timeout_seconds:60 tolerance_seconds:21600]" {
		t.Errorf("listed %v", triggers)
	}
	want := "false | cron_trigger one: Inconsistent object: cron triggers are not supported by this version" +
		" | cron_trigger two: Inconsistent object: cron triggers are not supported by this version"
	if got := p.kept(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.do("delete_cron_trigger", `{"name": "one"}`)
	p.fails("delete_cron_trigger", `{"name": "one"}`, errcode.NotExists, "$.args", "cron trigger with name: one does not exist")
	p.holds(`!cron_triggers`)
}
