package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What the Hasura CLI sends to a project's endpoint, with the forms of answers
// that it reads.
func TestTheCLIWorksOnAProjectsEndpoint(t *testing.T) {
	t.Parallel()
	p := newProject(t, shared(t), managed)
	p.library()
	admin := p.as("admin")
	post := func(path, body string) answer {
		return must(t, 200, http.MethodPost, p.url(path), admin, json.RawMessage(body))
	}
	greet := func() answer { // the calls that every command begins with
		for range 2 {
			version := must(t, 200, http.MethodGet, p.url("/v1/version"), headers{}, nil)
			if v, _ := version.at("version").(string); !strings.HasPrefix(v, "v2.") || version.at("server_type") != "ce" {
				t.Errorf("the version: %s", version.Text)
			}
		}
		must(t, 200, http.MethodGet, p.url("/v1alpha1/config"), admin, nil)
		bare := post("/v1/query", `{"type":"export_metadata","args":{}}`)
		if bare.at("version") != 3.0 || bare.at("sources", 0, "name") != "default" || bare.at("sources", 0, "kind") != "postgres" {
			t.Errorf("the metadata: %s", bare.Text)
		}
		return post("/v1/metadata", `{"args":{},"type":"get_catalog_state"}`)
	}

	for range 2 { // metadata export, metadata diff
		if state := greet(); state.at("id") == nil || fmt.Sprint(state.at("cli_state"), state.at("console_state")) != "map[] map[]" {
			t.Errorf("the state: %s", state.Text)
		}
	}
	exported := post("/v1/metadata", `{"type":"export_metadata","args":{}}`).Text

	greet() // metadata apply
	applied := post("/v1/metadata", `{"type":"bulk","args":[{"type":"replace_metadata","version":2,"args":{"allow_inconsistent_metadata":true,"metadata":`+exported+`}}]}`)
	if applied.at(0, "is_consistent") != true {
		t.Errorf("applied: %s", applied.Text)
	}
	if again := post("/v1/metadata", `{"type":"export_metadata","args":{}}`).Text; again != exported {
		t.Errorf("applied\n%s\nexported\n%s", exported, again)
	}

	greet() // metadata reload, metadata inconsistency list, drop
	if reloaded := post("/v1/metadata", `{"type":"reload_metadata","args":{"reload_remote_schemas":true,"reload_sources":true}}`); reloaded.at("is_consistent") != true {
		t.Errorf("reloaded: %s", reloaded.Text)
	}
	if status := post("/v1/metadata", `{"type":"get_inconsistent_metadata","args":{}}`); fmt.Sprint(status.at("is_consistent"), status.at("inconsistent_objects")) != "true []" {
		t.Errorf("inconsistencies: %s", status.Text)
	}
	post("/v1/metadata", `{"type":"drop_inconsistent_metadata","args":{}}`)

	greet() // migrate apply, migrate status
	up := post("/v2/query", `{"type":"bulk","args":[{"type":"run_sql","args":{"source":"default","sql":"CREATE TABLE migrated (id int PRIMARY KEY);","cascade":false,"read_only":false}}]}`)
	if up.at(0, "result_type") != "CommandOk" {
		t.Errorf("migrated: %s", up.Text)
	}
	post("/v1/metadata", `{"type":"set_catalog_state","args":{"type":"cli","state":{"settings":{"migration_mode":"true"},"migrations":{"default":{"1700000000000":false}},"isStateCopyCompleted":true}}}`)
	if state := greet(); state.at("cli_state", "migrations", "default", "1700000000000") != false || state.at("cli_state", "isStateCopyCompleted") != true {
		t.Errorf("the state of migrations: %s", state.Text)
	}

	seeded := post("/v2/query", `{"type":"bulk","args":[{"type":"run_sql","args":{"source":"default","sql":"INSERT INTO migrated VALUES (1); SELECT count(*) FROM migrated","cascade":false,"read_only":false}}]}`)
	if fmt.Sprint(seeded.at(0, "result")) != "[[count] [1]]" {
		t.Errorf("seeded: %s", seeded.Text)
	}

	greet() // migrate create --from-server
	dumped := post("/v1alpha1/pg_dump", `{"opts":["-O","-x","--schema-only","--schema","public"],"clean_output":true,"source":"default"}`)
	if !strings.Contains(dumped.Text, "CREATE TABLE public.migrated (") || strings.Contains(dumped.Text, "--") {
		t.Errorf("dumped: %s", dumped.Text)
	}
	greet() // metadata clear
	post("/v1/metadata", `{"type":"clear_metadata","args":{}}`)
	if cleared := post("/v1/metadata", `{"type":"export_metadata","args":{}}`); fmt.Sprint(cleared.at("sources", 0, "tables")) != "[]" {
		t.Errorf("cleared: %s", cleared.Text)
	}
	wrong := must(t, 401, http.MethodPost, p.url("/v1/metadata"), headers{"X-Hasura-Admin-Secret": "wrong"}, json.RawMessage(`{"type":"export_metadata","args":{}}`))
	if wrong.at("code") != "access-denied" {
		t.Errorf("a wrong secret: %s", wrong.Text)
	}
}
