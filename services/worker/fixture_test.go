package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/services/revision"
	"tenantry/services/worker"
	"tenantry/tenants"
	"tenantry/tenants/metadata"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// plane is a control plane with a project, a handler and as many workers as a test
// starts.
type plane struct {
	t         testing.TB
	control   string // URL of its database
	store     *store.Store
	registry  *live.Registry
	revisions *revision.Service
	counts    *metrics.Metrics
	tenant    tenants.Tenant
	handler   *handler
	shop      string // id of the project
	logger    *slog.Logger
	log       *logged // what all parts log, at every level
}

// logged collects a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// controls are databases with the control plane's schema.
var controls = pgtest.Template{Fill: store.Migrate}

// setup makes a project whose actions are the given ones, "name": extra keys of the
// definition. Each takes a number n and answers {n: Int!}, with the row of the
// table numbers as relationship.
func setup(t testing.TB, answer func(d delivery) (status int, body string), actions map[string]string) *plane {
	t.Helper()
	ctx := context.Background()
	p := &plane{t: t, control: controls.Database(t), counts: metrics.New(prometheus.NewRegistry(), metrics.Options{}), handler: &handler{answer: answer}, log: &logged{}}
	p.logger = slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger := p.logger
	p.store = must(store.Open(ctx, p.control, must(vault.Open(filepath.Join(t.TempDir(), "keyring.json")))(t)))(t)
	recorder := audit.NewRecorder(p.store, audit.Options{Interval: 10 * time.Millisecond, Logger: logger})
	pools := source.NewPools((&net.Dialer{}).DialContext)
	p.registry = live.New(live.Deps{Store: p.store, Pools: pools, Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}, Metrics: p.counts, Recorder: recorder, Logger: logger})
	p.revisions = &revision.Service{Store: p.store, Live: p.registry, Pools: pools, Logger: logger}
	server := httptest.NewServer(p.handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		p.registry.Close()
		_ = recorder.Close(ctx)
		p.store.Close()
	})
	if err := p.store.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "test", Outcome: audit.OK}}, func(ctx context.Context, tx *store.Tx) (err error) {
		p.tenant, err = tx.CreateTenant(ctx, store.NewTenant{Slug: "acme", Name: "Acme", Email: "acme@example.com"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p.shop = p.project("shop", server.URL, actions)
	return p
}

// project makes a project with asynchronous actions.
func (p *plane) project(slug, handler string, actions map[string]string) string {
	p.t.Helper()
	ctx := context.Background()
	created := must(p.revisions.Create(ctx, revision.Author{}, store.NewProject{TenantID: p.tenant.ID, Name: slug, Slug: slug},
		revision.Database{URL: vault.NewSecret(pgtest.Database(p.t))}))(p.t)
	must(p.revisions.Apply(ctx, created.Project.ID, revision.Change{Action: "test", Metadata: func(doc *metadata.Document) (*metadata.Document, error) {
		var types metadata.CustomTypes
		if err := json.Unmarshal([]byte(`{"objects": [{"name": "Counted", "fields": [{"name": "n", "type": "Int!"}]}]}`), &types); err != nil {
			return nil, err
		}
		doc.CustomTypes = &types
		for name, extra := range actions {
			var a metadata.Action
			text := fmt.Sprintf(`{"name": %q, "definition": {"kind": "asynchronous", "arguments": [{"name": "n", "type": "Int!"}], "output_type": "Counted", "handler": %q%s},
				"permissions": [{"role": "user"}, {"role": "clerk"}]}`, name, handler+"/"+name, extra)
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				return nil, err
			}
			doc.Actions = append(doc.Actions, a)
		}
		return doc, nil
	}}))(p.t)
	return created.Project.ID
}

// work starts a worker. kill ends it as a crash would: calls break off, leases are
// left. drain ends it in order.
func (p *plane) work(concurrency int) (kill func(), drain func(time.Duration)) {
	w := worker.New(worker.Deps{Store: p.store, Live: p.registry, Metrics: p.counts, Logger: p.logger, Concurrency: concurrency})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	kill = func() { cancel(); <-done }
	p.t.Cleanup(kill)
	return kill, func(time_ time.Duration) {
		within, stop := context.WithTimeout(context.Background(), time_)
		defer stop()
		w.Drain(within)
		kill()
	}
}

// user is a session of a role, with an id.
func user(role, id string) session.Session {
	return session.Session{Role: role, Variables: map[string]string{"x-hasura-role": role, "x-hasura-user-id": id}, Auth: session.AuthJWT}
}

var admin = session.Session{Role: session.Admin, Variables: map[string]string{"x-hasura-role": session.Admin}, Auth: session.AuthAdminSecret}

func (p *plane) instance(project string) *instance.Instance {
	p.t.Helper()
	return must(p.registry.Get(context.Background(), project))(p.t).Current().Instance
}

// ask runs an operation and returns its data.
func (p *plane) ask(project string, s session.Session, query string, headers ...graphqlhttp.Header) map[string]any {
	p.t.Helper()
	response, _ := p.instance(project).Execute(context.Background(), s, instance.Request{Request: graphqlhttp.Request{Query: query}, ID: "r", ClientHeaders: headers})
	var out struct{ Data map[string]any }
	if err := json.Unmarshal(response.Body, &out); err != nil || out.Data == nil {
		p.t.Fatalf("%s: %s", query, response.Body)
	}
	return out.Data
}

// queue calls an action and returns the id of its run.
func (p *plane) queue(project string, s session.Session, action string, n int, headers ...graphqlhttp.Header) string {
	p.t.Helper()
	id, _ := p.ask(project, s, fmt.Sprintf("mutation { %s(n: %d) }", action, n), headers...)[action].(string)
	if id == "" {
		p.t.Fatalf("%s answered no id", action)
	}
	return id
}

// result is what a session sees of a run.
func (p *plane) result(s session.Session, action, id string) any {
	p.t.Helper()
	return p.ask(p.shop, s, fmt.Sprintf("{ %s(id: %q) { output { n } errors } }", action, id))[action]
}

// until waits for a run to come to a state.
func (p *plane) until(project, id string, state store.RunState, within time.Duration) store.Run {
	p.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		r := must(p.store.Run(context.Background(), project, id))(p.t)
		if r.State == state {
			return r
		}
		if time.Now().After(end) {
			p.t.Fatalf("run %s is %s after %s, want %s: %+v", id, r.State, within, state, r)
		}
	}
}

// delivery is one call that the handler got.
type delivery struct {
	action, id, token string
	header            http.Header
	body              string
	n                 int // how many with this id, this one included
	gone              <-chan struct{}
}

// handler counts what it gets.
type handler struct {
	answer func(d delivery) (int, string)
	mu     sync.Mutex
	got    map[string]int // by webhook-id
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d := delivery{action: strings.TrimPrefix(r.URL.Path, "/"), id: r.Header.Get("webhook-id"), token: r.Header.Get("x-completion-token"),
		header: r.Header, body: string(body), gone: r.Context().Done()}
	h.mu.Lock()
	if h.got == nil {
		h.got = map[string]int{}
	}
	h.got[d.id]++
	d.n = h.got[d.id]
	h.mu.Unlock()
	status, text := h.answer(d)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// deliveries counts calls: all, and those beyond the first of each run.
func (h *handler) deliveries() (runs, extra int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.got {
		extra += n - 1
	}
	return len(h.got), extra
}
