package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"tenantry/ops/audit"
)

// memory is a log in memory that can be down, slow or picky.
type memory struct {
	mu     sync.Mutex
	kept   []audit.Event
	heads  map[string]audit.Event
	down   error
	reject string        // an action that is refused for good
	gate   chan struct{} // when set, Append waits for it
	calls  int
}

func (m *memory) Append(ctx context.Context, events []audit.Event) error {
	if m.gate != nil {
		select {
		case <-m.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.down != nil {
		return m.down
	}
	if m.reject != "" && slices.ContainsFunc(events, func(e audit.Event) bool { return e.Action == m.reject }) {
		return fmt.Errorf("append: %w", audit.ErrRejected)
	}
	if m.heads == nil {
		m.heads = map[string]audit.Event{}
	}
	for _, e := range events {
		head := m.heads[e.ChainID()]
		e.Seq = head.Seq + 1
		e.Hash = audit.Chain(head.Hash, e)
		m.heads[e.ChainID()] = e
		m.kept = append(m.kept, e)
	}
	return nil
}

func (m *memory) set(f func()) { m.mu.Lock(); defer m.mu.Unlock(); f() }

func (m *memory) events() []audit.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept)
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func recorder(t *testing.T, log audit.Log, o audit.Options) *audit.Recorder {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	r := audit.NewRecorder(log, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = r.Close(ctx)
	})
	return r
}

func TestRecorderKeepsEverythingInOrderAndInBatches(t *testing.T) {
	t.Parallel()
	log := &memory{}
	r := recorder(t, log, audit.Options{Batch: 100})
	for i := range 1000 {
		r.Record(audit.Event{ProjectID: "p", Kind: audit.KindDenial, Action: fmt.Sprint(i)})
	}
	if err := r.Flush(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	kept := log.events()
	if len(kept) != 1000 || kept[999].Action != "999" || r.Lost() != 0 {
		t.Fatalf("kept %d events, lost %d", len(kept), r.Lost())
	}
	if log.calls > 20 {
		t.Errorf("%d appends for 1000 events: not batched", log.calls)
	}
	if bad := audit.Verify(kept); bad != nil {
		t.Errorf("chain: %+v", bad)
	}
}

func TestEventsAreReadableWithinASecondWithoutFlush(t *testing.T) {
	t.Parallel()
	log := &memory{}
	r := recorder(t, log, audit.Options{})
	r.Record(audit.Event{Kind: audit.KindAdmin})
	deadline := time.Now().Add(time.Second)
	for len(log.events()) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("not readable after a second")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestALogThatIsDownLosesNothingWhileTheQueueHolds(t *testing.T) {
	t.Parallel()
	log := &memory{down: errors.New("connection refused")}
	r := recorder(t, log, audit.Options{Queue: 8, Batch: 4, Interval: time.Millisecond})
	for range 20 {
		r.Record(audit.Event{Kind: audit.KindDenial})
	}
	if err := r.Flush(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("flush of a log that is down: %v", err)
	}
	if s := r.Stats(); s.Lost != 12 || s.Queued != 8 {
		t.Fatalf("stats %+v, want 12 lost and 8 queued", s)
	}
	log.set(func() { log.down = nil })
	if err := r.Flush(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Written != 8 || s.Lost != 12 || s.Queued != 0 {
		t.Fatalf("stats %+v after the log came back", s)
	}
}

func TestSampledRequestsMakeRoomForDenials(t *testing.T) {
	t.Parallel()
	r := recorder(t, &memory{down: errors.New("down")}, audit.Options{Queue: 8})
	for range 10 {
		r.Record(audit.Event{Kind: audit.KindRequest})
	}
	r.Record(audit.Event{Kind: audit.KindDenial})
	if s := r.Stats(); s.Queued != 7 || s.Lost != 4 {
		t.Fatalf("stats %+v, want 6 requests and the denial queued", s)
	}
}

// Samples of ordinary requests gather for longer; what else happens takes them along.
func TestOrdinaryEventsWaitForOthers(t *testing.T) {
	t.Parallel()
	log := &memory{}
	r := recorder(t, log, audit.Options{Interval: 20 * time.Millisecond, Patience: time.Minute})
	for range 3 {
		r.Record(audit.Event{Kind: audit.KindRequest, Outcome: audit.OK})
		time.Sleep(50 * time.Millisecond)
	}
	if n := len(log.events()); n != 0 {
		t.Fatalf("%d requests were written alone", n)
	}
	r.Record(audit.Event{Kind: audit.KindDenial})
	for until := time.Now().Add(10 * time.Second); len(log.events()) < 4; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d of 4 events are written", len(log.events()))
		}
	}
	if log.calls != 1 {
		t.Errorf("%d appends, want one", log.calls)
	}

	impatient := recorder(t, log, audit.Options{Patience: 20 * time.Millisecond})
	impatient.Record(audit.Event{Kind: audit.KindRequest})
	for until := time.Now().Add(10 * time.Second); len(log.events()) < 5; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("a request alone is never written")
		}
	}
}

