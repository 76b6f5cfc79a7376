package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
)

const (
	// casesVariable says how many runs there are while workers are killed; with many
	// Postgres is killed more often, too.
	casesVariable = "TENANTRY_TEST_CASES"
	fewRuns       = 300

	runConcurrency = 32 // of each worker; a project alone gets half of it
	killInterval   = 5 * time.Second
	redelivery     = 30 * time.Second // after the death of a worker, at most
	runUser        = "17"
)

// cases is how many of something are tried: as many as the environment says, if it
// does.
func cases(t testing.TB, otherwise int) int {
	t.Helper()
	given := os.Getenv(casesVariable)
	if given == "" {
		return otherwise
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: expected a number above 0", casesVariable, given)
	}
	return n
}

// fleet is some processes of the program on one control plane, with a project whose
// asynchronous action counts what it gets.
type fleet struct {
	*project
	environ []string
	counter *counter
}

// counter is the handler of the action count(n: Int!): it takes a while and tells
// the number back.
type counter struct {
	pause time.Duration
	// holds is a number whose first delivery is not answered; 0 for none.
	holds int

	mu      sync.Mutex
	numbers map[string]int // by webhook-id
	ids     map[int]string // by number
	begun   map[string][]time.Time
	active  map[string]bool
	broken  map[string]time.Time // when a delivery lost its caller
	slowest time.Duration        // between a broken delivery and the next
	wrong   []string
}

