package router_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/golang-jwt/jwt/v5"

	"tenantry/services/router/socket"
	"tenantry/tenants"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// operation is a start of the older protocol, or a subscribe of the newer one.
func operation(protocol, id, query string) string {
	kind := "start"
	if protocol == newer {
		kind = "subscribe"
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"payload":{"query":%q}}`, id, kind, query)
}

func TestBothProtocolsAnswerFrameByFrame(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{KeepAlive: 400 * time.Millisecond, MaxFrame: 64 << 10})
	const (
		ack   = `{"type":"connection_ack"}`
		ask   = `{ notes(order_by: {id: asc}, limit: 1) { id text } }`
		found = `{"data":{"notes":[{"id":1,"text":"one"}]}}`
		wrong = `{ notes { nothing } }`
		why   = `{"message":"field 'nothing' not found in type: 'notes'","extensions":{"code":"validation-failed","path":"$.selectionSet.notes.selectionSet.nothing"}}`
		fails = `mutation { insert_notes_one(object: {id: 1, owner: "x"}) { id } }`
	)
	admin := s.init()
	for _, c := range []struct {
		name, protocol, path string
		send, want           []string
	}{
		{"an older client gets data and the end", older, "/v1/graphql",
			[]string{admin, operation(older, "1", ask)}, []string{ack, `{"type":"data","id":"1","payload":` + found + `}`, `{"type":"complete","id":"1"}`}},
		{"a client that offers no protocol is an older one", "", "/v1/graphql",
			[]string{admin, operation(older, "1", ask)}, []string{ack, `{"type":"data","id":"1","payload":` + found + `}`, `{"type":"complete","id":"1"}`}},
		{"a newer client gets a result and the end", newer, "/v1/graphql",
			[]string{admin, operation(newer, "1", ask)}, []string{ack, `{"type":"next","id":"1","payload":` + found + `}`, `{"type":"complete","id":"1"}`}},
		{"of both protocols the newer one is taken", older + "," + newer, "/v1/graphql",
			[]string{admin, operation(newer, "1", ask)}, []string{ack, `{"type":"next","id":"1","payload":` + found + `}`, `{"type":"complete","id":"1"}`}},
		{"an id is free once its operation has ended", newer, "/v1alpha1/graphql",
			[]string{admin, operation(newer, "1", ask)}, []string{ack, `{"type":"next","id":"1","payload":` + found + `}`, `{"type":"complete","id":"1"}`}},
		{"relay has its own schema", newer, "/v1beta1/relay",
			[]string{admin, operation(newer, "1", "{ notes_connection(first: 1) { edges { node { text } } } }")},
			[]string{ack, `{"type":"next","id":"1","payload":{"data":{"notes_connection":{"edges":[{"node":{"text":"one"}}]}}}}`, `{"type":"complete","id":"1"}`}},
		{"an older client is told a refusal as a document", older, "/v1/graphql",
			[]string{admin, operation(older, "é\"", wrong)}, []string{ack, `{"type":"error","id":"é\"","payload":{"errors":[` + why + `]}}`}},
		{"a newer client is told a refusal as a list", newer, "/v1/graphql",
			[]string{admin, operation(newer, "1", wrong)}, []string{ack, `{"type":"error","id":"1","payload":[` + why + `]}`}},
		{"the path decides the form of errors", older, "/v1alpha1/graphql",
			[]string{admin, operation(older, "1", wrong)},
			[]string{ack, `{"type":"error","id":"1","payload":{"code":"validation-failed","error":"field 'nothing' not found in type: 'notes'","path":"$.selectionSet.notes.selectionSet.nothing"}}`}},
		{"there are no subscriptions of tables", newer, "/v1/graphql", []string{admin, operation(newer, "1", "subscription { notes { id } }")},
			[]string{ack, `{"type":"error","id":"1","payload":[{"message":"no subscriptions exist","extensions":{"code":"validation-failed","path":"$"}}]}`}},
		{"a start must come after connection_init", older, "/v1/graphql", []string{operation(older, "1", ask)},
			[]string{`{"type":"error","id":"1","payload":{"message":"start received before the connection is initialised","extensions":{"code":"start-failed","path":"$"}}}`}},
		{"a subscribe must come after connection_init", newer, "/v1/graphql", []string{operation(newer, "1", ask)}, []string{"close 4401 Unauthorized"}},
		{"an older client is told why it is not let in", older, "/v1/graphql", []string{s.init("X-Hasura-Admin-Secret", "wrong")},
			[]string{`{"type":"connection_error","payload":"invalid \"x-hasura-admin-secret\"/\"x-hasura-access-key\""}`,
				`close 4400 Connection initialization failed: invalid "x-hasura-admin-secret"/"x-hasura-access-key"`}},
		{"a newer client is not let in", newer, "/v1/graphql", []string{`{"type":"connection_init"}`}, []string{"close 4403 Forbidden"}},
		{"a message of no type ends an older socket", older, "/v1/graphql", []string{admin, `{"type":"test"}`},
			[]string{ack, `{"type":"connection_error","payload":"unknown message type \"test\""}`, `close 4400 4400: unknown message type "test"`}},
		{"a stop without an id ends an older socket", older, "/v1/graphql", []string{admin, `{"type":"stop"}`},
			[]string{ack, `{"type":"connection_error","payload":"stop: expected an id of 1 to 256 bytes"}`, `close 4400 4400: stop: expected an id of 1 to 256 bytes`}},
		{"text that is no JSON ends a newer socket", newer, "/v1/graphql", []string{admin, `{`},
			[]string{ack, `close 4400 4400: expected a JSON object with the strings type and id`}},
		{"a payload that is no object ends a newer socket", newer, "/v1/graphql", []string{admin, `{"type":"subscribe","id":"1","payload":[]}`},
			[]string{ack, `close 4400 4400: subscribe: expected an object as payload`}},
		{"headers must be strings", newer, "/v1/graphql", []string{`{"type":"connection_init","payload":{"headers":{"x-hasura-user-id":1}}}`},
			[]string{`close 4400 4400: connection_init: expected a string as header "x-hasura-user-id"`}},
		{"a second connection_init ends the socket", newer, "/v1/graphql", []string{admin, admin}, []string{ack, "close 4429 Too many initialisation requests"}},
		{"an id that runs ends the socket", newer, "/v1/graphql", []string{admin, operation(newer, "a", "{ slow { id slept } }"), operation(newer, "a", ask)},
			[]string{ack, "close 4409 Subscriber for a already exists"}},
		{"a stop of what does not run is no mistake", older, "/v1/graphql", []string{admin, `{"type":"stop","id":"7"}`, operation(older, "1", wrong)},
			[]string{ack, `{"type":"error","id":"1","payload":{"errors":[` + why + `]}}`}},
		{"a client that says good-bye is let go", older, "/v1/graphql", []string{admin, `{"type":"connection_terminate"}`}, []string{ack, "close 1000"}},
		{"a ping is answered, before connection_init too", newer, "/v1/graphql", []string{`{"type":"ping","payload":{"a":1}}`, `{"type":"ping"}`, admin},
			[]string{`{"type":"pong","payload":{"a":1}}`, `{"type":"pong"}`, ack}},
		{"a message that is too large ends the socket", newer, "/v1/graphql", []string{strings.Repeat("x", 65<<10)}, []string{"close 1009"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := s.dial(c.protocol, c.path)
			p.t = t
			for _, text := range c.send {
				p.send(text)
			}
			p.want(c.want...)
		})
	}
	for path, want := range map[string]string{
		"/v1/graphql":       `{"data":null,"errors":[{"message":"Uniqueness violation.`,
		"/v1alpha1/graphql": `{"data":null,"errors":[{"code":"constraint-violation","error":"Uniqueness violation.`,
	} {
		p := s.dial(older, path)
		p.send(admin)
		p.want(ack)
		p.send(operation(older, "1", fails))
		if got := p.next(); !strings.HasPrefix(got, `{"type":"data","id":"1","payload":`+want) {
			t.Errorf("a failure is a result: %s", got)
		}
		p.want(`{"type":"complete","id":"1"}`)
	}
}

func TestHeadersOfTheInitComeOnTopOfThoseOfTheUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	p := s.dial(newer, "/v1/graphql", "X-Hasura-Admin-Secret", s.secret, "X-Hasura-Role", "user", "X-Hasura-User-Id", "ann")
	p.send(`{"type":"connection_init","payload":{"headers":{"x-hasura-user-id":"bob"}}}`)
	p.want(`{"type":"connection_ack"}`)
	p.send(operation(newer, "1", "{ notes { text } }"))
	p.want(`{"type":"next","id":"1","payload":{"data":{"notes":[{"text":"two"}]}}}`)
}

func TestOriginsAreThoseOfCORS(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, func(set *settings.Settings) {
		set.Auth.JWT = []settings.JWT{{Type: "HS256", Key: vault.NewSecret(jwtKey), Header: &settings.JWTHeader{Type: "Cookie", Name: "session"}}}
		set.Auth.CORS.Origins = []string{"https://app.example.com"}
	})
	cookie := "session=" + token(t, time.Hour)
	for _, c := range []struct {
		name, origin string
		status       int
	}{
		{"a program without an origin", "", http.StatusSwitchingProtocols},
		{"a page of the project's origins", "https://app.example.com", http.StatusSwitchingProtocols},
		{"a page of the same host", "http://" + s.address, http.StatusSwitchingProtocols},
		{"a page of elsewhere", "https://evil.example.com", http.StatusForbidden},
	} {
		headers := []string{"Cookie", cookie}
		if c.origin != "" {
			headers = append(headers, "Origin", c.origin)
		}
		conn, answer, err := s.tryDial(newer, "/v1/graphql", headers...)
		if answer == nil || answer.StatusCode != c.status {
			t.Fatalf("%s: %v, %v", c.name, answer, err)
		}
		if err == nil {
			p := &peer{t, conn}
			p.send(`{"type":"connection_init"}`)
			p.want(`{"type":"connection_ack"}`)
			conn.Close()
		}
	}
	s.configure(func(set *settings.Settings) { set.Auth.CORS.Origins = []string{"*"} })
	p := s.dial(newer, "/v1/graphql", "Cookie", cookie, "Origin", "https://evil.example.com")
	p.send(`{"type":"connection_init"}`)
	p.want("close 4403 Forbidden") // any page may come, and none with its reader's cookies
}

func token(t testing.TB, lives time.Duration) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(lives).Unix(), settings.DefaultNamespace: map[string]any{
		"x-hasura-allowed-roles": []string{"user"}, "x-hasura-default-role": "user", "x-hasura-user-id": "ann",
	}}
	return must(jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey)))(t)
}

