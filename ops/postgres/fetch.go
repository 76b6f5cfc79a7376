package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// fetchable are the versions that can be fetched, by major version; the first
// is taken for a new data folder.
var fetchable = []embedded.PostgresVersion{embedded.V17, embedded.V18, embedded.V16, embedded.V15, embedded.V14, embedded.V13}

// fetch downloads Postgres programs into the cache folder. Only the download
// and the extraction of the library are used: its own start would fail as root
// and deletes data folders, so it is given a decoy folder that it takes for a
// finished data folder of its version and that no server can start from.
func (f finder) fetch(ctx context.Context, owner *credential, version string) (installation, error) {
	if f.cacheDir == "" {
		return installation{}, errors.New("nothing to run in " + strings.Join(f.path, ", "))
	}
	wanted := embedded.PostgresVersion("")
	for _, v := range fetchable {
		if major, _, _ := strings.Cut(string(v), "."); version == "" || major == version {
			wanted = v
			break
		}
	}
	if wanted == "" {
		return installation{}, fmt.Errorf("version %s cannot be fetched", version)
	}
	if err := os.MkdirAll(f.cacheDir, 0o755); err != nil {
		return installation{}, err
	}
	target := filepath.Join(f.cacheDir, string(wanted))
	scratch, err := os.MkdirTemp(f.cacheDir, "fetch-")
	if err != nil {
		return installation{}, err
	}
	// The programs appear under their final name only when they are complete.
	defer os.RemoveAll(scratch)
	if err := f.download(ctx, scratch, wanted); err != nil {
		return installation{}, err
	}
	unpacked := filepath.Join(scratch, "programs")
	if err := os.Rename(unpacked, target); err != nil {
		if _, there := os.Stat(filepath.Join(target, "bin", "postgres")); there != nil {
			return installation{}, err
		}
	}
	bin := filepath.Join(target, "bin")
	major := versionOf(ctx, filepath.Join(bin, "postgres"), owner)
	if major == 0 {
		return installation{}, fmt.Errorf("the fetched program in %s does not run on this machine", bin)
	}
	return installation{bin: bin, major: major}, nil
}

// download unpacks the programs of one version into scratch/programs.
func (f finder) download(ctx context.Context, scratch string, version embedded.PostgresVersion) error {
	decoy := filepath.Join(scratch, "decoy")
	if err := os.Mkdir(decoy, 0o700); err != nil {
		return err
	}
	major, _, _ := strings.Cut(string(version), ".")
	if err := os.WriteFile(filepath.Join(decoy, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	config := embedded.DefaultConfig().Version(version).Port(uint32(port)).Logger(io.Discard).
		CachePath(scratch).RuntimePath(filepath.Join(scratch, "run")).
		BinariesPath(filepath.Join(scratch, "programs")).DataPath(decoy)
	if f.fetchURL != "" {
		config = config.BinaryRepositoryURL(f.fetchURL)
	}
	// The library takes no context; an abandoned download ends by itself.
	done := make(chan error, 1)
	go func() { done <- embedded.NewDatabase(config).Start() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, there := os.Stat(filepath.Join(scratch, "programs", "bin", "postgres")); there == nil {
		return nil
	}
	if err == nil {
		err = errors.New("the archive holds no postgres program")
	}
	return err
}
