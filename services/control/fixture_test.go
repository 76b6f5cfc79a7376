package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/ops/postgres/pgtest"
	"tenantry/policy/authz"
	"tenantry/policy/egress"
	"tenantry/services/control"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/services/revision"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

const operatorKey = "ok_of-the-test-installation"

// server is the control API on a port of its own, with everything behind it
// real.
type server struct {
	t        *testing.T
	url      string
	api      huma.API
	store    *store.Store
	recorder *audit.Recorder
	logs     *safeBuffer
	// revisions makes changes that nobody asks for over HTTP.
	revisions *revision.Service
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func must[T any](v T, err error) func(t testing.TB) T {
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

func start(t *testing.T, configure ...func(*control.Deps)) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &server{t: t, logs: &safeBuffer{}}
	logger := slog.New(slog.NewJSONHandler(s.logs, nil))
	url := controls.Database(t)
	keyring := must(vault.Open(filepath.Join(t.TempDir(), "keyring.json")))(t)
	s.store = must(store.Open(ctx, url, keyring))(t)
	s.recorder = audit.NewRecorder(s.store, audit.Options{Interval: 10 * time.Millisecond, Logger: logger})
	guard := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	counts := metrics.New(prometheus.NewRegistry(), metrics.Options{})
	pools := source.NewPools((&net.Dialer{}).DialContext)
	registry := live.New(live.Deps{
		Store: s.store, Pools: pools, Client: guard.HTTP(time.Second), Metrics: counts, Recorder: s.recorder, Logger: logger,
	})
	s.revisions = &revision.Service{Store: s.store, Live: registry, Pools: pools, Logger: logger}
	deps := control.Deps{
		Store: s.store, Revisions: s.revisions,
		Control: must(authz.NewControl(ctx))(t), Recorder: s.recorder, CheckEgress: guard.Check, OperatorKeyHash: vault.Hash(operatorKey),
		Signup: control.SignupOpen, SignupsPerHour: 1000, Metrics: counts.WriteProject, Logger: logger, Reload: registry.Reload,
		Observe: counts.ControlRequest,
	}
	for _, f := range configure {
		f(&deps)
	}
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true, IdleTimeout: time.Minute, BodyLimit: 32 << 20, ErrorHandler: control.ErrorHandler,
	})
	s.api = control.New(app, deps)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s.url = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	t.Cleanup(func() {
		_ = app.ShutdownWithTimeout(5 * time.Second)
		_ = listener.Close() // for a test so short that serving had not begun
		<-served
		_ = s.recorder.Close(ctx)
		stop()
		s.store.Close()
	})
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
}

// json reads the answer's body.
func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("not a JSON object: %s", a.text)
	}
	return v
}

// at follows keys and indices: "project.slug", "items.0.id".
func (a answer) at(t testing.TB, path string) any {
	t.Helper()
	var v any = a.json(t)
	for _, key := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(in) {
				t.Fatalf("%s: no %q in %s", path, key, a.text)
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (a answer) str(t testing.TB, path string) string {
	t.Helper()
	s, ok := a.at(t, path).(string)
	if !ok || s == "" {
		t.Fatalf("%s: no text in %d %s", path, a.status, a.text)
	}
	return s
}

// call sends a request. body is JSON text, or "" for none; headers are pairs.
func (s *server) call(key, method, path, body string, headers ...string) answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, s.url+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// want is call for an answer with a status.
func (s *server) want(status int, key, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a := s.call(key, method, path, body, headers...)
	if a.status != status {
		s.t.Fatalf("%s %s: got %d, want %d: %s", method, path, a.status, status, a.text)
	}
	return a
}

// tenant signs up and returns the tenant's slug and owner key.
func (s *server) tenant(name string) (slug, key string) {
	s.t.Helper()
	a := s.want(201, "", "POST", "/api/v1/tenants", fmt.Sprintf(`{"name":%q,"email":"owner@example.com"}`, name))
	return a.str(s.t, "tenant.slug"), a.str(s.t, "key.secret")
}

// shop is a database with two related tables.
const shop = `
CREATE TABLE product (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE review (id serial PRIMARY KEY, product_id int NOT NULL REFERENCES product, stars int);
CREATE SCHEMA "od.d";
CREATE TABLE "od.d"."a.b" (id int PRIMARY KEY);`

// project makes a project on a database with the shop.
func (s *server) project(tenant, key, slug string) (path string) {
	s.t.Helper()
	url := pgtest.Database(s.t)
	ctx := context.Background()
	conn := must(pgx.Connect(ctx, url))(s.t)
	if _, err := conn.Exec(ctx, shop); err != nil {
		s.t.Fatal(err)
	}
	_ = conn.Close(ctx)
	a := s.want(201, key, "POST", "/api/v1/tenants/"+tenant+"/projects", fmt.Sprintf(`{"name":"Shop","slug":%q,"database":{"url":%q}}`, slug, url))
	if strings.Contains(a.text, url) {
		s.t.Fatal("the answer repeats the database's URL")
	}
	return "/api/v1/projects/" + slug
}

// key makes a key of a role.
func (s *server) key(tenant, owner, role string) string {
	s.t.Helper()
	return s.want(201, owner, "POST", "/api/v1/tenants/"+tenant+"/keys", fmt.Sprintf(`{"name":"k","role":%q}`, role)).str(s.t, "secret")
}

// places are the pointers and parameters of a problem's mistakes.
func (a answer) places(t testing.TB) []string {
	t.Helper()
	var p control.Problem
	if err := json.Unmarshal([]byte(a.text), &p); err != nil || p.Status != a.status || p.Code == "" {
		t.Fatalf("not a problem: %d %s", a.status, a.text)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type of a problem: %s", got)
	}
	var all []string
	for _, m := range p.Errors {
		all = append(all, m.Pointer+m.Parameter)
	}
	return all
}
