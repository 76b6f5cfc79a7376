package postgres

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Names inside the data folder.
const (
	serverDir    = "postgres"          // Postgres's own data directory
	passwordFile = "postgres.password" // the superuser's password, 0600
	lockFile     = "postgres.lock"     // held (flock) while a Server lives; names its socket folder
	logFile      = "postgres.log"      // what Postgres writes to stderr
	initDir      = "postgres.init"     // a data directory in the making
)

// credential is the user that Postgres runs as; nil means ourselves.
type credential struct {
	uid, gid uint32
	name     string
}

func (c *credential) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if c != nil {
		attr.Credential = &syscall.Credential{Uid: c.uid, Gid: c.gid}
	}
	return attr
}

func (c *credential) String() string {
	if c == nil {
		return "uid " + strconv.Itoa(os.Geteuid())
	}
	return c.name
}

// folder is a data folder that we hold.
type folder struct {
	root  string // absolute, without symbolic links
	owner *credential
	lock  *os.File
}

func (f *folder) path(name string) string { return filepath.Join(f.root, name) }
func (f *folder) pgdata() string          { return f.path(serverDir) }

// openFolder creates the data folder if it is missing, takes its lock and makes
// sure that the user who runs Postgres can reach it.
func openFolder(dir string) (*folder, error) {
	if dir == "" {
		return nil, &FolderError{Folder: "(empty)", Reason: "is not a data folder: a path is expected"}
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, &FolderError{Folder: dir, Reason: "cannot be reached", Err: err}
	}
	created, err := makeFolder(root)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, &FolderError{Folder: dir, Reason: "cannot be reached", Err: reason(err)}
	}
	// Before the lock file is written: is this folder ours to open for others?
	ours := created || isOurs(root)
	lock, err := takeLock(root)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, lock: lock}
	if f.owner, err = ownerOf(f.pgdata()); err == nil {
		err = f.makeReachable(ours)
	}
	if err != nil {
		f.release()
		return nil, err
	}
	return f, nil
}

func (f *folder) release() { _ = f.lock.Close() }

// rememberSocket notes the socket folder in the lock file, because Postgres
// removes its own note when it ends in order after our death.
func (f *folder) rememberSocket(at endpoint) error {
	if err := f.lock.Truncate(0); err != nil {
		return err
	}
	_, err := f.lock.WriteAt([]byte(at.host), 0)
	return err
}

// forgetSocket removes the socket folder that the last run noted.
func (f *folder) forgetSocket() {
	noted := make([]byte, maxSocketPath)
	n, _ := f.lock.ReadAt(noted, 0)
	removeSocketFolder(string(noted[:n]))
}

func makeFolder(root string) (created bool, err error) {
	info, err := os.Stat(root)
	switch {
	case err == nil && !info.IsDir():
		return false, &FolderError{Folder: root, Reason: "is a file, but a folder for the data is expected"}
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, &FolderError{Folder: root, Reason: "cannot be reached", Err: reason(err)}
	}
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // Postgres runs as another user and has to pass
	}
	if err := os.MkdirAll(root, mode); err != nil {
		return false, &FolderError{Folder: root, Reason: "cannot be created", Err: reason(err)}
	}
	return true, nil
}

// isOurs tells an empty folder, or one that we have used before, from a folder
// such as a home whose permissions are not ours to change.
func isOurs(root string) bool {
	if _, err := os.Stat(filepath.Join(root, lockFile)); err == nil {
		return true
	}
	entries, err := os.ReadDir(root)
	return err == nil && len(entries) == 0
}

// takeLock waits a moment, because the process that held the lock may be dying.
func takeLock(root string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(root, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &FolderError{Folder: root, Reason: "cannot be written to", Err: reason(err)}
	}
	for deadline := time.Now().Add(1500 * time.Millisecond); ; time.Sleep(50 * time.Millisecond) {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, &FolderError{Folder: root, Reason: "cannot be locked", Err: err}
		}
		if time.Now().After(deadline) {
			_ = file.Close()
			return nil, fmt.Errorf("%w: %s", ErrInUse, root)
		}
	}
}

