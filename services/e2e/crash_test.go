package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// seedVariable repeats a run of the crash test with the seed that it printed.
const seedVariable = "TENANTRY_TEST_SEED"

const (
	crashKills   = 5
	crashWorkers = 8
	crashWrites  = 110 // acknowledged between two kills, at least
)

// crashKinds are the kinds of writes, and how many of each are acknowledged between two
// kills, at least.
var crashKinds = map[string]int{"row": 10, "order": 10, "variable": 1, "permission": 1, "limits": 1}

// acknowledged is what the program said it had done. Each kind of write has ids
// of its own.
type acknowledged struct {
	mu    sync.Mutex
	ids   map[string][]string
	rate  int // the last rate limit that was acknowledged, and
	tried int // the last one that was asked for
}

func (a *acknowledged) add(kind, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[kind] = append(a.ids[kind], id)
}

// counts is how many writes of each kind there are.
func (a *acknowledged) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := map[string]int{}
	for kind, ids := range a.ids {
		counts[kind] = len(ids)
	}
	return counts
}

// lacks says what has to be acknowledged yet since there were so many; nothing when
// there is enough.
func (a *acknowledged) lacks(before map[string]int) string {
	now, all := a.counts(), 0
	for kind, least := range crashKinds {
		got := now[kind] - before[kind]
		if got < least {
			return fmt.Sprintf("%d writes of the kind %s are acknowledged, want %d", got, kind, least)
		}
		all += got
	}
	if all < crashWrites {
		return fmt.Sprintf("%d writes are acknowledged, want %d", all, crashWrites)
	}
	return ""
}

func (a *acknowledged) total() (all int) {
	for _, n := range a.counts() {
		all += n
	}
	return all
}

// TestNothingAcknowledgedIsLostByKills writes tables, calls the demo's action
// and changes configuration, kills everything at random moments, and compares
// what was acknowledged with what the next start finds.
func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("repeat with %s=%d", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	dir := dataDir(t)
	s := startDev(t, dir)
	admin := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}
	must(t, 200, http.MethodPost, s.Demo.Project.URL+"/v2/query", admin, `{"type": "run_sql", "args": {"sql": "CREATE TABLE crash_writes (id text PRIMARY KEY)"}}`)
	must(t, 200, http.MethodPost, s.Demo.Project.URL+"/v1/metadata", admin, `{"type": "pg_track_table", "args": {"table": "crash_writes"}}`)
	log := &acknowledged{ids: map[string][]string{}}
	alone, together := 0, 0
	for round := range crashKills {
		before := log.counts()
		stop := startWriters(s, log, round, random.Uint64())
		for deadline := time.Now().Add(time.Minute); log.lacks(before) != "" && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		// Both kinds of crash happen in every run, in an order of its own.
		if all := round == 3 && together == 0 || random.IntN(2) == 0 && !(round == 3 && alone == 0); all {
			together++
			killEverything(t, s)
		} else {
			alone++
			s.kill(t)
		}
		stop()
		if lacks := log.lacks(before); lacks != "" {
			t.Fatalf("round %d: %s\n%s", round, lacks, s.stderr)
		}
		s = startDev(t, dir)
		if lost := missing(t, s, log); len(lost) > 0 {
			t.Fatalf("round %d (killed alone %d times, with all %d times) lost %d of %d: %v", round, alone, together, len(lost), log.total(), lost)
		}
	}
	t.Logf("%d acknowledged writes, tenantry was killed alone %d times, with everything %d times", log.total(), alone, together)
	checkAudit(t, s, log)
	s.stop(t)
}

// checkAudit: the chain that crashes leave behind is whole, and holds every
// change that was acknowledged, because it was written with the change.
func checkAudit(t *testing.T, s *server, log *acknowledged) {
	t.Helper()
	project, owner := s.PublicURL+"/api/v1/projects/shop", bearer(s.Demo.Tenant.Key)
	if a := must(t, 200, http.MethodPost, project+"/audit:verify", owner, nil); a.at("ok") != true {
		t.Errorf("the audit's chain after the kills: %s", a.Text)
	}
	changes := map[string]int{}
	cursor := ""
	for {
		page := must(t, 200, http.MethodGet, project+"/audit?kind=change&outcome=ok&limit=100&cursor="+cursor, owner, nil)
		for _, event := range list(page, "items") {
			changes[fmt.Sprint(event.at("action"))]++
			changes[fmt.Sprint(event.at("target"))]++
		}
		if cursor, _ = page.at("next_cursor").(string); cursor == "" {
			break
		}
	}
	for _, id := range log.ids["variable"] {
		if changes["shop/variables/CRASH_"+id] != 1 {
			t.Errorf("%d events of the change of the variable %s", changes["shop/variables/CRASH_"+id], id)
		}
	}
	if changes["limits.put"] < len(log.ids["limits"]) {
		t.Errorf("%d events of %d changes of limits", changes["limits.put"], len(log.ids["limits"]))
	}
}

