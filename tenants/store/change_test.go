package store_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/ops/postgres"
	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

func unreachable(err error) bool {
	var e *errcode.Error
	return errors.As(err, &e) && e.Code == errcode.ConnectionFailed
}

func TestAChangeAndItsEventsAreKeptTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	s, url := open(t)
	acme := signUp(t, s, "acme")
	events := []audit.Event{{Kind: audit.KindChange, Action: "tenant.update", TenantID: acme.ID}}
	refusal := errors.New("no")
	rename := func(fail error) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			name := "renamed"
			if _, err := tx.UpdateTenant(ctx, acme.ID, store.TenantEdit{Name: &name}); err != nil {
				return err
			}
			tx.Record(audit.Event{Kind: audit.KindChange, Action: "inside", TenantID: acme.ID, At: tx.Now()})
			return fail
		}
	}
	state := func() (string, int) {
		now, err := s.Tenant(t.Context(), acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		kept, _, err := s.TenantAudit(t.Context(), acme.ID, store.AuditFilter{}, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return now.Name, len(kept)
	}
	if err := s.Change(t.Context(), events, rename(refusal)); !errors.Is(err, refusal) {
		t.Errorf("error of the change: %v", err)
	}
	if name, n := state(); name != "acme" || n != 0 {
		t.Errorf("a refused change left %q and %d events", name, n)
	}
	if err := s.Change(t.Context(), nil, func(context.Context, *store.Tx) error { return nil }); err == nil {
		t.Error("a change without an event was taken")
	}
	// The audit can't be written: no change.
	query(t, url, "ALTER TABLE tenantry.audit_events RENAME TO gone")
	if err := s.Change(t.Context(), events, rename(nil)); err == nil {
		t.Error("a change was made without its audit")
	}
	query(t, url, "ALTER TABLE tenantry.gone RENAME TO audit_events")
	if name, n := state(); name != "acme" || n != 0 {
		t.Errorf("a change without audit left %q and %d events", name, n)
	}
	if err := s.Change(t.Context(), events, rename(nil)); err != nil {
		t.Fatal(err)
	}
	if name, n := state(); name != "renamed" || n != 2 {
		t.Errorf("the change left %q and %d events", name, n)
	}
}

func TestOfTwoChangesOfOneVersionOneIsAConflict(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	p := newProject(t, s, signUp(t, s, "acme"), "shop")
	writers := map[string]func(ctx context.Context, tx *store.Tx) error{
		"metadata": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutMetadata(ctx, p.ID, 0, []byte(`{"version":3}`), operator)
			return err
		},
		"settings": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutSettings(ctx, p.ID, 0, settings.Settings{}, operator)
			return err
		},
	}
	for name, write := range writers {
		var wait sync.WaitGroup
		failures := make([]error, 5)
		for i := range failures {
			wait.Go(func() { failures[i] = s.Change(t.Context(), changed, write) })
		}
		wait.Wait()
		won := 0
		for _, err := range failures {
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if won != 1 {
			t.Errorf("%s: %d of 5 writers won", name, won)
		}
	}
	err := s.Change(t.Context(), changed, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.PutMetadata(ctx, "00000000-0000-0000-0000-000000000000", 0, []byte(`{}`), operator)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("metadata of nobody: %v", err)
	}
}

