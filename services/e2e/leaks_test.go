package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// keyFiles of the data folder hold secrets by design.
var keyFiles = []string{"demo.json", "operator.key", "keyring.json", "postgres.password"}

// embeddedURL is the superuser's URL of the Postgres that dev runs.
func embeddedURL(t testing.TB, s *server) (address, socketDir string) {
	t.Helper()
	lines := strings.Split(readText(t, filepath.Join(s.DataDir, "postgres", "postmaster.pid")), "\n")
	if len(lines) < 6 {
		t.Fatalf("postmaster.pid: %q", lines)
	}
	port, socketDir, host := lines[3], lines[4], lines[5]
	u := url.URL{Scheme: "postgres", Path: "/postgres",
		User: url.UserPassword("postgres", strings.TrimSpace(readText(t, filepath.Join(s.DataDir, "postgres.password"))))}
	if socketDir != "" {
		u.RawQuery = url.Values{"host": {socketDir}, "port": {port}}.Encode()
	} else {
		u.Host = host + ":" + port
	}
	return u.String(), socketDir
}

func readText(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSecretsOfDevAreOnStdoutAndInKeyFilesAlone(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	s := startDev(t, dataDir(t), "--log-level=debug")
	h.keep("owner key", s.Demo.Tenant.Key)
	h.keep("admin secret", s.Demo.Project.AdminSecret)
	h.keep("signing secret", s.Demo.Project.SigningSecret)
	h.keep("jwt key", s.Demo.Project.JWTKey)
	h.keep("tokens", s.Demo.Tokens.Customer)
	h.keep("tokens", s.Demo.Tokens.Manager)
	h.keep("operator key", s.OperatorKey)
	database, socketDir := embeddedURL(t, s)
	h.keep("password of Postgres", strings.TrimSpace(readText(t, filepath.Join(s.DataDir, "postgres.password"))))
	h.keepKeyring(filepath.Join(s.DataDir, "keyring.json"))
	h.keepFields(database, filepath.Join(s.DataDir, "keyring.json"))
	delete(h.secrets, "settings.Variables[].Value") // the demo's only one is the handler's address, which is shown
	if h.secrets["keyring"] == nil || h.secrets["settings.Database.URL"] == nil {
		t.Fatal("the keyring or the settings give no secrets")
	}

	order := map[string]any{"query": `mutation { placeOrder(items: [{product_id: 12, quantity: 1}]) { order_id } }`}
	h.need(200, http.MethodPost, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Customer), order)
	h.need(200, http.MethodPost, s.Demo.Project.GraphQLURL, bearer(s.Demo.Tokens.Manager), order)
	h.need(200, http.MethodPost, s.Demo.Project.URL+"/v1/metadata", headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret},
		`{"type": "export_metadata", "args": {}}`)
	h.need(200, http.MethodGet, s.Demo.Project.URL+"/", nil, nil)
	time.Sleep(1200 * time.Millisecond) // the audit is written by then
	h.lookAround(s, s.OperatorKey)
	h.saw("the control plane's database", dumped(t, database))
	tightModes(t, s.DataDir, socketDir)
	s.stop(t)
	h.saw("stdout", s.stdout.String())
	h.saw("the log", s.stderr.String())
	h.search(map[string][]string{"stdout": {"owner key", "admin secret", "tokens", "operator key"}})
	h.searchFiles(s.DataDir)
}

// searchFiles looks for secrets as they are in all files but those that are for
// them; in Postgres's own files also what it has deleted can lie.
func (h *hunt) searchFiles(dir string) {
	h.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || slices.Contains(keyFiles, entry.Name()) {
			return err
		}
		files++
		text := readText(h, path)
		for place, secrets := range h.secrets {
			for _, secret := range secrets {
				if u, err := url.Parse(secret); err == nil && u.User != nil {
					secret, _ = u.User.Password()
				}
				if strings.Contains(text, secret) {
					h.Errorf("the secret of %s is in the file %s", place, path)
				}
			}
		}
		return nil
	})
	if err != nil || files < 10 {
		h.Errorf("%d files of the data folder were searched: %v", files, err)
	}
}

// tightModes checks that nobody else can read the data folder.
func tightModes(t testing.TB, dir, socketDir string) {
	t.Helper()
	check := func(path string, info fs.FileInfo) {
		t.Helper()
		allowed := fs.FileMode(0o700)
		if path == dir && os.Getuid() == 0 {
			allowed = 0o711 // Postgres runs as another user, who has to pass
		}
		if mode := info.Mode().Perm(); mode&^allowed != 0 {
			t.Errorf("%s has the mode %04o, expected no more than %04o", path, mode, allowed)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // Postgres removes files as it runs
		}
		if err != nil || entry.Type()&(fs.ModeSymlink|fs.ModeSocket) != 0 {
			return err
		}
		info, err := entry.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil {
			check(path, info)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range keyFiles {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; expected the mode 0600", name, info, err)
		}
	}
	if socketDir != "" {
		info, err := os.Stat(socketDir)
		if err != nil {
			t.Fatal(err)
		}
		check(socketDir, info)
	}
}

func TestNoFormOfAPathReachesTheOperatorsListenerFromOutside(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{
		"/metrics", "/metrics/", "//metrics", "/METRICS", "/./metrics", "/%6detrics", "/p/shop/metrics", "/p/shop/../../metrics", "/api/v1/metrics",
		"/debug/pprof", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1", "/debug/pprof/symbol",
		"/debug/pprof/trace?seconds=1", "/debug/vars", "/p/shop/debug/pprof/", "/api/v1/debug/pprof/", "/healthz/live", "/healthz/ready",
	} {
		for _, host := range []string{"", strings.TrimPrefix(s.OperatorURL, "http://"), "localhost"} {
			a := sendTo(t, s.PublicURL+path, host)
			if a.Status != http.StatusNotFound || strings.Contains(a.Text, "tenantry_") || strings.Contains(a.Text, "goroutine ") {
				t.Errorf("%s for the host %q on the public listener: %d %.200s", path, host, a.Status, a.Text)
			}
		}
	}
}

// sendTo is a GET with a Host header of its own.
func sendTo(t testing.TB, address, host string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultTransport.RoundTrip(request) // follows nothing
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{Status: response.StatusCode, Text: string(text)}
}

func TestTheHuntFindsASecretInEveryForm(t *testing.T) {
	t.Parallel()
	h := newHunt(t)
	for _, secret := range []string{h.plant("a key"), "as_" + h.plant("another"), "postgres://u:" + h.plant("a password") + "@h/d"} {
		core := secret
		if u, err := url.Parse(secret); err == nil && u.User != nil {
			core, _ = u.User.Password()
		}
		quoted, err := json.Marshal(map[string]string{"k": core})
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{core, string(quoted), url.QueryEscape(core), hex.EncodeToString([]byte("ab" + core + "c"))}
		for before := range 4 {
			long := []byte(strings.Repeat("b", before) + core + "after")
			texts = append(texts, base64.StdEncoding.EncodeToString(long), base64.RawURLEncoding.EncodeToString(long))
		}
		for _, text := range texts {
			if !slices.ContainsFunc(needles(secret), func(needle string) bool { return strings.Contains("…"+text+"…", needle) }) {
				t.Errorf("%s is not found in %s", secret, text)
			}
		}
	}
}
