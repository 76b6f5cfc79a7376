package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/services/livequery"
	"tenantry/services/router/socket"
	"tenantry/services/worker"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// deferred is a server with an asynchronous action, find(n: Int!): its handler
// answers {n, inner: {n}} when it is let, and both join the note of that number. It
// reports later on what is 9.
type deferred struct {
	*server
	answer chan struct{} // closed: the handler answers
	tokens chan string   // of what it reports later
}

// defers starts one, with a worker, whose tokens are signed with jwtKey.
func defers(t testing.TB, bounds socket.Limits, subscriptions livequery.Limits, edits ...func(*settings.Settings)) *deferred {
	t.Helper()
	jwt := func(set *settings.Settings) {
		set.Auth.JWT = []settings.JWT{{Type: "HS256", Key: vault.NewSecret(jwtKey)}}
	}
	d := &deferred{startLive(t, bounds, subscriptions, append([]func(*settings.Settings){jwt}, edits...)...), make(chan struct{}), make(chan string, 1)}
	handler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent struct{ Input struct{ N int } }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		if sent.Input.N == 9 {
			d.tokens <- r.Header.Get("X-Completion-Token")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"status": "pending"}`)
			return
		}
		select {
		case <-d.answer:
		case <-r.Context().Done():
		}
		_, _ = fmt.Fprintf(w, `{"n": %d, "inner": {"n": %[1]d}}`, sent.Input.N)
	}))
	w := worker.New(worker.Deps{Store: d.store, Live: d.registry, Metrics: d.counts, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	working, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(working) }()
	t.Cleanup(func() { stop(); <-ended; handler.CloseClientConnections(); handler.Close() })
	const note = `"relationships": [{"name": "note", "type": "object", "remote_table": "notes", "field_mapping": {"n": "id"}}]`
	d.command("set_custom_types", `{"objects": [{"name": "Found", "fields": [{"name": "n", "type": "Int!"}, {"name": "inner", "type": "Inner"}], `+note+`},
		{"name": "Inner", "fields": [{"name": "n", "type": "Int!"}], `+note+`}]}`)
	d.command("create_action", fmt.Sprintf(`{"name": "find", "definition": {"kind": "asynchronous", "arguments": [{"name": "n", "type": "Int!"}], "output_type": "Found", "handler": %q}}`, handler.URL))
	d.command("create_action_permission", `{"action": "find", "role": "user"}`)
	return d
}

// post sends an operation over HTTP.
func (d *deferred) post(query string, headers ...string) string {
	d.t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	r := must(http.NewRequest(http.MethodPost, "http://"+d.address+"/p/shop/v1/graphql", bytes.NewReader(body)))(d.t)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := must(http.DefaultClient.Do(r))(d.t)
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// as are the headers of a user, made up by an admin.
func (d *deferred) as(user string) []string {
	return []string{"X-Hasura-Admin-Secret", d.secret, "X-Hasura-Role", "user", "X-Hasura-User-Id", user}
}

// call queues a run for a user and returns its id.
func (d *deferred) call(user string, n int) string {
	d.t.Helper()
	answer := d.post(fmt.Sprintf("mutation { find(n: %d) }", n), d.as(user)...)
	id := strings.TrimSuffix(strings.TrimPrefix(answer, `{"data":{"find":"`), `"}}`)
	if len(id) != 36 {
		d.t.Fatalf("no id: %s", answer)
	}
	return id
}

// user is a socket of a user.
func (d *deferred) user(protocol, name string) *peer {
	d.t.Helper()
	p := d.dial(protocol, "/v1/graphql")
	headers := d.as(name)
	p.send(d.init(headers[2:]...))
	p.want(`{"type":"connection_ack"}`)
	return p
}

func subscribe(protocol, id, run string) string {
	return operation(protocol, id, fmt.Sprintf("subscription { find(id: %q) { output { n note { text } } errors } }", run))
}

// result is the message with a result of an operation.
func result(protocol, id, data string) string {
	kind := "data"
	if protocol == newer {
		kind = "next"
	}
	return fmt.Sprintf(`{"type":%q,"id":%q,"payload":{"data":%s}}`, kind, id, data)
}

// nothingElse proves that nothing came before the answer to a query.
func (p *peer) nothingElse(protocol string) {
	p.t.Helper()
	p.send(operation(protocol, "probe", "{ notes(where: {id: {_eq: 0}}) { id } }"))
	p.want(result(protocol, "probe", `{"notes":[]}`), `{"type":"complete","id":"probe"}`)
}

func stopOf(protocol, id string) string {
	if protocol == newer {
		return fmt.Sprintf(`{"id":%q,"type":"complete"}`, id)
	}
	return fmt.Sprintf(`{"id":%q,"type":"stop"}`, id)
}

const (
	waits   = `{"find":{"output":null,"errors":null}}`
	unknown = "00000000-0000-4000-8000-000000000000"
)

func TestASubscriptionTellsTheResultOfARunAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{older, newer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			d := defers(t, socket.Limits{}, livequery.Limits{Interval: 50 * time.Millisecond})
			run := d.call("ann", 1)
			p := d.user(protocol, "ann")
			p.send(subscribe(protocol, "1", run))
			p.want(result(protocol, "1", waits))
			time.Sleep(200 * time.Millisecond)
			p.nothingElse(protocol)
			close(d.answer)
			p.want(result(protocol, "1", `{"find":{"output":{"n":1,"note":{"text":"one"}},"errors":null}}`))
			time.Sleep(200 * time.Millisecond)
			p.nothingElse(protocol)
			d.command("run_sql", `{"sql": "UPDATE notes SET text = 'uno' WHERE id = 1"}`)
			p.want(result(protocol, "1", `{"find":{"output":{"n":1,"note":{"text":"uno"}},"errors":null}}`))
			if n := d.metric("tenantry_subscriptions"); n != "1" {
				t.Errorf("%s subscriptions are counted, want 1", n)
			}

			p.send(stopOf(protocol, "1"))
			stopped := time.Now()
			eventually(t, "nothing is followed any more", func() bool { return d.metric("tenantry_subscriptions") == "0" })
			if took := time.Since(stopped); took > time.Second {
				t.Errorf("the end took %s", took)
			}
			read := d.metric(`tenantry_subscription_reads_total{result="unchanged"}`)
			d.command("run_sql", `{"sql": "UPDATE notes SET text = 'one' WHERE id = 1"}`)
			time.Sleep(200 * time.Millisecond)
			p.nothingElse(protocol)
			if now := d.metric(`tenantry_subscription_reads_total{result="unchanged"}`); now != read || read == "" {
				t.Errorf("it was read again after the stop: %s, then %s times", read, now)
			}
		})
	}
}

func TestTheEndOfARunIsHeardOfAndNotAwaited(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{Interval: time.Hour})
	run := d.call("ann", 2)
	p := d.user(newer, "ann")
	p.send(subscribe(newer, "1", run))
	p.want(result(newer, "1", waits))
	eventually(t, "the run is watched", func() bool {
		return d.inControl("SELECT count(*)::text FROM tenantry.action_runs WHERE watched") == "1"
	})
	close(d.answer)
	p.want(result(newer, "1", `{"find":{"output":{"n":2,"note":null},"errors":null}}`)) // the note is bob's
}

func TestARunThatIsNotThereIsNullAndTheEnd(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{Interval: 50 * time.Millisecond})
	run := d.call("ann", 1)
	bob := d.user(newer, "bob")
	for id, of := range map[string]string{"others": run, "nobody's": unknown} {
		bob.send(subscribe(newer, id, of))
		bob.want(result(newer, id, `{"find":null}`), fmt.Sprintf(`{"type":"complete","id":%q}`, id))
	}
	for _, protocol := range []string{older, newer} {
		ann := d.user(protocol, "ann")
		run := d.call("ann", 1)
		ann.send(subscribe(protocol, "1", run))
		ann.want(result(protocol, "1", waits))
		d.change(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.DeleteRuns(ctx, d.project.ID, store.RunPurge{Action: "find", Open: true})
			return err
		})
		ann.want(result(protocol, "1", `{"find":null}`), `{"type":"complete","id":"1"}`)
	}
	eventually(t, "nothing is followed any more", func() bool { return d.metric("tenantry_subscriptions") == "0" })
}

func TestSubscriptionsAreAllowedAsOtherOperationsAre(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{})
	field := fmt.Sprintf("find(id: %q) { id }", unknown)
	refused := func(code, message, path string) string {
		return fmt.Sprintf(`{"message":%q,"extensions":{"code":%q,"path":%q}}`, message, code, path)
	}
	const one = "subscriptions must select one top level field"
	for _, c := range []struct{ name, role, query, want string }{
		{"of tables there are none", "user", "subscription { notes { id } }", refused("validation-failed", "field 'notes' not found in type: 'subscription_root'", "$.selectionSet.notes")},
		{"without an action there are none", "guest", "subscription { " + field + " }", refused("validation-failed", "no subscriptions exist", "$")},
		{"they have one field", "user", "subscription { a: " + field + " b: " + field + " }", refused("validation-failed", one, "$")},
		{"they have a field", "user", "subscription { " + strings.Replace(field, " {", " @skip(if: true) {", 1) + " }", refused("validation-failed", one, "$")},
		{"they have a field of their own", "user", "subscription { __typename }", refused("validation-failed", one, "$")},
	} {
		p := d.dial(newer, "/v1/graphql")
		p.send(d.init("X-Hasura-Role", c.role, "X-Hasura-User-Id", "ann"))
		p.want(`{"type":"connection_ack"}`)
		p.send(operation(newer, "1", c.query))
		if got, want := p.next(), `{"type":"error","id":"1","payload":[`+c.want+`]}`; got != want {
			t.Errorf("%s: %s\nwant %s", c.name, got, want)
		}
	}
	over := "subscriptions are not supported over HTTP, use websockets instead"
	if got, want := d.post("subscription { "+field+" }", d.as("ann")...), `{"errors":[`+refused("not-supported", over, "$")+`]}`; got != want {
		t.Errorf("over HTTP: %s", got)
	}
	shown := d.post(`{ __schema { subscriptionType { name fields { name type { name } args { name type { kind ofType { name } } } } } } }`, d.as("ann")...)
	if want := `{"data":{"__schema":{"subscriptionType":{"name":"subscription_root","fields":[{"name":"find","type":{"name":"find"},"args":[{"name":"id","type":{"kind":"NON_NULL","ofType":{"name":"uuid"}}}]}]}}}}`; shown != want {
		t.Errorf("introspection: %s", shown)
	}

	d.command("set_api_limits", `{"disabled": false, "rate_limit": {"global": {"max_reqs_per_min": 1}}}`)
	p := d.user(newer, "ann")
	run := func(id string) { p.send(operation(newer, id, "subscription { "+field+" }")) }
	run("1")
	p.want(result(newer, "1", `{"find":null}`), `{"type":"complete","id":"1"}`)
	run("2")
	if got := p.next(); !strings.Contains(got, `"code":"rate-limit-exceeded"`) {
		t.Errorf("beyond the rate: %s", got)
	}
	d.command("remove_api_limits", `{}`)
	d.configure(func(set *settings.Settings) { set.AllowlistMode = "enforce" })
	run("3")
	if got := p.next(); !strings.Contains(got, `"message":"query is not allowed"`) {
		t.Errorf("beside the allow-list: %s", got)
	}
	for what, event := range map[string]string{
		"the start":   `outcome = 'ok' AND target = 'find' AND detail ->> 'type' = 'subscription'`,
		"the refusal": `outcome = 'denied' AND code = 'rate-limit-exceeded'`,
	} {
		eventually(t, what+" is audited once", func() bool {
			return d.inControl("SELECT count(*)::text FROM tenantry.audit_events WHERE "+event) == "1"
		})
	}
}

func TestAChangeOfTheProjectReachesItsSubscriptions(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{older, newer} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			d := defers(t, socket.Limits{}, livequery.Limits{Interval: 50 * time.Millisecond})
			run := d.call("ann", 1)
			p := d.user(protocol, "ann")
			p.send(subscribe(protocol, "1", run))
			p.want(result(protocol, "1", waits))
			d.command("pg_untrack_table", `{"table": "brief"}`)
			time.Sleep(200 * time.Millisecond)
			p.nothingElse(protocol)
			close(d.answer)
			p.want(result(protocol, "1", `{"find":{"output":{"n":1,"note":{"text":"one"}},"errors":null}}`))

			d.command("pg_drop_select_permission", `{"table": "notes", "role": "user"}`)
			if got := p.next(); !strings.HasPrefix(got, `{"type":"error","id":"1","payload":`) || !strings.Contains(got, "field 'note' not found in type: 'Found'") {
				t.Errorf("what it may not read any more: %s", got)
			}
			if protocol == older {
				p.want(`{"type":"complete","id":"1"}`)
			}
			eventually(t, "nothing is followed any more", func() bool { return d.metric("tenantry_subscriptions") == "0" })
		})
	}
}

func TestAFailureIsToldOnceAndItGoesOn(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{Interval: 50 * time.Millisecond})
	close(d.answer)
	run := d.call("ann", 1)
	p := d.user(newer, "ann")
	const found = `{"find":{"output":{"n":1,"note":{"text":"one"}},"errors":null}}`
	p.send(subscribe(newer, "1", run))
	if got := p.next(); got == result(newer, "1", waits) {
		p.want(result(newer, "1", found))
	}
	own := must(pgx.Connect(context.Background(), d.own))(t)
	defer own.Close(context.Background())
	rename := func(from, to string) {
		must(own.Exec(context.Background(), "ALTER TABLE "+from+" RENAME TO "+to))(t)
	}
	rename("notes", "lost")
	if got := p.next(); !strings.HasPrefix(got, `{"type":"next","id":"1","payload":{"data":null,"errors":[`) || strings.Contains(got, "notes") {
		t.Errorf("a failure: %s", got)
	}
	time.Sleep(200 * time.Millisecond)
	rename("lost", "notes")
	p.want(result(newer, "1", found))
}

func TestThePolicyIsAskedEachTime(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{Interval: 50 * time.Millisecond}, func(set *settings.Settings) {
		set.Policies = []settings.Policy{{Name: "until", Text: "package authz\n\nallow if input.now < data.tenant.until"}}
		set.PolicyData = json.RawMessage(fmt.Sprintf(`{"until": %d}`, time.Now().Add(time.Hour).UnixNano()))
	})
	run := d.call("ann", 1)
	close(d.answer)
	p := d.user(newer, "ann")
	eventually(t, "the run ended", func() bool {
		return strings.Contains(d.post(fmt.Sprintf("{ find(id: %q) { output { n } } }", run), d.as("ann")...), `"n":1`)
	})
	d.configure(func(set *settings.Settings) {
		set.PolicyData = json.RawMessage(fmt.Sprintf(`{"until": %d}`, time.Now().Add(1500*time.Millisecond).UnixNano()))
	})
	p.send(subscribe(newer, "1", run))
	p.want(result(newer, "1", `{"find":{"output":{"n":1,"note":{"text":"one"}},"errors":null}}`))
	if got := p.next(); !strings.Contains(got, `"type":"error"`) || !strings.Contains(got, "permission-denied") {
		t.Errorf("after the time: %s", got)
	}
}

func TestASubscriptionEndsWithItsSession(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{KeepAlive: time.Minute}, livequery.Limits{Interval: 50 * time.Millisecond})
	run := d.call("ann", 1)
	admin, short, p := d.open(newer), d.dial(newer, "/v1/graphql"), d.user(newer, "ann")
	short.send(initWith(map[string]string{"Authorization": "Bearer " + token(t, 3*time.Second)}))
	short.want(`{"type":"connection_ack"}`)
	for _, peer := range []*peer{admin, p, short} {
		peer.send(subscribe(newer, "1", run))
		peer.want(result(newer, "1", waits))
	}
	short.want("close 4403 the session has expired")
	d.change(func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteAdminSecret(ctx, d.project.ID, d.secretID)
	})
	for _, peer := range []*peer{admin, p} {
		if got := peer.next(); !strings.HasPrefix(got, "close 4403 ") {
			t.Errorf("after the credential was withdrawn: %s", got)
		}
	}
	eventually(t, "nothing is followed any more", func() bool { return d.metric("tenantry_subscriptions") == "0" })
}

func TestSubscriptionsAreBoundedAndNobodyWaitsForTheirEnd(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{Subscriptions: 2, Operations: 1}, livequery.Limits{PerProject: 3, Interval: 50 * time.Millisecond})
	run := d.call("ann", 1)
	p := d.user(newer, "ann")
	for _, id := range []string{"1", "2"} {
		p.send(subscribe(newer, id, run))
		p.want(result(newer, id, waits))
	}
	p.send(subscribe(newer, "3", run))
	if got := p.next(); !strings.Contains(got, `"message":"the socket has 2 subscriptions, at most 2 are allowed"`) || !strings.Contains(got, `"code":"busy"`) {
		t.Errorf("one too many of the socket: %s", got)
	}
	p.nothingElse(newer) // operations have a bound of their own
	other := d.user(newer, "ann")
	other.send(subscribe(newer, "1", run))
	other.want(result(newer, "1", waits))
	other.send(subscribe(newer, "2", run))
	other.want(result(newer, "2", waits))
	if got := other.next(); !strings.Contains(got, `"message":"the project has 3 subscriptions on this node, at most 3 are allowed"`) {
		t.Errorf("one too many of the project: %s", got)
	}
	other.conn.Close()
	eventually(t, "a socket that is gone leaves nothing behind", func() bool { return d.metric("tenantry_subscriptions") == "2" })

	began := time.Now()
	draining, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- d.hub.Drain(draining) }()
	p.want("close 1012 Service restart")
	p.conn.Close()
	if err := <-drained; err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("draining took %s: %v", time.Since(began), err)
	}
}

func TestARunThatItsHandlerReportsIsTold(t *testing.T) {
	t.Parallel()
	d := defers(t, socket.Limits{}, livequery.Limits{Interval: time.Hour})
	run := d.call("ann", 9)
	p := d.user(newer, "ann")
	p.send(operation(newer, "1", fmt.Sprintf("subscription { find(id: %q) { output { inner { n note { text } } } } }", run)))
	p.want(result(newer, "1", `{"find":{"output":null}}`))
	token := <-d.tokens
	eventually(t, "the run is watched", func() bool {
		return d.inControl("SELECT count(*)::text FROM tenantry.action_runs WHERE watched AND state = 'pending'") == "1"
	})
	report := func(token, body string) int {
		r := must(http.NewRequest(http.MethodPost, "http://"+d.address+"/p/shop/v1/actions/"+run+"/complete", strings.NewReader(body)))(t)
		r.Header.Set("Authorization", "Bearer "+token)
		answer := must(http.DefaultClient.Do(r))(t)
		answer.Body.Close()
		return answer.StatusCode
	}
	const output = `{"output": {"n": 9, "inner": {"n": 1}}}`
	for _, step := range []struct {
		token, body string
		want        int
	}{
		{"", output, 401}, {token + "x", output, 401}, {token, `{"output": {"n": "nine"}}`, 400}, {token, output, 204}, {token, output, 409},
	} {
		if got := report(step.token, step.body); got != step.want {
			t.Errorf("%s: %d, want %d", step.body, got, step.want)
		}
	}
	p.want(result(newer, "1", `{"find":{"output":{"inner":{"n":1,"note":{"text":"one"}}}}}`))
}