// ownerOf decides who runs Postgres: ourselves, unless we are root, whom
// Postgres refuses; then the owner of existing data, else postgres, else nobody.
func ownerOf(pgdata string) (*credential, error) {
	var owner uint32
	var group uint32
	info, err := os.Stat(pgdata)
	if err == nil {
		stat := info.Sys().(*syscall.Stat_t)
		owner, group = stat.Uid, stat.Gid
	}
	if euid := os.Geteuid(); euid != 0 {
		if err == nil && int(owner) != euid {
			return nil, &FolderError{Folder: pgdata, Reason: fmt.Sprintf("belongs to uid %d, but tenantry runs as uid %d", owner, euid)}
		}
		return nil, nil
	}
	if err == nil && owner != 0 {
		return &credential{uid: owner, gid: group, name: "uid " + strconv.Itoa(int(owner))}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &credential{uid: uint32(uid), gid: uint32(gid), name: name}, nil
	}
	return nil, fmt.Errorf("%w: it must not run as root, and this machine has neither a user postgres nor a user nobody", ErrStart)
}

// makeReachable checks that the user who runs Postgres may pass through every
// folder above the data, and names the first that is closed.
func (f *folder) makeReachable(ours bool) error {
	if f.owner == nil {
		return nil
	}
	if info, err := os.Stat(f.root); err == nil && ours && !f.owner.mayPass(info) {
		if err := os.Chmod(f.root, info.Mode().Perm()|0o011); err != nil {
			return &FolderError{Folder: f.root, Reason: "cannot be opened for the user who runs Postgres", Err: reason(err)}
		}
	}
	var closed string
	for dir := f.root; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return &FolderError{Folder: dir, Reason: "cannot be reached", Err: reason(err)}
		}
		if !f.owner.mayPass(info) {
			closed = dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if closed != "" {
		return &FolderError{Folder: closed, Reason: fmt.Sprintf("cannot be passed by the user %s, who runs Postgres when tenantry is started as root: choose a data folder elsewhere or allow it with chmod o+x", f.owner)}
	}
	return chownTree(f.pgdata(), f.owner)
}

func (c *credential) mayPass(info fs.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case c.uid == 0:
		return true
	case stat.Uid == c.uid:
		return mode&0o100 != 0
	case stat.Gid == c.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// chownTree gives data that root copied here to the user who runs Postgres.
func chownTree(pgdata string, owner *credential) error {
	info, err := os.Stat(pgdata)
	if err != nil { // what can't be looked at, Postgres itself complains about
		return nil //nolint:nilerr // see above
	}
	if info.Sys().(*syscall.Stat_t).Uid == owner.uid {
		return nil
	}
	return filepath.WalkDir(pgdata, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.uid), int(owner.gid)) //nolint:gosec // root's own copy, and links are not followed
	})
}

// password reads the superuser's password, or makes one for a new folder.
func (f *folder) password() (string, error) {
	content, err := os.ReadFile(f.path(passwordFile))
	if password := strings.TrimSpace(string(content)); err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", &FolderError{Folder: f.root, Reason: "holds a password file that cannot be read", Err: reason(err)}
	}
	if _, err := os.Stat(filepath.Join(f.pgdata(), "PG_VERSION")); err == nil {
		return "", &FolderError{Folder: f.root, Reason: "has data but no " + passwordFile + " to open it with"}
	}
	password := randomPassword()
	if err := writeDurably(f.path(passwordFile), password+"\n"); err != nil {
		return "", &FolderError{Folder: f.root, Reason: "cannot be written to", Err: reason(err)}
	}
	return password, nil
}

func writeDurably(path, content string) error {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// randomPassword has 130 bits and only letters and digits, so that it needs no
// quoting in URLs.
func randomPassword() string { return rand.Text() }

// reason takes the path out of an error that names it already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
