package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/services/worker"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

const done = `{"n": 1}`

func TestEveryRunIsFinishedAlthoughWorkersAreKilled(t *testing.T) {
	t.Parallel()
	const runs, concurrency, kills = 500, 8, 3
	p := setup(t, func(delivery) (int, string) { time.Sleep(20 * time.Millisecond); return 200, done }, map[string]string{"count": ""})
	var queued sync.WaitGroup
	for part := range 4 {
		queued.Go(func() {
			for n := range runs / 4 {
				p.queue(p.shop, user("user", "1"), "count", part*1000+n)
			}
		})
	}
	queued.Wait()
	p.work(concurrency)
	for range kills {
		kill, _ := p.work(concurrency)
		time.Sleep(300 * time.Millisecond)
		kill()
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		c := must(p.store.CountRuns(context.Background()))(t)
		if c.Queued+c.Running+c.Pending == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("runs are left: %+v", c)
		}
	}
	delivered, extra := p.handler.deliveries()
	if delivered != runs || extra > kills*concurrency {
		t.Errorf("%d runs were delivered, %d more than once; want %d and at most %d", delivered, extra, runs, kills*concurrency)
	}
	t.Logf("%d workers killed: %d deliveries more than runs", kills, extra)
	cursor, finished := "", 0
	for {
		items, next, err := p.store.Runs(context.Background(), p.shop, store.RunFilter{State: store.RunCompleted}, store.Page{Limit: 200, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range items {
			if len(r.Attempts) != 1 {
				t.Errorf("run %s ended %d times", r.ID, len(r.Attempts))
			}
		}
		finished, cursor = finished+len(items), next
		if next == "" {
			break
		}
	}
	if finished != runs {
		t.Errorf("%d runs are completed, want %d", finished, runs)
	}
}

func TestFourWorkersDeliverEveryRunOnceAndNewOnesAtOnce(t *testing.T) {
	t.Parallel()
	const runs = 1000
	var calls sync.Map // the time of each call, by run
	p := setup(t, func(d delivery) (int, string) {
		calls.Store(d.id, time.Now())
		time.Sleep(2 * time.Millisecond)
		return 200, done
	}, map[string]string{"count": ""})
	for n := range runs {
		p.queue(p.shop, user("user", "1"), "count", n)
	}
	for range 4 {
		p.work(8)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c := must(p.store.CountRuns(context.Background()))(t)
		if c.Queued+c.Running == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("runs are left: %+v", c)
		}
	}
	if delivered, extra := p.handler.deliveries(); delivered != runs || extra != 0 {
		t.Errorf("%d runs were delivered, %d more than once", delivered, extra)
	}
	var waits []time.Duration
	for n := range 41 {
		started := time.Now()
		id := p.queue(p.shop, user("user", "1"), "count", n)
		p.until(p.shop, id, store.RunCompleted, 10*time.Second)
		called, _ := calls.Load(id)
		waits = append(waits, called.(time.Time).Sub(started))
	}
	slices.Sort(waits)
	// Without notices it would be half a second.
	if p50 := waits[len(waits)/2]; p50 > 100*time.Millisecond {
		t.Errorf("half of the runs wait longer than %s", p50)
	}
	t.Logf("a single run is delivered after: p50 %s, p90 %s", waits[len(waits)/2], waits[len(waits)*9/10])
}

func TestManyRunsOfOneProjectDoNotDelayAnother(t *testing.T) {
	t.Parallel()
	p := setup(t, func(d delivery) (int, string) {
		if d.action == "slow" {
			time.Sleep(5 * time.Second)
		}
		return 200, done
	}, map[string]string{"slow": ""})
	other := p.project("other", strings.TrimSuffix(p.instance(p.shop).Document.Actions[0].Definition.Handler, "/slow"), map[string]string{"count": ""})
	for n := range 200 {
		p.queue(p.shop, user("user", "1"), "slow", n)
	}
	// The rest of the crowd waits behind those and is never reached: what is sealed
	// belongs to another id.
	conn := must(pgx.Connect(context.Background(), p.control))(t)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), `INSERT INTO tenantry.action_runs (id, project_id, action, role, identity, request, headers, token_hash, deadline, available_at)
		SELECT gen_random_uuid(), project_id, action, role, identity, request, headers, token_hash, deadline, now()
		FROM (SELECT * FROM tenantry.action_runs LIMIT 1) r, generate_series(1, 100000)`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p.work(8)
	}
	for end := time.Now().Add(10 * time.Second); must(p.store.CountRuns(context.Background()))(t).Running < 8; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the crowd does not keep the workers busy")
		}
	}
	var waits []time.Duration
	for n := range 100 {
		started := time.Now()
		id := p.queue(other, user("user", "1"), "count", n)
		p.until(other, id, store.RunCompleted, 10*time.Second)
		waits = append(waits, time.Since(started))
	}
	slices.Sort(waits)
	t.Logf("a single run beside 100 000 others: p50 %s, p99 %s", waits[len(waits)/2], waits[len(waits)*99/100])
	if p99 := waits[len(waits)*99/100]; p99 > 2*time.Second {
		t.Errorf("a single run took %s beside 100 000 runs of another project", p99)
	}
	if c := must(p.store.CountRuns(context.Background()))(t); c.Queued < 100_000 {
		t.Errorf("the crowd was gone: %+v", c)
	}
}

