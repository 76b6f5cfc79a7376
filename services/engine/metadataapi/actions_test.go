package metadataapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/api/errcode"
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

// createAction is the command that makes an asynchronous action.
func createAction(name string) string {
	return `{"type": "create_action", "args": {"name": "` + name + `", "definition": {"kind": "asynchronous", "handler": "http://127.0.0.1:9/", "output_type": "Counted",
		"arguments": [{"name": "n", "type": "Int!"}]}}}`
}
