package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"tenantry/ops/lifecycle"
	"tenantry/ops/rawconn"
	"tenantry/services/tenantry/config"
)

// listeners are the two sockets of the program.
type listeners struct {
	public, operator net.Listener
	secure           bool // the public one speaks TLS
}

// addresses are the listeners' base URLs, as someone on this machine uses them.
type addresses struct{ Public, Operator string }

// listen opens both sockets, or none.
func listen(cfg config.Config) (listeners, error) {
	public, err := listenOn("public", "--listen", cfg.Listen)
	operator, err2 := listenOn("operator", "--operator-listen", cfg.OperatorListen)
	l := listeners{public: public, operator: operator}
	if err := errors.Join(err, err2); err != nil {
		l.close()
		return listeners{}, err
	}
	if cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			l.close()
			return listeners{}, fmt.Errorf("the certificate cannot be read: %w", err)
		}
		l.public = tls.NewListener(l.public, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		l.secure = true
	}
	return l, nil
}

// listenOn opens one socket; its error is a sentence that names the flag.
func listenOn(what, flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return rawconn.Listener(l), nil
	}
	reason := err.Error()
	var cause syscall.Errno
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		reason = "another program has this port"
	case errors.Is(err, syscall.EACCES):
		reason = "this port needs more rights"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		reason = "this machine does not have the address"
	case errors.As(err, &cause):
		reason = cause.Error()
	}
	return nil, fmt.Errorf("the %s listener cannot use %s: %s; choose another with %s", what, address, reason, flag)
}

func (l listeners) close() {
	for _, s := range []net.Listener{l.public, l.operator} {
		if s != nil {
			_ = s.Close() // servers may have closed it already
		}
	}
}

func (l listeners) addresses() addresses {
	scheme := "http"
	if l.secure {
		scheme = "https"
	}
	return addresses{Public: baseURL(scheme, l.public.Addr()), Operator: baseURL("http", l.operator.Addr())}
}

// baseURL is how an address is reached from this machine.
func baseURL(scheme string, addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return scheme + "://" + addr.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// servePublic lets the public listener answer. At the end it first says that it
// is not ready, then takes no more connections and waits for the requests that
// run.
func (r *run) servePublic(l net.Listener, server publicServer, stack *lifecycle.Stack) {
	go func() {
		if err := server.Listener(l); err != nil && !errors.Is(err, net.ErrClosed) {
			r.failed <- fmt.Errorf("the public listener failed: %w", err)
		}
	}()
	stack.Push("public listener", func(ctx context.Context) error {
		r.checks.Drain(true)
		r.logger.Info("draining")
		ctx, cancel := context.WithTimeout(ctx, r.cfg.DrainTimeout)
		defer cancel()
		err := server.ShutdownWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("requests still ran after %s and were cut", r.cfg.DrainTimeout)
		}
		return err
	})
}