func TestASessionEndsTheSocketWithIt(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{KeepAlive: time.Hour, Look: 100 * time.Millisecond}, func(set *settings.Settings) {
		set.Auth.JWT = []settings.JWT{{Type: "HS256", Key: vault.NewSecret(jwtKey)}}
	})
	user := func(lives time.Duration) *peer {
		p := s.dial(newer, "/v1/graphql")
		p.send(initWith(map[string]string{"Authorization": "Bearer " + token(t, lives)}))
		p.want(`{"type":"connection_ack"}`)
		return p
	}
	user(2 * time.Second).want("close 4403 the session has expired")

	admin, stays := s.open(newer), user(time.Hour)
	s.command("pg_create_select_permission", `{"table": "brief", "role": "user", "permission": {"columns": ["id"], "filter": {}}}`)
	stays.send(operation(newer, "1", "{ brief { id } }")) // on the new generation
	stays.want(`{"type":"next","id":"1","payload":{"data":{"brief":[{"id":1}]}}}`, `{"type":"complete","id":"1"}`)

	s.change(func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteAdminSecret(ctx, s.project.ID, s.secretID)
	})
	admin.want(`close 4403 invalid "x-hasura-admin-secret"/"x-hasura-access-key"`)
	stays.send(operation(newer, "1", "{ brief { id } }"))
	stays.want(`{"type":"next","id":"1","payload":{"data":{"brief":[{"id":1}]}}}`, `{"type":"complete","id":"1"}`)

	s.configure(func(set *settings.Settings) { set.Auth.JWT[0].Key = vault.NewSecret(strings.Repeat("another key ", 4)) })
	stays.want("close 4403 Could not verify JWT: JWSError JWSInvalidSignature")
}

