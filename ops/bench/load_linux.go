package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// load keeps a number of connections to one server busy with prepared requests:
// each sends the next as soon as its last is answered. One thread serves all of
// them with two system calls for each request, so that as little as possible is
// taken from the cores that the contestants share with it.
type load struct {
	epoll       int
	connections []*connection
	requests    [][]byte
	next        int
}

// connection is one keep-alive connection with at most one request under way.
type connection struct {
	fd    int
	sent  time.Time
	busy  bool
	input []byte
	want  int // bytes of the whole response, 0 until its header is there
}

// newLoad connects; the address is IPv4.
func newLoad(address string, clients int, requests [][]byte) (*load, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	l := &load{requests: requests}
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for i := range clients {
		fd, err := dial(to)
		if err == nil {
			err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)})
		}
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connect to %s: %w", address, err)
		}
		l.connections = append(l.connections, &connection{fd: fd, input: make([]byte, 0, 64<<10)})
	}
	return l, nil
}

func dial(to netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		_ = syscall.Close(fd)
	}
	return fd, err
}

func (l *load) close() {
	for _, c := range l.connections {
		_ = syscall.Close(c.fd)
	}
	_ = syscall.Close(l.epoll)
}

// run keeps all connections busy for a while and returns how long each answered
// request took. Requests under way at the end are answered in the next run. Any
// answer but a 200 without errors ends it.
func (l *load) run(d time.Duration) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	taken := make([]time.Duration, 0, 1<<16)
	for _, c := range l.connections {
		if !c.busy {
			if err := l.send(c); err != nil {
				return nil, err
			}
		}
	}
	events := make([]syscall.EpollEvent, len(l.connections))
	for deadline := time.Now().Add(d); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return taken, nil
		}
		n, err := syscall.EpollWait(l.epoll, events, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			c := l.connections[event.Fd]
			done, err := c.receive()
			if err != nil {
				return nil, err
			}
			if !done {
				continue
			}
			taken = append(taken, time.Since(c.sent))
			if err := l.send(c); err != nil {
				return nil, err
			}
		}
	}
}

// drain waits for the answers that are under way.
func (l *load) drain() error {
	events := make([]syscall.EpollEvent, len(l.connections))
	for deadline := time.Now().Add(10 * time.Second); ; {
		busy := 0
		for _, c := range l.connections {
			if c.busy {
				busy++
			}
		}
		if busy == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d requests were not answered within 10 s", busy)
		}
		n, err := syscall.EpollWait(l.epoll, events, 100)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			if _, err := l.connections[event.Fd].receive(); err != nil {
				return err
			}
		}
	}
}

func (l *load) send(c *connection) error {
	text := l.requests[l.next]
	l.next = (l.next + 1) % len(l.requests)
	c.sent, c.busy, c.want, c.input = time.Now(), true, 0, c.input[:0]
	n, err := syscall.Write(c.fd, text)
	if err != nil || n != len(text) {
		return fmt.Errorf("send a request: %d of %d bytes: %w", n, len(text), err)
	}
	return nil
}

// receive reads what is there and tells whether the response is whole.
func (c *connection) receive() (done bool, err error) {
	if cap(c.input)-len(c.input) < 16<<10 {
		c.input = append(make([]byte, 0, 2*cap(c.input)), c.input...)
	}
	n, err := syscall.Read(c.fd, c.input[len(c.input):cap(c.input)])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read a response: %w", err)
	case n == 0:
		return false, errors.New("the server closed a connection")
	}
	c.input = c.input[:len(c.input)+n]
	if c.want == 0 {
		if c.want, err = responseSize(c.input); err != nil || c.want == 0 {
			return false, err
		}
	}
	if len(c.input) < c.want {
		return false, nil
	}
	c.busy = false
	return true, nil
}
