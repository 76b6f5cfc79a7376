package demo

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantry/tenants/vault"
)

func TestStateIsKeptForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "demo.json")
	first, err := loadState(path)
	if err != nil {
		t.Fatal(err)
	}
	first.point("http://127.0.0.1:1", "http://127.0.0.1:2")
	first.Tenant.Key, first.Project.AdminSecret, first.Project.SigningSecret, first.Complete = "tk", "as", "whsec", true
	for range 2 { // the second replaces the first
		if err := saveState(path, first); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	second, err := loadState(path)
	if err != nil || second != first {
		t.Errorf("read back %+v, %v", second, err)
	}
}

func TestADemoWithoutOneOfItsKeysIsNotComplete(t *testing.T) {
	t.Parallel()
	whole := State{Complete: true, Seed: "s", Tenant: Tenant{Key: "k"}, Project: Project{AdminSecret: "a", SigningSecret: "w", JWTKey: "j"}}
	for name, lose := range map[string]func(*State){
		"nothing":        func(*State) {},
		"owner key":      func(s *State) { s.Tenant.Key = "" },
		"admin secret":   func(s *State) { s.Project.AdminSecret = "" },
		"signing secret": func(s *State) { s.Project.SigningSecret = "" },
		"jwt key":        func(s *State) { s.Project.JWTKey = "" },
	} {
		path := filepath.Join(t.TempDir(), "demo.json")
		state := whole
		lose(&state)
		if err := saveState(path, state); err != nil {
			t.Fatal(err)
		}
		got, err := loadState(path)
		if err != nil || got.Complete != (name == "nothing") || got.Seed != "s" {
			t.Errorf("without %s: %+v, %v", name, got, err)
		}
	}
}

func TestAStateThatIsNoJSONIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "demo.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadState(path); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyPermissionsThatAreMissingAreCreated(t *testing.T) {
	t.Parallel()
	var document metadataDocument
	err := json.Unmarshal([]byte(`{"version": 3, "sources": [{"tables": [
		{"table": {"schema": "public", "name": "orders"}, "select_permissions": [{"role": "customer"}, {"role": "manager"}]},
		{"table": {"schema": "public", "name": "reviews"}, "insert_permissions": [{"role": "customer"}]}]}]}`), &document)
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(permissions, &all); err != nil {
		t.Fatal(err)
	}
	missing, err := document.missing(permissions)
	if err != nil || len(missing) != len(all)-3 {
		t.Errorf("%d of %d are missing, expected 3 fewer, %v", len(missing), len(all), err)
	}
	for _, m := range missing {
		if text := string(m); strings.Contains(text, "select") && strings.Contains(text, `"table": "orders"`) {
			t.Errorf("created again: %s", text)
		}
	}
	missing, err = metadataDocument{}.missing(permissions)
	if err != nil || len(missing) != len(all) {
		t.Errorf("%d of %d are missing from an empty document, %v", len(missing), len(all), err)
	}
}

func TestTheBannerShowsAddressesKeysAndThreeCommands(t *testing.T) {
	t.Parallel()
	d := New(Options{DataDir: "/data", PublicURL: "http://127.0.0.1:1", OperatorURL: "http://127.0.0.1:2", OperatorKey: vault.NewSecret("op_key"), Logger: slog.New(slog.DiscardHandler)})
	d.state = State{Tenant: Tenant{Key: "tk_key"}, Project: Project{AdminSecret: "as_key", JWTKey: "j"}}
	d.state.point(d.opts.PublicURL, d.opts.OperatorURL)
	d.made = true
	var out strings.Builder
	if err := d.Banner(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/data", "http://127.0.0.1:1/api/docs", "http://127.0.0.1:1/p/shop/", "http://127.0.0.1:2/metrics", "op_key", "tk_key", "as_key", d.state.Tokens.Customer} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "curl -s"); n != 3 || len(d.Commands()) != 3 {
		t.Errorf("%d commands", n)
	}
	if strings.Contains(out.String(), "***") {
		t.Error("a key is masked where it should be shown")
	}
}

func TestWithoutADemoTheBannerTellsHowToSignUp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	d := New(Options{PublicURL: "http://h", OperatorKey: vault.NewSecret("k")})
	if err := d.Banner(&out); err != nil || !strings.Contains(out.String(), "http://h/api/v1/tenants") || strings.Contains(out.String(), "/p/shop") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
