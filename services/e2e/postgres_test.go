package e2e

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/postgres/pgtest"
)

// tenantDatabase is an empty database as a tenant has one: it is reached over
// TCP, since tenants' URLs reach no sockets of this machine. With a password
// that is not empty its role has that one.
func tenantDatabase(t testing.TB, password string) string {
	t.Helper()
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		run(t, pgtest.AdminURL(t), "ALTER ROLE "+u.User.Username()+" PASSWORD '"+password+"'")
		u.User = url.UserPassword(u.User.Username(), password)
	}
	if folder := u.Query().Get("host"); folder != "" {
		u.Host = forward(t, filepath.Join(folder, ".s.PGSQL."+u.Query().Get("port")))
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// run executes a statement.
func run(t testing.TB, database, statement string) {
	t.Helper()
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// forward listens on a port and hands connections on to a unix socket, until
// the test ends.
func forward(t testing.TB, socket string) (address string) {
	t.Helper()
	return forwardTo(t, func() string { return socket })
}

// forwardTo is forward to a socket that may be another one later.
func forwardTo(t testing.TB, socket func() string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go join(client, socket())
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func join(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return // the client sees a closed connection
	}
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}
