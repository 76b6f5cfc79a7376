// Package egress guards every connection to an address that a tenant chose:
// webhooks, key sets, authentication hooks, databases.
//
// A name is resolved once, all of its addresses are checked, and a checked
// address is dialled, so that a name which changes its answer between check and
// use gains nothing. The check runs a second time on the socket itself. Whoever
// wires the program builds one Guard and hands its client or dialer to the
// rooms that talk to tenants' addresses; those rooms never dial on their own.
package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"tenantry/api/errcode"
)

// wireServer is the address on which a large cloud's host answers with machine
// credentials. It is the one such address outside the reserved ranges.
var wireServer = netip.MustParsePrefix("168.63.129.16/32")

// Loopback is what a development server allows besides public addresses: the
// handlers of whoever develops run on the same machine.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Options say what a Guard lets through besides public addresses.
type Options struct {
	// Allow lists networks that may be reached although they are not public.
	Allow []netip.Prefix
	// Ports lists the ports that may be reached; nil is any port.
	Ports []uint16
	// UnixSockets lists folders whose sockets may be dialled; nil is none.
	UnixSockets []string
	// Resolver answers names; nil is the system's resolver.
	Resolver *net.Resolver
}

// Guard decides which addresses may be reached. It is safe for concurrent use
// and never changes after New.
type Guard struct {
	guardian  *ssrf.Guardian
	dialer    *net.Dialer
	resolver  *net.Resolver
	sockets   []string
	transport *http.Transport
}

// New returns a guard. Without options it lets public addresses through, on
// any port.
func New(opts Options) *Guard {
	var v4, v6 []netip.Prefix
	for _, p := range opts.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p.Masked())
		} else {
			v6 = append(v6, p.Masked())
		}
	}
	g := &Guard{
		guardian: ssrf.New(
			ssrf.WithPorts(opts.Ports...),
			ssrf.WithAllowedV4Prefixes(v4...),
			ssrf.WithAllowedV6Prefixes(v6...),
			ssrf.WithDeniedV4Prefixes(wireServer),
		),
		resolver: opts.Resolver,
	}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	for _, folder := range opts.UnixSockets {
		g.sockets = append(g.sockets, filepath.Clean(folder))
	}
	g.dialer = &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	g.transport = &http.Transport{
		// A proxy taken from the environment would be the address that is
		// checked, instead of the tenant's.
		Proxy:               nil,
		DialContext:         g.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 64,
		// Below what common handlers keep a connection (5 s): a call sent on one
		// that the handler is just closing would fail.
		IdleConnTimeout:        4 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return g
}

// HTTP returns a client whose every connection passes the guard. It uses no
// proxy and does not follow redirects: the caller sees the 3xx answer itself.
// The timeout covers a whole exchange, reading the body included; 0 leaves the
// bound to the request's context. All clients of a guard share connections.
func (g *Guard) HTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: g.transport,
		Timeout:   timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// CloseIdle closes connections that nobody uses at the moment.
func (g *Guard) CloseIdle() { g.transport.CloseIdleConnections() }

// DialContext connects to addr, or returns an *errcode.Error with code
// blocked-egress. It fits http.Transport.DialContext and pgconn.Config.DialFunc.
func (g *Guard) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	switch network {
	case "unix":
		return g.dialSocket(ctx, addr)
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, blocked(errNetwork)
	}
	targets, err := g.resolve(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, target := range targets {
		conn, err := g.dialer.DialContext(ctx, network, target.String())
		if err == nil {
			return conn, nil
		}
		if failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, hide(failed)
}

// control sees the address of the socket right before it connects.
func (g *Guard) control(network, address string, c syscall.RawConn) error {
	if network == "unix" {
		return nil // dialSocket checked the path
	}
	if err := g.guardian.Safe(network, address, c); err != nil {
		return blocked(err)
	}
	return nil
}

// blocked is the one public text of a violation: it tells nothing about what a
// name resolved to. Operators find the reason in the cause.
func blocked(cause error) *errcode.Error {
	return errcode.New(errcode.BlockedEgress, "the address may not be reached from here").Because(cause)
}
