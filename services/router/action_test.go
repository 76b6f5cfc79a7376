package router_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/services/router/socket"
	"tenantry/tenants/settings"
)

// inventory is a handler whose answer a test may change.
type inventory struct {
	answer atomic.Pointer[http.HandlerFunc]
	calls  atomic.Int32
}

func (h *inventory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	(*h.answer.Load())(w, r)
}

func (h *inventory) does(f http.HandlerFunc) { h.answer.Store(&f) }

func (h *inventory) says(status int, body string) {
	h.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) })
}

// startInventory makes a project with the mutation take(of: json): Int, and keys that
// its definition has beside the handler.
func startInventory(t *testing.T, more string) (*server, *inventory) {
	s := start(t, socket.Limits{})
	h := &inventory{}
	h.says(200, "1")
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	s.command("create_action", fmt.Sprintf(`{"name": "take", "definition": {"handler": %q, "arguments": [{"name": "of", "type": "json"}], "output_type": "Int"%s}}`, web.URL, more))
	return s, h
}

func (s *server) take(headers ...string) (string, http.Header) {
	return s.keyed("", "admin", "1", `mutation { take(of: {a: 1}) }`, headers...)
}

func TestAFailingHandlerIsNotCalledForAWhileWhateverChanges(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, "")
	h.says(503, "")
	for n := 0; ; n++ {
		if body, _ := s.take(); strings.Contains(body, `"action-circuit-open"`) {
			break
		}
		if n == 100 {
			t.Fatal("100 failures opened no circuit")
		}
	}
	called := h.calls.Load()
	s.command("pg_untrack_table", `{"table": "brief"}`) // a new revision
	started := time.Now()
	if body, _ := s.take(); !strings.Contains(body, `"code":"action-circuit-open"`) || h.calls.Load() != called || time.Since(started) > time.Second {
		t.Errorf("%s after %v; %d more calls", body, time.Since(started), h.calls.Load()-called)
	}
	if got := s.metric("tenantry_action_circuits_open") + " " + s.metric("tenantry_action_circuit_opened_total") + " " + s.metric(`tenantry_action_refusals_total{reason="circuit-open"}`); got != "1 1 2" {
		t.Errorf("open, opened and refused: %s", got)
	}
	h.says(200, "7")
	eventually(t, "the circuit closes", func() bool { body, _ := s.take(); return body == `{"data":{"take":7}}` })
	if got := s.metric("tenantry_action_circuits_open"); got != "0" {
		t.Errorf("open: %s", got)
	}
}

func TestAnActionBeyondItsCapIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, `, "max_concurrency": 1`)
	arrived, let := make(chan struct{}), make(chan struct{})
	h.does(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-let
		_, _ = io.WriteString(w, "1")
	})
	done := make(chan string)
	go func() { body, _ := s.take(); done <- body }()
	<-arrived
	if body, _ := s.take(); !strings.Contains(body, `"code":"action-overloaded"`) || h.calls.Load() != 1 {
		t.Errorf("%s; %d calls", body, h.calls.Load())
	}
	close(let)
	if body := <-done; body != `{"data":{"take":1}}` {
		t.Error(body)
	}
	if got := s.metric(`tenantry_action_refusals_total{reason="overloaded"}`); got != "1" {
		t.Errorf("refusals: %s", got)
	}
}

func TestACallIsRetriedAndChosenHeadersComeBack(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, `, "idempotency": true, "retry": {"max_attempts": 3, "on": ["503"]}, "forward_response_headers": ["X-Stock"]`)
	h.does(func(w http.ResponseWriter, _ *http.Request) {
		if h.calls.Load() < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Stock", "4")
		w.Header().Set("X-Own", "canary")
		_, _ = io.WriteString(w, "2")
	})
	body, header := s.take()
	if body != `{"data":{"take":2}}` || header.Get("X-Stock") != "4" || header.Get("X-Own") != "" {
		t.Errorf("%s %v", body, header)
	}
	if got := s.metric("tenantry_action_retries_total"); got != "2" || h.calls.Load() != 3 {
		t.Errorf("%s retries, %d calls", got, h.calls.Load())
	}
}

