package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
	"tenantry/services/router/socket"
)

// till is the handler of actions about money; it notes each call.
type till struct {
	mu    sync.Mutex
	calls []tillCall
	// let holds back calls with the amount 1000 until it is closed; arrived tells of them.
	let, arrived chan struct{}
}

type tillCall struct {
	action, id, key string
	amount          int
}

func (h *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		Action struct{ Name string }
		Input  struct{ Amount int }
	}
	_ = json.NewDecoder(r.Body).Decode(&sent)
	h.mu.Lock()
	h.calls = append(h.calls, tillCall{sent.Action.Name, r.Header.Get("Webhook-Id"), r.Header.Get("Idempotency-Key"), sent.Input.Amount})
	n := len(h.calls)
	h.mu.Unlock()
	switch sent.Input.Amount {
	case 400:
		w.WriteHeader(http.StatusPaymentRequired)
		_, _ = io.WriteString(w, `{"message":"no money","extensions":{"code":"broke","left":0.10}}`)
		return
	case 500:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case 1000:
		h.arrived <- struct{}{}
		<-h.let
	}
	w.Header().Add("Set-Cookie", fmt.Sprintf("receipt=%d", n))
	_, _ = fmt.Fprintf(w, `{"number": %d, "secret": "canary"}`, n)
}

// since is what it was called with after the first n calls.
func (h *till) since(n int) []tillCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls[n:])
}

func startTill(t *testing.T) (*server, *till) {
	s := start(t, socket.Limits{})
	h := &till{let: make(chan struct{}), arrived: make(chan struct{}, 10)}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	s.command("set_custom_types", `{"objects": [{"name": "Receipt", "fields": [{"name": "number", "type": "Int!"}, {"name": "secret", "type": "String"}]}]}`)
	for name, more := range map[string]string{"pay": "", "refund": "", "payLater": `, "kind": "asynchronous"`, "look": `, "type": "query"`} {
		s.command("create_action", fmt.Sprintf(`{"name": %q, "definition": {"handler": %q, "arguments": [{"name": "amount", "type": "Int!"}], "output_type": "Receipt"%s}}`, name, web.URL, more))
		for _, role := range []string{"user", "clerk"} {
			s.command("create_action_permission", fmt.Sprintf(`{"action": %q, "role": %q}`, name, role))
		}
	}
	s.command("pg_create_insert_permission", `{"table": "notes", "role": "user", "permission": {"columns": ["id", "owner", "text"], "check": {}}}`)
	return s, h
}

// keyed asks as a role and user with a key; the answer is its body and headers.
func (s *server) keyed(key, role, user, query string, headers ...string) (string, http.Header) {
	s.t.Helper()
	body := must(json.Marshal(map[string]string{"query": query}))(s.t)
	r := must(http.NewRequest(http.MethodPost, "http://"+s.address+"/p/shop/v1/graphql", strings.NewReader(string(body))))(s.t)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Header.Set("X-Hasura-Admin-Secret", s.secret)
	r.Header.Set("X-Hasura-Role", role)
	r.Header.Set("X-Hasura-User-Id", user)
	if key != "" {
		r.Header.Set("idempotency-key", key)
	}
	answer := must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	return string(must(io.ReadAll(answer.Body))(s.t)), answer.Header
}

func (s *server) inControl(sql string) (text string) {
	s.t.Helper()
	conn := must(pgx.Connect(context.Background(), s.control))(s.t)
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), sql).Scan(&text); err != nil {
		s.t.Fatal(err)
	}
	return text
}

const replayed = "Idempotency-Replayed"

