//go:build amd64 || arm64

package rawconn

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Wrap returns a connection that does what conn does for less. Of one that has no
// socket of its own, such as TLS, it returns conn.
func Wrap(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return conn
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return conn
	}
	c := &rawConn{Conn: conn, raw: raw}
	c.in.try, c.out.try, c.exchange = c.receive, c.send, c.sendThenReceive // made once: a closure for each call is memory
	return c
}

// rawConn is a TCP or Unix connection. One goroutine at a time reads and one writes;
// others wait, as with the connections of package net.
type rawConn struct {
	net.Conn
	raw     syscall.RawConn
	in, out transfer

	exchange func(fd uintptr) bool
	// deferNext says that the next Write waits for a Read. deferred is what it was given,
	// and sent that it was tried; both belong to whoever reads.
	deferNext bool
	deferred  []byte
	sent      bool
}

// transfer is one direction.
type transfer struct {
	mu    sync.Mutex
	buf   []byte // what is read into, or left to be written
	n     int    // bytes moved
	errno syscall.Errno
	try   func(fd uintptr) bool
}

// SyscallConn lets others look at the socket.
func (c *rawConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// DeferWrite implements Deferring.
func (c *rawConn) DeferWrite() { c.deferNext = true }

func (c *rawConn) Read(p []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	c.in.buf, c.in.n, c.in.errno = p, 0, 0
	defer func() { c.in.buf = nil }()
	if c.deferred != nil {
		return c.writeAndRead()
	}
	return c.received(c.raw.Read(c.in.try))
}

func (c *rawConn) received(err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case c.in.errno != 0:
		return 0, c.failed("read", c.in.errno)
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

func (c *rawConn) Write(p []byte) (int, error) {
	if c.deferNext {
		c.deferNext = false
		if c.in.mu.TryLock() { // else somebody reads already, who would wait for the answer to what is not sent
			c.deferred = p
			c.in.mu.Unlock()
			return len(p), nil
		}
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.write(p)
}

func (c *rawConn) write(p []byte) (int, error) {
	c.out.buf, c.out.n, c.out.errno = p, 0, 0
	defer func() { c.out.buf = nil }()
	if err := c.raw.Write(c.out.try); err != nil {
		return c.out.n, err
	}
	if c.out.errno != 0 {
		return c.out.n, c.failed("write", c.out.errno)
	}
	return c.out.n, nil
}

// writeAndRead sends what was put off and waits for an answer.
func (c *rawConn) writeAndRead() (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.buf, c.out.n, c.out.errno, c.sent = c.deferred, 0, 0, false
	c.deferred = nil
	defer func() { c.out.buf = nil }()
	err := c.raw.Read(c.exchange)
	if err == nil && c.out.errno == 0 && c.out.n < len(c.out.buf) { // there was no room
		if err = c.raw.Write(c.out.try); err == nil && c.out.errno == 0 {
			err = c.raw.Read(c.in.try)
		}
	}
	if c.out.errno != 0 {
		return 0, unsent{c.failed("write", c.out.errno), c.out.n == 0}
	}
	return c.received(err)
}

// unsent is an error of a write that was put off.
type unsent struct {
	error
	nothing bool
}

func (e unsent) Unwrap() error { return e.error }

// SafeToRetry reports that nothing was written.
func (e unsent) SafeToRetry() bool { return e.nothing }

func (c *rawConn) failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// receive reads once what is there; false is nothing.
func (c *rawConn) receive(fd uintptr) bool {
	for {
		n, errno := transferred(syscall.SYS_RECVFROM, fd, c.in.buf, syscall.MSG_DONTWAIT)
		switch errno {
		case 0:
			tellReceived(fd, c.in.buf[:n])
			c.in.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.in.errno = errno
			return true
		}
	}
}

// most is how many bytes one call writes: nobody else gets the processor meanwhile.
const most = 256 << 10

// send writes until all is written; false is that there is no room for more.
func (c *rawConn) send(fd uintptr) bool {
	for c.out.n < len(c.out.buf) {
		left := c.out.buf[c.out.n:min(len(c.out.buf), c.out.n+most)]
		tellSend(left)
		n, errno := transferred(syscall.SYS_SENDTO, fd, left, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		switch errno {
		case 0:
			c.out.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.out.errno = errno
			return true
		}
	}
	return true
}

// sendThenReceive sends when it is first called. What arrives from then on wakes the
// reader, so it does not look for what can't be there yet.
func (c *rawConn) sendThenReceive(fd uintptr) bool {
	if c.sent {
		return c.receive(fd)
	}
	c.sent = true
	return !c.send(fd) || c.out.errno != 0
}

// transferred makes a call of the kernel that takes from buf or fills it, which it
// does not keep. The socket is in non-blocking mode, so the call does not wait.
func transferred(call, fd uintptr, buf []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), flags, 0, 0) //nolint:gosec // the one place where a buffer is handed to the kernel
	return int(n), errno
}