func TestArgumentsThatAreTooDeepReachNoHandler(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, "")
	// Of 32 levels the input itself is one.
	for depth, want := range map[int]string{31: `{"data":{"take":1}}`, 32: `the arguments are nested deeper than 32 levels`} {
		before := h.calls.Load()
		body, _ := s.keyed("", "admin", "1", `mutation { take(of: `+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`) }`)
		if !strings.Contains(body, want) {
			t.Errorf("%d: %s", depth, body)
		}
		if called := h.calls.Load() > before; called != (depth == 31) {
			t.Errorf("%d: called: %v", depth, called)
		}
	}
}

func TestAProjectMayLetTheClientsHeadersWin(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, `, "forward_client_headers": true, "headers": [{"name": "X-Api-Key", "value": "configured"}]`)
	var got atomic.Value
	h.does(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("X-Api-Key"))
		_, _ = io.WriteString(w, "1")
	})
	for _, c := range []struct {
		clientFirst bool
		want        string
	}{{false, "configured"}, {true, "client"}} {
		s.configure(func(set *settings.Settings) { set.Compat.ClientHeadersFirst = c.clientFirst })
		if body, _ := s.take("X-Api-Key", "client"); body != `{"data":{"take":1}}` || got.Load() != c.want {
			t.Errorf("client first %v: the handler got %v; %s", c.clientFirst, got.Load(), body)
		}
	}
}

func TestTheExchangeIsShownToAdminsAndInDevModeWithoutSecrets(t *testing.T) {
	t.Parallel()
	s, h := startInventory(t, `, "headers": [{"name": "X-Api-Key", "value": "Bearer canary-secret"}]`)
	s.command("create_action_permission", `{"action": "take", "role": "user"}`)
	h.does(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, `{"trace": "stack of the handler", "got": %q}`, r.Header.Get("X-Api-Key"))
	})
	const ask = `mutation { take(of: {a: 1}) }`
	for _, c := range []struct {
		role     string
		dev, see bool
	}{{"user", false, false}, {"admin", false, true}, {"user", true, true}} {
		s.configure(func(set *settings.Settings) { set.DevMode = c.dev })
		body, _ := s.keyed("", c.role, "1", ask)
		if strings.Contains(body, "canary-secret") {
			t.Errorf("%s, dev mode %v: a secret is shown: %s", c.role, c.dev, body)
		}
		told := strings.Contains(body, `"internal":`) && strings.Contains(body, "stack of the handler") && strings.Contains(body, `"got":"***"`)
		if told != c.see || strings.Contains(body, "stack of") != c.see {
			t.Errorf("%s, dev mode %v: %s", c.role, c.dev, body)
		}
	}
}

func TestActionsOfAMutationRunInOrderUntilOneFails(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	const three = `mutation { one: pay(amount: 1) { number } insert_notes_one(object: {id: 7, owner: "ann", text: "x"}) { id } two: refund(amount: %d) { number } three: pay(amount: 3) { number } }`
	amounts := func(from int) (out []int) {
		for _, c := range h.since(from) {
			out = append(out, c.amount)
		}
		return out
	}
	body, _ := s.keyed("", "user", "ann", fmt.Sprintf(three, 400))
	if got := amounts(0); !strings.Contains(body, `"no money"`) || strings.Contains(body, `"data"`) || !slices.Equal(got, []int{1, 400}) {
		t.Errorf("%s after calls with %v", body, got)
	}
	// What came before stays: it can't be done again.
	if body, _ := s.keyed("", "user", "ann", fmt.Sprintf(three, 2)); !strings.Contains(body, "constraint-violation") || !slices.Equal(amounts(2), []int{1}) {
		t.Errorf("%s after calls with %v", body, amounts(2))
	}
}
