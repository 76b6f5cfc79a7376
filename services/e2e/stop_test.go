package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

func TestARequestThatRunsIsAnsweredBeforeTheProgramStops(t *testing.T) {
	t.Parallel()
	s := startDev(t, dataDir(t))
	admin := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}
	answered := make(chan answer, 1)
	go func() {
		answered <- send(t, http.MethodPost, s.Demo.Project.URL+"/v2/query", admin,
			`{"type": "run_sql", "args": {"source": "default", "sql": "SELECT pg_sleep(2)", "read_only": true}}`)
	}()
	time.Sleep(500 * time.Millisecond) // it must be under way
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused := false
	for range 50 { // ready must turn off while the request still runs
		if response, err := http.Get(s.OperatorURL + "/healthz/ready"); err == nil {
			response.Body.Close()
			if refused = response.StatusCode == http.StatusServiceUnavailable; refused {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !refused {
		t.Error("still ready while stopping")
	}
	if a := <-answered; a.Status != http.StatusOK {
		t.Errorf("the request was answered %d %s", a.Status, a.Text)
	}
	if code, err := s.end(0); err != nil || code != 0 { // no second signal: that would end the patience
		t.Errorf("exit code %d, %v:\n%s", code, err, s.stderr)
	}
}

func TestOpenSocketsAreToldThatTheProgramStops(t *testing.T) {
	t.Parallel()
	s := startDev(t, dataDir(t))
	dialer := websocket.Dialer{HandshakeTimeout: 5 * time.Second, Subprotocols: []string{"graphql-transport-ws"}}
	socket, _, err := dialer.Dial(strings.Replace(s.Demo.Project.GraphQLURL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, text := range []string{
		`{"type":"connection_init","payload":{"headers":{"Authorization":"Bearer ` + s.Demo.Tokens.Customer + `"}}}`,
		`{"type":"subscribe","id":"1","payload":{"query":"{ products(limit: 1) { id } }"}}`,
	} {
		if err := socket.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"connection_ack", `"next"`, `"complete"`} {
		if _, text, err := socket.ReadMessage(); err != nil || !strings.Contains(string(text), want) {
			t.Fatalf("%s %v, expected %s", text, err, want)
		}
	}
	start := time.Now()
	ended := make(chan error, 1)
	go func() {
		_, _, err := socket.ReadMessage()
		for err == nil {
			_, _, err = socket.ReadMessage()
		}
		ended <- err
	}()
	s.stop(t)
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the socket ended with %v", err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("an idle socket held up the end for %s", took)
	}
}

func TestARequestThatOutlastsTheDrainIsCut(t *testing.T) {
	t.Parallel()
	s := startDev(t, dataDir(t), "--drain-timeout=1s")
	admin := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}
	go func() {
		// It may be answered or cut; that it doesn't hold up the end is what counts.
		request, err := http.NewRequest(http.MethodPost, s.Demo.Project.URL+"/v2/query",
			strings.NewReader(`{"type": "run_sql", "args": {"source": "default", "sql": "SELECT pg_sleep(60)", "read_only": true}}`))
		if err != nil {
			return
		}
		for name, value := range admin {
			request.Header.Set(name, value)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	time.Sleep(500 * time.Millisecond)
	start := time.Now()
	code, err := s.end(syscall.SIGTERM)
	if err != nil || code != 1 || !strings.Contains(s.stderr.String(), "requests still ran after 1s") {
		t.Errorf("exit code %d, %v:\n%s", code, err, s.stderr)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
