package pgtest

import (
	"context"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"
)

// Template makes databases that all begin in the same state. It is filled once in a
// test process, whose databases are copies with the same owner; on a server that the
// environment names, where nothing may stay behind, each database is filled by itself.
type Template struct {
	// Fill brings an empty database to the state, and leaves no session there.
	Fill func(ctx context.Context, url string) error

	once    sync.Once
	address *url.URL // nil: it could not be filled
}

// Database creates a database in the state and returns its URL, as the function
// Database does.
func (x *Template) Database(t testing.TB) string {
	t.Helper()
	if os.Getenv(serverVariable) != "" {
		address := Database(t)
		x.fill(t, address)
		return address
	}
	x.once.Do(func() {
		address := create(t)
		x.fill(t, address.String())
		x.address = address
	})
	if x.address == nil {
		t.Fatal("the template of the test's database could not be filled")
	}
	owner, name := x.address.User.Username(), newName()
	execute(t, "CREATE DATABASE "+name+" OWNER "+owner+" TEMPLATE "+owner)
	t.Cleanup(func() { execute(t, dropDatabase(name)) })
	copied := *x.address
	copied.Path = "/" + name
	return copied.String()
}

func (x *Template) fill(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := x.Fill(ctx, address); err != nil {
		t.Fatalf("fill the test's database: %v", err)
	}
}
