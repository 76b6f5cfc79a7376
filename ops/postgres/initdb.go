package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// version reads the major version of the data; "" when there is none yet.
func (f *folder) version() (string, error) {
	content, err := os.ReadFile(filepath.Join(f.pgdata(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		entries, _ := os.ReadDir(f.pgdata())
		if len(entries) > 0 {
			return "", &FolderError{Folder: f.pgdata(), Reason: "is not empty and holds no data of Postgres"}
		}
		return "", nil
	}
	if err != nil {
		return "", &FolderError{Folder: f.pgdata(), Reason: "cannot be read", Err: reason(err)}
	}
	return strings.TrimSpace(string(content)), nil
}

// initialise makes the data directory. It is made beside its final place and
// renamed when complete, so that a start that was killed half-way leaves
// nothing that looks like data.
func (f *folder) initialise(ctx context.Context, programs installation, password string, durable bool) error {
	making := f.path(initDir)
	if err := os.RemoveAll(making); err != nil {
		return &FolderError{Folder: making, Reason: "cannot be removed", Err: reason(err)}
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return &FolderError{Folder: making, Reason: "cannot be created", Err: reason(err)}
	}
	defer os.RemoveAll(making)
	// initdb reads the password as the user that it runs as.
	secret := filepath.Join(making, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return &FolderError{Folder: making, Reason: "cannot be written to", Err: reason(err)}
	}
	if f.owner != nil {
		for _, path := range []string{making, secret} {
			if err := os.Chown(path, int(f.owner.uid), int(f.owner.gid)); err != nil {
				return &FolderError{Folder: path, Reason: "cannot be given to the user " + f.owner.String(), Err: reason(err)}
			}
		}
	}
	data := filepath.Join(making, "data")
	out, err := f.initdb(ctx, programs, data, secret, "C.UTF-8", durable)
	if err != nil && strings.Contains(out, "invalid locale name") {
		out, err = f.initdb(ctx, programs, data, secret, "C", durable)
	}
	if err != nil {
		return f.explainInit(ctx, out, err)
	}
	_ = os.Remove(f.pgdata()) // an empty folder may stand there
	if err := os.Rename(data, f.pgdata()); err != nil {
		return &FolderError{Folder: f.pgdata(), Reason: "cannot be created", Err: reason(err)}
	}
	return syncFolder(f.root)
}

func (f *folder) initdb(ctx context.Context, programs installation, data, secret, locale string, durable bool) (string, error) {
	args := []string{"-D", data, "-U", superuser, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale", locale}
	if !durable {
		args = append(args, "-N")
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, programs.program("initdb"), args...)
	cmd.Dir = filepath.Dir(data)
	cmd.Env = serverEnvironment()
	cmd.SysProcAttr = f.owner.attributes()
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (f *folder) explainInit(ctx context.Context, out string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(out, "could not look up effective user ID"):
		return fmt.Errorf("%w: the user %s, who runs Postgres, has no entry in the user database (/etc/passwd)", ErrStart, f.owner)
	case strings.Contains(out, "Permission denied"):
		return &FolderError{Folder: f.root, Reason: "cannot be used by the user " + f.owner.String(), Err: errors.New("permission denied")}
	case strings.Contains(out, "No space left on device"):
		return &FolderError{Folder: f.root, Reason: "cannot hold the data", Err: errors.New("no space left on the device")}
	}
	return fmt.Errorf("%w: initdb failed (%v): %s", ErrStart, err, lastLine(out, "initdb: error:"))
}

// serverEnvironment is all that Postgres inherits: none of our secrets.
func serverEnvironment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

func syncFolder(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// lastLine finds the last line with the mark, without it, else the last line.
func lastLine(text, mark string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if _, after, found := strings.Cut(lines[i], mark); found {
			return strings.TrimSpace(after)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