// startWriters starts clients that write until the program is gone; the
// returned function waits for their end.
func startWriters(s *server, log *acknowledged, round int, seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for n := range crashWorkers {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		w := writer{s: s, log: log, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}}
		group.Go(func() {
			defer w.client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d_%d_%d", round, n, i)
				var err error
				switch {
				case n == 0: // one after the other, so that the last one is known
					err = w.configure(ctx, i, id)
				case random.IntN(2) == 0:
					err = w.row(ctx, id)
				default:
					err = w.order(ctx, id, 1+random.IntN(24))
				}
				var refused *refusedWrite
				if err != nil && !errors.As(err, &refused) {
					time.Sleep(10 * time.Millisecond) // the program is gone
				}
			}
		})
	}
	return func() { cancel(); group.Wait() }
}

// writer is one client under load.
type writer struct {
	s      *server
	log    *acknowledged
	client *http.Client
}

// refusedWrite is an answer other than that it was done.
type refusedWrite struct{ text string }

func (r *refusedWrite) Error() string { return r.text }

// do sends a request and returns the whole answer, or an error when there was
// none or it was a refusal: then nothing is acknowledged.
func (w writer) do(ctx context.Context, method, url string, h headers, body any) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range h {
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: response.StatusCode, Text: string(got)}
	_ = json.Unmarshal(got, &a.JSON)
	if a.Status >= 300 || a.at("errors") != nil {
		return a, &refusedWrite{a.Text}
	}
	return a, nil
}

func (w writer) admin() headers {
	return headers{"X-Hasura-Admin-Secret": w.s.Demo.Project.AdminSecret}
}

// row inserts a row with an id of ours.
func (w writer) row(ctx context.Context, id string) error {
	a, err := w.do(ctx, http.MethodPost, w.s.Demo.Project.GraphQLURL, w.admin(), map[string]any{
		"query": `mutation($id: String!) { insert_crash_writes_one(object: {id: $id}) { id } }`, "variables": map[string]any{"id": id},
	})
	if err == nil && a.at("data", "insert_crash_writes_one", "id") == id {
		w.log.add("row", id)
	}
	return err
}

// order calls the action, whose handler writes.
func (w writer) order(ctx context.Context, id string, product int) error {
	a, err := w.do(ctx, http.MethodPost, w.s.Demo.Project.GraphQLURL, bearer(w.s.Demo.Tokens.Customer), map[string]any{
		"query":     `mutation($p: Int!, $note: String) { placeOrder(items: [{product_id: $p, quantity: 1}], note: $note) { order_id } }`,
		"variables": map[string]any{"p": product, "note": "crash " + id},
	})
	if err == nil && a.at("data", "placeOrder", "order_id") != nil {
		w.log.add("order", id)
	}
	return err
}

// configure changes the project's configuration, in one of three ways.
func (w writer) configure(ctx context.Context, i int, id string) error {
	project, owner := w.s.PublicURL+"/api/v1/projects/shop", bearer(w.s.Demo.Tenant.Key)
	switch i % 3 {
	case 0:
		_, err := w.do(ctx, http.MethodPut, project+"/variables/CRASH_"+id, owner, map[string]any{"value": id, "secret": false})
		if err == nil {
			w.log.add("variable", id)
		}
		return err
	case 1:
		_, err := w.do(ctx, http.MethodPost, w.s.Demo.Project.URL+"/v1/metadata", w.admin(), map[string]any{
			"type": "pg_create_select_permission",
			"args": map[string]any{"table": "crash_writes", "role": "crash_" + id, "permission": map[string]any{"columns": []string{"id"}, "filter": map[string]any{}}},
		})
		if err == nil {
			w.log.add("permission", id)
		}
		return err
	}
	w.log.mu.Lock()
	w.log.tried++
	rate := 1_000_000 + w.log.tried // high enough never to refuse
	w.log.mu.Unlock()
	_, err := w.do(ctx, http.MethodPut, project+"/limits", owner, map[string]any{"rate_limit": map[string]any{"global": map[string]any{"max_reqs_per_min": rate}}})
	if err == nil {
		w.log.add("limits", id)
		w.log.mu.Lock()
		w.log.rate = rate
		w.log.mu.Unlock()
	}
	return err
}

