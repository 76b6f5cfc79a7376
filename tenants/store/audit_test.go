package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tenantry/ops/audit"
	"tenantry/tenants/store"
)

const projectID = "018f0000-0000-7000-8000-000000000001"

func TestAppendedEventsFormOneChainHoweverManyWrite(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	other := "018f0000-0000-7000-8000-000000000002"
	var writers sync.WaitGroup
	for w := range 6 {
		writers.Go(func() {
			for i := range 10 {
				events := []audit.Event{
					{ProjectID: projectID, TenantID: "t", Kind: audit.KindDenial, Action: fmt.Sprintf("%d/%d", w, i), Detail: map[string]any{"n": i, "f": 0.5}},
					{ProjectID: other, TenantID: "t", Kind: audit.KindRequest},
				}
				if w%2 == 1 {
					events[0], events[1] = events[1], events[0]
				}
				if err := s.Append(t.Context(), events); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for _, chain := range []string{projectID, other} {
		v, err := s.VerifyAudit(t.Context(), chain)
		if err != nil || !v.OK || v.Checked != 60 {
			t.Errorf("chain %s: %+v, %v", chain, v, err)
		}
	}
}

func TestABatchTriedAgainIsKeptOnce(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	events := []audit.Event{audit.Event{ProjectID: projectID}.Complete(time.Now())}
	for range 3 {
		if err := s.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := s.VerifyAudit(t.Context(), projectID); err != nil || v.Checked != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestWhatAClientSentIsKept(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	sent := audit.Event{
		ProjectID: projectID, TenantID: "t", Kind: audit.KindAction, Actor: audit.Actor{Kind: audit.ActorUser, ID: "u\x00\xff"},
		Role: "user", Action: "action.call", Target: "action/'\"ü", Outcome: audit.Failed, Code: "unexpected", RequestID: "r", IP: "::1",
		Detail: map[string]any{"text": "a\x00b", "n": int64(1) << 60, "nested": map[string]any{"b": 1.25, "a": nil}},
	}
	if err := s.Append(t.Context(), []audit.Event{sent}); err != nil {
		t.Fatal(err)
	}
	kept, _, err := s.ProjectAudit(t.Context(), projectID, store.AuditFilter{}, store.Page{})
	if err != nil || len(kept) != 1 {
		t.Fatal(len(kept), err)
	}
	e := kept[0]
	if e.Seq != 1 || e.Actor.ID != "u\uFFFD" || e.Target != sent.Target || e.Outcome != sent.Outcome || e.IP != "::1" || fmt.Sprint(e.Detail["n"]) != "1152921504606846976" {
		t.Errorf("%+v", e)
	}
	if v, err := s.VerifyAudit(t.Context(), projectID); err != nil || !v.OK {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestTheAuditIsReadNewestFirstAndFiltered(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	start := time.Now().Add(-time.Hour)
	for i := range 30 {
		e := audit.Event{ProjectID: projectID, TenantID: "t", Kind: audit.KindRequest, At: start.Add(time.Duration(i) * time.Minute), Action: fmt.Sprint(i)}
		if i%3 == 0 {
			e.Kind, e.Outcome = audit.KindDenial, audit.Denied
		}
		if err := s.Append(t.Context(), []audit.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(t.Context(), []audit.Event{{TenantID: "t", Kind: audit.KindChange, Action: "tenant"}, {TenantID: "someone else", Kind: audit.KindChange}}); err != nil {
		t.Fatal(err)
	}
	project := func(f store.AuditFilter, p store.Page) ([]audit.Event, string, error) {
		return s.ProjectAudit(t.Context(), projectID, f, p)
	}
	tenant := func(f store.AuditFilter, p store.Page) ([]audit.Event, string, error) {
		return s.TenantAudit(t.Context(), "t", f, p)
	}
	cases := map[string]struct {
		read   func(store.AuditFilter, store.Page) ([]audit.Event, string, error)
		filter store.AuditFilter
		count  int
		newest string
	}{
		"project":           {project, store.AuditFilter{}, 30, "29"},
		"project denials":   {project, store.AuditFilter{Kind: audit.KindDenial}, 10, "27"},
		"project outcome":   {project, store.AuditFilter{Outcome: audit.Denied}, 10, "27"},
		"project since":     {project, store.AuditFilter{Since: start.Add(20 * time.Minute)}, 10, "29"},
		"project no such":   {project, store.AuditFilter{Kind: "\x00"}, 0, ""},
		"tenant":            {tenant, store.AuditFilter{}, 31, "tenant"},
		"tenant since, ok":  {tenant, store.AuditFilter{Since: start.Add(20 * time.Minute), Outcome: audit.OK}, 8, "tenant"},
		"tenant in changes": {tenant, store.AuditFilter{Kind: audit.KindChange}, 1, "tenant"},
	}
	for name, c := range cases {
		var all []audit.Event
		page := store.Page{Limit: 7}
		for {
			items, next, err := c.read(c.filter, page)
			if err != nil {
				t.Fatal(name, err)
			}
			all = append(all, items...)
			if page.Cursor = next; next == "" {
				break
			}
		}
		if len(all) != c.count || c.count > 0 && all[0].Action != c.newest {
			t.Errorf("%s: %d events, want %d with %q first", name, len(all), c.count, c.newest)
		}
		for i := 1; i < len(all); i++ {
			if all[i].At.After(all[i-1].At) {
				t.Errorf("%s: event %d is newer than the one before", name, i)
			}
		}
	}
}

func TestVerifyFindsWhatWasDoneToTheTable(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		sql string
		bad int64
	}{
		"changed":       {"UPDATE tenantry.audit_events SET actor_id = 'someone else' WHERE seq = 3", 3},
		"detail":        {`UPDATE tenantry.audit_events SET detail = '{"n":9}' WHERE seq = 3`, 3},
		"deleted":       {"DELETE FROM tenantry.audit_events WHERE seq = 2", 2},
		"newest gone":   {"DELETE FROM tenantry.audit_events WHERE seq = 5", 5},
		"all gone":      {"DELETE FROM tenantry.audit_events", 1},
		"swapped":       {"UPDATE tenantry.audit_events SET seq = CASE seq WHEN 3 THEN 40 ELSE 30 END WHERE seq IN (3, 4)", 3},
		"hash replaced": {"UPDATE tenantry.audit_events SET hash = repeat('0', 64) WHERE seq = 4", 4},
	}
	s, url := open(t)
	for name, c := range cases {
		query(t, url, "TRUNCATE tenantry.audit_events, tenantry.audit_heads")
		for i := range 5 {
			if err := s.Append(t.Context(), []audit.Event{{ProjectID: projectID, Detail: map[string]any{"n": i}}}); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := s.VerifyAudit(t.Context(), projectID); err != nil || !v.OK || v.Checked != 5 {
			t.Fatalf("untouched: %+v, %v", v, err)
		}
		query(t, url, c.sql)
		v, err := s.VerifyAudit(t.Context(), projectID)
		if err != nil || v.OK || v.FirstBad.Seq != c.bad {
			t.Errorf("%s: %+v %+v, %v; want %d", name, v, v.FirstBad, err, c.bad)
		}
	}
}

func TestIdempotentAnswers(t *testing.T) {
	t.Parallel()
	s, url := open(t)
	ctx := t.Context()
	begin := func(hash string) (*store.Answer, *store.Claim, error) {
		return s.BeginIdempotent(ctx, "tenant/POST /projects", "key-1", []byte(hash))
	}
	_, claim, err := begin("a")
	if err != nil || claim == nil {
		t.Fatal(err)
	}
	if _, _, err := begin("a"); !errors.Is(err, store.ErrIdempotencyInProgress) {
		t.Errorf("while running: %v", err)
	}
	if err := claim.Abandon(ctx); err != nil {
		t.Fatal(err)
	}
	_, claim, err = begin("a")
	if err != nil || claim == nil {
		t.Fatalf("after a failure: %v", err)
	}
	if err := claim.Finish(ctx, store.Answer{Status: 201, Header: map[string]string{"etag": "1"}, Body: []byte(`{"secret":"canary"}`)}); err != nil {
		t.Fatal(err)
	}
	answer, again, err := begin("a")
	if err != nil || again != nil || answer.Status != 201 || string(answer.Body) != `{"secret":"canary"}` {
		t.Errorf("replay: %+v, %v", answer, err)
	}
	if _, _, err := begin("b"); !errors.Is(err, store.ErrIdempotencyConflict) {
		t.Errorf("another request: %v", err)
	}
	if n := query(t, url, "SELECT count(*)::text FROM tenantry.idempotent_answers WHERE encode(answer, 'escape') LIKE '%canary%'"); n != "0" {
		t.Error("the answer is not sealed")
	}
	if _, other, err := s.BeginIdempotent(ctx, "another tenant", "key-1", []byte("a")); err != nil || other == nil {
		t.Errorf("another caller's key of the same name: %v", err)
	}
	query(t, url, "UPDATE tenantry.idempotent_answers SET claimed_at = now() - interval '25 hours' WHERE scope LIKE 'tenant%'")
	if n, err := s.PruneAnswers(ctx); err != nil || n != 1 {
		t.Errorf("pruned %d, %v", n, err)
	}
	_, claim, err = begin("b")
	if err != nil || claim == nil {
		t.Fatalf("after a day: %v", err)
	}
	// The node that ran it died: another takes over, and the first can't
	// answer any more.
	query(t, url, "UPDATE tenantry.idempotent_answers SET leased_until = now() - interval '1 second' WHERE scope LIKE 'tenant%'")
	_, second, err := begin("b")
	if err != nil || second == nil {
		t.Fatalf("after a crash: %v", err)
	}
	_ = claim.Finish(ctx, store.Answer{Status: 500})
	if _, _, err := begin("b"); !errors.Is(err, store.ErrIdempotencyInProgress) {
		t.Errorf("the dead node answered: %v", err)
	}
}

func TestARequestThatWasNotFinishedRunsAgainAsTheSameDelivery(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	begin := func(hash string) (*store.Claim, error) {
		_, claim, err := s.BeginLeased(ctx, "p", "k", []byte(hash), 300*time.Millisecond)
		return claim, err
	}
	first, err := begin("a")
	if err != nil {
		t.Fatal(err)
	}
	if own, err := first.Renew(ctx, time.Minute); !own || err != nil {
		t.Fatalf("renewed: %v, %v", own, err)
	}
	time.Sleep(400 * time.Millisecond)
	if _, err := begin("a"); !errors.Is(err, store.ErrIdempotencyInProgress) {
		t.Errorf("a renewed claim was taken over: %v", err)
	}
	if err := first.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := begin("b"); !errors.Is(err, store.ErrIdempotencyConflict) {
		t.Errorf("another request took over: %v", err)
	}
	second, err := begin("a")
	if err != nil || second.Delivery != first.Delivery || second.Delivery == "" {
		t.Fatalf("%v: deliveries %q and %q", err, first.Delivery, second.Delivery)
	}
	if own, err := first.Renew(ctx, time.Minute); own || err != nil {
		t.Errorf("the first renewed what another holds: %v, %v", own, err)
	}
	time.Sleep(400 * time.Millisecond) // the second one's node died
	third, err := begin("a")
	if err != nil || third.Delivery != first.Delivery {
		t.Fatalf("after the lease: %v, %+v", err, third)
	}
	_ = second.Finish(ctx, store.Answer{Status: 500})
	if err := third.Finish(ctx, store.Answer{Status: 200}); err != nil {
		t.Fatal(err)
	}
	if answer, _, err := s.BeginLeased(ctx, "p", "k", []byte("a"), time.Minute); err != nil || answer == nil || answer.Status != 200 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestOneOfManyEqualRequestsRuns(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	ran := 0
	for range 8 {
		wait.Go(func() {
			_, claim, err := s.BeginIdempotent(context.Background(), "s", "k", []byte("h"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case claim != nil:
				ran++
			case !errors.Is(err, store.ErrIdempotencyInProgress):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if ran != 1 {
		t.Errorf("%d ran", ran)
	}
}
