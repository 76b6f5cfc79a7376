package authz_test

import (
	"fmt"
	"runtime"
	"testing"

	"tenantry/policy/authz"
)

// Clients choose the names of operations: neither those that a policy never asks
// about nor those that it does may fill the memory, and each is decided for itself.
func TestStandingsOfEverNewOperationsAreBoundedAndTheirOwn(t *testing.T) {
	for _, test := range []struct {
		name, rules string
		evaluations int64 // for 1500 operations; 0 is any number
		allowed     func(n int) bool
	}{
		{"the same for all", `allow if input.session.variables["x-hasura-user-id"] in data.tenant.staff`, 1, func(int) bool { return true }},
		{"each its own", `allow if { input.session.variables["x-hasura-user-id"] in data.tenant.staff; data.tenant.limit > to_number(input.operation.name) }`, 0,
			func(n int) bool { return n < 100 }},
		{"inside every", `allow if every name in data.tenant.staff { name != input.operation.name; count(name) < to_number(input.operation.name) }`, 0, func(n int) bool { return n > 2 }},
	} {
		p := compile(t, "package authz\n"+test.rules)
		r := request("user", nil)
		denied := 0 // though allowed: an evaluation that waits too long for a busy machine
		stand := func(from, to int) {
			for n := from; n < to; n++ {
				r.Operation.Name = fmt.Sprint(n)
				st := p.Stand(t.Context(), r)
				switch got := p.Stands(t.Context(), st, r.Session); {
				case got && !test.allowed(n):
					t.Fatalf("%s: operation %d is allowed (%+v)", test.name, n, st)
				case !got && test.allowed(n):
					denied++
				}
			}
		}
		stand(0, 500)
		before := heap()
		stand(500, 1500)
		if grown := heap() - before; grown > 24<<20 { // engines are bounded by themselves
			t.Errorf("%s: 1000 more operations keep %d KiB", test.name, grown>>10)
		}
		if denied > 100 {
			t.Errorf("%s: %d operations that are allowed are denied", test.name, denied)
		}
		if got := p.Evaluations(); test.evaluations > 0 && got != test.evaluations {
			t.Errorf("%s: Rego is evaluated %d times, want %d", test.name, got, test.evaluations)
		}
		runtime.KeepAlive(p)
	}
}

func TestAStandingIsTheRolesAndThePointsOwn(t *testing.T) {
	t.Parallel()
	p := compile(t, `package authz
allow if { input.session.role == "user"; input.resource.kind == "action" }
allow if { input.session.role == "guest"; input.session.variables["x-hasura-user-id"] == "u1" }
allow if { input.session.role == "guest"; "secret" in input.resource.columns; input.session.ip == "none" }
allow_operation if input.session.variables["x-hasura-user-id"] == "u2"`)
	for range 2 { // made, and found
		for _, test := range []struct {
			role    string
			point   authz.Point
			allowed bool
			verdict authz.Verdict
		}{
			{"user", authz.PointAction, true, authz.Always},
			{"other", authz.PointAction, false, authz.Never},
			{"guest", authz.PointAction, true, authz.Maybe},
			{"guest", authz.PointOperation, false, authz.Maybe},
		} {
			r := request(test.role, nil)
			r.Point = test.point
			st := p.Stand(t.Context(), r)
			if got := p.Stands(t.Context(), st, r.Session); got != test.allowed || st.Verdict != test.verdict {
				t.Errorf("%s at %s: %v, allowed %v", test.role, test.point, st.Verdict, got)
			}
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
