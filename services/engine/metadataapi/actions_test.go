package metadataapi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/revision"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

func TestTheRunsOfADroppedActionGoUnlessTheyAreToStay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const drop = `{"type": "drop_action", "args": {"name": "count"ARGS}}`
	for name, test := range map[string]struct {
		body  string
		fails bool
		left  int
	}{
		"as a matter of course": {body: drop},
		"by wish":               {body: strings.Replace(drop, "ARGS", `, "clear_data": true`, 1)},
		"not by wish":           {body: strings.Replace(drop, "ARGS", `, "clear_data": false`, 1), left: 1},
		"of another":            {body: strings.Replace(drop, "count", "tally", 1), left: 1},
		"in a bulk that fails":  {body: `{"type": "bulk", "args": [` + drop + `, {"type": "drop_action", "args": {"name": "nothing"}}]}`, fails: true, left: 1},
		"which is made anew":    {body: `{"type": "bulk", "args": [` + drop + `, ` + createAction("count") + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.do("set_custom_types", `{"objects": [{"name": "Counted", "fields": [{"name": "n", "type": "Int!"}]}]}`)
			for _, action := range []string{"count", "tally"} {
				if _, e := p.send(createAction(action)); e != nil {
					t.Fatal(e)
				}
			}
			if err := p.api.Store.AddRun(ctx, store.NewRun{ID: uuid.NewString(), ProjectID: p.ID, Action: "count", Role: "user", Request: []byte("{}"), Headers: []byte("[]"),
				Token: vault.NewSecret("t"), MaxAge: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if _, e := p.send(strings.Replace(test.body, "ARGS", "", 1)); test.fails != (e != nil) {
				t.Fatalf("%v", e)
			}
			runs, _, err := p.api.Store.Runs(ctx, p.ID, store.RunFilter{Action: "count"}, store.Page{})
			if err != nil || len(runs) != test.left {
				t.Errorf("%d runs are left, expected %d: %v", len(runs), test.left, err)
			}
		})
	}
	newProject(t).fails("drop_action", `{"name": "count", "clear_data": 1}`, errcode.ParseFailed, "$.clear_data", "")
}

