package postgres

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestRestartKeepsTheDataAndThePassword(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := run(t, Options{DataDir: dir, Durable: true})
	exec1(t, first.URL("postgres"), "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
	checkClosed(t, first, dir)
	sockets := first.SocketDir()
	stop(t, first)
	stop(t, first) // again is no error
	waitFor(t, "Done after Stop", first.Done())
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the socket is still there: %v", err)
	}
	second := run(t, Options{DataDir: dir, Durable: true})
	if n := count(t, second.URL("postgres")); n != 1 {
		t.Errorf("%d rows after the restart", n)
	}
}

// checkClosed: nobody gets in without the password, or reads it from a file.
func checkClosed(t *testing.T, s *Server, dir string) {
	t.Helper()
	if info, err := os.Stat(filepath.Join(dir, passwordFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the password file: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(s.SocketDir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the socket: %v, %v", info.Mode(), err)
	}
	u, _ := url.Parse(s.URL("postgres"))
	u.User = url.UserPassword("postgres", "wrong")
	if _, err := pgx.Connect(t.Context(), u.String()); code(err) != "28P01" {
		t.Errorf("a wrong password gives %v", err)
	}
}

func TestALoopbackPortServesWhereThereIsNoSocket(t *testing.T) {
	t.Parallel()
	s := run(t, Options{DataDir: dataDir(t), TCP: true})
	if u, _ := url.Parse(s.URL("postgres")); u.Hostname() != "127.0.0.1" || s.SocketDir() != "" {
		t.Errorf("it listens on %s", u.Host)
	}
	exec1(t, s.URL("postgres"), "SELECT 1")
}

func TestAKilledPostmasterIsToldAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := run(t, Options{DataDir: dir, Durable: true})
	exec1(t, first.URL("postgres"), "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
	keepBusy(t, first.URL("postgres"))
	if err := syscall.Kill(first.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "Done after the kill", first.Done())
	stop(t, first)
	second := run(t, Options{DataDir: dir, Durable: true})
	if n := count(t, second.URL("postgres")); n != 1 {
		t.Errorf("%d rows after the restart", n)
	}
}

// keepBusy has a backend that computes, so that it ends late.
func keepBusy(t *testing.T, url string) {
	t.Helper()
	conn := connectTo(t, url)
	go func() {
		_, _ = conn.Exec(context.Background(), "SELECT sum(sqrt(g)) FROM generate_series(1, 200000000) g")
	}()
	time.Sleep(100 * time.Millisecond)
}

func TestNothingIsLostWhenTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"the program alone": false, "the program and Postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			program, url, pid := hold(t, dir)
			exec1(t, url, "CREATE TABLE kept (id int)", "INSERT INTO kept SELECT generate_series(1, 100)")
			keepBusy(t, url)
			if err := program.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if both {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			s := run(t, Options{DataDir: dir, Durable: true})
			if n := count(t, s.URL("postgres")); n != 100 {
				t.Errorf("%d of 100 rows", n)
			}
			if sockets := socketOf(t, url); sockets != s.SocketDir() {
				if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the old folder of the socket is still there: %v", err)
				}
			}
		})
	}
}

func socketOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host")
}

func TestARunningPostmasterIsAdoptedAndStopped(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	lost := run(t, Options{DataDir: dir})
	lost.folder.release() // as if its program were gone
	adopted, err := Start(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if adopted.Pid() != lost.Pid() || adopted.SocketDir() != lost.SocketDir() {
		t.Errorf("process %d was started beside %d", adopted.Pid(), lost.Pid())
	}
	exec1(t, adopted.URL("postgres"), "SELECT 1")
	stop(t, adopted)
	waitFor(t, "the end of the adopted server", lost.Done())
}

func TestARunningPostmasterWithoutFsyncIsReplacedByADurableOne(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	lost := run(t, Options{DataDir: dir})
	lost.folder.release()
	durable := run(t, Options{DataDir: dir, Durable: true})
	waitFor(t, "the end of the other server", lost.Done())
	var fsync string
	err := connectTo(t, durable.URL("postgres")).QueryRow(t.Context(), "SHOW fsync").Scan(&fsync)
	if err != nil || fsync != "on" {
		t.Errorf("fsync is %q (%v)", fsync, err)
	}
}

// A pid file whose number is taken: by a process that is dead but not reaped,
// or by a program that has nothing to do with Postgres.
func TestAStalePidFileDoesNotKeepPostgresFromStarting(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := run(t, Options{DataDir: dir})
	path := filepath.Join(s.folder.pgdata(), "postmaster.pid")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := s.folder.owner
	stop(t, s)
	_, rest, _ := strings.Cut(string(written), "\n")
	process := func(t *testing.T, name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = owner.attributes() // Postgres minds its own user's processes
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		time.Sleep(50 * time.Millisecond)
		return strconv.Itoa(cmd.Process.Pid)
	}
	for name, content := range map[string]func(*testing.T) string{
		"a zombie":       func(t *testing.T) string { return process(t, "true") + "\n" + rest },
		"a stranger":     func(t *testing.T) string { return process(t, "sleep", "60") + "\n" + rest },
		"no process":     func(*testing.T) string { return strconv.Itoa(deadPid) + "\n" + rest },
		"ourselves":      func(*testing.T) string { return strconv.Itoa(os.Getpid()) + "\n" + rest },
		"an empty file":  func(*testing.T) string { return "" },
		"a torn file":    func(*testing.T) string { return "123" },
		"anything else":  func(*testing.T) string { return "hello\n" },
		"a missing file": nil,
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(path)
			if content != nil {
				if err := os.WriteFile(path, []byte(content(t)), 0o600); err != nil {
					t.Fatal(err)
				}
				if owner != nil {
					_ = os.Chown(path, int(owner.uid), int(owner.gid))
				}
			}
			again := run(t, Options{DataDir: dir})
			exec1(t, again.URL("postgres"), "SELECT 1")
			stop(t, again)
		})
	}
}

func TestLogsHoldNoStatements(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := run(t, Options{DataDir: dir})
	conn := connectTo(t, s.URL("postgres"))
	_, _ = conn.Exec(t.Context(), "CREATE TABLE u (secret text PRIMARY KEY); INSERT INTO u VALUES ('canary-1'); INSERT INTO u VALUES ('canary-1')")
	_, _ = conn.Exec(t.Context(), "CREATE ROLE postgres PASSWORD 'canary-2'")
	_, _ = conn.Exec(t.Context(), "SELECT $1::int / 0", 4711)
	stop(t, s)
	content, err := os.ReadFile(filepath.Join(dir, logFile))
	if err != nil || !strings.Contains(string(content), "duplicate key") {
		t.Fatalf("the log lacks the error (%v): %s", err, content)
	}
	if strings.Contains(string(content), "canary") || strings.Contains(string(content), "4711") {
		t.Errorf("the log holds data: %s", content)
	}
}
