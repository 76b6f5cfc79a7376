package worker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/services/engine/instance"
	"tenantry/services/revision"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// fault is one line of testdata/faults.json: what a handler does wrong, and what
// the client of a synchronous call and the creator of a run are told.
type fault struct {
	Name string `json:"name"`
	// Does is one of behaviours, or what newFaults does without a handler.
	Does   string          `json:"does"`
	Status int             `json:"status"`
	Body   string          `json:"body"`
	Code   string          `json:"code"`
	Error  string          `json:"error"`
	More   json.RawMessage `json:"extensions"` // of a handler's own error
	// Definition has keys that the action's definition has beside the usual ones.
	Definition json.RawMessage `json:"definition"`
	// Uncalled says that the handler does not hear of it.
	Uncalled bool `json:"uncalled"`
}

// Canaries are in all that is sent and in what comes back. Nobody may see any, but
// admins what clients and handlers said.
const (
	canary = "canary-in-a"

	inHeader     = canary + "-configured-header"
	inVariable   = canary + "-variable"
	inURL        = canary + "-url-of-a-handler"
	inForwarded  = canary + "-forwarded-header"
	inCookie     = canary + "-cookie"
	inArgument   = canary + "n-argument"
	inSession    = canary + "-session-variable"
	inAnswer     = canary + "n-answer"
	inAnswerHead = canary + "-header-of-an-answer"
)

// sentSecrets are what even admins do not see of a call.
var sentSecrets = []string{inHeader, inVariable, inURL, inForwarded, inCookie}

func readFaults(t *testing.T) (out []fault) {
	t.Helper()
	if err := json.Unmarshal(must(os.ReadFile("testdata/faults.json"))(t), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// faulty are handlers that fail as the faults say.
type faulty struct {
	at map[string]string // addresses by the name of the fault

	mu     sync.Mutex
	called map[string]bool
	tokens map[string]bool // that came with calls
}

func (h *faulty) heard(name string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.called[name] = true
	for _, header := range []string{"X-Delegation-Token", "X-Completion-Token", "Webhook-Signature"} {
		if token := r.Header.Get(header); token != "" {
			h.tokens[token] = true
		}
	}
}

func (h *faulty) wasCalled(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.called[name]
}

// secrets are the tokens that came with calls.
func (h *faulty) secrets() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.tokens))
}

func newFaults(t *testing.T, faults []fault) *faulty {
	t.Helper()
	h := &faulty{at: map[string]string{}, called: map[string]bool{}, tokens: map[string]bool{}}
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	closed.Close()
	for _, f := range faults {
		switch f.Does {
		case "refuses":
			h.at[f.Name] = "http://" + closed.Addr().String()
			continue
		case "has no name":
			h.at[f.Name] = "http://no-such-host.invalid"
			continue
		}
		does := behaviours[f.Does]
		if does == nil {
			t.Fatalf("no handler %s", f.Does)
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h.heard(f.Name, r)
			w.Header().Set("X-Canary", inAnswerHead)
			does(w, r, f, string(body))
		}))
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		h.at[f.Name] = s.URL
		if f.Does == "speaks no TLS" {
			h.at[f.Name] = strings.Replace(s.URL, "http:", "https:", 1)
		}
	}
	return h
}

// behaviours are what handlers do with a call, by what a fault says.
var behaviours = map[string]func(w http.ResponseWriter, r *http.Request, f fault, body string){
	"speaks no TLS": func(http.ResponseWriter, *http.Request, fault, string) {},
	"sleeps":        func(_ http.ResponseWriter, r *http.Request, _ fault, _ string) { <-r.Context().Done() },
	"breaks off": func(w http.ResponseWriter, _ *http.Request, _ fault, _ string) {
		connection, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\":\""+inAnswer)
		connection.Close()
	},
	"drips": func(w http.ResponseWriter, r *http.Request, _ fault, _ string) {
		endless(w, r, []byte(" "), 1<<20, 50*time.Millisecond)
	},
	"floods": func(w http.ResponseWriter, r *http.Request, _ fault, _ string) {
		endless(w, r, bytes.Repeat([]byte("["), 64<<10), 1<<30, 0)
	},
	"garbles": func(w http.ResponseWriter, _ *http.Request, _ fault, _ string) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, inAnswer)
	},
	"echoes": func(w http.ResponseWriter, r *http.Request, f fault, body string) {
		text, _ := json.Marshal(fmt.Sprint(r.URL, r.Header, body))
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, strings.ReplaceAll(f.Body, "ECHO", string(text)))
	},
	"answers": func(w http.ResponseWriter, _ *http.Request, f fault, _ string) {
		w.Header().Set("Location", "/"+inAnswer)
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, strings.ReplaceAll(f.Body, "CANARY", inAnswer))
	},
}

