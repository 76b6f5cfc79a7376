package instance_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/timetest"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

// full says that there is time to measure: the bounds are then those of the design,
// else such as a machine that is busy with other tests keeps.
var full = os.Getenv("TENANTRY_TEST_CASES") != ""

// answering answers every call of a handler without a network.
type answering string

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(a))), ContentLength: int64(len(a)),
	}, nil
}

// governed is a replayed project with a policy; with open, the permission of owners
// on accounts has no filter of its own.
func governed(t testing.TB, policy string, open bool) *instance.Instance {
	return newReplayedProject(t, func(c *instance.Config, o *instance.Outside) {
		o.Client = &http.Client{Transport: answering("[]")}
		if policy != "" {
			c.Settings.Policies = []settings.Policy{{Name: "main", Text: "package authz\n\n" + policy}}
		}
		if !open {
			return
		}
		c.Document = c.Document.Clone()
		for i, table := range c.Document.Sources[0].Tables {
			if table.Table.Name == "accounts" {
				c.Document.Sources[0].Tables[i].SelectPermissions[0].Permission.Filter = json.RawMessage(`{}`)
			}
		}
	})
}

const ownRows = `filter if input.row.owner == input.session.variables["x-hasura-user-id"]`

func TestWhatAPolicyDecidesBeforehandCostsARequestNothing(t *testing.T) {
	for _, test := range []struct {
		name, query string
		session     session.Session
		policy      string
		open        bool
	}{
		{"a filter instead of the same permission", "{ accounts(order_by: {id: desc}, limit: 20) { id owner balance note } }", as("owner", map[string]string{"x-hasura-user-id": "ann"}), ownRows, true},
		{"an action that is always allowed", "{ reports(n: 1) { __typename } }", as("reader", nil), "allow if input.session.role == \"reader\"", false},
	} {
		var run [2]func()
		for n, engine := range []*instance.Instance{governed(t, "", false), governed(t, test.policy, test.open)} {
			request := instance.Request{Request: graphqlhttp.Request{Query: test.query}, ID: "request"}
			run[n] = func() {
				if _, trail := engine.Execute(t.Context(), test.session, request); trail.Err != nil {
					t.Fatalf("%s: %v %v", test.name, trail.Err, trail.Err.Unwrap())
				}
			}
			for range 50 {
				run[n]()
			}
		}
		slack := 0.0
		if timetest.Raced {
			slack = 3
		}
		before, with := testing.AllocsPerRun(500, run[0]), testing.AllocsPerRun(500, run[1])
		if with > before+slack {
			t.Errorf("%s: %.0f allocations, without a policy %.0f", test.name, with, before)
		}
		bound := 1.5
		if full && !timetest.Raced {
			bound = 1.03
		}
		ratio := slower(run[0], run[1])
		for range 4 { // other work on the machine only adds
			if ratio > bound {
				ratio = slower(run[0], run[1])
			}
		}
		t.Logf("%s: %.0f allocations, without a policy %.0f; %.3f of the time", test.name, with, before, ratio)
		if ratio > bound {
			t.Errorf("%s: takes %.3f of the time without a policy, want at most %.2f", test.name, ratio, bound)
		}
	}
}