func TestOpenRunsAreCancelledByCommand(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, other := newProject(t), uuid.NewString()
	run := func() string {
		id := uuid.NewString()
		if err := p.api.Store.AddRun(ctx, store.NewRun{ID: id, ProjectID: p.ID, Action: "count", Role: "user", Request: []byte("{}"), Headers: []byte("[]"),
			Token: vault.NewSecret("t"), MaxAge: time.Hour}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	state := func(id string) string {
		r, err := p.api.Store.Run(ctx, p.ID, id)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.State) + " " + string(r.Errors)
	}
	const ended = `cancelled {"code":"action-cancelled","error":"the run was cancelled","path":"$"}`
	id, named, kept := run(), run(), run()
	_, version := p.export()
	p.do("cancel_async_action", `{"id": "`+id+`"}`)
	p.do("cancel_async_action", `{"id": "`+named+`", "action": "count"}`)
	if state(id) != ended || state(named) != ended {
		t.Errorf("after the command: %s, %s", state(id), state(named))
	}
	for args, code := range map[string]errcode.Code{
		`{"id": "` + id + `"}`: errcode.Conflict, `{"id": "` + kept + `", "action": "tally"}`: errcode.NotExists,
		`{"id": "` + other + `"}`: errcode.NotExists, `{"id": "no id"}`: errcode.NotExists,
	} {
		p.fails("cancel_async_action", args, code, "$.args.id", "run")
	}
	p.fails("cancel_async_action", `{}`, errcode.ParseFailed, "$", "id")
	p.fails("cancel_async_action", `{"id": "`+kept+`", "run": 1}`, errcode.ParseFailed, "$.run", "")
	if _, e := p.sendAs(user(), metadataapi.Metadata, `{"type": "cancel_async_action", "args": {"id": "`+kept+`"}}`); e == nil || e.Code != errcode.AccessDenied {
		t.Errorf("who is no admin cancels a run: %v", e)
	}
	if _, e := p.send(`{"type": "bulk", "args": [{"type": "cancel_async_action", "args": {"id": "` + kept + `"}}, {"type": "drop_action", "args": {"name": "nothing"}}]}`); e == nil {
		t.Error("the bulk did not fail")
	}
	if state(kept) != "queued " {
		t.Errorf("a refused command left %s", state(kept))
	}
	if _, now := p.export(); now != version {
		t.Error("a run's end is a change of the metadata")
	}
	events, _, err := p.api.Store.ProjectAudit(ctx, p.ID, store.AuditFilter{}, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(e audit.Event) bool {
		return e.Action == "action.run.cancel" && e.Target == "shop/actions/count/runs/"+id
	}) {
		t.Errorf("the audit does not tell of the run: %v", events)
	}
}

// createAction is the command that makes an asynchronous action.
func createAction(name string) string {
	return `{"type": "create_action", "args": {"name": "` + name + `", "definition": {"kind": "asynchronous", "handler": "http://127.0.0.1:9/", "output_type": "Counted",
		"arguments": [{"name": "n", "type": "Int!"}]}}}`
}

func TestCustomTypesAreAddedChangedAndDroppedOneByOne(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.do("add_custom_type", `{"object": {"name": "Counted", "fields": [{"name": "n", "type": "Int!"}]}}`)
	p.do("add_custom_type", `{"enum": {"name": "Color", "values": [{"value": "RED"}]}}`)
	p.do("add_custom_type", `{"scalar": {"name": "Any"}}`)
	p.do("add_custom_type", `{"input_object": {"name": "Filter", "fields": [{"name": "color", "type": "Color"}]}}`)
	if _, e := p.send(createAction("count")); e != nil {
		t.Fatal(e)
	}
	p.do("update_custom_type", `{"object": {"name": "Counted", "fields": [{"name": "n", "type": "Int!"}, {"name": "color", "type": "Color"}]}}`)
	p.do("drop_custom_type", `{"name": "Any"}`)
	p.holds(`{"fields":[{"name":"n","type":"Int!"},{"name":"color","type":"Color"}],"name":"Counted"}`, `"name":"Filter"`, "!Any")

	p.fails("add_custom_type", `{"scalar": {"name": "Color"}}`, errcode.AlreadyExists, "$.args", `the custom type "Color" is already defined`)
	p.fails("update_custom_type", `{"scalar": {"name": "Any"}}`, errcode.NotExists, "$.args", `the custom type "Any" does not exist`)
	p.fails("drop_custom_type", `{"name": "Any"}`, errcode.NotExists, "$.args", `the custom type "Any" does not exist`)
	for _, args := range []string{`{}`, `{"scalar": {"name": "A"}, "enum": {"name": "B", "values": [{"value": "C"}]}}`, `{"scalar": {"name": ""}}`} {
		p.fails("add_custom_type", args, errcode.ParseFailed, "$.args", "expected exactly one of")
	}
	before, version := p.export()
	for command, args := range map[string]string{
		"drop_custom_type":   `{"name": "Counted"}`,
		"add_custom_type":    `{"object": {"name": "Wrong", "fields": [{"name": "a", "type": "Nix"}, {"name": "b", "type": "Nope"}]}}`,
		"update_custom_type": `{"enum": {"name": "Color", "values": []}}`,
	} {
		if answer, e := p.send(`{"type": "` + command + `", "args": ` + args + `}`); e == nil {
			t.Errorf("%s %s: %v", command, args, answer)
		} else if told := fmt.Sprint(e.Message, e.Internal); command == "add_custom_type" && (!strings.Contains(told, "Nix") || !strings.Contains(told, "Nope")) {
			t.Errorf("%s tells %s", command, told)
		}
	}
	if after, now := p.export(); after != before || now != version {
		t.Errorf("a refused command changed the metadata: %s", after)
	}
}

func TestVariablesThatAnActionLacksAreToldAndForbidNothing(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.do("create_action", `{"name": "go", "definition": {"handler": "{{BASE}}/{{PATH}}?{{BASE}}", "output_type": "Int",
		"headers": [{"name": "A", "value": "fine"}, {"name": "B", "value": "x {{TOKEN}}"}, {"name": "C", "value_from_env": "KEY"}]}}`)
	told := func() (reasons []string) {
		for _, o := range at(p.do("get_inconsistent_metadata", "{}"), "inconsistent_objects").([]any) {
			reasons = append(reasons, at(o, "name").(string)+": "+at(o, "reason").(string))
		}
		return reasons
	}
	want := []string{
		`action go: Inconsistent object: in action "go"; the handler names variables that are not set: "BASE", "PATH"`,
		`action go: Inconsistent object: in action "go"; the header "B" names variables that are not set: "TOKEN"`,
		`action go: Inconsistent object: in action "go"; the header "C" names variables that are not set: "KEY"`,
	}
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	p.do("create_action_permission", `{"action": "go", "role": "user"}`)
	document, _ := p.export()
	p.do("replace_metadata", document)
	for n, name := range []string{"PATH", "TOKEN", "KEY", "BASE"} {
		if _, err := p.api.Revisions.(*revision.Service).Apply(context.Background(), p.ID, revision.Change{Action: "test", Settings: func(set settings.Settings) (settings.Settings, error) {
			return set.WithVariable(settings.Variable{Name: name, Value: vault.NewSecret("http://127.0.0.1:9")}), nil
		}}); err != nil {
			t.Fatal(err)
		}
		if got := told(); len(got) != []int{3, 2, 1, 0}[n] {
			t.Errorf("with %s: %q", name, got)
		}
	}
}
