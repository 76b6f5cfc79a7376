package postgres

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// superuser is the name of the role that initdb makes.
const superuser = "postgres"

// socketPrefix begins the name of our socket folders.
const socketPrefix = "tenantry-pg-"

// maxSocketPath is the longest path of a unix socket that all systems take
// (Linux 107 bytes, macOS 103).
const maxSocketPath = 103

// endpoint is where a server listens: a socket folder (absolute) or an address.
type endpoint struct {
	host string
	port int
}

func (e endpoint) socket() bool { return filepath.IsAbs(e.host) }

// url builds a connection URL; every part is quoted.
func (e endpoint) url(role, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Path: "/" + database}
	query := url.Values{}
	if e.socket() {
		query.Set("host", e.host)
		query.Set("port", strconv.Itoa(e.port))
	} else {
		u.Host = net.JoinHostPort(e.host, strconv.Itoa(e.port))
		query.Set("sslmode", "disable")
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// newEndpoint makes a socket folder that only owner can enter, or, where no
// folder for sockets can be had, picks a free port of the loopback interface.
func newEndpoint(tcp bool, owner *credential) (endpoint, error) {
	if !tcp {
		for _, parent := range []string{"/tmp", os.TempDir(), "/dev/shm"} {
			if dir, err := makeSocketFolder(parent, owner); err == nil {
				return endpoint{host: dir, port: 5432}, nil
			}
		}
	}
	port, err := freePort()
	if err != nil {
		return endpoint{}, fmt.Errorf("%w: neither a folder for its socket nor a free port: %v", ErrStart, err)
	}
	return endpoint{host: "127.0.0.1", port: port}, nil
}

func makeSocketFolder(parent string, owner *credential) (string, error) {
	dir, err := os.MkdirTemp(parent, socketPrefix)
	if err != nil {
		return "", err
	}
	if len(filepath.Join(dir, ".s.PGSQL.5432")) > maxSocketPath {
		err = fmt.Errorf("the path %s is too long for a socket", dir)
	} else if owner != nil {
		err = os.Chown(dir, int(owner.uid), int(owner.gid))
	}
	if err != nil {
		_ = os.Remove(dir)
		return "", err
	}
	return dir, nil
}

// removeSocketFolder removes a socket folder that we made; anything else stays.
func removeSocketFolder(dir string) {
	if filepath.IsAbs(dir) && strings.HasPrefix(filepath.Base(dir), socketPrefix) {
		_ = os.RemoveAll(dir)
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