func TestAMutationWithAKeyRunsOnce(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	const pay = `mutation { pay(amount: 5) { number secret } }`
	first, header := s.keyed("k1", "user", "ann", pay)
	if first != `{"data":{"pay":{"number":1,"secret":"canary"}}}` || header.Get(replayed) != "" {
		t.Fatalf("%s %v", first, header)
	}
	again, header := s.keyed("k1", "user", "ann", pay, "X-Other", "header")
	if again != first || header.Get(replayed) != "true" || header.Get("Set-Cookie") != "receipt=1" {
		t.Errorf("again: %s %v", again, header)
	}
	if calls := h.since(0); len(calls) != 1 || calls[0].key != "k1" {
		t.Errorf("the handler got %+v", calls)
	}
	if sealed := s.inControl(`SELECT count(*)::text FROM tenantry.idempotent_answers WHERE encode(answer, 'escape') LIKE '%canary%' OR scope LIKE '%ann%'`); sealed != "0" {
		t.Error("a kept answer, or whose it is, can be read in the database")
	}
	if s.metric("tenantry_idempotent_replays_total") != "1" {
		t.Errorf("replays: %s", s.metric("tenantry_idempotent_replays_total"))
	}
	for name, c := range map[string]struct{ key, role, user, query, want string }{
		"other arguments":         {"k1", "user", "ann", `mutation { pay(amount: 6) { number secret } }`, `"idempotency-conflict"`},
		"another selection":       {"k1", "user", "ann", `mutation { pay(amount: 5) { number } }`, `"idempotency-conflict"`},
		"a key that is too long":  {strings.Repeat("k", 256), "user", "ann", pay, `"bad-request"`},
		"a key that is no text":   {"k\xff", "user", "ann", pay, `"bad-request"`},
		"another user":            {"k1", "user", "bob", pay, `"number":`},
		"another role":            {"k1", "clerk", "ann", pay, `"number":`},
		"another action":          {"k1", "user", "ann", `mutation { refund(amount: 5) { number } }`, `"number":`},
		"another key":             {strings.Repeat("k", 255), "user", "ann", pay, `"number":`},
		"a query, which has none": {"k1", "user", "ann", `{ look(amount: 5) { number } }`, `"number":`},
	} {
		before := len(h.since(0))
		body, header := s.keyed(c.key, c.role, c.user, c.query)
		if !strings.Contains(body, c.want) || header.Get(replayed) != "" {
			t.Errorf("%s: %s %v", name, body, header)
		}
		if ran := len(h.since(before)) == 1; ran != strings.Contains(c.want, "number") {
			t.Errorf("%s: the handler was called: %v", name, ran)
		}
	}
	if body, _ := s.keyed("k1", "user", "ann", `mutation { pay(amount: 6) { number } }`, "Accept", graphqlhttp.MediaResponse); !strings.Contains(body, "used for another request") {
		t.Error(body)
	}
}

func TestWhatIsFinalIsKeptAndTheRestRunsAgainAsTheSameDelivery(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	refuse := `mutation { pay(amount: 400) { number } }`
	first, _ := s.keyed("no", "user", "ann", refuse)
	again, header := s.keyed("no", "user", "ann", refuse)
	if !strings.Contains(first, `"left":0.10`) || again != first || header.Get(replayed) != "true" || len(h.since(0)) != 1 {
		t.Errorf("a handler's refusal: %s, then %s %v", first, again, header)
	}
	fail := `mutation { one: pay(amount: 5) { number } two: pay(amount: 500) { number } }`
	before := len(h.since(0))
	for range 2 {
		if body, header := s.keyed("fail", "user", "ann", fail); !strings.Contains(body, "internal error") || header.Get(replayed) != "" {
			t.Errorf("%s %v", body, header)
		}
	}
	calls := h.since(before)
	if len(calls) != 4 || calls[0].id != calls[2].id || calls[1].id != calls[3].id || calls[0].id == calls[1].id {
		t.Errorf("deliveries of a request that ran twice: %+v", calls)
	}
	if body, _ := s.keyed("fail", "user", "ann", strings.Replace(fail, "500", "7", 1)); !strings.Contains(body, "idempotency-conflict") {
		t.Error(body)
	}

	// The node died between the handler's answer and the record of it.
	pay := `mutation { pay(amount: 8) { number } }`
	before = len(h.since(0))
	s.keyed("crash", "user", "ann", pay)
	s.inControl(`UPDATE tenantry.idempotent_answers SET answer = NULL, leased_until = now() - interval '1 second' WHERE key = 'crash' RETURNING key`)
	if body, header := s.keyed("crash", "user", "ann", pay); !strings.Contains(body, `"number"`) || header.Get(replayed) != "" {
		t.Errorf("after a crash: %s %v", body, header)
	}
	if calls := h.since(before); len(calls) != 2 || calls[0].id != calls[1].id {
		t.Errorf("after a crash: %+v", calls)
	}

	insert := `mutation { insert_notes_one(object: {id: 9, owner: "ann", text: "x"}) { id } }`
	first, _ = s.keyed("row", "user", "ann", insert)
	again, header = s.keyed("row", "user", "ann", insert)
	if !strings.Contains(first, `"id":9`) || again != first || header.Get(replayed) != "true" {
		t.Errorf("a row: %s, then %s", first, again)
	}

	later := `mutation { payLater(amount: 5) }`
	first, _ = s.keyed("later", "user", "ann", later)
	s.inControl(`UPDATE tenantry.idempotent_answers SET answer = NULL, leased_until = now() - interval '1 second' WHERE key = 'later' RETURNING key`)
	again, _ = s.keyed("later", "user", "ann", later)
	if first != again || !strings.Contains(first, "payLater") || s.inControl(`SELECT count(*)::text FROM tenantry.action_runs`) != "1" {
		t.Errorf("a run: %s, then %s", first, again)
	}
}

