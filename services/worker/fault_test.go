package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/api/graphqlhttp"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
)

// fault is one line of testdata/faults.json: what a handler does wrong, and what
// the client of a synchronous call and the creator of a run are told.
type fault struct {
	Name string `json:"name"`
	// Does is one of the behaviours of newFaults, or "answer" with Status and Body.
	Does   string          `json:"does"`
	Status int             `json:"status"`
	Body   string          `json:"body"`
	Code   string          `json:"code"`
	Error  string          `json:"error"`
	More   json.RawMessage `json:"extensions"` // of a handler's own error
}

// Canaries are in what is sent and in what comes back; nobody may see either.
const (
	sentCanary     = "canary-in-a-configured-header"
	answeredCanary = "canary-in-an-answer"
)

func readFaults(t *testing.T) (out []fault) {
	t.Helper()
	if err := json.Unmarshal(must(os.ReadFile("testdata/faults.json"))(t), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// newFaults starts handlers that fail as the faults say; addresses are by name.
func newFaults(t *testing.T, faults []fault) map[string]string {
	t.Helper()
	serve := func(f http.HandlerFunc) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); f(w, r) }))
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL
	}
	endless := func(w http.ResponseWriter, r *http.Request, piece []byte, bytes int, pause time.Duration) {
		for sent := 0; sent < bytes && r.Context().Err() == nil; sent += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(pause)
		}
	}
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	closed.Close()
	at := map[string]string{}
	for _, f := range faults {
		switch f.Does {
		case "refuses":
			at[f.Name] = "http://" + closed.Addr().String()
		case "has no name":
			at[f.Name] = "http://no-such-host.invalid"
		case "speaks no TLS":
			at[f.Name] = strings.Replace(serve(func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1)
		case "sleeps":
			at[f.Name] = serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		case "breaks off":
			at[f.Name] = serve(func(w http.ResponseWriter, _ *http.Request) {
				connection, _, _ := w.(http.Hijacker).Hijack()
				_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":")
				connection.Close()
			})
		case "drips":
			at[f.Name] = serve(func(w http.ResponseWriter, r *http.Request) { endless(w, r, []byte(" "), 1<<20, 50*time.Millisecond) })
		case "floods":
			at[f.Name] = serve(func(w http.ResponseWriter, r *http.Request) {
				endless(w, r, bytes.Repeat([]byte("["), 64<<10), 1<<30, 0)
			})
		default:
			at[f.Name] = serve(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/"+answeredCanary)
				w.WriteHeader(f.Status)
				_, _ = io.WriteString(w, strings.ReplaceAll(f.Body, "CANARY", answeredCanary))
			})
		}
	}
	return at
}

func TestEveryFaultOfAHandlerIsToldExactlyAndNothingElseIs(t *testing.T) {
	t.Parallel()
	faults := readFaults(t)
	addresses := newFaults(t, faults)
	p := setup(t, func(delivery) (int, string) { return 200, done }, nil)
	p.faulty(faults, addresses)
	p.work(16)
	caller := user("user", "1")
	ids := map[string]string{}
	for _, f := range faults {
		ids[f.Name] = p.queue(p.shop, caller, "async_"+f.Name, 1)
	}
	for _, f := range faults {
		t.Run(f.Name, func(t *testing.T) {
			response, _ := p.instance(p.shop).Execute(t.Context(), caller, instance.Request{
				Request: graphqlhttp.Request{Query: fmt.Sprintf("mutation { sync_%s(n: 1) { a { b { c } } } }", f.Name)}, ID: "sync-" + f.Name,
			})
			if want := f.client(); !sameJSON(t, response.Body, want) {
				t.Errorf("the client is told %s, want %s", response.Body, want)
			}
			run := p.until(p.shop, ids[f.Name], store.RunFailed, 20*time.Second)
			if want := f.run(); !sameJSON(t, run.Errors, want) || len(run.Attempts) != 1 || run.Attempts[0].Code != f.Code {
				t.Errorf("the creator is told %s after %+v, want %s", run.Errors, run.Attempts, want)
			}
		})
	}
	p.audited(faults)
	p.leaksNothing()
	var counted bytes.Buffer
	if err := p.counts.WriteProject(&counted, "shop"); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("tenantry_action_invocations_total{result=\"error\"} %d\n", 2*len(faults)); !strings.Contains(counted.String(), want) || strings.Contains(counted.String(), `tenantry_action_invocations_total{result="ok"}`) {
		t.Errorf("not %s in %s", want, counted.String())
	}
	counted.Reset()
	if err := p.counts.WriteAll(&counted); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("tenantry_action_run_deliveries_total{result=\"failed\"} %d\n", len(faults)); !strings.Contains(counted.String(), want) {
		t.Errorf("not %s in %s", want, counted.String())
	}
}

