package vault_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"tenantry/tenants/vault"
)

const canary = "canary-4711"

func TestNoPrinterOrEncoderShowsASecret(t *testing.T) {
	t.Parallel()
	s := vault.NewSecret(canary)
	type open struct{ S vault.Secret }
	type hidden struct{ s vault.Secret } // fmt can't call methods of it
	values := map[string]any{
		"secret": s, "pointer": &s, "field": open{s}, "unexported": hidden{s}, "deep": &struct{ h []*hidden }{[]*hidden{{s}}},
		"slice": []vault.Secret{s}, "map": map[string]vault.Secret{"k": s}, "key": map[vault.Secret]int{s: 1}, "error": fmt.Errorf("with %v", s),
	}
	for name, v := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%U"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		if text, err := xml.Marshal(v); err == nil {
			out.Write(text)
		}
		_ = gob.NewEncoder(&out).Encode(v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		hex := fmt.Sprintf("%x", canary)
		if text := out.String(); strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("%s shows the secret: %s", name, text)
		}
	}
	if s.Reveal() != canary || !s.Equal(vault.NewSecret(canary)) || s.Equal(vault.NewSecret("x")) || s.IsZero() || !vault.NewSecret("").IsZero() {
		t.Error("the secret itself is lost")
	}
}

func TestASecretIsReadFromJSONAndRefusalsDoNotRepeatIt(t *testing.T) {
	t.Parallel()
	var v struct{ S vault.Secret }
	if err := json.Unmarshal([]byte(`{"S":"`+canary+`"}`), &v); err != nil || v.S.Reveal() != canary {
		t.Errorf("%v", err)
	}
	if err := json.Unmarshal([]byte(`{"S":["`+canary+`"]}`), &v); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a list as secret: %v", err)
	}
}

type node struct {
	Name   string
	Secret vault.Secret
	Next   *node
	hidden vault.Secret //nolint:unused // found by reflection, or rather not
}

func TestSecretFieldsAreFoundByType(t *testing.T) {
	t.Parallel()
	type tree struct {
		Root  node
		List  []struct{ Key vault.Secret }
		Named map[string]*vault.Secret
		Plain string
	}
	got := vault.SecretFields(reflect.TypeFor[*tree]())
	want := []string{"Root.Secret", "Root.hidden", "List[].Key", "Named{}"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestExtractAndRestoreMoveAllSecrets(t *testing.T) {
	t.Parallel()
	type box struct {
		Top  vault.Secret
		List []struct{ Key vault.Secret }
		Next *struct{ Key vault.Secret }
	}
	full := box{Top: vault.NewSecret("a"), List: []struct{ Key vault.Secret }{{vault.NewSecret("b")}, {}}, Next: &struct{ Key vault.Secret }{vault.NewSecret("c")}}
	found, err := vault.Extract(&full)
	if err != nil || !reflect.DeepEqual(found, map[string]string{"Top": "a", "List.0.Key": "b", "Next.Key": "c"}) {
		t.Fatalf("%v, %v", found, err)
	}
	text, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var back box
	if err := errors.Join(json.Unmarshal(text, &back), vault.Restore(&back, found)); err != nil || !reflect.DeepEqual(back, full) {
		t.Errorf("%v", err)
	}
	if err := vault.Restore(&box{}, found); err == nil {
		t.Error("secrets without a place vanished in silence")
	}
	for _, v := range []any{&node{}, &struct{ M map[string]vault.Secret }{}} {
		if _, err := vault.Extract(v); err == nil {
			t.Errorf("%T: a secret that can't be put back was taken", v)
		}
	}
}

func TestWhatIsSealedOpensOnlyWithItsKeyringAndContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "below", "keyring.json")
	v, err := vault.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Seal([]byte(canary), "settings:a")
	if err != nil || bytes.Contains(sealed, []byte(canary)) {
		t.Fatal(err)
	}
	again, err := vault.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Unseal(sealed, "settings:a"); err != nil || string(plain) != canary {
		t.Errorf("after a restart: %v", err)
	}
	other, err := vault.Open(filepath.Join(t.TempDir(), "keyring.json"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	_, wrongContext := v.Unseal(sealed, "settings:b")
	_, wrongKeyring := other.Unseal(sealed, "settings:a")
	_, wrongData := v.Unseal(changed, "settings:a")
	_, noContext := v.Seal(nil, "")
	for name, err := range map[string]error{"context": wrongContext, "keyring": wrongKeyring, "data": wrongData, "none": noContext} {
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestAKeyringIsMadeOnceAndKeptPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyring.json")
	var wait sync.WaitGroup
	vaults, failures := make([]*vault.Vault, 8), make([]error, 8)
	for i := range vaults {
		wait.Go(func() { vaults[i], failures[i] = vault.Open(path) })
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	sealed, err := vaults[0].Seal([]byte("x"), "c")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vaults {
		if _, err := v.Unseal(sealed, "c"); err != nil {
			t.Errorf("starter %d has another key", i)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(path); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a keyring that others can read: %v", err)
	}
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(broken); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a broken keyring: %v", err)
	}
}

func TestTokensAreLongDifferentAndShowLittle(t *testing.T) {
	t.Parallel()
	a, readable := vault.Token("tk_")
	b, _ := vault.Token("tk_")
	if a.Equal(b) || len(a.Reveal()) < 40 || len(readable) != 7 || !strings.HasPrefix(a.Reveal(), readable) || !strings.HasPrefix(readable, "tk_") {
		t.Errorf("%d characters, readable %q", len(a.Reveal()), readable)
	}
	if !bytes.Equal(vault.Hash(a.Reveal()), vault.Hash(a.Reveal())) || bytes.Equal(vault.Hash(a.Reveal()), vault.Hash(b.Reveal())) {
		t.Error("hashes")
	}
}
