package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// DumpTarget is the database that Dump reads.
type DumpTarget struct {
	Host, Port               string
	User, Password, Database string
	SSLMode                  string // empty: prefer
	// Dial opens the connection; pg_dump itself reaches nothing else.
	Dial func(ctx context.Context) (net.Conn, error)
}

// ErrNoDump says that this machine has no pg_dump.
var ErrNoDump = errors.New("pg_dump is not installed where the server runs")

// DumpError is what pg_dump said.
type DumpError struct{ Message string }

// Error is pg_dump's own message.
func (e *DumpError) Error() string { return e.Message }

// maxDump bounds a dump in bytes.
const maxDump = 256 << 20

// Dump runs the newest pg_dump of this machine with opts, which the caller has
// checked, and returns what it writes. No shell is involved, the password goes
// through the environment, and all of the traffic goes through t.Dial.
func Dump(ctx context.Context, t DumpTarget, opts []string) ([]byte, error) {
	program, err := findDump(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	relay, err := startRelay(ctx, t.Dial)
	if err != nil {
		return nil, err
	}
	defer relay.close()
	cmd := exec.CommandContext(ctx, program, append(opts, "--no-password")...)
	cmd.Dir = "/"
	host, port, err := net.SplitHostPort(relay.address())
	if err != nil {
		return nil, err
	}
	name := t.Host
	if name == "" || strings.HasPrefix(name, "/") {
		name = "localhost"
	}
	mode := t.SSLMode
	if mode == "" {
		mode = "prefer"
	}
	// PGHOST is the name that a certificate is checked for.
	cmd.Env = []string{
		"PGHOST=" + name, "PGHOSTADDR=" + host, "PGPORT=" + port, "PGUSER=" + t.User, "PGPASSWORD=" + t.Password, "PGDATABASE=" + t.Database,
		"PGSSLMODE=" + mode, "PGPASSFILE=/dev/null", "PGSERVICEFILE=/dev/null", "PGAPPNAME=tenantry", "PGCONNECT_TIMEOUT=10", "HOME=/nonexistent", "LC_ALL=C",
	}
	out, said := &limited{left: maxDump}, &limited{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	err = cmd.Run()
	switch {
	case out.over:
		return nil, &DumpError{fmt.Sprintf("the dump is larger than %d MiB", maxDump>>20)}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &DumpError{strings.TrimSpace(said.String())}
	}
	return out.Bytes(), nil
}

// findDump is the newest pg_dump: it reads older servers, not newer ones.
func findDump(ctx context.Context) (string, error) {
	best, found := 0, ""
	for _, i := range newFinder(Options{}).installations(ctx, nil) {
		program := i.program("pg_dump")
		if real, err := filepath.EvalSymlinks(program); err == nil && i.major > best {
			best, found = i.major, real
		}
	}
	if found == "" {
		if program, err := exec.LookPath("pg_dump"); err == nil {
			return program, nil
		}
		return "", ErrNoDump
	}
	return found, nil
}

// limited is a buffer that stops growing.
type limited struct {
	bytes.Buffer
	left int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		l.over = true
		return 0, io.ErrShortWrite
	}
	l.left -= len(p)
	return l.Buffer.Write(p)
}

// relay carries connections of a program of ours, on this machine's loopback, to
// where dial leads.
type relay struct {
	listener net.Listener
	work     sync.WaitGroup
}

func startRelay(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*relay, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(0)))
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener}
	r.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.work.Go(func() { carry(ctx, conn, dial) })
		}
	})
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) close() {
	_ = r.listener.Close()
	r.work.Wait()
}

// carry copies both ways until either side ends.
func carry(ctx context.Context, near net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer func() { _ = near.Close() }()
	far, err := dial(ctx)
	if err != nil {
		return // pg_dump tells that the connection was closed
	}
	defer func() { _ = far.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
	defer stop()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
	_, _ = near.Close(), far.Close()
	<-done
}
