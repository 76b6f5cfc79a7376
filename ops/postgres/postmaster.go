package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// deadPid is larger than any process id, so a pid file that names it is stale
// for certain.
const deadPid = 2147483646

// pidFile is what a postmaster writes into postmaster.pid.
type pidFile struct {
	lines []string
	pid   int
	at    endpoint
}

// readPidFile gives nil when there is no pid file, or none that says anything.
func readPidFile(pgdata string) *pidFile {
	content, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return nil
	}
	// Lines: pid, data directory, start time, port, socket folder, address,
	// shared memory key, status.
	p := &pidFile{lines: strings.Split(string(content), "\n")}
	if p.pid, err = strconv.Atoi(strings.TrimSpace(p.lines[0])); err != nil || p.pid <= 0 {
		return nil
	}
	line := func(i int) string {
		if i < len(p.lines) {
			return strings.TrimSpace(p.lines[i])
		}
		return ""
	}
	p.at.port, _ = strconv.Atoi(line(3))
	if p.at.host = line(4); p.at.host == "" {
		p.at.host = line(5)
	}
	return p
}

// settle looks at what an earlier run left in the data folder. It gives the
// running server if that can be adopted. Otherwise nothing runs there any more
// when it returns, and Postgres can be started.
func (s *Server) settle(ctx context.Context) (adopted bool, err error) {
	pgdata := s.folder.pgdata()
	left := readPidFile(pgdata)
	if left != nil && isPostmaster(left.pid, pgdata) {
		s.log.Info("found a running Postgres", "pid", left.pid)
		if s.adopt(ctx, left) {
			return true, nil
		}
		s.log.Info("stopping the Postgres that an earlier run left", "pid", left.pid)
		timed, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := watchForeign(left.pid, pgdata).stop(timed); err != nil {
			return false, fmt.Errorf("%w: the one that an earlier run left (pid %d) cannot be stopped: %v", ErrStart, left.pid, err)
		}
	}
	if err := endOrphans(ctx, pgdata); err != nil {
		return false, err
	}
	return false, s.clearPidFile()
}

// clearPidFile makes a pid file of a dead postmaster harmless. Postgres would
// take a zombie, or a stranger that got the same number, for a running server.
// The file stays, with a number that nobody has, because Postgres reads in it
// which shared memory must be free before it touches the data.
func (s *Server) clearPidFile() error {
	pgdata := s.folder.pgdata()
	path := filepath.Join(pgdata, "postmaster.pid")
	left := readPidFile(pgdata)
	if left == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return &FolderError{Folder: pgdata, Reason: "holds a postmaster.pid that cannot be removed", Err: reason(err)}
		}
		return nil
	}
	left.lines[0] = strconv.Itoa(deadPid)
	if err := os.WriteFile(path, []byte(strings.Join(left.lines, "\n")), 0o600); err != nil {
		return &FolderError{Folder: pgdata, Reason: "holds a postmaster.pid that cannot be written", Err: reason(err)}
	}
	return nil
}

// adopt takes over the postmaster of the pid file if it answers, with our
// password, for our data folder, with the durability that is asked for.
func (s *Server) adopt(ctx context.Context, left *pidFile) bool {
	pgdata := s.folder.pgdata()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if !isPostmaster(left.pid, pgdata) {
			return false
		}
		if now := readPidFile(pgdata); now != nil && now.pid == left.pid {
			left = now // while it starts, the file grows line by line
		}
		err := s.verify(ctx, left.at)
		if err == nil {
			s.at, s.process = left.at, watchForeign(left.pid, pgdata)
			return true
		}
		if !isStarting(err) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) {
			s.log.Info("the running Postgres cannot be adopted", "reason", err.Error())
			return false
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return false
		}
	}
	return false
}

// verify connects twice, a moment apart: a postmaster whose parent has just
// died may still answer before it follows the signal to end.
func (s *Server) verify(ctx context.Context, at endpoint) error {
	conn, err := s.connect(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var directory, fsync string
	query := "SELECT current_setting('data_directory'), current_setting('fsync')"
	for range 2 {
		if err := conn.QueryRow(ctx, query).Scan(&directory, &fsync); err != nil {
			return err
		}
		sleep(ctx, 100*time.Millisecond)
	}
	if directory != s.folder.pgdata() {
		return fmt.Errorf("it serves another folder, %s", directory)
	}
	if (fsync == "on") != s.opts.Durable {
		return errors.New("it runs with another setting of fsync")
	}
	again, err := s.connect(ctx, at)
	if err == nil {
		_ = again.Close(context.WithoutCancel(ctx))
	}
	return err
}

func (s *Server) connect(ctx context.Context, at endpoint) (*pgx.Conn, error) {
	timed, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return pgx.Connect(timed, at.url(superuser, s.password, "postgres"))
}

// isStarting: Postgres is there but starts up, recovers or shuts down.
func isStarting(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "57P03"
}

// endOrphans waits for the processes of a postmaster that was killed. They
// notice and end by themselves; one that is busy is told, then killed.
func endOrphans(ctx context.Context, pgdata string) error {
	begin := time.Now()
	var told, killed bool
	for {
		orphans := processesOf(pgdata)
		if len(orphans) == 0 {
			return nil
		}
		age := time.Since(begin)
		switch {
		case age > 15*time.Second:
			return fmt.Errorf("%w: processes of an earlier run do not end (pid %d)", ErrStart, orphans[0])
		case age > 5*time.Second && !killed:
			killed = true
			signalAll(orphans, syscall.SIGKILL)
		case age > time.Second && !told:
			told = true
			signalAll(orphans, syscall.SIGQUIT)
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func signalAll(pids []int, signal syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, signal)
	}
}