func TestALeaseIsRenewedUntilItsWorkerDiesAndTheRunThenComesFirst(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	begun, died := make(chan string, 1), make(chan struct{})
	p := setup(t, func(d delivery) (int, string) {
		if d.action == "long" && d.n == 1 {
			begun <- d.id
			<-d.gone
			close(died)
		} else if d.action == "long" {
			begun <- d.id
		} else {
			time.Sleep(300 * time.Millisecond)
		}
		return 200, done
	}, map[string]string{"long": `, "timeout": 120`, "count": ""})
	kill, _ := p.work(2)
	id := p.queue(p.shop, user("user", "1"), "long", 1)
	<-begun
	// The others of its project keep the second worker, which has one place for them,
	// busy for longer than all of this takes.
	for n := range 300 {
		p.queue(p.shop, user("user", "1"), "count", n)
	}
	p.work(2)
	conn := must(pgx.Connect(ctx, p.control))(t)
	defer conn.Close(ctx)
	for end := time.Now().Add(store.Lease + 3*time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		var lease, age float64
		if err := conn.QueryRow(ctx, `SELECT extract(epoch FROM lease_until - heartbeat_at)::float8, extract(epoch FROM now() - heartbeat_at)::float8
			FROM tenantry.action_runs WHERE id = $1`, id).Scan(&lease, &age); err != nil {
			t.Fatal(err)
		}
		if lease != 15 || age > 10 {
			t.Fatalf("a lease of %v s that was renewed %v s ago", lease, age)
		}
	}
	select {
	case <-begun:
		t.Fatal("the run was taken from a worker that lives")
	default:
	}
	kill()
	<-died
	killed := time.Now()
	select {
	case again := <-begun:
		if again != id {
			t.Errorf("the second delivery has the webhook-id %s, the first %s", again, id)
		}
		t.Logf("delivered again %s after its worker's death", time.Since(killed))
	case <-time.After(30 * time.Second):
		t.Fatal("not delivered again within 30 s of its worker's death")
	}
	if run := p.until(p.shop, id, store.RunCompleted, 10*time.Second); run.Deliveries != 2 || len(run.Attempts) != 1 {
		t.Errorf("the record tells of %d deliveries and the attempts %+v", run.Deliveries, run.Attempts)
	}
	if c := must(p.store.CountRuns(ctx))(t); c.Queued == 0 {
		t.Error("no others were left to wait behind")
	}
}

func TestOnlyTheCreatorAndAdminsSeeAResult(t *testing.T) {
	t.Parallel()
	p := setup(t, func(delivery) (int, string) { return 200, done }, map[string]string{"count": "", "tally": ""})
	p.work(4)
	id := p.queue(p.shop, user("user", "1"), "count", 1)
	p.until(p.shop, id, store.RunCompleted, 10*time.Second)
	for name, c := range map[string]struct {
		s      session.Session
		action string
		sees   bool
	}{
		"the creator":              {user("user", "1"), "count", true},
		"an admin":                 {admin, "count", true},
		"another user":             {user("user", "2"), "count", false},
		"the user in another role": {user("clerk", "1"), "count", false},
		"no user":                  {session.Session{Role: "user", Variables: map[string]string{"x-hasura-role": "user"}}, "count", false},
		"through another action":   {user("user", "1"), "tally", false},
	} {
		got := p.result(c.s, c.action, id)
		if text := fmt.Sprint(got); c.sees != (text == "map[errors:<nil> output:map[n:1]]") || !c.sees && got != nil {
			t.Errorf("%s sees %s", name, text)
		}
	}
	if got := p.result(user("user", "1"), "count", "5b0c6d4e-0000-4000-8000-000000000000"); got != nil {
		t.Errorf("an id that is nobody's finds %v", got)
	}
}