// faulty adds two actions for each fault, which answer a { b { c: Int! } }.
func (p *plane) faulty(faults []fault, addresses map[string]string) {
	p.t.Helper()
	must(p.revisions.Apply(context.Background(), p.shop, revision.Change{Action: "test", Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
		object := func(name, field, of string) metadata.ObjectType {
			return metadata.ObjectType{Name: name, Fields: []metadata.Argument{{Name: field, Type: of + "!"}}}
		}
		doc.CustomTypes.Objects = append(doc.CustomTypes.Objects, object("A", "a", "B"), object("B", "b", "C"), object("C", "c", "Int"))
		for _, f := range faults {
			for _, kind := range []string{"sync", "async"} {
				doc.Actions = append(doc.Actions, metadata.Action{
					Name: kind + "_" + f.Name, Permissions: []metadata.ActionPermission{{Role: "user"}},
					Definition: metadata.ActionDefinition{
						OutputType: "A", Handler: addresses[f.Name], Timeout: 1,
						Arguments: []metadata.Argument{{Name: "n", Type: "Int!"}}, Headers: []metadata.Header{{Name: "Authorization", Value: "Bearer " + sentCanary}},
					},
				})
				if def := &doc.Actions[len(doc.Actions)-1].Definition; kind == "async" {
					def.Kind, def.Retry = "asynchronous", &metadata.ActionRetry{MaxAttempts: 1}
				} else {
					def.Kind = "synchronous"
				}
			}
		}
		return doc, nil
	}}))(p.t)
}

// client is the response to a synchronous call.
func (f fault) client() string {
	if f.More != nil {
		return fmt.Sprintf(`{"errors":[{"message":%q,"extensions":%s}]}`, f.Error, f.More)
	}
	return fmt.Sprintf(`{"errors":[{"message":%q,"extensions":{"path":"$","code":%q}}]}`, f.Error, f.Code)
}

// run is what the creator of a run sees.
func (f fault) run() string {
	if f.More != nil {
		return fmt.Sprintf(`{"error":%q,"code":%q,"path":"$","extensions":%s}`, f.Error, f.Code, f.More)
	}
	return fmt.Sprintf(`{"error":%q,"code":%q,"path":"$"}`, f.Error, f.Code)
}

func sameJSON(t *testing.T, got []byte, want string) bool {
	t.Helper()
	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	return string(must(json.Marshal(a))(t)) == string(must(json.Marshal(b))(t))
}

// audited wants one record of each call, with its code.
func (p *plane) audited(faults []fault) {
	p.t.Helper()
	seen := map[string][]string{}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		clear(seen)
		events, _, err := p.store.ProjectAudit(context.Background(), p.shop, store.AuditFilter{Kind: "action"}, store.Page{Limit: 200})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, e := range events {
			seen[e.Target] = append(seen[e.Target], e.Action+" "+e.Outcome+" "+e.Code)
		}
		if len(seen) >= 2*len(faults) || time.Now().After(end) {
			break
		}
	}
	for _, f := range faults {
		for _, name := range []string{"sync_" + f.Name, "async_" + f.Name} {
			if got := strings.Join(seen[name], "; "); got != "action.call error "+f.Code {
				p.t.Errorf("the audit tells of %s: %q", name, got)
			}
		}
	}
}

// leaksNothing looks for canaries in all that the control plane keeps of runs and
// calls.
func (p *plane) leaksNothing() {
	p.t.Helper()
	conn := must(pgx.Connect(context.Background(), p.control))(p.t)
	defer conn.Close(context.Background())
	for _, table := range []string{"action_runs", "audit_events"} {
		var n int
		if err := conn.QueryRow(context.Background(), `SELECT count(*) FROM tenantry.`+table+` r WHERE r::text ~ $1 OR r::text ~ encode($1::text::bytea, 'hex')`, "canary-in-a").Scan(&n); err != nil {
			p.t.Fatal(err)
		}
		if n > 0 {
			p.t.Errorf("%d rows of %s hold a canary", n, table)
		}
	}
}
