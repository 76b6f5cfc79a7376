// Package redistest gives tests a real Redis or Valkey: the program that this
// machine has, one server per call, on a port of its own and with a password.
//
// Nothing is fetched. The server dies with the test process.
package redistest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Server is a running server that keeps nothing on disk.
type Server struct {
	program, password, port string

	stdin io.Closer // when it ends, the server is killed
	shell *exec.Cmd
	pid   int
}

// Start starts a server and stops it when the test ends. Where the machine has
// neither program, the test fails and says what to install.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := find()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{program: program, password: rand.Text(), port: freePort(t)}
	t.Cleanup(s.Kill)
	s.Restart(t)
	return s
}

// URL is the server's address, password included.
func (s *Server) URL() string { return "redis://:" + s.password + "@127.0.0.1:" + s.port + "/0" }

// Kill ends the server at once. It may be started again with Restart.
func (s *Server) Kill() {
	if s.shell == nil {
		return
	}
	_ = s.stdin.Close()
	_ = s.shell.Wait()
	s.shell = nil
}

// Restart starts the server again at the same address, empty.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	// The shell sees our end, however it comes, as the end of its input.
	const script = `"$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -KILL $! 2>/dev/null; wait`
	s.shell = exec.Command("/bin/sh", "-c", script, "redistest", s.program,
		"--port", s.port, "--bind", "127.0.0.1", "--requirepass", s.password, "--save", "", "--appendonly", "no", "--daemonize", "no")
	s.shell.Dir = "/"
	var err error
	if s.stdin, err = s.shell.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.shell.Start(); err != nil {
		t.Fatalf("start %s: %v", s.program, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start %s: %v", s.program, err)
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatalf("start %s: %v", s.program, err)
	}
	s.wait(t)
}

// Pid is that of the server's process, for tests that stop and continue it.
func (s *Server) Pid() int { return s.pid }

// wait returns when the server answers.
func (s *Server) wait(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := s.ping()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", s.program, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *Server) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+s.port)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n", s.password); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+OK\r\n" {
		err = fmt.Errorf("it answers %q", answer)
	}
	return err
}

// find looks where packages put the programs, also where PATH leaves them out.
func find() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		for _, folder := range []string{"", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"} {
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("this test needs redis-server or valkey-server: install the package redis-server (Debian) or valkey")
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
