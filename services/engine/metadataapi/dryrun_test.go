package metadataapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tenantry/api/errcode"
)

func TestADryRunTellsWhatAChangeMeans(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("bulk", `[
		{"type": "create_select_permission", "args": {"table": "author", "role": "user", "permission": {"columns": ["id", "name"], "filter": {}}}},
		{"type": "create_query_collection", "args": {"name": "c", "definition": {"queries": [
			{"name": "vip", "query": "{ author { vip } }"}, {"name": "names", "query": "{ author { name } }"}, {"name": "ids", "query": "{ author { id } }"}]}}},
		{"type": "add_collection_to_allowlist", "args": {"collection": "c"}},
		{"type": "create_rest_endpoint", "args": {"name": "names", "url": "names", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "names"}}}},
		{"type": "create_rest_endpoint", "args": {"name": "ids", "url": "ids", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "ids"}}}}]`)
	document, version := p.export()
	for name, c := range map[string]struct {
		from, to string // what is another in the document
		want     []string
	}{
		"nothing": {"", "", []string{`{"is_consistent":true,"inconsistent_objects":[],"schema_changes":[],"access_changes":[],"broken_operations":[],"broken_endpoints":[]}`}},
		"a column less and another filter": {
			`"columns":["id","name"],"filter":{}`, `"columns":["id","vip"],"filter":{"vip":{"_eq":true}}`, []string{
				`"author.vip: Boolean",`, `"removed":["author.name: String!",`,
				`{"role":"user","object":"default.public.author","permission":"select","change":"changed","effect":"unclear","columns_gained":["vip"],"columns_lost":["name"],"rule_changed":true,"rules":[{"part":"filter","from":"true","to":"vip eq \"true\"::bool"}]}`,
				`"broken_operations":[{"collection":"c","query":"names","role":"user","reason":"field 'name' not found in type: 'author'"}]`,
				`"broken_endpoints":[{"name":"names","role":"user","reason":"field 'name' not found in type: 'author'"}]`}},
		"another role": {
			`"role":"user"`, `"role":"clerk"`, []string{
				`"schema_changes":[{"role":"clerk","added":[`, `{"role":"clerk","object":"default.public.author","permission":"insert","change":"gained","effect":"widened","columns_gained":["id","vip"]}`,
				`{"role":"user","object":"default.public.article","permission":"select","change":"lost","effect":"narrowed","columns_lost":["id","title"]}`}},
		"a query less": {
			`{"name":"ids","query":"{ author { id } }"},`, ``, []string{
				`"broken_operations":[{"collection":"c","query":"ids","reason":"it is no longer in the allow-list"}]`,
				`{"name":"ids","reason":"its query is gone"}`, `"is_consistent":false`}},
		"a name that does not resolve": {
			`"name":"article","schema":"public"`, `"name":"gone","schema":"public"`, []string{`"is_consistent":false`, `"type":"table"`, `"removed":["article.author: author"`}},
	} {
		text := strings.ReplaceAll(document, c.from, c.to)
		if c.from == "" {
			text = document
		}
		answer, e := p.raw(fmt.Sprintf(`{"type": "replace_metadata", "version": 2, "args": {"dry_run": true, "metadata": %s}}`, text))
		if e != nil {
			t.Fatalf("%s: %v", name, e)
		}
		for _, want := range c.want {
			if !strings.Contains(answer, want) {
				t.Errorf("%s: want %s in\n%s", name, want, answer)
			}
		}
	}
	if after, now := p.export(); after != document || now != version {
		t.Errorf("dry runs left version %d of %d and\n%s", now, version, after)
	}
}

func TestADryRunSeesTheDatabaseAsItIs(t *testing.T) {
	t.Parallel()
	p := library(t)
	document, _ := p.export()
	p.outside(`ALTER TABLE author DROP COLUMN vip`)
	answer := p.do("replace_metadata", `{"dry_run": true, "metadata": `+document+`}`)
	if at(answer, "is_consistent") != false {
		t.Errorf("answered %v", answer)
	}
	var removed []string
	for _, change := range at(answer, "schema_changes").([]any) {
		if at(change, "role") == "admin" {
			text, _ := json.Marshal(at(change, "removed"))
			_ = json.Unmarshal(text, &removed)
		}
	}
	if !slices.Contains(removed, "author.vip: Boolean") {
		t.Errorf("admin loses %v", removed)
	}
	if got := p.kept(); got != "true" {
		t.Errorf("the dry run changed the project: %s", got)
	}
}

func TestAReloadNoticesWhatWasChangedOutside(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.outside(`ALTER TABLE author DROP COLUMN vip; ALTER TABLE article RENAME COLUMN author_id TO writer`)
	answer := p.do("reload_metadata", `{}`)
	text, _ := json.Marshal(at(answer, "inconsistent_objects"))
	if at(answer, "is_consistent") != false || !strings.Contains(string(text), "vip") || !strings.Contains(string(text), `column \"author_id\" does not exist in table \"article\"`) {
		t.Errorf("answered %s", text)
	}
	p.outside(`ALTER TABLE author ADD COLUMN vip boolean; ALTER TABLE article RENAME COLUMN writer TO author_id`)
	if answer := p.do("reload_metadata", `{"reload_sources": ["default"], "recreate_event_triggers": true}`); at(answer, "is_consistent") != true {
		t.Errorf("answered %v", answer)
	}
}

func TestMasksAreLostOnPurposeAlone(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.do("create_select_permission", `{"table": "author", "role": "guest", "permission": {"columns": ["id", "name"], "filter": {}, "masks": {"name": "hash"}}}`)
	document, version := p.export()
	unmasked := strings.Replace(document, `"masks":{"name":"hash"}`, `"limit":10`, 1)
	for _, args := range []string{unmasked, `{"metadata": ` + unmasked + `}`, `{"dry_run": true, "metadata": ` + unmasked + `}`} {
		_, e := p.raw(`{"type": "replace_metadata", "args": ` + args + `}`)
		if refusal := errcode.From(e); e == nil || refusal.Path != "$.args" || !strings.Contains(refusal.Message, `the mask of column "name" of table "author"`) {
			t.Errorf("%s: got %v", args, e)
		}
	}
	if after, now := p.export(); after != document || now != version {
		t.Errorf("a refusal left version %d of %d and\n%s", now, version, after)
	}
	p.do("replace_metadata", `{"drop_own": true, "metadata": `+unmasked+`}`)
	if after, _ := p.export(); strings.Contains(after, "masks") {
		t.Errorf("the mask is still there:\n%s", after)
	}
}
