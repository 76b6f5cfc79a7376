package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// holderVariable turns the test program into a program that starts a server on
// the folder it names, prints its URL and pid, and waits to be killed.
const holderVariable = "TENANTRY_TEST_HOLD_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderVariable); dir != "" {
		s, err := Start(context.Background(), Options{DataDir: dir, Durable: true})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(s.URL("postgres"), s.Pid())
		_, _ = io.Copy(io.Discard, os.Stdin)
		select {}
	}
	os.Exit(m.Run())
}

// hold starts the program above and gives its process, and the server's URL and pid.
func hold(t *testing.T, dir string) (program *exec.Cmd, url string, pid int) {
	t.Helper()
	program = exec.Command(os.Args[0])
	program.Env = append(os.Environ(), holderVariable+"="+dir)
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := program.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscanf(strings.TrimSpace(line), "%s %d", &url, &pid); err != nil {
		t.Fatalf("the program said %q", line)
	}
	return program, url, pid
}

// dataDir is a new folder outside t.TempDir, whose parent is closed to the user
// who runs Postgres when the tests run as root.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tenantry-postgres-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveAbandoned(dir) })
	return dir
}

// run starts a server that ends with the test.
func run(t *testing.T, opts Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn := connectTo(t, url)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func count(t *testing.T, url string) (n int) {
	t.Helper()
	conn := connectTo(t, url)
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func waitFor(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain for: " + what)
	}
}
