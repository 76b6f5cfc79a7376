package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that was started, and what it wrote to stderr.
type process struct {
	name    string
	command *exec.Cmd
	ended   chan struct{}
	stderr  *tail
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 4096; over > 0 {
		t.text = slices.Delete(t.text, 0, over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// start runs a program without any TENANTRY_ variables but those given.
func start(name, path string, args []string, environ ...string) (*process, error) {
	p := &process{name: name, command: exec.Command(path, args...), ended: make(chan struct{}), stderr: &tail{}}
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TENANTRY_") })
	p.command.Env = append(clean, environ...)
	p.command.Stderr = p.stderr
	p.command.WaitDelay = time.Second
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = p.command.Wait(); close(p.ended) }()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// stop ends the program; nil is none.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// await tries until the program does what is expected, or ends.
func (p *process) await(ctx context.Context, limit, step time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.name, p.stderr)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(step):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w\n%s", p.name, err, p.stderr)
		}
	}
}

// reachable tries to connect.
func reachable(address string) func() error {
	return func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
}

// answers tries to get a 200 from a URL.
func answers(url string) func() error {
	return func() error {
		response, err := http.Get(url)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	}
}

// freeAddresses are loopback addresses that nobody listens on at the moment.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after all are chosen, so that they differ
		out = append(out, l.Addr().String())
	}
	return out, nil
}
