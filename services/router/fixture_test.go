package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/ops/postgres/pgtest"
	"tenantry/policy/limits"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/services/livequery"
	"tenantry/services/revision"
	"tenantry/services/router"
	"tenantry/services/router/socket"
	"tenantry/tenants"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// jwtKey signs the tokens of the tests.
const jwtKey = "the key of the tests is long enough for HS256"

// server is the data plane on a port of its own, with one project and
// everything behind it real.
type server struct {
	t         testing.TB
	address   string // host:port
	control   string // URL of the control plane's database
	own       string // URL of the project's
	secret    string // the project's admin secret
	secretID  string
	project   tenants.Project
	store     *store.Store
	revisions *revision.Service
	registry  *live.Registry
	hub       *socket.Hub
	counts    *metrics.Metrics
	cut       context.CancelFunc // ends what runs
	// another gives the registry of a second node on the same control plane, which
	// follows the changes that this one makes.
	another func() *live.Registry
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

// plans are those of the operator; the tenant begins with none of them.
var plans = map[string]limits.Plan{"tight": {Requests: 2, Sockets: 1, Connections: 3}}

// start makes a project with a table of notes, which users see by their id, and
// two slow views.
func start(t testing.TB, bounds socket.Limits, edits ...func(*settings.Settings)) *server {
	t.Helper()
	return startLive(t, bounds, livequery.Limits{}, edits...)
}

// controls are databases with the control plane's schema.
var controls = pgtest.Template{Fill: store.Migrate}

// startLive is start with bounds of subscriptions.
func startLive(t testing.TB, bounds socket.Limits, subscriptions livequery.Limits, edits ...func(*settings.Settings)) *server {
	t.Helper()
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	control, own := controls.Database(t), pgtest.Database(t)
	s := &server{t: t, control: control, own: own, hub: socket.NewHub(bounds), counts: metrics.New(prometheus.NewRegistry(), metrics.Options{})}
	keyring := must(vault.Open(filepath.Join(t.TempDir(), "keyring.json")))(t)
	s.store = must(store.Open(ctx, control, keyring))(t)
	recorder := audit.NewRecorder(s.store, audit.Options{Interval: 10 * time.Millisecond, Logger: logger})
	pools := source.NewPools((&net.Dialer{}).DialContext)
	s.registry = live.New(live.Deps{
		Store: s.store, Pools: pools, Client: http.DefaultClient, Metrics: s.counts, Recorder: recorder, Logger: logger, AuditSample: 1,
		Plans: plans,
	})
	s.revisions = &revision.Service{Store: s.store, Live: s.registry, Pools: pools, Logger: logger}
	s.another = func() *live.Registry {
		theirs := must(store.Open(ctx, control, keyring))(t)
		other := live.New(live.Deps{
			Store: theirs, Pools: source.NewPools((&net.Dialer{}).DialContext), Client: http.DefaultClient,
			Metrics: metrics.New(prometheus.NewRegistry(), metrics.Options{}), Recorder: recorder, Logger: logger,
		})
		watching, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); other.Run(watching) }()
		t.Cleanup(func() { stop(); <-ended; other.Close(); theirs.Close() })
		return other
	}
	runs := livequery.NewRuns(s.store, subscriptions.Interval, logger)
	base, cut := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() { defer close(looked); runs.Run(base) }()
	s.cut = cut
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: router.ErrorHandler})
	app.Use(router.RequestID)
	router.New(app, router.Deps{
		Live: s.registry, Metadata: &metadataapi.API{Revisions: s.revisions, Store: s.store, Pools: pools}, Metrics: s.counts, Recorder: recorder,
		Sockets: s.hub, Subscriptions: livequery.NewHub(subscriptions), Runs: runs, Logger: logger, Base: base, ClientIP: func(c *fiber.Ctx) string { return strings.Clone(c.IP()) },
	})
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	t.Cleanup(func() {
		cut()
		_ = app.ShutdownWithTimeout(5 * time.Second)
		_ = listener.Close()
		<-served
		<-looked
		s.registry.Close()
		_ = recorder.Close(ctx)
		s.store.Close()
	})
	s.makeProject(own, edits)
	return s
}

func (s *server) makeProject(database string, edits []func(*settings.Settings)) {
	s.t.Helper()
	ctx := context.Background()
	var tenant tenants.Tenant
	s.change(func(ctx context.Context, tx *store.Tx) (err error) {
		tenant, err = tx.CreateTenant(ctx, store.NewTenant{Slug: "acme", Name: "Acme", Email: "acme@example.com"})
		return err
	})
	created := must(s.revisions.Create(ctx, revision.Author{}, store.NewProject{TenantID: tenant.ID, Name: "Shop", Slug: "shop"},
		revision.Database{URL: vault.NewSecret(database)}))(s.t)
	s.project, s.secret, s.secretID = created.Project, created.AdminSecret.Reveal(), created.SecretID
	for _, edit := range edits {
		s.configure(edit)
	}
	s.command("run_sql", `{"sql": "CREATE TABLE notes (id int PRIMARY KEY, owner text NOT NULL, text text); INSERT INTO notes VALUES (1, 'ann', 'one'), (2, 'bob', 'two');
		CREATE VIEW slow AS SELECT 1 AS id, pg_sleep(20)::text AS slept; CREATE VIEW brief AS SELECT 1 AS id, pg_sleep(0.7)::text AS slept;
		CREATE VIEW large AS SELECT 1 AS id, repeat('x', 200000) AS text"}`)
	for _, name := range []string{"notes", "slow", "brief", "large"} {
		s.command("pg_track_table", fmt.Sprintf(`{"table": %q}`, name))
	}
	s.command("pg_create_select_permission", `{"table": "notes", "role": "user", "permission": {"columns": ["id", "text"], "filter": {"owner": "X-Hasura-User-Id"}}}`)
}

