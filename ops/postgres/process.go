package postgres

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a postmaster: our child, or one that we adopted.
type process struct {
	pid    int
	exited chan struct{} // closed when the process is gone
}

// startChild starts cmd from a goroutine that keeps its thread until the child
// ends: the parent-death signal follows the thread that forked, so a thread
// that came and went would take the child with it.
func startChild(cmd *exec.Cmd) (*process, error) {
	p := &process{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// watchForeign observes a process that is not our child, which can only be polled.
func watchForeign(pid int, pgdata string) *process {
	p := &process{pid: pid, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		for isPostmaster(pid, pgdata) {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return p
}

// stop asks for a fast shutdown; when ctx ends first, for an immediate one,
// which loses nothing either (the next start replays the log).
func (p *process) stop(ctx context.Context) error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration // 0: until ctx ends
	}{{syscall.SIGINT, 0}, {syscall.SIGQUIT, 3 * time.Second}, {syscall.SIGKILL, 3 * time.Second}}
	for _, step := range steps {
		select {
		case <-p.exited:
			return nil
		default:
		}
		if err := syscall.Kill(p.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if p.wait(ctx, step.wait) {
			return nil
		}
	}
	return errors.New("the Postgres process does not end")
}

// wait reports whether the process ended within d, or before ctx ended if d is 0.
func (p *process) wait(ctx context.Context, d time.Duration) bool {
	var limit <-chan struct{} = ctx.Done()
	if d > 0 {
		timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
		defer cancel()
		limit = timed.Done()
	}
	select {
	case <-p.exited:
		return true
	case <-limit:
		return false
	}
}

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