func TestAProjectSaysWhichVariablesTellWhoseARunIs(t *testing.T) {
	t.Parallel()
	p := setup(t, func(delivery) (int, string) { return 200, done }, map[string]string{"count": ""})
	identity := func(names ...string) {
		must(p.revisions.Apply(t.Context(), p.shop, revision.Change{Action: "test", Settings: func(set settings.Settings) (settings.Settings, error) {
			set.Auth.IdentityVariables = names
			return set, nil
		}}))(t)
	}
	of := func(org string) session.Session {
		s := user("user", "1")
		if org != "" {
			s.Variables["x-hasura-org-id"] = org
		}
		return s
	}
	identity("x-hasura-user-id", "x-hasura-org-id")
	p.work(4)
	id := p.queue(p.shop, of("a"), "count", 1)
	p.until(p.shop, id, store.RunCompleted, 10*time.Second)
	for org, sees := range map[string]bool{"a": true, "b": false, "": false} {
		if got := p.result(of(org), "count", id); (got != nil) != sees {
			t.Errorf("the user in %q sees %v", org, got)
		}
	}
	identity() // of the user alone: less than the run was for
	if got := p.result(of("a"), "count", id); got != nil {
		t.Errorf("with another identity the creator sees %v", got)
	}
}

func TestFailuresAreRetriedWithTheSameIDAndRefusalsAreNot(t *testing.T) {
	t.Parallel()
	p := setup(t, func(d delivery) (int, string) {
		switch {
		case d.action == "refused":
			return 400, `{"message": "no", "code": "too-late"}`
		case d.action == "odd":
			return 200, `{"m": 1}`
		case d.action == "never" || d.n < 3:
			return 503, `{}`
		}
		return 200, done
	}, map[string]string{
		"flaky": `, "forward_client_headers": true`, "refused": "", "odd": "", "never": `, "retry": {"max_attempts": 2}`, "once": `, "retry": {"on": ["network"]}`,
	})
	const canary = "canary-in-a-header"
	ids := map[string]string{}
	for _, name := range []string{"flaky", "refused", "odd", "never", "once"} {
		ids[name] = p.queue(p.shop, user("user", "1"), name, 7, graphqlhttp.Header{Name: "X-Forwarded-Secret", Value: canary})
	}
	conn := must(pgx.Connect(context.Background(), p.control))(t)
	defer conn.Close(context.Background())
	leaks := func(where string) {
		var n, kept int
		if err := conn.QueryRow(context.Background(), `SELECT count(*) FILTER (WHERE r::text LIKE '%'||$1||'%' OR encode(coalesce(headers, ''), 'escape') LIKE '%'||$1||'%'),
			count(*) FILTER (WHERE finished_at IS NOT NULL AND headers IS NOT NULL) FROM tenantry.action_runs r`, canary).Scan(&n, &kept); err != nil {
			t.Fatal(err)
		}
		if n+kept > 0 {
			t.Errorf("%s: %d rows show a header, %d have headers after their end", where, n, kept)
		}
	}
	leaks("before delivery")
	p.work(4)
	run := p.until(p.shop, ids["flaky"], store.RunCompleted, 20*time.Second)
	if p.handler.got[run.ID] != 3 || len(run.Attempts) != 3 || run.Attempts[0].Status != 503 || run.Attempts[2].Status != 200 {
		t.Errorf("delivered %d times, attempts %+v", p.handler.got[run.ID], run.Attempts)
	}
	for name, want := range map[string]struct {
		deliveries int
		errors     string
	}{
		"refused": {1, `{"code":"too-late","error":"no","path":"$"}`},
		"odd":     {1, `{"code":"unexpected","error":"field \"n\" expected in webhook response, but not found","path":"$"}`},
		"never":   {2, `{"code":"unexpected","error":"internal error","path":"$"}`},
		"once":    {1, `{"code":"unexpected","error":"internal error","path":"$"}`},
	} {
		run := p.until(p.shop, ids[name], store.RunFailed, 20*time.Second)
		if string(run.Errors) != want.errors || p.handler.got[run.ID] != want.deliveries {
			t.Errorf("%s: %d deliveries, errors %s", name, p.handler.got[run.ID], run.Errors)
		}
	}
	leaks("afterwards")
}

func TestARunWhoseHandlerMayNotBeCalledNowLosesNoAttempt(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	p := setup(t, func(delivery) (int, string) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		time.Sleep(100 * time.Millisecond)
		return 200, done
	}, map[string]string{"narrow": `, "max_concurrency": 1, "retry": {"max_attempts": 1}`})
	var ids []string
	for range 5 {
		ids = append(ids, p.queue(p.shop, user("user", "1"), "narrow", 7))
	}
	p.work(10)
	for _, id := range ids {
		if run := p.until(p.shop, id, store.RunCompleted, 30*time.Second); len(run.Attempts) != 1 || run.Attempt != 1 {
			t.Errorf("attempts %+v", run.Attempts)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d ran at a time", most.Load())
	}
}

