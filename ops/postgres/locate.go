package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest major version that is started; older ones lack
// DROP DATABASE … WITH (FORCE) and trusted extensions.
const oldestMajor = 13

// installation is a folder with the Postgres programs.
type installation struct {
	bin   string // folder of postgres and initdb
	major int
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// finder says where Postgres programs may lie.
type finder struct {
	path     []string // folders that win over all others, in order
	patterns []string // globs of bin folders; the newest version wins
	cacheDir string   // where fetched programs are kept
	fetchURL string   // repository to fetch from; empty: the library's own
}

func newFinder(opts Options) finder {
	if opts.BinDir != "" {
		return finder{path: []string{opts.BinDir}}
	}
	f := finder{
		path: filepath.SplitList(os.Getenv("PATH")),
		patterns: []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/lib/postgresql*/bin",
			"/usr/libexec/postgresql*",
			"/usr/pgsql-*/bin",
			"/usr/local/pgsql/bin",
			"/usr/local/pgsql-*/bin",
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		cacheDir: opts.CacheDir,
		fetchURL: opts.FetchURL,
	}
	if f.cacheDir == "" {
		f.cacheDir = defaultCacheDir()
	}
	return f
}

// defaultCacheDir is where fetched programs are kept. For root it is not below
// /root, because the user that runs Postgres must reach them.
func defaultCacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/tenantry/postgres"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "tenantry", "postgres")
	}
	return filepath.Join(os.TempDir(), "tenantry-cache-"+strconv.Itoa(os.Getuid()))
}

// installations lists what this machine has and owner may run, best first.
func (f finder) installations(ctx context.Context, owner *credential) []installation {
	var found []installation
	seen := map[string]bool{}
	add := func(dir string) []installation {
		real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil || seen[filepath.Dir(real)] {
			return nil
		}
		bin := filepath.Dir(real)
		seen[bin] = true
		if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
			return nil
		}
		if major := versionOf(ctx, real, owner); major >= oldestMajor {
			return []installation{{bin: bin, major: major}}
		}
		return nil
	}
	for _, dir := range f.path {
		if filepath.IsAbs(dir) {
			found = append(found, add(dir)...)
		}
	}
	var others []installation
	patterns := f.patterns
	if f.cacheDir != "" {
		patterns = append(slices.Clone(patterns), filepath.Join(f.cacheDir, "*", "bin"))
	}
	for _, pattern := range patterns {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			others = append(others, add(dir)...)
		}
	}
	slices.SortStableFunc(others, func(a, b installation) int { return b.major - a.major })
	return append(found, others...)
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// versionOf asks the program for its major version, as the user that will run
// it; 0 when it cannot be run.
func versionOf(ctx context.Context, program string, owner *credential) int {
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Dir = "/"
	cmd.SysProcAttr = owner.attributes()
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	match := versionNumber.FindSubmatch(out)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1]))
	return major
}

// choose gives the Postgres for a data folder of the given version ("" when the
// folder is new), fetching one when the machine has none at all.
func (f finder) choose(ctx context.Context, owner *credential, pgdata, version string) (installation, error) {
	found := f.installations(ctx, owner)
	if len(found) == 0 {
		fetched, err := f.fetch(ctx, owner, version)
		if err != nil {
			return installation{}, fmt.Errorf("%w: install Postgres %d or newer, or put its bin folder into PATH (%v)", ErrNotFound, oldestMajor, err)
		}
		found = []installation{fetched}
	}
	if version == "" {
		return found[0], nil
	}
	var majors []string
	for _, candidate := range found {
		if strconv.Itoa(candidate.major) == version {
			return candidate, nil
		}
		if major := strconv.Itoa(candidate.major); !slices.Contains(majors, major) {
			majors = append(majors, major)
		}
	}
	return installation{}, &VersionError{Folder: pgdata, Data: version, Found: strings.Join(majors, ", ")}
}
