package instance_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/postgres/pgtest"
	"tenantry/policy/limits"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/introspect"
	"tenantry/services/engine/source"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

// project is a whole engine over a database of its own: catalog read from
// Postgres, metadata from a document, a handler that answers what a case says.
type project struct {
	*instance.Instance
	folder  string // of its fixture, in testdata
	wire    *wire
	handler *handler
	client  *http.Client // that reaches the handler
	db      *pgx.Conn    // the test's own connection, which the wire does not see
	catalog *catalog.Catalog
	audited *journal
	flush   func(context.Context) error // writes what is on its way to the journal
}

func newProject(t testing.TB) *project {
	t.Helper()
	return newProjectOf(t, ".")
}

// newProjectOf is a project of shop.sql, rows.sql and shop.json in a folder; with
// other.sql there it has a second source, "other", on a database of its own.
func newProjectOf(t testing.TB, folder string, edits ...func(*settings.Settings)) *project {
	t.Helper()
	ctx := t.Context()
	address := pgtest.Database(t)
	db, err := pgx.Connect(ctx, address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	p := &project{folder: folder, wire: &wire{}, handler: &handler{}, db: db}
	p.exec(t, file(t, folder+"/shop.sql"))
	p.exec(t, file(t, folder+"/rows.sql"))
	p.catalog, err = introspect.Read(ctx, db)
	must(t, err)
	document, err := metadata.Decode([]byte(file(t, folder+"/shop.json")))
	must(t, err)
	var enums []catalog.Name
	for _, t := range document.Sources[0].Tables {
		if t.IsEnum {
			enums = append(enums, catalog.Name{Schema: t.Table.Schema, Name: t.Table.Name})
		}
	}
	must(t, introspect.ReadEnums(ctx, db, p.catalog, enums))
	server := httptest.NewServer(p.handler)
	t.Cleanup(server.Close)
	p.client = server.Client()
	catalogs, sources := map[string]*catalog.Catalog{"default": p.catalog}, map[string]*source.Source{"default": p.source(t, address)}
	if sql, err := os.ReadFile("testdata/" + folder + "/other.sql"); err == nil {
		catalogs["other"], sources["other"] = p.second(t, string(sql))
	}
	p.audited = &journal{}
	recorder := audit.NewRecorder(p.audited, audit.Options{})
	p.flush = recorder.Flush
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	set := settings.Settings{Variables: []settings.Variable{{Name: "HANDLER", Value: vault.NewSecret(server.URL)}}}
	for _, edit := range edits {
		edit(&set)
	}
	p.Instance, err = instance.Build(ctx, instance.Config{
		Project: tenants.Project{ID: "p1", Slug: "shop"}, Document: document, Catalogs: catalogs,
		Settings: set,
	}, instance.Outside{
		Sources: sources, Client: p.client, Limiter: limits.NewLimiter(),
		Recorder: recorder, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test",
	})
	must(t, err)
	for _, i := range p.Inconsistencies {
		t.Fatalf("the fixture is inconsistent: %+v", i)
	}
	return p
}

// source is a share in a pool whose statements the wire sees.
func (p *project) source(t testing.TB, address string) *source.Source {
	t.Helper()
	src, err := source.NewPools(p.wire.dial).Source(vault.NewSecret(address), source.Options{})
	must(t, err)
	t.Cleanup(src.Close)
	return src
}

// second is another database with what sql makes in it.
func (p *project) second(t testing.TB, sql string) (*catalog.Catalog, *source.Source) {
	t.Helper()
	address := pgtest.Database(t)
	db, err := pgx.Connect(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	_, err = db.PgConn().Exec(t.Context(), sql).ReadAll()
	must(t, err)
	known, err := introspect.Read(t.Context(), db)
	must(t, err)
	return known, p.source(t, address)
}

func (p *project) exec(t testing.TB, sql string) {
	t.Helper()
	_, err := p.db.PgConn().Exec(t.Context(), sql).ReadAll()
	must(t, err)
}

// as is a session of a role.
func as(role string, variables map[string]string) session.Session {
	own := map[string]string{session.RoleVariable: role}
	for k, v := range variables {
		own[k] = v
	}
	return session.Session{Project: "p1", Role: role, Variables: own, Auth: session.AuthJWT}
}

// handler is the tenant's webhook: it answers with a set text and keeps what it
// was sent.
type handler struct {
	mu       sync.Mutex
	answer   string
	status   int // 200 when 0
	received []string
	headers  http.Header // of the last call
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received, h.headers = append(h.received, string(body)), r.Header
	w.Header().Set("Content-Type", "application/json")
	if h.status != 0 {
		w.WriteHeader(h.status)
	}
	_, _ = io.WriteString(w, h.answer)
}

func (h *handler) set(answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer, h.status, h.received = answer, 0, nil
}

func (h *handler) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.received) == 0 {
		return ""
	}
	return h.received[len(h.received)-1]
}

// discard is an audit log that keeps nothing.
type discard struct{}

func (discard) Append(context.Context, []audit.Event) error { return nil }

// journal is an audit log in memory.
type journal struct {
	mu     sync.Mutex
	events []audit.Event
}

func (j *journal) Append(_ context.Context, events []audit.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, events...)
	return nil
}

// taken are the events so far; the journal is empty then.
func (p *project) taken(t testing.TB) []audit.Event {
	t.Helper()
	must(t, p.flush(t.Context()))
	p.audited.mu.Lock()
	defer p.audited.mu.Unlock()
	events := p.audited.events
	p.audited.events = nil
	return events
}

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	must(t, err)
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
