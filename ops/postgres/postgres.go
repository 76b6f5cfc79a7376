// Package postgres finds or fetches a Postgres, runs it for `tenantry dev` and
// for tests, and provisions managed databases on the operator's cluster.
//
// It stands beside the path of a request: whoever wires the program starts a
// Server here and hands its URL to the stores; services/control asks a Cluster
// for a database when a project is to have a managed one.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Options say how a Server runs. Only DataDir is required.
type Options struct {
	// DataDir holds everything that survives: the data, the password of the
	// superuser (postgres.password, 0600), the lock, Postgres's log. It is
	// created if missing. When we are root and the folder is new, empty or was
	// used before, it is opened for passing (o+x) to the user who runs Postgres.
	DataDir string
	// Durable turns fsync on. Without it a crash of the machine, not of the
	// program, may destroy the data: for tests only.
	Durable bool
	// Logger gets what happens to the server, never a secret; nil: nothing.
	Logger *slog.Logger
	// Settings are further server settings by name, such as max_connections.
	Settings map[string]string
	// Environment is what the server inherits beyond a path, a locale and a zone: NAME=value.
	Environment []string
	// TCP listens on a free loopback port instead of a unix socket.
	TCP bool
	// BinDir names the folder with the programs; empty: search, else fetch.
	BinDir string
	// CacheDir keeps fetched programs; empty: the user's cache folder.
	CacheDir string
	// FetchURL is the repository to fetch from; empty: the library's default.
	FetchURL string
}

// Server is a running Postgres that this process is responsible for.
type Server struct {
	opts     Options
	log      *slog.Logger
	folder   *folder
	password string
	at       endpoint
	process  *process

	stopping sync.Mutex
	stopped  bool
}

// Start gives a running Postgres for the data folder, making the folder and its
// data if needed. What an earlier run left behind is adopted or cleaned up; no
// committed data is lost. ctx bounds the start alone. The errors are ErrInUse,
// ErrVersion, ErrFolder, ErrNotFound, ErrStart. The caller must call Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	return start(ctx, opts, newFinder(opts))
}

func start(ctx context.Context, opts Options, programs finder) (*Server, error) {
	s := &Server{opts: opts, log: opts.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.folder, err = openFolder(opts.DataDir); err != nil {
		return nil, err
	}
	if err := s.prepareAndLaunch(ctx, programs); err != nil {
		s.folder.release()
		return nil, err
	}
	s.log.Info("Postgres is ready", "pid", s.process.pid, "folder", s.folder.root)
	return s, nil
}

func (s *Server) prepareAndLaunch(ctx context.Context, programs finder) error {
	version, err := s.folder.version()
	if err != nil {
		return err
	}
	if s.password, err = s.folder.password(); err != nil {
		return err
	}
	if version != "" {
		if adopted, err := s.settle(ctx); adopted || err != nil {
			return err
		}
	}
	chosen, err := programs.choose(ctx, s.folder.owner, s.folder.pgdata(), version)
	if err != nil {
		return err
	}
	if version == "" {
		s.log.Info("creating the data folder", "folder", s.folder.root, "version", chosen.major)
		if err := s.folder.initialise(ctx, chosen, s.password, s.opts.Durable); err != nil {
			return err
		}
	}
	return s.launch(ctx, chosen)
}

// URL is the superuser's connection URL for a database, password included: it
// is a secret. All databases of the server can be reached with it.
func (s *Server) URL(database string) string { return s.at.url(superuser, s.password, database) }

// Done is closed when the server has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.process.exited }

// Pid is the process id of the postmaster.
func (s *Server) Pid() int { return s.process.pid }

// SocketDir is the folder of the server's unix socket; "" when it has a port.
func (s *Server) SocketDir() string {
	if s.at.socket() {
		return s.at.host
	}
	return ""
}

// Stop shuts the server down, waits for its end and gives the folder back.
// Connections are cut, transactions rolled back. When ctx ends first the server
// is stopped at once; the next start recovers. Calling it again does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Lock()
	defer s.stopping.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.process.stop(ctx); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	s.stopped = true
	removeSocketFolder(s.at.host)
	s.folder.release()
	s.log.Info("Postgres has stopped", "folder", s.folder.root)
	return nil
}

// errRetry marks a failed start that may succeed a moment later.
var errRetry = errors.New("not yet")

// launch starts the programs until they answer. After a crash the first tries
// may meet what is still ending.
func (s *Server) launch(ctx context.Context, programs installation) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := s.launchOnce(ctx, programs)
		if err == nil || !errors.Is(err, errRetry) || time.Now().After(deadline) {
			return err
		}
		s.log.Info("starting Postgres again", "reason", err.Error())
		if !sleep(ctx, 300*time.Millisecond) {
			return ctx.Err()
		}
		if err := s.clearPidFile(); err != nil {
			return err
		}
	}
}