func TestARejectedEventDoesNotTakeOthersWithIt(t *testing.T) {
	t.Parallel()
	log := &memory{reject: "bad"}
	r := recorder(t, log, audit.Options{})
	for _, action := range []string{"a", "bad", "b"} {
		r.Record(audit.Event{Action: action})
	}
	if err := r.Flush(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if kept := log.events(); len(kept) != 2 || r.Lost() != 1 {
		t.Fatalf("kept %d, lost %d", len(kept), r.Lost())
	}
}

func TestRecordNeverWaitsForASlowLog(t *testing.T) {
	t.Parallel()
	log := &memory{gate: make(chan struct{})}
	r := recorder(t, log, audit.Options{})
	start := time.Now()
	for range 10_000 {
		r.Record(audit.Event{Kind: audit.KindRequest})
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("10000 records took %s", d)
	}
	close(log.gate)
	if err := r.Flush(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestCloseWritesWhatIsQueuedAndCountsWhatComesLater(t *testing.T) {
	t.Parallel()
	log := &memory{}
	r := recorder(t, log, audit.Options{Interval: time.Hour})
	r.Record(audit.Event{})
	if err := r.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	r.Record(audit.Event{})
	if len(log.events()) != 1 || r.Lost() != 1 {
		t.Errorf("kept %d, lost %d", len(log.events()), r.Lost())
	}

	down := recorder(t, &memory{down: errors.New("down")}, audit.Options{})
	down.Record(audit.Event{})
	if err := down.Close(within(t, 20*time.Millisecond)); err == nil || down.Lost() != 1 {
		t.Errorf("close left an event behind in silence: %v, lost %d", err, down.Lost())
	}
}

func chain(n int) []audit.Event {
	var events []audit.Event
	prev := ""
	for i := range n {
		e := audit.Event{Kind: audit.KindChange, ProjectID: "p", Action: "x", Detail: map[string]any{"n": i}}.Complete(time.Now())
		e.Seq = int64(i + 1)
		e.Hash = audit.Chain(prev, e)
		prev = e.Hash
		events = append(events, e)
	}
	return events
}

func TestVerifyFindsEveryKindOfTampering(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		tamper func([]audit.Event) []audit.Event
		bad    int64
	}{
		"untouched":      {func(e []audit.Event) []audit.Event { return e }, 0},
		"field changed":  {func(e []audit.Event) []audit.Event { e[2].Target = "y"; return e }, 3},
		"actor changed":  {func(e []audit.Event) []audit.Event { e[2].Actor.ID = "y"; return e }, 3},
		"detail changed": {func(e []audit.Event) []audit.Event { e[2].Detail = map[string]any{"n": 7}; return e }, 3},
		"time changed":   {func(e []audit.Event) []audit.Event { e[0].At = e[0].At.Add(time.Microsecond); return e }, 1},
		"hash recomputed": {func(e []audit.Event) []audit.Event {
			e[1].Code = "c"
			e[1].Hash = audit.Chain(e[0].Hash, e[1])
			return e
		}, 3},
		"removed":          {func(e []audit.Event) []audit.Event { return slices.Delete(e, 1, 2) }, 2},
		"reordered":        {func(e []audit.Event) []audit.Event { e[3], e[4] = e[4], e[3]; return e }, 4},
		"moved text":       {func(e []audit.Event) []audit.Event { e[1].Action, e[1].Target = "", "x"; return e }, 2},
		"first is missing": {func(e []audit.Event) []audit.Event { return e[1:] }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := audit.Verify(c.tamper(chain(6)))
			if c.bad == 0 && bad != nil || c.bad != 0 && (bad == nil || bad.Seq != c.bad) {
				t.Errorf("verify says %+v, want seq %d", bad, c.bad)
			}
		})
	}
	t.Run("newest removed", func(t *testing.T) {
		t.Parallel()
		events := chain(6)
		var v audit.Verifier
		for _, e := range events[:5] {
			v.Add(e)
		}
		if v.FirstBad() != nil || v.End(events[5].Seq, events[5].Hash) == nil {
			t.Error("the removal of the newest event was not seen")
		}
	})
}

func TestADetailReadBackHashesTheSame(t *testing.T) {
	t.Parallel()
	type inner struct{ Z, A string }
	for _, test := range []struct {
		name  string
		value any
		text  string
	}{
		{"a large number", int64(9007199254740993), "9007199254740993"},
		{"a fraction", 1e21, "1e+21"},
		{"digits as they were", json.Number("1.50"), "1.50"},
		{"a text", "<é\u2028>", `"\u003cé\u2028\u003e"`},
		{"a text that is none", "\xff", "\"\uFFFD\""},
		{"a text that is none in a list", []string{"a", "\xff"}, "[\"a\",\"\uFFFD\"]"},
		{"a struct", inner{"z", "a"}, `{"A":"a","Z":"z"}`},
		{"a struct inside", map[string]any{"b": []any{inner{"z", "a"}}, "a": nil}, `{"a":null,"b":[{"A":"a","Z":"z"}]}`},
		{"a list", []any{1, nil, true, uint64(2)}, "[1,null,true,2]"},
		{"nothing", map[string]any{}, "{}"},
	} {
		e := audit.Event{Detail: map[string]any{"v": test.value}}
		got := audit.CanonicalDetail(e.Detail)
		if want := `{"v":` + test.text + `}`; got != want {
			t.Errorf("%s: %s, want %s", test.name, got, want)
		}
		read := e
		var err error
		if read.Detail, err = audit.ParseDetail([]byte(got)); err != nil {
			t.Fatal(err)
		}
		if audit.Chain("", read) != audit.Chain("", e) {
			t.Errorf("%s: %s\n%s", test.name, got, audit.CanonicalDetail(read.Detail))
		}
	}
}

func TestCompleteMakesWhatAClientSentStorable(t *testing.T) {
	t.Parallel()
	e := audit.Event{ID: "no uuid", Target: "a\x00b\xff", Detail: map[string]any{"f": func() {}}}.Complete(time.Now())
	if e.Target != "ab\uFFFD" || len(e.ID) != 36 || e.Outcome != audit.OK || e.At.Nanosecond()%1000 != 0 {
		t.Errorf("%+v", e)
	}
	if audit.CanonicalDetail(e.Detail) != `{"unencodable":true}` {
		t.Error(audit.CanonicalDetail(e.Detail))
	}
}
