package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ops/postgres"
)

// tenantPostgres is a Postgres of a tenant's own, reached at one address
// however often it is stopped and started.
type tenantPostgres struct {
	t       testing.TB
	dir     string
	server  *postgres.Server
	address string

	mu       sync.Mutex
	listener net.Listener
	target   string
	open     []net.Conn
}

func newTenantPostgres(t testing.TB) *tenantPostgres {
	d := &tenantPostgres{t: t, dir: dataDir(t), address: "127.0.0.1:0"}
	d.start()
	t.Cleanup(d.stop)
	return d
}

// url is that of a database, on the address that stays.
func (d *tenantPostgres) url(database string) *url.URL {
	d.t.Helper()
	u, err := url.Parse(d.server.URL(database))
	if err != nil {
		d.t.Fatal(err)
	}
	u.Host = d.address
	return u
}

func (d *tenantPostgres) start() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if d.server, err = postgres.Start(ctx, postgres.Options{DataDir: d.dir, TCP: true}); err != nil {
		d.t.Fatal(err)
	}
	u, err := url.Parse(d.server.URL("postgres"))
	if err != nil {
		d.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.listener, d.target, d.address = listener, u.Host, listener.Addr().String()
	d.mu.Unlock()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go d.pass(client, u.Host)
		}
	}()
}

// pass carries a connection to where Postgres listens now.
func (d *tenantPostgres) pass(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	d.mu.Lock()
	d.open = append(d.open, client, server)
	d.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() { _, _ = io.Copy(pair[0], pair[1]); done <- struct{}{} }()
	}
	<-done
}

// stop ends the server and all connections; the address refuses new ones.
func (d *tenantPostgres) stop() {
	d.mu.Lock()
	if d.listener != nil {
		d.listener.Close()
		d.listener = nil
	}
	for _, c := range d.open {
		c.Close()
	}
	d.open = nil
	d.mu.Unlock()
	if d.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.server.Stop(ctx); err != nil {
		d.t.Error(err)
	}
	d.server = nil
}

func TestATenantsDatabaseMayBeWrongOrGoAway(t *testing.T) {
	t.Parallel()
	s := shared(t)
	database := newTenantPostgres(t)

	t.Run("what is wrong with it is told when the project is made", func(t *testing.T) {
		wrongPassword := database.url("postgres")
		wrongPassword.User = url.UserPassword(wrongPassword.User.Username(), "canary-of-a-password")
		for name, c := range map[string]struct{ url, sentence string }{
			"a wrong password":    {wrongPassword.String(), "the database refused the user or password"},
			"no such database":    {database.url("nonsense").String(), "the server has no database of that name"},
			"nobody listens":      {"postgres://u:canary@127.0.0.1:1/d", "the database can't be reached"},
			"no such host":        {"postgres://u:canary@no-such-host.invalid/d", "the host of the database is not known"},
			"not a URL":           {"canary", "postgres"},
			"another kind of URL": {"mysql://u:canary@127.0.0.1/d", "postgres"},
		} {
			t.Run(name, func(t *testing.T) {
				_, a := tryProject(t, s, map[string]any{"url": c.url})
				if a.Status != 422 || a.at("errors", 0, "pointer") != "/database/url" || !strings.Contains(a.Text, c.sentence) || strings.Contains(a.Text, "canary") {
					t.Errorf("expected 422 with %q: %d %s", c.sentence, a.Status, a.Text)
				}
			})
		}
	})

	p := newProject(t, s, map[string]any{"url": database.url("postgres").String()})
	p.library()
	const query = `{ books { title author { name } } }`
	data(t, p.url("/v1/graphql"), p.as("reader"), query, nil)
	database.stop()
	for range 3 {
		a := p.ask(p.as("reader"), query)
		refusal{"connection-not-established", "the project's database can't be reached"}.check(t, a)
		if strings.Contains(a.Text, database.address) {
			t.Errorf("a client sees %s", a.Text)
		}
	}
	must(t, 503, http.MethodPost, strings.Replace(p.url("/v1/graphql"), "/v1/", "/v1alpha1/", 1), p.as("reader"), map[string]any{"query": query})
	// What needs no database still works, and others are not concerned.
	p.meta(200, "export_metadata", `{}`)
	if a := p.ask(p.as("reader"), `{ __typename }`); a.at("data", "__typename") != "query_root" {
		t.Errorf("without the database: %s", a.Text)
	}
	data(t, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Customer), `{ products(limit: 1) { id } }`, nil)
	p.control(200, http.MethodGet, "", nil)

	database.start()
	within(t, 5*time.Second, "the project works again by itself", func() bool {
		return p.ask(p.as("reader"), query).at("data", "books", 0, "author", "name") == "Ursula K. Le Guin"
	})
	// A quick restart breaks the connections of the pool and nothing else.
	database.stop()
	database.start()
	within(t, 2*time.Second, "the project works after a quick restart", func() bool { return p.ask(p.as("reader"), query).at("errors") == nil })
	made := data(t, p.url("/v1/graphql"), p.admin, `mutation { insert_books_one(object: {id: 2, title: "Solaris", author_id: 1}) { id } }`, nil)
	if made.at("data", "insert_books_one", "id") != 2.0 {
		t.Errorf("%s", made.Text)
	}
}

func TestAStartNeedsNoTenantsDatabase(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := startDev(t, dir, "--demo=false")
	database := newTenantPostgres(t)
	p := newProject(t, s, map[string]any{"url": database.url("postgres").String()})
	p.library()
	s.stop(t)
	database.stop()

	p.s = startDev(t, dir, "--demo=false")
	start := time.Now()
	refusal{"connection-not-established", "the project's database can't be reached"}.check(t, p.ask(p.as("reader"), `{ books { id } }`))
	if a := p.ask(p.as("reader"), `{ __type(name: "books") { name } }`); a.at("data", "__type", "name") != "books" {
		t.Errorf("introspection without the database: %s", a.Text)
	}
	p.meta(200, "export_metadata", `{}`)
	p.control(200, http.MethodPut, "/variables/NAME", map[string]any{"value": "x", "secret": false})
	must(t, 200, http.MethodGet, p.s.OperatorURL+"/healthz/ready", nil, nil) // it is no concern of the operator's
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("answers without the database took %s", took)
	}
	database.start()
	within(t, 5*time.Second, "the project works once its database is there", func() bool {
		return p.ask(p.as("reader"), `{ books { id } }`).at("data", "books", 0, "id") == 1.0
	})
	p.s.stop(t)
}
