package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheLinksOfTheDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root(t), "ops/docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme := readFile(t, "README.md")
	for _, page := range pages {
		if name := filepath.Base(page); !strings.Contains(readme, "](ops/docs/"+name+")") {
			t.Errorf("README.md does not tell of ops/docs/%s", name)
		}
	}
	for _, folder := range []string{".", "ops/deploy", "ops/examples", "ops/examples/cqrs"} {
		pages = append(pages, filepath.Join(root(t), folder, "README.md"))
	}
	checked := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(link[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
	if checked < 5 {
		t.Errorf("only %d links were found", checked)
	}
}

// flagNames are the flags that a text names, without help.
func flagNames(text string) []string {
	var names []string
	for _, found := range regexp.MustCompile("(?m)(?:^ +|`)--([a-z][a-z-]*)").FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestOperationsTellsEverySetting(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(binary, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	_, flags, found := strings.Cut(string(help), "Flags:\n")
	if !found {
		t.Fatalf("no flags in %s", help)
	}
	_, section, _ := strings.Cut(readFile(t, "ops/docs/operations.md"), "## Configuration")
	section, _, _ = strings.Cut(section, "\n## ")
	told := flagNames(section)
	exist := flagNames(flags)
	for _, name := range exist {
		if !slices.Contains(told, name) {
			t.Errorf("operations.md does not tell of --%s", name)
		}
	}
	for _, name := range told {
		if !slices.Contains(exist, name) {
			t.Errorf("operations.md tells of --%s, which does not exist", name)
		}
	}
	if len(exist) < 15 {
		t.Errorf("only %d flags: %v", len(exist), exist)
	}
	// And `config print` knows the same settings.
	printed := exec.Command(binary, "config", "print", "dev")
	printed.Env = environment()
	out, err := printed.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range exist {
		if name != "config" && !strings.Contains(string(out), "\n"+name+": ") && !strings.HasPrefix(string(out), name+": ") {
			t.Errorf("config print does not show %s", name)
		}
	}
}

func TestAnotherKeyringIsFoundOutAtTheStart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := startDev(t, dir, "--demo=false")
	p := newProject(t, s, managed) // whose settings are sealed
	s.stop(t)
	keyring := filepath.Join(dir, "keyring.json")
	own, err := os.ReadFile(keyring)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keyring); err != nil {
		t.Fatal(err)
	}
	if s, err := launchDev(dir, "--demo=false"); err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "is not the one that sealed") {
		if s != nil {
			_, _ = s.end(9)
		}
		t.Errorf("started without its keyring: %v", err)
	}
	if err := os.WriteFile(keyring, own, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(keyring, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := launchDev(dir, "--demo=false"); err == nil || !strings.Contains(err.Error(), "must be 0600") {
		t.Errorf("started with a keyring that others can read: %v", err)
	}
	if err := os.Chmod(keyring, 0o600); err != nil {
		t.Fatal(err)
	}
	p.s = startDev(t, dir, "--demo=false")
	p.control(200, "GET", "/signing-secrets?reveal=true", nil)
	p.s.stop(t)
}