func TestASuspendedProjectEndsItsSockets(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{Look: time.Hour}) // it is the next operation that ends it
	p := s.open(older)
	s.change(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetProjectStatus(ctx, s.project.ID, tenants.Suspended)
		return err
	})
	p.send(operation(older, "1", "{ notes { id } }"))
	p.want("close 4403 the project is suspended")
}

func TestAStoppedOperationEndsInTheDatabase(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{Operations: 2})
	p := s.open(newer)
	p.send(operation(newer, "a", "{ slow { id slept } }"))
	p.send(operation(newer, "b", "{ slow { id slept } }"))
	eventually(t, "both statements run", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "2" })
	p.send(operation(newer, "c", "{ notes { id } }"))
	p.want(`{"type":"error","id":"c","payload":[{"message":"the socket runs 2 operations, at most 2 are allowed at a time","extensions":{"code":"busy","path":"$"}}]}`)
	p.send(`{"type":"complete","id":"a"}`)
	eventually(t, "the stopped statement ends", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "1" })
	eventually(t, "its place is free", func() bool {
		p.send(operation(newer, "a", `{ notes_by_pk(id: 2) { id } }`))
		got := p.next()
		if strings.Contains(got, `"busy"`) {
			return false
		}
		if got != `{"type":"next","id":"a","payload":{"data":{"notes_by_pk":{"id":2}}}}` {
			t.Fatalf("got %s", got)
		}
		return true
	})
	p.want(`{"type":"complete","id":"a"}`)
	p.conn.Close()
	eventually(t, "what ran ends with the client", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "0" })
	eventually(t, "the socket is counted no more", func() bool { return s.metric("tenantry_websocket_connections") == "0" })
	if s.metric(`tenantry_websocket_messages_total{direction="sent"}`) == "" {
		t.Error("messages are not counted")
	}
}