func TestAProjectIsLoadedWhole(t *testing.T) {
	t.Parallel()
	s, url := open(t)
	acme := signUp(t, s, "acme")
	document := `{"version":3, "sources":[{"name":"ünïcode \u0000 \" ","z":1.50}]}`
	conf := settings.Settings{
		Database:  settings.DatabaseSettings{URL: vault.NewSecret("postgres://u:canary-database@h/d")},
		Variables: []settings.Variable{{Name: "KEY", Value: vault.NewSecret("canary-variable"), Secret: true}},
		Auth:      settings.Auth{JWT: []settings.JWT{{Type: "HS256", Key: vault.NewSecret("canary-jwt")}}},
	}
	cat := &catalog.Catalog{Version: 170002, Tables: []catalog.Table{{Name: catalog.Name{Schema: "public", Name: "t"}, Kind: catalog.TableKind}}}
	var p tenants.Project
	secretHash := vault.Hash("admin")
	change(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		p, err = tx.CreateProject(ctx, store.NewProject{TenantID: acme.ID, Name: "shop", Plan: "free", Managed: true})
		if err != nil {
			return err
		}
		_, err1 := tx.PutMetadata(ctx, p.ID, 0, []byte(document), operator)
		_, err2 := tx.PutSettings(ctx, p.ID, 0, conf, operator)
		_, err3 := tx.CreateAdminSecret(ctx, p.ID, "first", "as_abcd", secretHash)
		return errors.Join(err1, err2, err3, tx.PutCatalog(ctx, p.ID, "default", cat))
	})
	for _, name := range []string{p.ID, p.Slug} {
		got, err := s.LoadProject(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got.Project != p || !reflect.DeepEqual(got.Tenant, acme) {
			t.Errorf("project %+v\ntenant %+v", got.Project, got.Tenant)
		}
		if got.ResourceVersion != 1 || string(got.Document) != document || got.SettingsVersion != 1 {
			t.Errorf("versions %d, %d, document %s", got.ResourceVersion, got.SettingsVersion, got.Document)
		}
		if got.Settings.Database.URL.Reveal() != conf.Database.URL.Reveal() || got.Settings.Auth.JWT[0].Key.Reveal() != "canary-jwt" {
			t.Errorf("settings were not restored")
		}
		if got.Catalogs["default"].Fingerprint() != cat.Fingerprint() {
			t.Errorf("catalogs %+v", got.Catalogs)
		}
		if len(got.AdminSecrets) != 1 || string(got.AdminSecrets[0].Hash) != string(secretHash) {
			t.Errorf("admin secrets %+v", got.AdminSecrets)
		}
	}
	// Nothing of the settings can be read in the database.
	if n := query(t, url, "SELECT count(*)::text FROM tenantry.settings_revisions s WHERE encode(sealed, 'escape') ~ 'canary|KEY|HS256'"); n != "0" {
		t.Error("settings are not sealed")
	}
	// Sealed settings moved to another project's row don't open.
	other := newProject(t, s, acme, "other")
	query(t, url, `INSERT INTO tenantry.settings_revisions SELECT $1::uuid, version, sealed, author_kind, author_id, at FROM tenantry.settings_revisions`, other.ID)
	query(t, url, "UPDATE tenantry.projects SET settings_version = 1 WHERE id = $1::uuid", other.ID)
	if _, _, err := s.Settings(t.Context(), other.ID); err == nil {
		t.Error("settings of another project were opened")
	}
}

func TestEveryRevisionIsKeptWithItsAuthor(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	p := newProject(t, s, signUp(t, s, "acme"), "shop")
	for i, text := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
		change(t, s, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutMetadata(ctx, p.ID, int64(i), []byte(text), audit.Actor{Kind: audit.ActorTenantKey, ID: text})
			return err
		})
	}
	newest, next, err := s.MetadataRevisions(t.Context(), p.ID, store.Page{Limit: 2})
	if err != nil || len(newest) != 2 || newest[0].Version != 3 || newest[0].Author.ID != `{"n":3}` || next == "" {
		t.Fatalf("%+v, %q, %v", newest, next, err)
	}
	rest, next, err := s.MetadataRevisions(t.Context(), p.ID, store.Page{Limit: 2, Cursor: next})
	if err != nil || len(rest) != 1 || rest[0].Version != 1 || next != "" {
		t.Fatalf("%+v, %q, %v", rest, next, err)
	}
	document, _, err := s.MetadataRevision(t.Context(), p.ID, 2)
	if err != nil || string(document) != `{"n":2}` {
		t.Errorf("%s, %v", document, err)
	}
	if _, _, err := s.MetadataRevision(t.Context(), p.ID, 9); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("version 9: %v", err)
	}
}

// heard collects what a watch tells.
type heard struct {
	mu  sync.Mutex
	ids map[string]int
}

func (h *heard) add(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = map[string]int{}
	}
	h.ids[id]++
}

func (h *heard) count(id string) int { h.mu.Lock(); defer h.mu.Unlock(); return h.ids[id] }

