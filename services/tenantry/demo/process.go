package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"tenantry/services/tenantry/demo/handler"
)

// process keeps the handler's process running. It ends when its stdin does, so
// it never outlives this one.
type process struct {
	command []string
	logger  *slog.Logger
	stderr  io.Writer // the handler's log

	mu       sync.Mutex
	stopping bool
	stdin    io.Closer
	done     chan struct{} // closed when nobody keeps the process any more; nil before start
}

func newProcess(command []string, logger *slog.Logger, stderr io.Writer) *process {
	return &process{command: command, logger: logger, stderr: stderr}
}

// start starts the handler and returns its address. A handler that ends by
// itself is started again on the same address.
func (p *process) start(ctx context.Context, config handler.Config) (address string, err error) {
	child, address, err := p.launch(ctx, config)
	if err != nil {
		return "", err
	}
	config.Listen = address
	p.mu.Lock()
	p.done = make(chan struct{})
	p.mu.Unlock()
	go p.keep(child, config)
	return address, nil
}

// keep waits for the handler's end and starts it again, until stop.
func (p *process) keep(child *exec.Cmd, config handler.Config) {
	defer close(p.done)
	for {
		err := child.Wait()
		if p.isStopping() {
			return
		}
		p.logger.Warn("the demo's handler has ended and is started again", "error", err)
		for {
			time.Sleep(time.Second)
			if p.isStopping() {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			next, _, err := p.launch(ctx, config)
			cancel()
			if err == nil {
				child = next
				break
			}
			p.logger.Warn("the demo's handler does not start", "error", err)
		}
	}
}

func (p *process) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// launch starts one process and waits until it listens.
func (p *process) launch(ctx context.Context, config handler.Config) (*exec.Cmd, string, error) {
	command := p.command
	if len(command) == 0 {
		program, err := os.Executable()
		if err != nil {
			return nil, "", err
		}
		command = []string{program, "demo-handler"}
	}
	child := exec.Command(command[0], command[1:]...)
	// Out of our process group: Ctrl-C in the terminal must not end it before
	// the requests that need it. Its environment is empty, as it needs none.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	child.Env = []string{}
	child.Stderr = p.stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := child.Start(); err != nil {
		return nil, "", err
	}
	address, err := greet(ctx, stdin, stdout, config)
	if err != nil {
		_ = child.Process.Kill()
		_ = child.Wait()
		return nil, "", fmt.Errorf("the handler did not start: %w", err)
	}
	p.mu.Lock()
	p.stdin = stdin
	stopping := p.stopping
	p.mu.Unlock()
	if stopping {
		_ = stdin.Close()
	}
	p.logger.Info("the demo's handler runs", "address", address, "pid", child.Process.Pid)
	return child, address, nil
}

// greet tells the process its configuration and reads where it listens.
func greet(ctx context.Context, stdin io.Writer, stdout io.Reader, config handler.Config) (string, error) {
	if err := json.NewEncoder(stdin).Encode(config); err != nil {
		return "", err
	}
	type result struct {
		ready handler.Ready
		err   error
	}
	answered := make(chan result, 1)
	go func() {
		var r result
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		if r.err = err; err == nil {
			r.err = json.Unmarshal(line, &r.ready)
		}
		answered <- r
	}()
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case r := <-answered:
		return r.ready.Address, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "", errors.New("it says nothing")
	}
}

// stop lets the handler end and waits for it.
func (p *process) stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopping = true
	stdin, done := p.stdin, p.done
	p.mu.Unlock()
	if done == nil {
		return nil
	}
	if stdin != nil {
		_ = stdin.Close() // its end is the handler's sign to stop
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("the demo's handler still runs")
	}
}
