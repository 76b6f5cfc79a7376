package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/audit"
	"tenantry/ops/postgres/pgtest"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

var (
	operator = audit.Actor{Kind: audit.ActorOperator, ID: "test"}
	changed  = []audit.Event{{Kind: audit.KindChange, Actor: operator, Action: "test.change"}}
)

func openVault(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Open(filepath.Join(t.TempDir(), "keyring.json"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// open returns a store over a fresh database, and the database's URL.
func open(t testing.TB) (*store.Store, string) {
	t.Helper()
	url := pgtest.Database(t)
	return openAt(t, url, openVault(t)), url
}

func openAt(t testing.TB, url string, v *vault.Vault) *store.Store {
	t.Helper()
	if err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url, v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func change(t testing.TB, s *store.Store, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := s.Change(t.Context(), changed, f); err != nil {
		t.Fatal(err)
	}
}

func signUp(t testing.TB, s *store.Store, name string) tenants.Tenant {
	t.Helper()
	var made tenants.Tenant
	change(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		made, err = tx.CreateTenant(ctx, store.NewTenant{Name: name, Email: name + "@example.com"})
		return err
	})
	return made
}

func newProject(t testing.TB, s *store.Store, tenant tenants.Tenant, name string) tenants.Project {
	t.Helper()
	var made tenants.Project
	change(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		made, err = tx.CreateProject(ctx, store.NewProject{TenantID: tenant.ID, Name: name})
		return err
	})
	return made
}

// query runs SQL beside the store, as someone with access to the database.
func query(t testing.TB, url, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var out string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return out
}

func eventually(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

func TestRacingStartersMigrateOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var starters sync.WaitGroup
	failures := make([]error, 4)
	for i := range failures {
		starters.Go(func() { failures[i] = store.Migrate(t.Context(), url) })
	}
	starters.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	if n := query(t, url, "SELECT count(*)::text FROM tenantry.schema_version WHERE version_id = 1"); n != "1" {
		t.Errorf("the first migration ran %s times", n)
	}
}

func TestOpenRefusesADatabaseThatIsNotMigratedOrNotThere(t *testing.T) {
	t.Parallel()
	url, v := pgtest.Database(t), openVault(t)
	if _, err := store.Open(t.Context(), url, v); err == nil || !strings.Contains(err.Error(), "tenantry migrate") {
		t.Errorf("not migrated: %v", err)
	}
	if _, err := store.Open(t.Context(), "postgres://u:hidden@127.0.0.1:1/x", v); !unreachable(err) {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := store.Open(t.Context(), "postgres://u:hidden@[::1/x", v); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("bad URL: %v", err)
	}
}

func TestSlugsAreUniqueInTheInstallation(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	a, b := signUp(t, s, "Acmé & Sons"), signUp(t, s, "Acmé & Sons")
	if a.Slug != "acm-sons" || b.Slug != "acm-sons-2" {
		t.Errorf("derived %q and %q", a.Slug, b.Slug)
	}
	if p, q := newProject(t, s, a, "Shop"), newProject(t, s, b, "Shop"); p.Slug != "shop" || q.Slug != "shop-2" {
		t.Errorf("derived %q and %q", p.Slug, q.Slug)
	}
	cases := map[string]struct {
		slug string
		want error
	}{
		"taken by another tenant": {"shop", store.ErrSlugTaken},
		"upper case":              {"Shop", store.ErrBadSlug},
		"one letter":              {"s", store.ErrBadSlug},
		"digit first":             {"1shop", store.ErrBadSlug},
		"someone else's id":       {"a" + a.ID[1:], store.ErrBadSlug},
		"free":                    {"shop-9", nil},
	}
	for name, c := range cases {
		err := s.Change(t.Context(), changed, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateProject(ctx, store.NewProject{TenantID: b.ID, Slug: c.slug, Name: "x"})
			return err
		})
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestRacingSignUpsOfOneNameGetDifferentSlugs(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	slugs := map[string]bool{}
	for range 8 {
		wait.Go(func() {
			err := s.Change(t.Context(), changed, func(ctx context.Context, tx *store.Tx) error {
				made, err := tx.CreateTenant(ctx, store.NewTenant{Name: "42"})
				mu.Lock()
				defer mu.Unlock()
				slugs[made.Slug] = true
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(slugs) != 8 {
		t.Errorf("slugs %v", slugs)
	}
}

func TestADeletedProjectIsHiddenAndComesBack(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	tenant := signUp(t, s, "acme")
	p := newProject(t, s, tenant, "shop")
	hidden := func(when string) {
		t.Helper()
		_, byID := s.Project(ctx, p.ID)
		_, bySlug := s.Project(ctx, p.Slug)
		_, loaded := s.LoadProject(ctx, p.Slug)
		_, _, document := s.Metadata(ctx, p.ID)
		_, _, conf := s.Settings(ctx, p.ID)
		listed, _, err := s.Projects(ctx, tenant.ID, store.Page{})
		for _, err := range []error{byID, bySlug, loaded, document, conf} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", when, err)
			}
		}
		if len(listed) != 0 || err != nil {
			t.Errorf("%s: listed %v, %v", when, listed, err)
		}
	}
	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetProjectStatus(ctx, p.ID, tenants.Deleted)
		return err
	})
	hidden("deleted")
	if found, err := s.DeletedProject(ctx, p.Slug); err != nil || found.TenantID != tenant.ID {
		t.Errorf("deleted project: %+v, %v", found, err)
	}
	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RestoreProject(ctx, p.ID)
		return err
	})
	if found, err := s.Project(ctx, p.Slug); err != nil || found.Status != tenants.Active {
		t.Errorf("restored: %+v, %v", found, err)
	}
	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetTenantStatus(ctx, tenant.ID, tenants.Deleted)
		return err
	})
	hidden("tenant deleted")
	if _, err := s.Tenant(ctx, tenant.Slug); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted tenant: %v", err)
	}
	change(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RestoreTenant(ctx, tenant.Slug)
		return err
	})
	if _, err := s.LoadProject(ctx, p.ID); err != nil {
		t.Errorf("after the tenant's return: %v", err)
	}
}