func TestOtherNodesHearOfChanges(t *testing.T) {
	t.Parallel()
	s, url := open(t)
	acme, quiet := signUp(t, s, "acme"), signUp(t, s, "quiet")
	p, q, other := newProject(t, s, acme, "shop"), newProject(t, s, acme, "blog"), newProject(t, s, quiet, "other")
	node := openAt(t, url, openVault(t))
	var h heard
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { node.Watch(ctx, h.add) })
	t.Cleanup(func() { stop(); done.Wait() })
	eventually(t, 5*time.Second, "the watch is connected", func() bool { return h.count("") == 1 })

	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.PutMetadata(ctx, p.ID, 0, []byte(`{}`), operator)
		return err
	})
	eventually(t, 2*time.Second, "a change of metadata", func() bool { return h.count(p.ID) == 1 })
	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetTenantStatus(ctx, acme.ID, tenants.Suspended)
		return err
	})
	eventually(t, 2*time.Second, "a tenant's status", func() bool { return h.count(p.ID) == 2 && h.count(q.ID) == 1 })

	cat := &catalog.Catalog{Version: 1}
	for range 2 { // the second changes nothing
		if err := s.PutCatalog(t.Context(), p.ID, "default", cat); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 2*time.Second, "a catalog", func() bool { return h.count(p.ID) == 3 })

	// The connection is cut: the watch says that anything may have changed.
	query(t, url, "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
	eventually(t, 5*time.Second, "the watch is back", func() bool { return h.count("") == 2 })
	change(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Touch(ctx, q.ID) })
	eventually(t, 2*time.Second, "a change after the interruption", func() bool { return h.count(q.ID) == 2 })
	if h.count(p.ID) != 3 || h.count(other.ID) != 0 {
		t.Errorf("heard %v", h.ids)
	}
}

// restartable is a Postgres of the test's own, behind a path that stays the same
// although each start has another folder for its socket.
type restartable struct {
	dir     string
	url     string
	running *postgres.Server
}

func startServer(t *testing.T) *restartable {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tenantry-store-") // short: it is part of a socket's path
	if err != nil {
		t.Fatal(err)
	}
	// As root, Postgres runs as another user, who must be able to pass.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	r := &restartable{dir: dir}
	t.Cleanup(func() {
		if r.running != nil {
			_ = r.running.Stop(context.Background())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	r.start(t)
	u, err := url.Parse(r.running.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", r.link())
	u.RawQuery = q.Encode()
	r.url = u.String()
	return r
}

func (r *restartable) link() string { return filepath.Join(r.dir, "socket") }

func (r *restartable) start(t *testing.T) {
	t.Helper()
	var err error
	if r.running, err = postgres.Start(t.Context(), postgres.Options{DataDir: filepath.Join(r.dir, "data")}); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(r.link())
	if err := os.Symlink(r.running.SocketDir(), r.link()); err != nil {
		t.Fatal(err)
	}
}

// restart stops the server, calls f and starts the server again.
func (r *restartable) restart(t *testing.T, f func()) {
	t.Helper()
	if err := r.running.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	f()
	r.start(t)
}

func TestTheStoreSurvivesARestartOfPostgres(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	s := openAt(t, server.url, openVault(t))
	acme := signUp(t, s, "acme")
	var h heard
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { s.Watch(ctx, h.add) })
	t.Cleanup(func() { cancel(); done.Wait() })
	eventually(t, 5*time.Second, "the watch is connected", func() bool { return h.count("") == 1 })

	recorder := audit.NewRecorder(s, audit.Options{})
	server.restart(t, func() {
		if _, err := s.Tenant(t.Context(), acme.ID); !unreachable(err) {
			t.Errorf("read while Postgres is down: %v", err)
		}
		err := s.Change(t.Context(), changed, func(context.Context, *store.Tx) error { return nil })
		if !unreachable(err) {
			t.Errorf("change while Postgres is down: %v", err)
		}
		recorder.Record(audit.Event{Kind: audit.KindDenial, TenantID: acme.ID})
	})
	eventually(t, 10*time.Second, "reads work again", func() bool {
		_, err := s.Tenant(t.Context(), acme.ID)
		return err == nil
	})
	if err := recorder.Close(t.Context()); err != nil || recorder.Lost() != 0 {
		t.Errorf("recorder: %v, %d lost", err, recorder.Lost())
	}
	kept, _, err := s.TenantAudit(t.Context(), acme.ID, store.AuditFilter{Kind: audit.KindDenial}, store.Page{})
	if err != nil || len(kept) != 1 {
		t.Errorf("%d denials, %v", len(kept), err)
	}
	eventually(t, 10*time.Second, "the watch is back", func() bool { return h.count("") == 2 })
}