func TestARunThatIsTooOldIsNotDelivered(t *testing.T) {
	t.Parallel()
	p := setup(t, func(d delivery) (int, string) {
		if d.action == "postponed" {
			return 202, `{"status": "pending"}`
		}
		return 200, done
	}, map[string]string{"soon": `, "max_age_seconds": 1`, "postponed": `, "max_age_seconds": 3`})
	late := p.queue(p.shop, user("user", "1"), "soon", 1)
	time.Sleep(1100 * time.Millisecond)
	silent := p.queue(p.shop, user("user", "1"), "postponed", 1)
	p.work(4)
	p.until(p.shop, silent, store.RunPending, 10*time.Second)
	for _, id := range []string{late, silent} {
		run := p.until(p.shop, id, store.RunFailed, 15*time.Second)
		if want := `{"code":"action-expired","error":"the action was not completed in time","path":"$"}`; string(run.Errors) != want {
			t.Errorf("errors %s", run.Errors)
		}
	}
	if p.handler.got[late] != 0 {
		t.Error("a run was delivered after its time")
	}
}

func TestAHandlerReportsOnceWithItsToken(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 10)
	p := setup(t, func(d delivery) (int, string) { tokens <- d.token; return 202, `{"status": "pending"}` }, map[string]string{"count": ""})
	p.work(4)
	id := p.queue(p.shop, user("user", "1"), "count", 1)
	p.until(p.shop, id, store.RunPending, 10*time.Second)
	token := <-tokens
	for _, step := range []struct {
		token, body string
		want        errcode.Code
	}{
		{"", `{"output": {"n": 5}}`, errcode.AccessDenied},
		{token + "x", `{"output": {"n": 5}}`, errcode.AccessDenied},
		{token, `{"output": {"m": 5}}`, errcode.ValidationFailed},
		{token, `{"output": {"n": 5}, "errors": {"message": "no"}}`, errcode.ValidationFailed},
		{token, `5`, errcode.ValidationFailed},
		{token, `{"output": {"n": 5}}`, ""},
		{token, `{"output": {"n": 6}}`, errcode.Conflict},
	} {
		err := p.instance(p.shop).CompleteRun(context.Background(), instance.Completion{Run: id, Token: step.token, Body: []byte(step.body)})
		if got := errcode.From(err); got == nil && step.want != "" || got != nil && got.Code != step.want {
			t.Errorf("%s: %v, want %q", step.body, err, step.want)
		}
	}
	if got := fmt.Sprint(p.result(user("user", "1"), "count", id)); got != "map[errors:<nil> output:map[n:5]]" {
		t.Errorf("result %s", got)
	}
	refused := p.queue(p.shop, user("user", "1"), "count", 2)
	p.until(p.shop, refused, store.RunPending, 10*time.Second)
	report := instance.Completion{Run: refused, Token: <-tokens, Body: []byte(`{"errors": {"message": "sold out", "extensions": {"code": "gone", "left": 0}}}`)}
	if err := p.instance(p.shop).CompleteRun(context.Background(), report); err != nil {
		t.Fatal(err)
	}
	seen, _ := json.Marshal(p.result(user("user", "1"), "count", refused))
	if want := `{"errors":{"code":"gone","error":"sold out","extensions":{"code":"gone","left":0},"path":"$"},"output":null}`; string(seen) != want {
		t.Errorf("result %s", seen)
	}
}