func TestNamesThatNobodyHasAreNotFound(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	for _, name := range []string{"", "nobody", "00000000-0000-0000-0000-000000000000", "a\x00b", "\xff", "'; DROP TABLE x", "{00000000-0000-0000-0000-000000000000}"} {
		_, tenant := s.Tenant(t.Context(), name)
		_, project := s.Project(t.Context(), name)
		_, loaded := s.LoadProject(t.Context(), name)
		_, _, keys := s.ProjectKeys(t.Context(), "no id", store.Page{})
		for _, err := range []error{tenant, project, loaded, keys} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestListsArePagedWithoutGapsOrRepeats(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	tenant, other := signUp(t, s, "acme"), signUp(t, s, "other")
	newProject(t, s, other, "elsewhere")
	want := map[string]bool{}
	for range 7 {
		want[newProject(t, s, tenant, "p").ID] = true
	}
	got := map[string]bool{}
	page := store.Page{Limit: 3}
	for pages := 1; ; pages++ {
		items, next, err := s.Projects(t.Context(), tenant.ID, page)
		if err != nil || len(items) > 3 {
			t.Fatal(len(items), err)
		}
		for _, p := range items {
			if got[p.ID] || !want[p.ID] {
				t.Errorf("%s again, or of another tenant", p.ID)
			}
			got[p.ID] = true
		}
		if page.Cursor = next; next == "" {
			if pages != 3 || len(got) != 7 {
				t.Errorf("%d projects on %d pages", len(got), pages)
			}
			break
		}
	}
	if _, _, err := s.Projects(t.Context(), tenant.ID, store.Page{Cursor: "forged"}); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("forged cursor: %v", err)
	}
}

func TestKeysAreFoundByHashUntilTheyExpireOrAreRevoked(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	acme, other := signUp(t, s, "acme"), signUp(t, s, "other")
	project := newProject(t, s, acme, "shop")
	create := func(k tenants.Key) (tenants.Key, []byte, error) {
		secret, prefix := vault.Token("tk_")
		k.Prefix = prefix
		hash := vault.Hash(secret.Reveal())
		err := s.Change(ctx, changed, func(ctx context.Context, tx *store.Tx) (err error) {
			k, err = tx.CreateKey(ctx, k, hash)
			return err
		})
		return k, hash, err
	}
	soon := time.Now().Add(400 * time.Millisecond)
	owner, ownerHash, err1 := create(tenants.Key{TenantID: acme.ID, Role: tenants.Owner})
	scoped, scopedHash, err2 := create(tenants.Key{TenantID: acme.ID, ProjectID: project.ID, Scopes: []string{"metadata:write"}})
	_, shortHash, err3 := create(tenants.Key{TenantID: acme.ID, Role: tenants.Viewer, ExpiresAt: &soon})
	_, _, foreign := create(tenants.Key{TenantID: other.ID, ProjectID: project.ID})
	if err := errors.Join(err1, err2, err3); err != nil || !errors.Is(foreign, store.ErrNotFound) {
		t.Fatal(err, foreign)
	}
	if f, err := s.FindKey(ctx, ownerHash); err != nil || f.Key.ID != owner.ID || f.Tenant.ID != acme.ID || f.Project != nil || f.Key.Role != tenants.Owner {
		t.Errorf("owner's key: %+v, %v", f, err)
	}
	if f, err := s.FindKey(ctx, scopedHash); err != nil || f.Project == nil || f.Project.ID != project.ID || f.Key.Scopes[0] != "metadata:write" {
		t.Errorf("project's key: %+v, %v", f, err)
	}
	state, err := s.LoadProject(ctx, project.Slug)
	if err != nil || len(state.Keys) != 3 || string(state.Keys[0].Hash) != string(ownerHash) || state.Keys[1].Key.ProjectID != project.ID {
		t.Errorf("loaded keys %+v, %v", state.Keys, err)
	}
	eventually(t, 5*time.Second, "expiry", func() bool {
		_, err := s.FindKey(ctx, shortHash)
		return errors.Is(err, store.ErrNotFound)
	})

	s.TouchKeys(owner.ID, "no id")
	s.FlushUsage(ctx)
	listed, _, err := s.TenantKeys(ctx, acme.ID, store.Page{})
	if err != nil || len(listed) != 2 || listed[0].LastUsed == nil || time.Since(*listed[0].LastUsed) > time.Minute {
		t.Errorf("tenant's keys %+v, %v", listed, err)
	}
	remove := func(tenantID, id string) error {
		return s.Change(ctx, changed, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTenantKey(ctx, tenantID, id) })
	}
	if err := remove(other.ID, owner.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant revoked a key: %v", err)
	}
	if err := remove(acme.ID, scoped.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a project's key was revoked as a tenant's: %v", err)
	}
	if err := remove(acme.ID, owner.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindKey(ctx, ownerHash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoked key: %v", err)
	}
}
