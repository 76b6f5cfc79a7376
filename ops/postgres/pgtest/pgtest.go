// Package pgtest gives tests a real Postgres: one server per test process,
// started when the first test asks, and a fresh database for each test.
//
// The server dies with the process and its folder is removed. With
// TENANTRY_TEST_POSTGRES_URL (the URL of a superuser) that server is used
// instead and none is started.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tenantry/ops/postgres"
)

// serverVariable names the environment variable with the URL of a server to use.
const serverVariable = "TENANTRY_TEST_POSTGRES_URL"

// folderPrefix begins the names of our data folders.
const folderPrefix = "tenantry-pgtest-"

// Database creates an empty database and returns its URL, password included.
// Its owner, whom the URL names, is no superuser; it may create tables, schemas
// and trusted extensions. The database is dropped when the test ends, whatever
// is still connected.
func Database(t testing.TB) string {
	t.Helper()
	address := create(t)
	name := address.User.Username()
	t.Cleanup(func() { execute(t, dropDatabase(name), "DROP ROLE IF EXISTS "+name) })
	return address.String()
}

// create makes an empty database and its owner, who has the same name.
func create(t testing.TB) *url.URL {
	t.Helper()
	name, password := newName(), rand.Text()
	execute(t,
		"CREATE ROLE "+name+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '"+password+"'",
		"CREATE DATABASE "+name+" OWNER "+name+" TEMPLATE template0 ENCODING 'UTF8'")
	address := mustParse(t, AdminURL(t))
	address.Path = "/" + name
	ownSchema(t, address.String(), name)
	address.User = url.UserPassword(name, password)
	return address
}

func newName() string { return "test_" + strings.ToLower(rand.Text()[:16]) }

func dropDatabase(name string) string { return "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)" }

// AdminURL returns the superuser's URL of the test server, database "postgres"
// (or the one that the environment names). Databases that a test creates with
// it are the test's to drop.
func AdminURL(t testing.TB) string {
	t.Helper()
	address, err := adminURL()
	if err != nil {
		t.Fatalf("start Postgres for tests: %v", err)
	}
	return address
}

func adminURL() (string, error) {
	if given := os.Getenv(serverVariable); given != "" {
		return given, nil
	}
	server, err := shared()
	if err != nil {
		return "", err
	}
	return server.URL("postgres"), nil
}

// OwnServer starts a Postgres of the test's own, for tests that stop or kill
// it. It is stopped, and its folder removed, when the test ends.
func OwnServer(t testing.TB) *postgres.Server {
	t.Helper()
	server, dir, err := start()
	if err != nil {
		t.Fatalf("start Postgres for one test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stop Postgres: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the data folder: %v", err)
		}
	})
	return server
}

// shared starts the server of this process once; all later calls get it, or
// the first error.
var shared = sync.OnceValues(func() (*postgres.Server, error) {
	removeLeftovers()
	server, dir, err := start()
	if err != nil {
		return nil, err
	}
	return server, leaveJanitor(server.Pid(), dir, server.SocketDir())
})

func start() (*postgres.Server, string, error) {
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := postgres.Start(ctx, postgres.Options{
		DataDir:  dir,
		Settings: map[string]string{"max_connections": "200"},
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, "", err
	}
	return server, dir, nil
}

// leaveJanitor starts a shell that waits for our end, which it sees as the end
// of its input, then stops Postgres and removes the folder. No test has to call
// anything at its end, and a killed test process leaves nothing either.
func leaveJanitor(pid int, dir, sockets string) error {
	script := `cat >/dev/null
kill -QUIT "$1" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
sleep 0.2
rm -rf "$2" "$3"`
	janitor := exec.Command("/bin/sh", "-c", script, "janitor", strconv.Itoa(pid), dir, sockets)
	janitor.Dir = "/"
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// The write end stays open, and unused, until this process ends.
	if _, err := janitor.StdinPipe(); err != nil {
		return err
	}
	if err := janitor.Start(); err != nil {
		return fmt.Errorf("start the janitor: %w", err)
	}
	go func() { _ = janitor.Wait() }()
	return nil
}

// removeLeftovers removes the folders of test processes that were killed
// together with their janitor.
func removeLeftovers() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, dir := range dirs {
		// A live owner holds the lock of its folder, but for the moment in
		// which the folder is new.
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = postgres.RemoveAbandoned(dir)
		}
	}
}

// administration are sessions of the superuser, kept for all tests: to open one takes
// longer than to make a database.
var administration = sync.OnceValues(func() (*pgxpool.Pool, error) {
	address, err := adminURL()
	if err != nil {
		return nil, err
	}
	return pgxpool.New(context.Background(), address)
})

func administrators(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := administration()
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	return pool
}

// execute runs statements as the superuser.
func execute(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, statement := range statements {
		if _, err := administrators(t).Exec(ctx, statement); err != nil {
			words := strings.Fields(statement)
			t.Fatalf("%s %s on the test server: %v", words[0], words[1], err)
		}
	}
}

// ownSchema makes a role the owner of the schema public of the database at a URL of the
// superuser. From Postgres 15 on the owner of a database has it; before, everybody may
// create there but only the superuser owns it.
func ownSchema(t testing.TB, database, role string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var owned bool
	if err := administrators(t).QueryRow(ctx, "SELECT current_setting('server_version_num')::int >= 150000").Scan(&owned); err != nil {
		t.Fatalf("version of the test server: %v", err)
	}
	if owned {
		return
	}
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "ALTER SCHEMA public OWNER TO "+role); err != nil {
		t.Fatalf("own the schema public on the test server: %v", err)
	}
}

func mustParse(t testing.TB, raw string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("the URL of the test server: %v", err)
	}
	return parsed
}