func TestClientsThatAreTooManyAreTurnedAway(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{PerProject: 2})
	first := s.open(newer)
	s.open(older)
	s.dial(newer, "/v1/graphql").want("close 4429 Too many requests")
	_ = first.conn.Close()
	eventually(t, "another takes its place", func() bool {
		p := s.dial(newer, "/v1/graphql")
		_ = p.conn.WriteMessage(websocket.TextMessage, []byte(s.init())) // it may be turned away already
		return p.next() == `{"type":"connection_ack"}`
	})
}

func TestClientsThatDoNotSayWhoTheyAreAreEnded(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{Init: 300 * time.Millisecond})
	silent, late := s.dial(newer, "/v1/graphql"), s.dial(older, "/v1/graphql")
	silent.want("close 4408 Connection initialisation timeout")
	late.want(`{"type":"connection_error","payload":"Connection initialisation timeout"}`, "close 4408 Connection initialisation timeout")
	eventually(t, "both are gone", func() bool { return s.metric("tenantry_websocket_connections") == "0" })
}

// The answers are more than the buffers between the two hold, and the questions
// fit into them: whether all were sent before the cut is the machine's affair.
func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{Write: 300 * time.Millisecond, Init: time.Minute, KeepAlive: 200 * time.Millisecond})
	slow := s.open(newer)
	for i := range 100 {
		text := operation(newer, fmt.Sprint(i), "{ large { text } }")
		if err := slow.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			break // it is cut already
		}
	}
	eventually(t, "who does not read is cut", func() bool { return s.metric("tenantry_websocket_connections") == "0" })
}

func TestKeepAlivesAreSentByTheProtocol(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{KeepAlive: 50 * time.Millisecond})
	for protocol, beat := range map[string]string{older: `{"type":"ka"}`, newer: `{"type":"ping","payload":{"message":"keepalive"}}`} {
		p := s.dial(protocol, "/v1/graphql")
		p.send(s.init())
		for i, want := range []string{`{"type":"connection_ack"}`, beat, beat, beat} {
			if _, got, err := p.conn.ReadMessage(); err != nil || string(got) != want {
				t.Fatalf("%s, message %d: %s %v", protocol, i, got, err)
			}
		}
	}
}

func TestDrainingAnswersWhatRunsAndThenEndsTheSocket(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	idle, busy := s.open(newer), s.open(older)
	busy.send(operation(older, "1", "{ brief { id slept } }"))
	eventually(t, "the statement runs", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "1" })
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- s.hub.Drain(ctx)
	}()
	idle.want("close 1012 Service restart")
	busy.want(`{"type":"data","id":"1","payload":{"data":{"brief":[{"id":1,"slept":""}]}}}`, `{"type":"complete","id":"1"}`, "close 1012 Service restart")
	if err := <-drained; err != nil {
		t.Error(err)
	}
	s.dial(newer, "/v1/graphql").want("close 1012 Service restart")
}

func TestWhatOutlastsTheDrainIsCut(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	p := s.open(newer)
	p.send(operation(newer, "1", "{ slow { id slept } }"))
	eventually(t, "the statement runs", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "1" })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.hub.Drain(ctx) }()
	p.want("close 1012 Service restart")
	if err := <-drained; err == nil {
		t.Error("the drain says that nothing was cut")
	}
	eventually(t, "the statement ends", func() bool { return s.metric(`tenantry_pool_connections{state="in_use"}`) == "0" })
}

// Not parallel: it looks at all goroutines.
func TestSocketsLeaveNoGoroutinesBehind(t *testing.T) {
	s := start(t, socket.Limits{})
	for range 10 {
		p := s.open(newer)
		p.send(operation(newer, "1", "{ slow { id slept } }"))
		p.send(operation(newer, "2", "{ notes { id } }"))
		p.conn.Close()
	}
	eventually(t, "all goroutines have ended", func() bool {
		stacks := make([]byte, 1<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "router/socket.")
	})
}

func TestAGetWithoutAnUpgradeIsNoSocket(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	for path, status := range map[string]int{"/v1/graphql?query={__typename}": http.StatusOK, "/v1alpha1/graphql": http.StatusMethodNotAllowed} {
		r := must(http.NewRequest(http.MethodGet, "http://"+s.address+"/p/shop"+path, nil))(t)
		r.Header.Set("X-Hasura-Admin-Secret", s.secret)
		answer := must(http.DefaultClient.Do(r))(t)
		answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, status)
		}
	}
}