func TestTwoNodesAgreeWhoRunsAMutation(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	other := must(s.another().Get(t.Context(), "shop"))(t).Current().Instance
	const slow = `mutation { pay(amount: 1000) { number } }`
	done := make(chan string)
	go func() { body, _ := s.keyed("slow", "user", "ann", slow); done <- body }()
	<-h.arrived
	onOther := func() graphqlhttp.Response {
		response, _ := other.Execute(t.Context(), session.Session{
			Role: "user", Variables: map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "ann"}, Auth: session.AuthJWT,
		}, instance.Request{Request: graphqlhttp.Request{Query: slow}, ClientHeaders: []graphqlhttp.Header{{Name: "Idempotency-Key", Value: "slow"}}})
		return response
	}
	if r := onOther(); !strings.Contains(string(r.Body), "idempotency-in-progress") || r.Err.Status() != http.StatusConflict {
		t.Errorf("while it runs: %s", r.Body)
	}
	close(h.let)
	first := <-done
	r := onOther()
	if string(r.Body) != first || !slices.Contains(r.Headers, graphqlhttp.Header{Name: replayed, Value: "true"}) || len(h.since(0)) != 1 {
		t.Errorf("afterwards: %s, first %s, %d calls", r.Body, first, len(h.since(0)))
	}

	// Many at once: one runs, whoever is told that it runs may ask again.
	var wait sync.WaitGroup
	bodies := sync.Map{}
	for range 20 {
		wait.Go(func() {
			body, _ := s.keyed("race", "user", "ann", `mutation { pay(amount: 2) { number } }`)
			bodies.Store(body, true)
		})
	}
	wait.Wait()
	seen := slices.Collect(maps.Keys(toMap(&bodies)))
	if calls := h.since(1); len(calls) != 1 || len(seen) > 2 {
		t.Errorf("%d calls; answers %v", len(calls), seen)
	}
}

func toMap(from *sync.Map) map[string]bool {
	out := map[string]bool{}
	from.Range(func(key, _ any) bool { out[key.(string)] = true; return true })
	return out
}

