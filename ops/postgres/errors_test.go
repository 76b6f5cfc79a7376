package postgres

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestASecondProgramIsRefusedTheFolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	run(t, Options{DataDir: dir})
	_, err := Start(t.Context(), Options{DataDir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error is %v", err)
	}
}

func TestDataOfAnotherVersionNamesBothVersions(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := run(t, Options{DataDir: dir})
	version := filepath.Join(s.folder.pgdata(), "PG_VERSION")
	found, _ := os.ReadFile(version)
	stop(t, s)
	if err := os.WriteFile(version, []byte("9.6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{DataDir: dir})
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "Postgres 9.6") || !strings.Contains(err.Error(), strings.TrimSpace(string(found))) {
		t.Errorf("the error is %v", err)
	}
}

func TestAFolderThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	parent, foreign := dataDir(t), dataDir(t)
	closed := filepath.Join(parent, "closed")
	if err := errors.Join(os.Chmod(parent, 0o711), os.Chmod(foreign, 0o711), os.Mkdir(closed, 0)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dataDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(foreign, serverDir), 0o755), os.WriteFile(filepath.Join(foreign, serverDir, "x"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, named string }{
		"no name":                            {"", "path is expected"},
		"closed to the user of Postgres":     {filepath.Join(closed, "data"), closed},
		"below a file":                       {filepath.Join(file, "data"), file},
		"a file":                             {file, file},
		"where nobody can create":            {"/proc/tenantry", "/proc/tenantry"},
		"with files that are not Postgres's": {foreign, filepath.Join(foreign, serverDir)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(t.Context(), Options{DataDir: c.dir})
			if !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), c.named) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAForeignPasswordIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	stop(t, run(t, Options{DataDir: dir}))
	if err := os.WriteFile(filepath.Join(dir, passwordFile), []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{DataDir: dir}); !errors.Is(err, ErrFolder) {
		t.Errorf("the error is %v", err)
	}
}

func TestWithoutAnyPostgresTheErrorSaysSo(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	_, err := start(t.Context(), Options{DataDir: dataDir(t)}, finder{cacheDir: dataDir(t), fetchURL: gone.URL})
	if !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %v", err)
	}
	_, err = Start(t.Context(), Options{DataDir: dataDir(t), BinDir: t.TempDir()})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("with an empty folder of programs the error is %v", err)
	}
}

// The repository answers every version with an archive whose programs are
// shell scripts that know their version.
func TestProgramsAreFetchedOnceAndFoundAgain(t *testing.T) {
	t.Parallel()
	fetches := 0
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		fetches++
		http.ServeFile(w, r, "testdata/programs.jar")
	}))
	defer repository.Close()
	cache := dataDir(t)
	if err := os.Chmod(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	f := finder{cacheDir: cache, fetchURL: repository.URL}
	owner, err := ownerOf(filepath.Join(cache, "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := f.choose(t.Context(), owner, "data", "")
		if err != nil || got.major != 17 {
			t.Fatalf("chosen %+v, error %v", got, err)
		}
	}
	if fetches != 1 {
		t.Errorf("%d fetches", fetches)
	}
	entries, _ := os.ReadDir(cache)
	if len(entries) != 1 {
		t.Errorf("the cache holds %v", entries)
	}
}

// Root runs Postgres as another user, everybody else as themselves; when the
// tests run as root, the main ones run once more as nobody.
func TestItRunsForAUserWhoIsNotRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // all tests of this package are that test
	}
	dir := dataDir(t)
	program := filepath.Join(dir, "program")
	if err := errors.Join(os.Chmod(dir, 0o777), copyFile(os.Args[0], program)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.v", "-test.run",
		"^(TestRestartKeeps|TestNothingIsLost|TestARunningPostmasterIsAdopted|TestAFolderThatCannot)")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if passed := strings.Count(string(out), "\n--- PASS"); err != nil || passed != 4 {
		t.Errorf("%v, %s of 4 passed\n%s", err, strconv.Itoa(passed), out)
	}
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