func newCounter(pause time.Duration, holds int) *counter {
	return &counter{
		pause: pause, holds: holds, numbers: map[string]int{}, ids: map[int]string{}, begun: map[string][]time.Time{}, active: map[string]bool{},
		broken: map[string]time.Time{},
	}
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	var body struct{ Input struct{ N int } }
	if err := json.Unmarshal(text, &body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, n := r.Header.Get("webhook-id"), body.Input.N
	pause := c.pause
	if first := c.begin(id, n); first && n == c.holds {
		pause = time.Hour
	}
	select {
	case <-time.After(pause):
		c.end(id, false)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"n": %d}`, n)
	case <-r.Context().Done():
		c.end(id, true)
	}
}

// begin notes a delivery. A run is one number with one id, however often it comes.
func (c *counter) begin(id string, n int) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.numbers[id]; ok && known != n {
		c.wrong = append(c.wrong, fmt.Sprintf("the webhook-id %s came with %d and %d", id, known, n))
	}
	if known, ok := c.ids[n]; ok && known != id {
		c.wrong = append(c.wrong, fmt.Sprintf("%d came with the webhook-ids %s and %s", n, known, id))
	}
	c.numbers[id], c.ids[n] = n, id
	if c.active[id] {
		c.wrong = append(c.wrong, fmt.Sprintf("the run %s of %d was delivered twice at a time", id, n))
	}
	c.active[id] = true
	if at, ok := c.broken[id]; ok {
		c.slowest = max(c.slowest, time.Since(at))
		delete(c.broken, id)
	}
	c.begun[id] = append(c.begun[id], time.Now())
	return len(c.begun[id]) == 1
}

func (c *counter) end(id string, broken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.active, id)
	if broken {
		c.broken[id] = time.Now()
	}
}

// delivered counts the runs that came, and the deliveries beyond the first of each.
func (c *counter) delivered() (runs, extra int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, times := range c.begun {
		extra += len(times) - 1
	}
	return len(c.begun), extra
}

// newFleet starts the first process, whose arguments may keep deliveries off it, and
// makes the project there.
func newFleet(t testing.TB, control string, c *counter, args ...string) *fleet {
	t.Helper()
	const key = "the-operator-key-of-a-fleet"
	f := &fleet{counter: c, environ: []string{
		"TENANTRY_DATABASE_URL=" + control, "TENANTRY_MANAGED_URL=" + pgtest.AdminURL(t), "TENANTRY_DATA_DIR=" + dataDir(t), "TENANTRY_OPERATOR_KEY=" + key,
		"TENANTRY_EGRESS_ALLOW=127.0.0.0/8", "TENANTRY_EGRESS_PORTS=any", fmt.Sprintf("TENANTRY_WORKER_CONCURRENCY=%d", runConcurrency),
	}}
	front := f.start(t, args...)
	front.OperatorKey = key
	f.project = newProject(t, front, managed)
	t.Cleanup(func() { send(t, http.MethodDelete, front.PublicURL+"/api/v1/projects/"+f.Slug, f.owner, nil) })
	f.control(http.StatusCreated, http.MethodPost, "/actions", map[string]any{
		"name": "count", "handler": webhooks(t, c.ServeHTTP), "kind": "asynchronous", "timeout": 120, "permissions": []string{"reader"},
		"definition": `type Mutation { count(n: Int!): Counted } type Counted { n: Int! }`,
	})
	return f
}

// start adds a process.
func (f *fleet) start(t testing.TB, args ...string) *server {
	t.Helper()
	s, err := launch(append([]string{"serve"}, args...), f.environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(syscall.SIGKILL) })
	return s
}

// creator are the headers of who creates the runs.
func (f *fleet) creator() headers { return f.as("reader", "X-Hasura-User-Id", runUser) }

// queue asks for runs of the numbers from the first on and returns the ids that
// were acknowledged.
func (f *fleet) queue(first, many int) (map[int]string, error) {
	var fields strings.Builder
	for n := first; n < first+many; n++ {
		fmt.Fprintf(&fields, "n%d: count(n: %d) ", n, n)
	}
	w := writer{client: &http.Client{Timeout: 20 * time.Second}}
	a, err := w.do(context.Background(), http.MethodPost, f.url("/v1/graphql"), f.creator(), map[string]any{"query": "mutation { " + fields.String() + "}"})
	if err != nil {
		return nil, err
	}
	ids := map[int]string{}
	for n := first; n < first+many; n++ {
		id, ok := a.at("data", fmt.Sprintf("n%d", n)).(string)
		if !ok {
			return nil, fmt.Errorf("no id of %d in %s", n, a.Text)
		}
		ids[n] = id
	}
	return ids, nil
}

// runRecord is what the control API tells of a run.
type runRecord struct {
	ID         string
	Status     string
	Deliveries int
	Attempts   []struct{ Status int }
	Errors     any
}

// records are all runs of the project, by id.
func (f *fleet) records(filter string) map[string]runRecord {
	f.t.Helper()
	all := map[string]runRecord{}
	for cursor := ""; ; {
		a := f.project.control(200, http.MethodGet, "/actions/count/runs?limit=200&"+filter+"&cursor="+cursor, nil)
		var page struct {
			Items      []runRecord
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(a.Text), &page); err != nil {
			f.t.Fatal(err)
		}
		for _, r := range page.Items {
			if _, twice := all[r.ID]; twice {
				f.t.Errorf("run %s is listed twice", r.ID)
			}
			all[r.ID] = r
		}
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

// finished waits until no run is open and returns those that are completed. A run
// that is taken over goes from running to queued, between two questions too; what
// has ended stays so, hence the last word is that of a list of all.
func (f *fleet) finished(limit time.Duration) map[string]runRecord {
	f.t.Helper()
	open := []string{"queued", "running", "pending"}
	within(f.t, limit, "all runs have ended", func() bool {
		for _, status := range open {
			if f.project.control(200, http.MethodGet, "/actions/count/runs?limit=1&status="+status, nil).at("items", 0) != nil {
				return false
			}
		}
		for _, r := range f.records("") {
			if slices.Contains(open, r.Status) {
				return false
			}
		}
		return true
	})
	return f.records("status=completed")
}

// check compares the records with what the handler got: each run ended once, with
// its own result for its creator.
func (f *fleet) check(acknowledged map[int]string, records map[string]runRecord) {
	f.t.Helper()
	f.counter.mu.Lock()
	defer f.counter.mu.Unlock()
	for _, wrong := range f.counter.wrong {
		f.t.Error(wrong)
	}
	for n, id := range acknowledged {
		if r, ok := records[id]; !ok || f.counter.ids[n] != id {
			f.t.Errorf("the run %s of %d: completed %v, came to the handler as %q", id, n, ok, f.counter.ids[n])
		} else if len(r.Attempts) != 1 || r.Attempts[0].Status != 200 || r.Errors != nil || r.Deliveries < len(f.counter.begun[id]) {
			f.t.Errorf("the run %s was delivered %d times, its record is %+v", id, len(f.counter.begun[id]), r)
		}
	}
	for id := range f.counter.begun {
		if _, ok := records[id]; !ok {
			f.t.Errorf("the run %s came to the handler and is not completed", id)
		}
	}
	for numbers := range slices.Chunk(slices.Sorted(maps.Keys(acknowledged)), 50) {
		var fields strings.Builder
		for _, n := range numbers {
			fmt.Fprintf(&fields, "n%d: count(id: %q) { output { n } errors } ", n, acknowledged[n])
		}
		a := data(f.t, f.url("/v1/graphql"), f.creator(), "{ "+fields.String()+"}", nil)
		for _, n := range numbers {
			if seen := a.at("data", fmt.Sprintf("n%d", n)); fmt.Sprint(seen) != fmt.Sprintf("map[errors:<nil> output:map[n:%d]]", n) {
				f.t.Errorf("the creator of the run of %d sees %v", n, seen)
			}
		}
	}
}

// TestEveryRunEndsOnceAlthoughWorkersAreKilled queues runs at one process while two
// others deliver them, of which one is killed every five seconds. The first
// delivery of one run would last as long as its timeout lets it.
func TestEveryRunEndsOnceAlthoughWorkersAreKilled(t *testing.T) {
	t.Parallel()
	runs := cases(t, fewRuns)
	// Long enough that there is something to kill.
	c := newCounter(max(100*time.Millisecond, 2*killInterval*runConcurrency/time.Duration(runs)), 1)
	f := newFleet(t, pgtest.Database(t), c, "--worker=false")
	workers := []*server{f.start(t), f.start(t)}

	acknowledged := f.queueAll(runs)
	kills := 0
	for end := time.Now().Add(10 * time.Minute); ; kills++ {
		next := time.Now().Add(killInterval)
		for time.Now().Before(next) {
			time.Sleep(50 * time.Millisecond)
		}
		if delivered, _ := c.delivered(); delivered == runs && kills >= 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the runs are not delivered")
		}
		workers[kills%2].kill(t)
		workers[kills%2] = f.start(t)
	}
	records := f.finished(2 * redelivery)
	f.check(<-acknowledged, records)
	delivered, extra := c.delivered()
	t.Logf("%d runs, %d workers killed: %d deliveries more than runs, the slowest came again after %s", delivered, kills, extra, c.slowest)
	if len(records) != runs || len(f.records("")) != runs || delivered != runs {
		t.Errorf("%d of %d runs are completed, %d came to the handler", len(records), runs, delivered)
	}
	if extra == 0 || extra > kills*runConcurrency {
		t.Errorf("%d deliveries more than runs, expected some and at most %d", extra, kills*runConcurrency)
	}
	if c.slowest == 0 || c.slowest > redelivery {
		t.Errorf("a broken delivery was made again after %s, expected at most %s", c.slowest, redelivery)
	}
}

// queueAll queues runs of the numbers from 1 on with some clients and gives their
// ids when all are acknowledged.
func (f *fleet) queueAll(runs int) <-chan map[int]string {
	const clients, together = 4, 20
	all, done := map[int]string{}, make(chan map[int]string, 1)
	var mu sync.Mutex
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for first := 1 + client*together; first <= runs; first += clients * together {
				ids, err := f.queue(first, min(together, runs-first+1))
				if err != nil {
					f.t.Errorf("queue: %v", err)
					return
				}
				mu.Lock()
				for n, id := range ids {
					all[n] = id
				}
				mu.Unlock()
			}
		})
	}
	go func() { group.Wait(); done <- all }()
	return done
}