func TestCancellingOrDeletingARunBreaksItsDeliveryOff(t *testing.T) {
	t.Parallel()
	started, broken := make(chan struct{}, 1), make(chan struct{}, 1)
	p := setup(t, func(d delivery) (int, string) {
		started <- struct{}{}
		select {
		case <-d.gone:
			broken <- struct{}{}
		case <-time.After(20 * time.Second):
		}
		return 200, done
	}, map[string]string{"count": ""})
	p.work(4)
	ctx := context.Background()
	for _, end := range []func(id string){
		func(id string) {
			if err := p.store.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "test", Outcome: audit.OK}}, func(ctx context.Context, tx *store.Tx) error {
				ok, err := tx.CancelRun(ctx, p.shop, id)
				if !ok {
					t.Errorf("%s is not cancelled", id)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		},
		func(string) {
			if err := p.store.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "test", Outcome: audit.OK}}, func(ctx context.Context, tx *store.Tx) error {
				n, err := tx.DeleteRuns(ctx, p.shop, store.RunPurge{Action: "count", Open: true})
				if n != 2 { // the cancelled one, too
					t.Errorf("%d runs were deleted", n)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		id := p.queue(p.shop, user("user", "1"), "count", 1)
		<-started
		end(id)
		select {
		case <-broken: // long before the lease would be missed
		case <-time.After(2 * time.Second):
			t.Error("the delivery went on")
		}
		time.Sleep(200 * time.Millisecond)
		if run, err := p.store.Run(ctx, p.shop, id); err == nil && run.State != store.RunCancelled {
			t.Errorf("the run is %s", run.State)
		}
	}
	if runs, _, err := p.store.Runs(ctx, p.shop, store.RunFilter{}, store.Page{}); err != nil || len(runs) != 0 {
		t.Errorf("runs are left: %+v, %v", runs, err)
	}
}

func TestAWorkerThatStopsHandsItsRunsOn(t *testing.T) {
	t.Parallel()
	first := make(chan struct{}, 1)
	p := setup(t, func(d delivery) (int, string) {
		if d.n == 1 {
			first <- struct{}{}
			select {
			case <-d.gone:
			case <-time.After(20 * time.Second):
			}
		}
		return 200, done
	}, map[string]string{"count": ""})
	_, drain := p.work(4)
	id := p.queue(p.shop, user("user", "1"), "count", 1)
	<-first
	drain(200 * time.Millisecond)
	if run := p.until(p.shop, id, store.RunQueued, time.Second); run.Attempt != 0 {
		t.Errorf("what the worker broke off counts as attempt: %+v", run)
	}
	p.work(4)
	p.until(p.shop, id, store.RunCompleted, 5*time.Second)
}

func TestRunsAreKeptAsLongAsTheirProjectSays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := setup(t, nil, map[string]string{"count": ""})
	conn := must(pgx.Connect(ctx, p.control))(t)
	defer conn.Close(ctx)
	ended := func(project string, days, n int) {
		if _, err := conn.Exec(ctx, `INSERT INTO tenantry.action_runs (id, project_id, action, state, role, identity, request, token_hash, deadline, finished_at)
			SELECT gen_random_uuid(), $1, 'count', 'completed', 'user', '{}', '', '', now(), now() - make_interval(days => $2) FROM generate_series(1, $3)`, project, days, n); err != nil {
			t.Fatal(err)
		}
	}
	kept := map[string]string{} // by project: the ages that are kept
	for _, c := range []struct {
		slug      string
		retention *int
		ages      []int
		kept      string
	}{
		{"shop", nil, []int{13, 15, 40}, "[13]"},
		{"brief", new(3), []int{0, 2, 4}, "[0 2]"},
		{"long", new(60), []int{13, 29, 31}, "[13 29]"}, // the operator allows 30
	} {
		id := p.shop
		if c.slug != "shop" {
			id = p.project(c.slug, "http://127.0.0.1:9", nil)
		}
		if err := p.store.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "test", Outcome: audit.OK}}, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.UpdateProject(ctx, id, store.ProjectEdit{RunRetention: c.retention})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, age := range c.ages {
			ended(id, age, 1)
		}
		kept[id] = c.kept
	}
	ended(p.shop, 20, store.PrunedAtOnce+50) // more than are deleted at once
	open := p.queue(p.shop, admin, "count", 1)
	if _, err := conn.Exec(ctx, "UPDATE tenantry.action_runs SET created_at = now() - interval '100 days', available_at = now() + interval '1 day' WHERE id = $1", open); err != nil {
		t.Fatal(err)
	}
	w := worker.New(worker.Deps{Store: p.store, Live: p.registry, Metrics: p.counts, Logger: slog.New(slog.DiscardHandler), MostRetention: 30})
	working, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.Run(working) }()
	defer func() { stop(); <-done }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := map[string]string{}
		for id := range kept {
			var ages []int
			if err := conn.QueryRow(ctx, `SELECT array_agg(extract(day FROM now() - finished_at)::int ORDER BY finished_at DESC)
				FROM tenantry.action_runs WHERE project_id = $1 AND finished_at IS NOT NULL`, id).Scan(&ages); err != nil {
				t.Fatal(err)
			}
			left[id] = fmt.Sprint(ages)
		}
		if maps.Equal(left, kept) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("kept %v, want %v", left, kept)
		}
	}
	p.until(p.shop, open, store.RunQueued, time.Second)
}
