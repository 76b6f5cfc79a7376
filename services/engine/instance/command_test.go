package instance_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
)

// What the policy says of an operation for a session is found once, also where no
// plan is kept: for commands, for introspection, and for texts that are new each time.
func TestRequestsWithoutAKeptPlanMakeTheSessionsDecisionOnce(t *testing.T) {
	engine := governed(t, `allow if input.session.variables["x-hasura-user-id"] == "ann"`+"\n"+ownRows, true)
	owner := as("owner", map[string]string{"x-hasura-user-id": "ann"})
	introspect := instance.Request{Request: graphqlhttp.Request{Query: `{ __type(name: "accounts") { name } accounts(limit: 1) { id } }`}}
	for _, test := range []struct {
		name string
		run  func(n int) error
	}{
		{"a command", func(int) error {
			_, _, err := engine.ExecuteCommand(t.Context(), owner, instance.Command{Type: "select", Args: []byte(`{"table": "accounts", "columns": ["id"], "limit": 1}`)})
			return err
		}},
		{"an introspection", func(int) error {
			if _, trail := engine.Execute(t.Context(), owner, introspect); trail.Err != nil {
				return trail.Err
			}
			return nil
		}},
		{"a new text", func(n int) error {
			// Names are what policies know operations by; long ones leave the plans no room.
			text := fmt.Sprintf("query q%d%s { accounts(limit: 1) { id } }", n, strings.Repeat("_", 8000))
			if _, trail := engine.Execute(t.Context(), owner, instance.Request{Request: graphqlhttp.Request{Query: text}}); trail.Err != nil {
				return trail.Err
			}
			return nil
		}},
	} {
		requests := func(from, to int) {
			for n := from; n < to; n++ {
				if err := test.run(n); err != nil {
					t.Fatalf("%s: %v", test.name, err)
				}
			}
		}
		// As many as the plans of long texts fill their cache.
		requests(0, 200)
		before, kept := engine.Work(), heap()
		requests(200, 1200)
		after := engine.Work()
		// On a busy machine a decision may not be known in time; it is made for one request.
		if more := after.Evaluations - before.Evaluations; more > after.Transients-before.Transients {
			t.Errorf("%s: 1000 more requests evaluate Rego %d times", test.name, more)
		}
		if grown := heap() - kept; grown > 2<<20 {
			t.Errorf("%s: 1000 more requests keep %d KiB", test.name, grown>>10)
		}
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