func endless(w http.ResponseWriter, r *http.Request, piece []byte, bytes int, pause time.Duration) {
	for sent := 0; sent < bytes && r.Context().Err() == nil; sent += len(piece) {
		if _, err := w.Write(piece); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
	}
}

// Not parallel: the log of the whole process is searched.
func TestEveryFaultOfAHandlerIsToldExactlyAndNothingElseIs(t *testing.T) {
	faults := readFaults(t)
	handlers := newFaults(t, faults)
	p := setup(t, func(delivery) (int, string) { return 200, done }, nil)
	before := slog.Default()
	slog.SetDefault(p.logger)
	t.Cleanup(func() { slog.SetDefault(before) })
	p.faulty(faults, handlers.at)
	p.work(16)
	caller := user("user", "1")
	caller.Variables["x-hasura-note"] = inSession
	headers := []graphqlhttp.Header{{Name: "X-Client-Key", Value: inForwarded}, {Name: "Cookie", Value: "session=" + inCookie}}
	call := func(s session.Session, kind, name string) (string, []byte) {
		id := kind + "-" + name
		query := fmt.Sprintf("mutation { %s_%s(text: %q)", kind, name, inArgument)
		if kind == "sync" {
			query += " { a { b { c } } }"
		}
		response, _ := p.instance(p.shop).Execute(t.Context(), s, instance.Request{Request: graphqlhttp.Request{Query: query + " }"}, ID: id, ClientHeaders: headers})
		var run struct{ Data map[string]any }
		_ = json.Unmarshal(response.Body, &run)
		queued, _ := run.Data[kind+"_"+name].(string)
		return queued, response.Body
	}
	ids := map[string]string{}
	for _, f := range faults {
		id, body := call(caller, "async", f.Name)
		if ids[f.Name] = id; id == "" {
			t.Fatalf("async_%s: %s", f.Name, body)
		}
	}
	var shown bytes.Buffer // to admins
	for _, f := range faults {
		t.Run(f.Name, func(t *testing.T) {
			_, body := call(caller, "sync", f.Name)
			if want := f.client(); !sameJSON(t, body, want) {
				t.Errorf("the client is told %s, want %s", body, want)
			}
			run := p.until(p.shop, ids[f.Name], store.RunFailed, 20*time.Second)
			if want := f.run(); !sameJSON(t, run.Errors, want) || len(run.Attempts) != 1 || run.Attempts[0].Code != f.Code {
				t.Errorf("the creator is told %s after %+v, want %s", run.Errors, run.Attempts, want)
			}
			seen := must(json.Marshal(run.Attempts))(t)
			if f.Code != "action-timeout" && f.Does != "floods" { // once is enough of what takes long
				_, body = call(admin, "sync", f.Name)
				shown.Write(body)
			}
			handlers.leak(t, "the attempts of "+f.Name, string(seen))
			if f.Uncalled && handlers.wasCalled(f.Name) {
				t.Error("the handler was called")
			}
		})
	}
	p.audited(faults)
	p.leaksNothing()
	for _, secret := range append(handlers.secrets(), sentSecrets...) {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("admins see %s", secret)
		}
	}
	if !strings.Contains(shown.String(), inAnswer) || !strings.Contains(shown.String(), "***") || len(handlers.secrets()) < len(faults) {
		t.Errorf("admins see less than the exchange, so that they see no secret says little: %s", &shown)
	}
	var project, all bytes.Buffer
	if err := errors.Join(p.counts.WriteProject(&project, "shop"), p.counts.WriteAll(&all)); err != nil {
		t.Fatal(err)
	}
	handlers.leak(t, "the metrics", project.String()+all.String())
	handlers.leak(t, "the log", p.log.String())
	if got := strings.Count(p.log.String(), `"msg":"action failed"`); got < 2*len(faults) {
		t.Errorf("the log tells of %d failures, want %d at least: %s", got, 2*len(faults), p.log)
	}
	if strings.Contains(project.String(), `tenantry_action_invocations_total{result="ok"}`) || !strings.Contains(project.String(), `tenantry_action_invocations_total{result="error"} `) {
		t.Errorf("calls are counted otherwise: %s", &project)
	}
	if want := fmt.Sprintf("tenantry_action_run_deliveries_total{result=\"failed\"} %d\n", len(faults)); !strings.Contains(all.String(), want) {
		t.Errorf("not %s in %s", want, &all)
	}
}

