// Package e2e holds tests only: they build the program once, run it as an
// operator would, and talk to it over HTTP as clients do.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/ops/postgres"
)

// startTimeout is generous: initdb on a busy machine with the race detector in
// the other packages.
const startTimeout = 2 * time.Minute

// binary is the built program, buildFlags how it is built.
var (
	binary     string
	buildFlags []string
)

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "tenantry-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tenantry")
	build := exec.Command("go", append(append([]string{"build", "-trimpath"}, buildFlags...), "-o", binary, "tenantry/services/tenantry")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	stopShared()
	return code
}

// dataDir makes a data folder that goes with the test. It is short, as the path
// of a unix socket must be, and lies where the user of Postgres can reach it.
func dataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tnt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeData(dir) })
	return dir
}

// removeData removes a data folder, with a Postgres that may still run there.
func removeData(dir string) {
	_ = postgres.RemoveAbandoned(dir)
	_ = os.RemoveAll(dir)
}

// demoKeys is demo.json.
type demoKeys struct {
	Complete bool
	Tenant   struct{ ID, Slug, Key string }
	Project  demoProject
	Tokens   struct{ Customer, Manager string }
}

type demoProject struct {
	ID, Slug, URL string
	GraphQLURL    string `json:"graphql_url"`
	AdminSecret   string `json:"admin_secret"`
	SigningSecret string `json:"signing_secret"`
	JWTKey        string `json:"jwt_key"`
}

// secrets are all texts that no log may hold.
func (d demoKeys) secrets() []string {
	return []string{d.Tenant.Key, d.Project.AdminSecret, d.Project.SigningSecret, d.Project.JWTKey, d.Tokens.Customer, d.Tokens.Manager}
}

// server is one run of the program.
type server struct {
	PublicURL, OperatorURL string
	OperatorKey            string // of dev
	DataDir                string
	Demo                   demoKeys // zero without a demo

	command *exec.Cmd
	ended   chan struct{}
	err     error // of the process, once ended
	stdout  *output
	stderr  *output
}

// output is what a process wrote so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// environment is that of the tests without our variables, plus those given.
func environment(extra ...string) []string {
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TENANTRY_") })
	return append(clean, extra...)
}

// launch starts the program and waits until it serves. The caller stops it.
func launch(args []string, environ ...string) (*server, error) {
	s := &server{stdout: &output{}, stderr: &output{}, ended: make(chan struct{})}
	s.command = exec.Command(binary, append(args, "--listen=127.0.0.1:0", "--operator-listen=127.0.0.1:0")...)
	s.command.Env = environment(environ...)
	s.command.Stdout, s.command.Stderr = s.stdout, s.stderr
	s.command.WaitDelay = 5 * time.Second // a child that outlives it must not hold the pipes
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() { s.err = s.command.Wait(); close(s.ended) }()
	deadline := time.Now().Add(startTimeout)
	for !s.serving() {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("the program ended with %v before it served:\n%s", s.command.ProcessState, s.stderr)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = s.command.Process.Kill()
			return nil, fmt.Errorf("the program does not serve:\n%s", s.stderr)
		}
	}
	return s, nil
}

// serving looks for the log line that tells the addresses.
func (s *server) serving() bool {
	for line := range strings.Lines(s.stderr.String()) {
		var entry struct {
			Detail struct{ Message, Public, Operator string }
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Detail.Message == "serving" {
			s.PublicURL, s.OperatorURL = entry.Detail.Public, entry.Detail.Operator
			return true
		}
	}
	return false
}

// launchDev starts `tenantry dev` on a data folder and reads its keys.
func launchDev(data string, args ...string) (*server, error) {
	s, err := launch(append([]string{"dev", "--data-dir=" + data}, args...))
	if err != nil {
		return nil, err
	}
	s.DataDir = data
	key, err := os.ReadFile(filepath.Join(data, "operator.key"))
	if err != nil {
		return s, err
	}
	s.OperatorKey = strings.TrimSpace(string(key))
	text, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s.Demo)
}

// startDev is launchDev for one test, which need not stop it.
func startDev(t testing.TB, data string, args ...string) *server {
	t.Helper()
	s, err := launchDev(data, args...)
	if s != nil {
		t.Cleanup(func() { _, _ = s.end(syscall.SIGTERM) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// end sends a signal, waits for the end and returns the exit code.
func (s *server) end(signal syscall.Signal) (int, error) {
	_ = s.command.Process.Signal(signal) // it may have ended already
	select {
	case <-s.ended:
		return s.command.ProcessState.ExitCode(), nil
	case <-time.After(time.Minute):
		_ = s.command.Process.Kill()
		return -1, fmt.Errorf("the program did not stop within a minute:\n%s", s.stderr)
	}
}

// stop is what Ctrl-C does; the program must end well.
func (s *server) stop(t testing.TB) {
	t.Helper()
	code, err := s.end(syscall.SIGINT)
	if err != nil || code != 0 {
		t.Fatalf("stopped with exit code %d, %v:\n%s", code, err, s.stderr)
	}
}

// kill ends the program as a crash does.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if _, err := s.end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// The shared server has the demo and is for tests that change nothing that
// others read.
var (
	sharedOnce   sync.Once
	sharedServer *server
	sharedDir    string
	errShared    error
)

func shared(t testing.TB) *server {
	t.Helper()
	sharedOnce.Do(func() {
		if sharedDir, errShared = os.MkdirTemp("/tmp", "tnt-"); errShared == nil {
			sharedServer, errShared = launchDev(sharedDir)
		}
	})
	if errShared != nil {
		t.Fatal(errShared)
	}
	return sharedServer
}

func stopShared() {
	if sharedServer != nil {
		_, _ = sharedServer.end(syscall.SIGTERM)
	}
	if sharedDir != "" {
		removeData(sharedDir)
	}
}

// answer is what came back over HTTP.
type answer struct {
	Status int
	Header http.Header
	Text   string
	JSON   any // nil when Text is no JSON
}

// at walks into the JSON: keys and, for lists, indexes. A place that is not there is nil.
func (a answer) at(path ...any) any {
	v := a.JSON
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

// headers of a request, by name.
type headers map[string]string

func bearer(token string) headers { return headers{"Authorization": "Bearer " + token} }

func (h headers) with(name, value string) headers {
	out := maps.Clone(h)
	out[name] = value
	return out
}

// send makes a request; body is JSON text, a value to be encoded, or nil.
func send(t testing.TB, method, url string, h headers, body any) answer {
	t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range h {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: response.StatusCode, Header: response.Header, Text: string(text)}
	_ = json.Unmarshal(text, &a.JSON) // not every answer is JSON
	return a
}

// must is send for an answer that is expected.
func must(t testing.TB, status int, method, url string, h headers, body any) answer {
	t.Helper()
	a := send(t, method, url, h, body)
	if a.Status != status {
		t.Fatalf("%s %s: %d, expected %d: %s", method, url, a.Status, status, a.Text)
	}
	return a
}

// graphql runs an operation on a project.
func graphql(t testing.TB, url string, h headers, query string, variables map[string]any) answer {
	t.Helper()
	return must(t, 200, http.MethodPost, url, h, map[string]any{"query": query, "variables": variables})
}

// data is graphql for an operation that must have no errors.
func data(t testing.TB, url string, h headers, query string, variables map[string]any) answer {
	t.Helper()
	a := graphql(t, url, h, query, variables)
	if a.at("errors") != nil || a.at("data") == nil {
		t.Fatalf("%s: %s", query, a.Text)
	}
	return a
}