// missing compares what was acknowledged with what is there.
func missing(t *testing.T, s *server, log *acknowledged) (lost []string) {
	t.Helper()
	admin, owner := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}, bearer(s.Demo.Tenant.Key)
	there := map[string]bool{}
	note := func(kind string, id any) { there[kind+" "+fmt.Sprint(id)] = true }

	rows := data(t, s.Demo.Project.GraphQLURL, admin, `{ crash_writes { id } orders(where: {note: {_like: "crash %"}}) { note order_items { quantity } } }`, nil)
	for _, row := range list(rows, "data", "crash_writes") {
		note("row", row.at("id"))
	}
	for _, order := range list(rows, "data", "orders") {
		if order.at("order_items", 0, "quantity") == 1.0 { // the handler's transaction is whole
			note("order", strings.TrimPrefix(fmt.Sprint(order.at("note")), "crash "))
		}
	}
	cursor := ""
	for {
		page := must(t, 200, http.MethodGet, s.PublicURL+"/api/v1/projects/shop/variables?limit=100&cursor="+cursor, owner, nil)
		for _, variable := range list(page, "items") {
			if id, ours := strings.CutPrefix(fmt.Sprint(variable.at("name")), "CRASH_"); ours && variable.at("value") == id {
				note("variable", id)
			}
		}
		if cursor, _ = page.at("next_cursor").(string); cursor == "" {
			break
		}
	}
	exported := must(t, 200, http.MethodPost, s.Demo.Project.URL+"/v1/metadata", admin, `{"type": "export_metadata", "args": {}}`)
	tables := list(exported, "sources", 0, "tables")
	if len(tables) == 0 {
		t.Fatalf("no tables in %s", exported.Text)
	}
	for _, table := range tables {
		for _, permission := range list(table, "select_permissions") {
			note("permission", strings.TrimPrefix(fmt.Sprint(permission.at("role")), "crash_"))
		}
	}
	for _, kind := range []string{"row", "order", "variable", "permission"} {
		for _, id := range log.ids[kind] {
			if !there[kind+" "+id] {
				lost = append(lost, kind+" "+id)
			}
		}
	}
	// Of a value that is written again and again the last one counts, or the one
	// that was under way.
	limits := must(t, 200, http.MethodGet, s.PublicURL+"/api/v1/projects/shop/limits", owner, nil)
	if rate, _ := limits.at("rate_limit", "global", "max_reqs_per_min").(float64); log.rate != 0 && (int(rate) < log.rate || int(rate) > 1_000_000+log.tried) {
		lost = append(lost, fmt.Sprintf("limits %d, found %v", log.rate, rate))
	}
	return lost
}

// list is a list in an answer, each element as an answer of its own.
func list(a answer, path ...any) (out []answer) {
	values, _ := a.at(path...).([]any)
	for _, v := range values {
		out = append(out, answer{JSON: v})
	}
	return out
}

// killEverything kills the program, its Postgres with all backends, and the
// demo's handler, as when the machine's power is cut.
func killEverything(t *testing.T, s *server) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.DataDir, "postgres", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		t.Fatal(err)
	}
	children := processes(t)
	victims := descendants(children, s.command.Process.Pid)
	victims = append(victims, descendants(children, postmaster)...) // not our child when it was adopted
	if len(victims) < 4 {
		t.Fatalf("only the processes %v were found", victims)
	}
	for _, pid := range victims {
		_ = syscall.Kill(pid, syscall.SIGKILL) // a backend may have ended already
	}
	if _, err := s.end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// processes are the children of every process of this machine.
func processes(t *testing.T) map[int][]int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	children := map[int][]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		// The name, in parentheses, may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// descendants are a process and all below it, parents first.
func descendants(children map[int][]int, pid int) []int {
	all := []int{pid}
	for _, child := range children[pid] {
		all = append(all, descendants(children, child)...)
	}
	return all
}