// leak looks for canaries, tokens and addresses of handlers in a text, as they are and
// encoded.
func (h *faulty) leak(t *testing.T, place, text string) {
	t.Helper()
	needles := h.secrets()
	for _, address := range h.at {
		_, host, _ := strings.Cut(address, "://")
		needles = append(needles, host)
	}
	for shift := range 3 { // where it may lie inside of something longer
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
		needles = append(needles, encoded[(shift*8+5)/6:len(encoded)-2])
	}
	for _, needle := range append(needles, canary, hex.EncodeToString([]byte(canary))) {
		if at := strings.Index(text, needle); at >= 0 {
			t.Errorf("%s is in %s: …%s…", needle, place, text[max(0, at-200):min(len(text), at+len(needle)+100)])
		}
	}
}

// faulty adds two actions for each fault, which answer a { b { c: Int! } }.
func (p *plane) faulty(faults []fault, addresses map[string]string) {
	p.t.Helper()
	must(p.revisions.Apply(context.Background(), p.shop, revision.Change{Action: "test", Settings: func(set settings.Settings) (settings.Settings, error) {
		set.Variables = append(set.Variables, settings.Variable{Name: "IN_URL", Value: vault.NewSecret(inURL), Secret: true}, settings.Variable{Name: "KEY", Value: vault.NewSecret(inVariable), Secret: true})
		return set, nil
	}, Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
		object := func(name, field, of string) metadata.ObjectType {
			return metadata.ObjectType{Name: name, Fields: []metadata.Argument{{Name: field, Type: of + "!"}}}
		}
		doc.CustomTypes.Objects = append(doc.CustomTypes.Objects, object("A", "a", "B"), object("B", "b", "C"), object("C", "c", "Int"))
		for _, f := range faults {
			for _, kind := range []string{"sync", "async"} {
				def := metadata.ActionDefinition{
					OutputType: "A", Handler: addresses[f.Name] + "/{{IN_URL}}?key={{KEY}}", Timeout: 1,
					Arguments: []metadata.Argument{{Name: "text", Type: "String!"}}, ForwardClientHeaders: true,
					Headers: []metadata.Header{{Name: "Authorization", Value: "Bearer " + inHeader}, {Name: "X-Api-Key", ValueFromEnv: "KEY"}},
				}
				if kind == "async" {
					def.Kind, def.Retry = "asynchronous", &metadata.ActionRetry{MaxAttempts: new(1)}
				} else {
					def.Kind = "synchronous"
				}
				if f.Definition != nil {
					if err := json.Unmarshal(f.Definition, &def); err != nil {
						return nil, err
					}
				}
				doc.Actions = append(doc.Actions, metadata.Action{Name: kind + "_" + f.Name, Permissions: []metadata.ActionPermission{{Role: "user"}}, Definition: def})
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
			if e.Role == session.Admin {
				continue
			}
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
		if err := conn.QueryRow(context.Background(), `SELECT count(*) FROM tenantry.`+table+` r WHERE r::text ~ $1 OR r::text ~ encode($1::text::bytea, 'hex')`, canary).Scan(&n); err != nil {
			p.t.Fatal(err)
		}
		if n > 0 {
			p.t.Errorf("%d rows of %s hold a canary", n, table)
		}
	}
}