// configure changes the project's settings.
func (s *server) configure(edit func(*settings.Settings)) {
	s.t.Helper()
	must(s.revisions.Apply(context.Background(), s.project.ID, revision.Change{Action: "auth.put", Settings: func(set settings.Settings) (settings.Settings, error) {
		edit(&set)
		return set, nil
	}}))(s.t)
}

// command runs a metadata command as admin.
func (s *server) command(kind, args string) {
	s.t.Helper()
	path := "/v1/metadata"
	if kind == "run_sql" {
		path = "/v2/query"
	}
	args = strings.NewReplacer("\n", " ", "\t", "").Replace(args)
	r := must(http.NewRequest(http.MethodPost, "http://"+s.address+"/p/shop"+path, strings.NewReader(fmt.Sprintf(`{"type": %q, "args": %s}`, kind, args))))(s.t)
	r.Header.Set("X-Hasura-Admin-Secret", s.secret)
	answer := must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s", kind, answer.StatusCode, text)
	}
}

// change writes to the store as another node would, and lets this one hear of it.
func (s *server) change(f func(ctx context.Context, tx *store.Tx) error) {
	s.t.Helper()
	ctx := context.Background()
	if err := s.store.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "test", Outcome: audit.OK}}, f); err != nil {
		s.t.Fatal(err)
	}
	if s.project.ID != "" {
		s.registry.Reload(ctx, s.project.ID)
	}
}

// metric is the line of the project's metrics that begins so.
func (s *server) metric(name string) string {
	s.t.Helper()
	var b bytes.Buffer
	if err := s.counts.WriteProject(&b, "shop"); err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, name+" ") {
			return strings.TrimSpace(strings.TrimPrefix(line, name))
		}
	}
	return ""
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within 20 s", what)
}

// peer is a client's end of a socket.
type peer struct {
	t    testing.TB
	conn *websocket.Conn
}

const (
	older = "graphql-ws"
	newer = "graphql-transport-ws"
)

// dial opens a socket; protocol is what the client offers, headers are pairs.
func (s *server) dial(protocol, path string, headers ...string) *peer {
	s.t.Helper()
	conn, answer, err := s.tryDial(protocol, path, headers...)
	if err != nil {
		s.t.Fatalf("%v: %v", err, answer)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &peer{s.t, conn}
}

func (s *server) tryDial(protocol, path string, headers ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	dialer := websocket.Dialer{HandshakeTimeout: 5 * time.Second}
	if protocol != "" {
		dialer.Subprotocols = strings.Split(protocol, ",")
	}
	return dialer.Dial("ws://"+s.address+"/p/shop"+path, h)
}

// open is a socket whose client was let in as admin.
func (s *server) open(protocol string) *peer {
	s.t.Helper()
	p := s.dial(protocol, "/v1/graphql")
	p.send(s.init())
	p.want(`{"type":"connection_ack"}`)
	return p
}

// init is the connection_init of an admin.
func (s *server) init(headers ...string) string {
	all := map[string]string{"X-Hasura-Admin-Secret": s.secret}
	for i := 0; i < len(headers); i += 2 {
		all[headers[i]] = headers[i+1]
	}
	return initWith(all)
}

func initWith(headers map[string]string) string {
	text, _ := json.Marshal(map[string]any{"type": "connection_init", "payload": map[string]any{"headers": headers}})
	return string(text)
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// keepAlives are left out of what a client expects.
var keepAlives = map[string]bool{`{"type":"ka"}`: true, `{"type":"ping","payload":{"message":"keepalive"}}`: true}

// next is the next message, or "close CODE TEXT".
func (p *peer) next() string {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(8 * time.Second))
	for {
		_, text, err := p.conn.ReadMessage()
		var ended *websocket.CloseError
		if errors.As(err, &ended) {
			return strings.TrimSpace(fmt.Sprintf("close %d %s", ended.Code, ended.Text))
		}
		if err != nil {
			p.t.Fatalf("no message: %v", err)
		}
		if !keepAlives[string(text)] {
			return string(text)
		}
	}
}

func (p *peer) want(messages ...string) {
	p.t.Helper()
	for _, want := range messages {
		if got := p.next(); got != want {
			p.t.Fatalf("got  %.400s\nwant %s", got, want)
		}
	}
}
