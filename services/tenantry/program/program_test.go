package program

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/ops/health"
	"tenantry/services/tenantry/config"
)

func TestExitCodesTellUsageFromFailure(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	const database = "--database-url=postgres://nobody:canary@127.0.0.1:1/none"
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string // part of it
	}{
		"no command":            {nil, ExitUsage, "a command is expected"},
		"an unknown command":    {[]string{"dance"}, ExitUsage, `unknown command "dance"`},
		"an unknown flag":       {[]string{"dev", "--dance"}, ExitUsage, "unknown flag: --dance"},
		"an argument too many":  {[]string{"dev", "now"}, ExitUsage, `unknown command "now"`},
		"serve without any":     {[]string{"serve"}, ExitUsage, "the configuration has 2 mistakes:\n  --database-url (TENANTRY_DATABASE_URL)"},
		"a mistaken value":      {[]string{"dev", "--signup=never"}, ExitUsage, "--signup: expected open or operator"},
		"a port taken":          {[]string{"dev", "--listen=" + taken.Addr().String()}, ExitFailure, "another program has this port; choose another with --listen"},
		"an address of others":  {[]string{"dev", "--operator-listen=192.0.2.1:80"}, ExitFailure, "this machine does not have the address"},
		"a database not there":  {[]string{"migrate", database}, ExitFailure, "the control plane's database could not be migrated"},
		"print of mistakes":     {[]string{"config", "print", "dev", "--demo=perhaps"}, ExitUsage, "--demo: expected true or false"},
		"the handler by itself": {[]string{"demo-handler"}, ExitFailure, "is started by `tenantry dev`"},
		"codegen of nothing":    {[]string{"actions", "codegen", "--sdl=x"}, ExitUsage, "--framework: expected one of go, express"},
		"codegen without file":  {[]string{"actions", "codegen", "--sdl=/none", "--framework=go", "--action=a"}, ExitFailure, "the definition: open /none"},
		"version":               {[]string{"version"}, ExitOK, ""},
		"help":                  {[]string{"help"}, ExitOK, ""},
		"print":                 {[]string{"config", "print", "dev"}, ExitOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			code := Main(c.args, strings.NewReader(""), &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("exit code %d, expected %d with %q; stderr:\n%s", code, c.code, c.stderr, stderr.String())
			}
			if c.code == ExitOK && stdout.String() == "" {
				t.Error("nothing on stdout")
			}
			if strings.Contains(stdout.String()+stderr.String(), "canary") {
				t.Errorf("a password is shown:\n%s", stderr.String())
			}
		})
	}
}

func TestBothListenersAreOpenedOrNone(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = listen(config.Config{Listen: taken.Addr().String(), OperatorListen: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "--listen") || !strings.Contains(err.Error(), "--operator-listen") {
		t.Errorf("both ports are taken, got %v", err)
	}
	free, err := listen(config.Config{Listen: ":0", OperatorListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	public := free.addresses().Public
	if !strings.HasPrefix(public, "http://127.0.0.1:") {
		t.Errorf("reached at %s", public)
	}
	free.close()
	again, err := net.Listen("tcp", strings.TrimPrefix(public, "http://"))
	if err != nil {
		t.Fatalf("the port was not given back: %v", err)
	}
	again.Close()
}

func TestThePublicListenerSpeaksTLSWhenItHasACertificate(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	l, err := listen(config.Config{Listen: "127.0.0.1:0", OperatorListen: "127.0.0.1:0", TLSCert: cert, TLSKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	go func() { _ = http.Serve(l.public, http.NotFoundHandler()) }()
	base := l.addresses().Public
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get(base)
	if err != nil || !strings.HasPrefix(base, "https://") {
		t.Fatalf("%s: %v", base, err)
	}
	response.Body.Close()
}

func TestTheOperatorListenerTellsHealthMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	var checks health.Checks
	broken := errors.New("canary: password of the database")
	var failing error
	checks.Add("control-plane", func(context.Context) error { return failing })
	meters := newMetrics()
	server := httptest.NewServer(operatorHandler(meters.Handler(), &checks, slog.New(slog.DiscardHandler)))
	defer server.Close()
	get := func(path string) (int, string) {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	for path, part := range map[string]string{"/metrics": "tenantry_build_info", "/healthz/live": `"ok"`, "/healthz/ready": `"control-plane"`, "/debug/pprof/": "goroutine"} {
		if status, body := get(path); status != 200 || !strings.Contains(body, part) {
			t.Errorf("%s: %d, no %s", path, status, part)
		}
	}
	failing = broken
	status, body := get("/healthz/ready")
	var answer struct {
		Status string
		Checks []struct {
			Name string
			OK   bool
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 503 || answer.Status != "unavailable" || answer.Checks[0].OK {
		t.Errorf("not ready: %d %s %v", status, body, err)
	}
	if strings.Contains(body, "canary") {
		t.Error("the reason is shown to whoever asks")
	}
	failing = nil
	checks.Drain(true)
	if status, _ := get("/healthz/ready"); status != 503 {
		t.Errorf("draining: %d", status)
	}
	if status, _ := get("/healthz/live"); status != 200 {
		t.Errorf("alive while draining: %d", status)
	}
}

func TestTheOperatorKeyIsMadeOnceForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "operator.key")
	first, err := keepOperatorKey(path)
	if err != nil || len(first.Reveal()) < 40 {
		t.Fatalf("a key of %d bytes, %v", len(first.Reveal()), err)
	}
	second, err := keepOperatorKey(path)
	if err != nil || !first.Equal(second) {
		t.Errorf("another key the second time, %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := keepOperatorKey(filepath.Join(path, "below", "a", "file")); err == nil {
		t.Error("a key that can't be kept was given out")
	}
}