// slower is the ratio of the medians of b and a, measured by turns.
func slower(a, b func()) float64 {
	const rounds, each = 41, 300
	var took [2][]time.Duration
	for range rounds {
		for n, f := range []func(){a, b} {
			started := time.Now()
			for range each {
				f()
			}
			took[n] = append(took[n], time.Since(started))
		}
	}
	return float64(median(took[1])) / float64(median(took[0]))
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// A project whose policy never comes to an end takes the evaluations of Rego, not
// the requests of its neighbours.
func TestAHostilePolicyLeavesItsNeighbourItsThroughput(t *testing.T) {
	hostile := governed(t, "allow if { input.args.limit > 0; some a in numbers.range(1, 3000); some b in numbers.range(1, 100000); a * b == 0 }", false)
	neighbour := governed(t, ownRows, true)
	window := 300 * time.Millisecond
	if full {
		window = 2 * time.Second
	}
	owner := as("owner", map[string]string{"x-hasura-user-id": "ann"})
	attack := func(stop chan struct{}) {
		for {
			select {
			case <-stop:
				return
			default:
				hostile.Execute(t.Context(), owner, instance.Request{Request: graphqlhttp.Request{Query: "{ accounts(limit: 1) { id } }"}})
				time.Sleep(time.Millisecond) // the way of a request over a network
			}
		}
	}
	measure := func() (count int, late time.Duration) {
		var took []time.Duration
		for end := time.Now().Add(window); time.Now().Before(end); {
			started := time.Now()
			if _, trail := neighbour.Execute(t.Context(), owner, instance.Request{Request: graphqlhttp.Request{Query: "{ accounts(limit: 2) { id owner } }"}}); trail.Err != nil {
				t.Fatal(trail.Err)
			}
			took = append(took, time.Since(started))
		}
		slices.Sort(took)
		return len(took), took[len(took)*99/100]
	}
	measure()
	var counts [2][]int
	var lates [2][]time.Duration
	for range 5 {
		for attacked := range 2 {
			stop := make(chan struct{})
			var attackers sync.WaitGroup
			for range 4 * attacked {
				attackers.Go(func() { attack(stop) })
			}
			count, late := measure()
			close(stop)
			attackers.Wait()
			counts[attacked], lates[attacked] = append(counts[attacked], count), append(lates[attacked], late)
		}
	}
	slices.Sort(counts[0])
	slices.Sort(counts[1])
	share, later := float64(counts[1][2])/float64(counts[0][2]), float64(median(lates[1]))/float64(median(lates[0]))
	t.Logf("%.2f of the quiet throughput, p99 %.2f of the quiet one (%s, %s)", share, later, median(lates[1]), median(lates[0]))
	least, most := 0.2, 100.0
	if full && !timetest.Raced {
		least, most = 0.7, 3
	}
	if share < least || later > most {
		t.Errorf("beside a hostile policy: %.2f of the throughput, want at least %.1f; p99 is %.1f of the quiet one, want at most %.0f", share, least, later, most)
	}
}

// Limits and a policy together cost a project's throughput next to nothing: what
// they decide of an operation is decided when it is planned.
func TestLimitsAndPolicyLeaveAProjectItsThroughput(t *testing.T) {
	src, err := source.NewPools((&net.Dialer{}).DialContext).Source(vault.NewSecret(newProject(t).db.Config().ConnString()), source.Options{MaxConnections: 1})
	must(t, err)
	t.Cleanup(src.Close)
	real := func(_ *instance.Config, o *instance.Outside) { o.Sources = map[string]*source.Source{"default": src} }
	on := newReplayedProject(t, real, func(c *instance.Config, _ *instance.Outside) {
		c.Settings.Policies = []settings.Policy{{Name: "main", Text: "package authz\n\nallow if input.session.variables[\"x-hasura-user-id\"] != \"\"\n\nallow_operation := true\n\n" + ownRows}}
		c.Document = c.Document.Clone()
		limit := func(n int) *metadata.IntLimit { return &metadata.IntLimit{Global: n} }
		c.Document.APILimits = &metadata.APILimits{
			DepthLimit: limit(20), NodeLimit: limit(100), TimeLimit: limit(60), AliasLimit: limit(50), TokenLimit: limit(5000),
			RateLimit: &metadata.RateLimit{Global: metadata.RateRule{MaxRequestsPerMinute: 1 << 30, UniqueParams: metadata.UniqueParams{"x-hasura-user-id"}, Algorithm: metadata.TokenBucket}},
		}
	})
	off := newReplayedProject(t, real)
	window := 100 * time.Millisecond
	if full {
		window = time.Second
	}
	owner := as("owner", map[string]string{"x-hasura-user-id": "ann"})
	measure := func(engine *instance.Instance) float64 {
		count, started := 0, time.Now()
		for ; time.Since(started) < window; count++ {
			if _, trail := engine.Execute(t.Context(), owner, instance.Request{Request: graphqlhttp.Request{Query: "{ accounts(order_by: {id: desc}, limit: 20) { id owner balance note } }"}}); trail.Err != nil {
				t.Fatal(trail.Err)
			}
		}
		return float64(count) / time.Since(started).Seconds()
	}
	measure(off)
	measure(on)
	least := 0.5
	if full && !timetest.Raced {
		least = 0.93
	}
	share := 0.0
	for range 3 { // other work on the machine may fall on one of both
		var shares []float64
		for range 9 {
			without := measure(off)
			shares = append(shares, measure(on)/without)
		}
		slices.Sort(shares)
		share = max(share, shares[4])
		t.Logf("throughput with limits and policy: %.3f of that without (%.3f to %.3f)", shares[4], shares[0], shares[8])
		if share >= least {
			return
		}
	}
	t.Errorf("limits and policy leave %.3f of the throughput, want at least %.2f", share, least)
}