func (s *Server) launchOnce(ctx context.Context, programs installation) error {
	s.folder.forgetSocket()
	at, err := newEndpoint(s.opts.TCP, s.folder.owner)
	if err != nil {
		return err
	}
	if err := s.folder.rememberSocket(at); err != nil {
		removeSocketFolder(at.host)
		return &FolderError{Folder: s.folder.root, Reason: "cannot be written to", Err: reason(err)}
	}
	log, begin, err := s.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(programs.program("postgres"), s.arguments(at)...)
	cmd.Dir = "/"
	cmd.Env = append(serverEnvironment(), s.opts.Environment...)
	cmd.Stderr, cmd.Stdout = log, log
	cmd.SysProcAttr = processAttributes(s.folder.owner)
	process, err := startChild(cmd)
	if err != nil {
		removeSocketFolder(at.host)
		return fmt.Errorf("%w: %v", ErrStart, err)
	}
	s.at, s.process = at, process
	if err := s.awaitReady(ctx); err != nil {
		timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = process.stop(timed)
		removeSocketFolder(at.host)
		if errors.Is(err, errEnded) {
			return s.explain(begin)
		}
		return err
	}
	return nil
}

// arguments are the settings of every server. What Postgres logs holds no
// statements, parameters or rows: those are the tenants'.
func (s *Server) arguments(at endpoint) []string {
	settings := map[string]string{
		"port":                              fmt.Sprint(at.port),
		"log_min_error_statement":           "panic",
		"log_parameter_max_length_on_error": "0",
		"log_error_verbosity":               "terse",
		"log_statement":                     "none",
		"logging_collector":                 "off",
		"log_destination":                   "stderr",
		"log_timezone":                      "UTC",
		"password_encryption":               "scram-sha-256",
		"fsync":                             "on",
	}
	if at.socket() {
		settings["listen_addresses"] = ""
		settings["unix_socket_directories"] = at.host
		settings["unix_socket_permissions"] = "0700"
	} else {
		settings["listen_addresses"] = at.host
		settings["unix_socket_directories"] = ""
	}
	if !s.opts.Durable {
		settings["fsync"], settings["full_page_writes"], settings["synchronous_commit"] = "off", "off", "off"
	}
	for name, value := range s.opts.Settings {
		settings[name] = value
	}
	args := []string{"-D", s.folder.pgdata()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

var errEnded = errors.New("the process ended")

// awaitReady waits until the server answers with our password. The clock stops
// while it says that it is starting: recovery takes as long as it takes.
func (s *Server) awaitReady(ctx context.Context) error {
	const step = 25 * time.Millisecond
	var waited time.Duration
	for {
		select {
		case <-s.process.exited:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		conn, err := s.connect(ctx, s.at)
		if err == nil {
			return conn.Close(context.WithoutCancel(ctx))
		}
		if code(err) == "28P01" {
			return &FolderError{Folder: s.folder.root, Reason: "holds a " + passwordFile + " that is not the password of its data"}
		}
		if !isStarting(err) {
			waited += step
		}
		if waited > 15*time.Second {
			return fmt.Errorf("%w: it does not answer: %v", ErrStart, err)
		}
		sleep(ctx, step)
	}
}

// openLog opens Postgres's log for appending and tells where the new part
// begins. It is a file, not a pipe, so that Postgres can outlive us.
func (s *Server) openLog() (log *os.File, begin int64, err error) {
	const limit = 16 << 20
	flags := os.O_CREATE | os.O_APPEND | os.O_RDWR
	if info, err := os.Stat(s.folder.path(logFile)); err == nil {
		if begin = info.Size(); begin > limit {
			flags, begin = flags|os.O_TRUNC, 0
		}
	}
	log, err = os.OpenFile(s.folder.path(logFile), flags, 0o600)
	if err != nil {
		return nil, 0, &FolderError{Folder: s.folder.root, Reason: "cannot be written to", Err: reason(err)}
	}
	return log, begin, nil
}

// explain turns the last words of a server that ended at once into an error.
func (s *Server) explain(begin int64) error {
	content, _ := os.ReadFile(s.folder.path(logFile))
	text := string(content[min(begin, int64(len(content))):])
	last := lastLine(text, "FATAL:")
	for _, passing := range []string{"shared memory block", "another postmaster", "another postgres", "Address already in use", "Address in use", "could not create any"} {
		if strings.Contains(text, passing) {
			return fmt.Errorf("%w: %s (%w)", ErrStart, last, errRetry)
		}
	}
	if strings.Contains(text, "Permission denied") {
		return &FolderError{Folder: s.folder.root, Reason: "cannot be used by the user " + s.folder.owner.String(), Err: errors.New(last)}
	}
	return fmt.Errorf("%w: %s (see %s)", ErrStart, last, s.folder.path(logFile))
}