func TestAKeyOfASocketIsNoKeyOfItsMutations(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	p := s.dial(newer, "/v1/graphql", "X-Hasura-Admin-Secret", s.secret, "Idempotency-Key", "socket")
	p.send(`{"type":"connection_init"}`)
	p.want(`{"type":"connection_ack"}`)
	for n := range 2 {
		p.send(fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":{"query":"mutation { pay(amount: 5) { number } }"}}`, n))
		p.want(fmt.Sprintf(`{"type":"next","id":"%d","payload":{"data":{"pay":{"number":%d}}}}`, n, n+1))
		p.want(fmt.Sprintf(`{"type":"complete","id":"%d"}`, n))
	}
	if calls := h.since(0); len(calls) != 2 || calls[0].key != "" {
		t.Errorf("the handler got %+v", calls)
	}
}

// ask is an operation with extensions, as a message of a socket.
func ask(protocol, id, query, extensions string) string {
	kind := map[string]string{older: "start", newer: "subscribe"}[protocol]
	return fmt.Sprintf(`{"id":%q,"type":%q,"payload":{"query":%q,"extensions":%s}}`, id, kind, query, extensions)
}

// asUser is a socket of the user ann.
func (s *server) asUser(protocol string) *peer {
	s.t.Helper()
	p := s.dial(protocol, "/v1/graphql")
	p.send(s.init("X-Hasura-Role", "user", "X-Hasura-User-Id", "ann"))
	p.want(`{"type":"connection_ack"}`)
	return p
}

func TestAMutationOverASocketHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	const pay, key = `mutation { pay(amount: 5) { number } }`, `{"idempotencyKey":"k1"}`
	later := "" // the answer with the id of a run
	for _, protocol := range []string{newer, older} {
		data := map[string]string{older: "data", newer: "next"}[protocol]
		p := s.asUser(protocol)
		answers := func(id, query, extensions, kind, payload string) {
			t.Helper()
			p.send(ask(protocol, id, query, extensions))
			p.want(fmt.Sprintf(`{"type":%q,"id":%q,"payload":%s}`, kind, id, payload))
			if kind == data {
				p.want(fmt.Sprintf(`{"type":"complete","id":%q}`, id))
			}
		}
		const replay = `,"extensions":{"idempotencyReplayed":true}`
		if later == "" { // the second socket asks again for what the first has done
			answers("1", pay, key, data, `{"data":{"pay":{"number":1}}}`)
			answers("2", `mutation { pay(amount: 400) { number } }`, `{"idempotencyKey":"no"}`, data,
				`{"data":null,"errors":[{"message":"no money","extensions":{"code":"broke","left":0.10}}]}`)
			p.send(ask(protocol, "3", `mutation { payLater(amount: 5) }`, `{"idempotencyKey":"later"}`))
			later = strings.TrimSuffix(strings.TrimPrefix(p.next(), `{"type":"next","id":"3","payload":`), `}}`)
			p.want(`{"type":"complete","id":"3"}`)
		}
		answers("4", pay, key, data, `{"data":{"pay":{"number":1}}`+replay+`}`)
		answers("5", `mutation { pay(amount: 400) { number } }`, `{"idempotencyKey":"no"}`, data,
			`{"data":null,"errors":[{"message":"no money","extensions":{"code":"broke","left":0.10}}]`+replay+`}`)
		answers("6", `mutation { payLater(amount: 5) }`, `{"idempotencyKey":"later"}`, data, later+replay+`}`)
		for n, wrong := range map[string]string{`1`: "expected a string", `""`: "expected a string", `"` + strings.Repeat("k", 256) + `"`: "at most 255", `"a\n"`: "control characters"} {
			p.send(ask(protocol, "7", pay, `{"idempotencyKey":`+n+`}`))
			if got := p.next(); !strings.HasPrefix(got, `{"type":"error","id":"7"`) || !strings.Contains(got, "extensions.idempotencyKey: expected") || !strings.Contains(got, wrong) {
				t.Errorf("the key %.20s: %s", n, got)
			}
		}
		p.send(ask(protocol, "8", `mutation { pay(amount: 6) { number } }`, key))
		if got := p.next(); !strings.HasPrefix(got, `{"type":"error","id":"8"`) || !strings.Contains(got, "idempotency-conflict") {
			t.Errorf("another request with the key: %s", got)
		}
	}
	if calls := h.since(0); len(calls) != 2 || calls[0].key != "k1" || s.inControl(`SELECT count(*)::text FROM tenantry.action_runs`) != "1" {
		t.Errorf("the handler got %+v", calls)
	}
	if body, header := s.keyed("k1", "user", "ann", pay); body != `{"data":{"pay":{"number":1}}}` || header.Get(replayed) != "true" || len(h.since(0)) != 2 {
		t.Errorf("over HTTP: %s %v", body, header)
	}
}

func TestAMutationWhoseSocketIsGoneIsDoneAndItsAnswerKept(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	slow := ask(newer, "1", `mutation { pay(amount: 1000) { number } }`, `{"idempotencyKey":"slow"}`)
	p := s.asUser(newer)
	p.send(slow)
	<-h.arrived
	p.conn.Close()
	again := s.asUser(newer)
	again.send(slow)
	if got := again.next(); !strings.Contains(got, "idempotency-in-progress") {
		t.Fatalf("while it runs: %s", got)
	}
	close(h.let)
	eventually(t, "the answer is kept", func() bool {
		again.send(slow)
		got := again.next()
		return got == `{"type":"next","id":"1","payload":{"data":{"pay":{"number":1}},"extensions":{"idempotencyReplayed":true}}}` && again.next() != ""
	})
	if calls := h.since(0); len(calls) != 1 {
		t.Errorf("the handler got %+v", calls)
	}
}

func TestEachMutationOfABatchMayHaveAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	batch := `[{"query":"mutation { pay(amount: 1) { number } }","extensions":{"idempotencyKey":"a"}},
		{"query":"mutation { pay(amount: 2) { number } }","extensions":{"idempotencyKey":"b"}},
		{"query":"mutation { pay(amount: 3) { number } }"}]`
	for n, want := range []string{
		`[{"data":{"pay":{"number":1}}},{"data":{"pay":{"number":2}}},{"data":{"pay":{"number":3}}}]`,
		`[{"data":{"pay":{"number":1}},"extensions":{"idempotencyReplayed":true}},{"data":{"pay":{"number":2}},"extensions":{"idempotencyReplayed":true}},{"data":{"pay":{"number":3}}}]`,
	} {
		// Cookies of a handler are for one operation alone.
		if body, header, _ := s.request(http.MethodPost, "/v1/graphql", batch, "Idempotency-Key", "all"); body != want || header.Get("Set-Cookie") != "" {
			t.Errorf("time %d: %s %v", n+1, body, header)
		}
	}
	if calls := h.since(0); len(calls) != 3 || calls[0].key != "a" || calls[1].key != "b" || calls[2].key != "all" {
		t.Errorf("the handler got %+v", calls)
	}
}

func TestASavedMutationWithAKeyRunsOnce(t *testing.T) {
	t.Parallel()
	s, h := startTill(t)
	s.command("create_query_collection", `{"name": "saved", "definition": {"queries": [
		{"name": "pay", "query": "mutation pay($amount: Int!) { pay(amount: $amount) { number } }"}, {"name": "later", "query": "mutation later { payLater(amount: 5) }"}]}}`)
	s.command("create_rest_endpoint", `{"name": "pay", "url": "pay/:amount", "methods": ["POST"], "definition": {"query": {"collection_name": "saved", "query_name": "pay"}}}`)
	s.command("create_rest_endpoint", `{"name": "later", "url": "later", "methods": ["POST"], "definition": {"query": {"collection_name": "saved", "query_name": "later"}}}`)
	for path, c := range map[string]struct {
		status int
		want   string
	}{"pay/5": {200, `{"pay":{"number":`}, "pay/400": {400, `no money`}, "later": {200, `{"payLater":"`}} {
		first, before, status := s.request(http.MethodPost, "/api/rest/"+path, "", "Idempotency-Key", "k-"+path)
		again, after, statusAgain := s.request(http.MethodPost, "/api/rest/"+path, "", "Idempotency-Key", "k-"+path)
		if !strings.Contains(first, c.want) || again != first || status != c.status || statusAgain != status || before.Get(replayed) != "" || after.Get(replayed) != "true" {
			t.Errorf("%s: %d %s, then %d %s", path, status, first, statusAgain, again)
		}
	}
	if calls := h.since(0); len(calls) != 2 || !strings.HasPrefix(calls[0].key, "k-pay/") || s.inControl(`SELECT count(*)::text FROM tenantry.action_runs`) != "1" {
		t.Errorf("the handler got %+v", calls)
	}
	if body, _, status := s.request(http.MethodPost, "/api/rest/pay/6", "", "Idempotency-Key", "k-pay/5"); status != http.StatusConflict || !strings.Contains(body, "idempotency-conflict") {
		t.Errorf("another amount: %d %s", status, body)
	}
}

// request is any request of an admin; headers are pairs.
func (s *server) request(method, path, body string, headers ...string) (string, http.Header, int) {
	s.t.Helper()
	r := must(http.NewRequest(method, "http://"+s.address+"/p/shop"+path, strings.NewReader(body)))(s.t)
	r.Header.Set("X-Hasura-Admin-Secret", s.secret)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	return string(must(io.ReadAll(answer.Body))(s.t)), answer.Header, answer.StatusCode
}
