package metadataapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/ops/audit"
	"tenantry/ops/metrics"
	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/instance"
	"tenantry/services/engine/metadataapi"
	"tenantry/services/engine/source"
	"tenantry/services/live"
	"tenantry/services/revision"
	"tenantry/tenants"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// project is one project with everything behind its commands real.
type project struct {
	t    *testing.T
	api  *metadataapi.API
	live *live.Registry
	tenants.Project
	url string // of its database
	// record hears of commands on data; may be nil.
	record func(kind string, fields []string, failed bool)
}

// controls are databases with the control plane's schema.
var controls = pgtest.Template{Fill: store.Migrate}

func newProject(t *testing.T) *project {
	t.Helper()
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	control, own := controls.Database(t), pgtest.Database(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keyring, err := vault.Open(filepath.Join(t.TempDir(), "keyring.json"))
	check(err)
	kept, err := store.Open(ctx, control, keyring)
	check(err)
	t.Cleanup(kept.Close)
	pools := source.NewPools((&net.Dialer{}).DialContext)
	recorder := audit.NewRecorder(kept, audit.Options{})
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	registry := live.New(live.Deps{
		Recorder: recorder, Store: kept, Pools: pools, Client: http.DefaultClient, Metrics: metrics.New(prometheus.NewRegistry(), metrics.Options{}), Logger: logger,
	})
	t.Cleanup(registry.Close)
	revisions := &revision.Service{Store: kept, Live: registry, Pools: pools, Logger: logger}
	var tenant tenants.Tenant
	check(kept.Change(ctx, []audit.Event{{Kind: audit.KindChange, Action: "tenant.create", Outcome: audit.OK}},
		func(ctx context.Context, tx *store.Tx) (err error) {
			tenant, err = tx.CreateTenant(ctx, store.NewTenant{Slug: "acme", Name: "Acme", Email: "acme@example.com"})
			return err
		}))
	created, err := revisions.Create(ctx, revision.Author{}, store.NewProject{TenantID: tenant.ID, Name: "Shop", Slug: "shop"},
		revision.Database{URL: vault.NewSecret(own)})
	check(err)
	return &project{t: t, api: &metadataapi.API{Revisions: revisions, Store: kept}, live: registry, Project: created.Project, url: own}
}

// admin is who sends what has no session of its own.
var admin = session.Session{Role: session.Admin, Variables: map[string]string{session.RoleVariable: session.Admin}}

// send runs a command of /v1/query, which takes all of them.
func (p *project) send(body string) (any, *errcode.Error) {
	return p.sendTo(metadataapi.LegacyQuery, body)
}

// raw is send, with the text of the answer.
func (p *project) raw(body string) (string, error) {
	p.t.Helper()
	text, _, err := p.api.Run(context.Background(), metadataapi.Request{Endpoint: metadataapi.LegacyQuery, Project: p.Project, Body: []byte(body), Data: metadataapi.Data{Session: admin}})
	return string(text), err
}

// outside runs SQL that nobody tells the project of.
func (p *project) outside(sql string) {
	p.t.Helper()
	connection, err := pgx.Connect(context.Background(), p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer connection.Close(context.Background())
	if _, err := connection.Exec(context.Background(), sql); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) sendTo(endpoint metadataapi.Endpoint, body string) (any, *errcode.Error) {
	p.t.Helper()
	return p.sendAs(admin, endpoint, body)
}

func (p *project) sendAs(s session.Session, endpoint metadataapi.Endpoint, body string) (any, *errcode.Error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	entry, err := p.live.Get(ctx, p.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	record := func(t instance.Trail) {
		if p.record != nil {
			p.record(t.Type, t.Fields, t.Err != nil)
		}
	}
	text, _, err := p.api.Run(ctx, metadataapi.Request{
		Endpoint: endpoint, Project: p.Project, Body: []byte(body),
		Data: metadataapi.Data{Session: s, Instance: entry.Current().Instance, Record: record},
	})
	if err != nil {
		e := errcode.From(err)
		if e.Code == errcode.Unexpected && e.OwnStatus() == 0 {
			p.t.Fatalf("%s\n%v", body, err)
		}
		return nil, e
	}
	var answer any
	if err := json.Unmarshal(text, &answer); err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	return answer, nil
}

// do runs a command that must succeed.
func (p *project) do(kind, args string) any {
	p.t.Helper()
	answer, e := p.send(fmt.Sprintf(`{"type": %q, "args": %s}`, kind, args))
	if e != nil {
		p.t.Fatalf("%s %.1000s: %s at %s: %s %v", kind, args, e.Code, e.Path, e.Message, e.Internal)
	}
	return answer
}

// fails runs a command that must not.
func (p *project) fails(kind, args string, code errcode.Code, path, message string) {
	p.t.Helper()
	_, e := p.send(fmt.Sprintf(`{"type": %q, "args": %s}`, kind, args))
	switch {
	case e == nil:
		p.t.Errorf("%s %s succeeded", kind, args)
	case e.Code != code || e.Path != path || !strings.Contains(e.Message, message):
		p.t.Errorf("%s %s: %s at %s: %s\nwant %s at %s: %s", kind, args, e.Code, e.Path, e.Message, code, path, message)
	}
}

func (p *project) sql(text string) any {
	p.t.Helper()
	quoted, _ := json.Marshal(text)
	return p.do("run_sql", fmt.Sprintf(`{"sql": %s}`, quoted))
}

// export is the document as text, and its version.
func (p *project) export() (string, int) {
	p.t.Helper()
	answer, e := p.send(`{"type": "export_metadata", "version": 2, "args": {}}`)
	if e != nil {
		p.t.Fatal(e)
	}
	text, _ := json.Marshal(at(answer, "metadata"))
	return string(text), int(at(answer, "resource_version").(float64))
}

func (p *project) holds(parts ...string) {
	p.t.Helper()
	text, _ := p.export()
	for _, part := range parts {
		want := !strings.HasPrefix(part, "!")
		if strings.Contains(text, strings.TrimPrefix(part, "!")) != want {
			p.t.Errorf("want %s in\n%s", part, text)
		}
	}
}

func at(v any, key string) any {
	object, _ := v.(map[string]any)
	return object[key]
}

// library is a small schema with everything tracked.
func library(t *testing.T) *project {
	p := newProject(t)
	p.sql(`CREATE TABLE author (id int PRIMARY KEY, name text NOT NULL, vip boolean);
		CREATE TABLE article (id int PRIMARY KEY, title text, author_id int REFERENCES author);
		CREATE TABLE loose (id int)`)
	p.do("bulk", `[
		{"type": "track_table", "args": "author"}, {"type": "pg_track_table", "args": {"table": "article", "source": "default"}},
		{"type": "create_object_relationship", "args": {"table": "article", "name": "author", "using": {"foreign_key_constraint_on": "author_id"}}},
		{"type": "create_array_relationship", "args": {"table": "author", "name": "articles", "using": {"foreign_key_constraint_on": {"table": "article", "column": "author_id"}}}},
		{"type": "create_select_permission", "args": {"table": "article", "role": "user", "permission": {"columns": ["id", "title"],
			"filter": {"_or": [{"author": {"name": {"_eq": "X-Hasura-Name"}}}, {"author": {"articles": {"title": {"_eq": "x"}}}}]}}}},
		{"type": "create_insert_permission", "args": {"table": "author", "role": "user", "permission": {"columns": "*", "check": {"vip": {"_eq": false}}, "set": {"name": "X-Hasura-Name"}}}}]`)
	return p
}
