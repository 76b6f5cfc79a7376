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
	"tenantry/ops/rawconn"
)

// metadataAddresses are those at which clouds answer with machine credentials.
// Where a network is allowed that one of them lies in, it stays refused.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("169.254.170.23"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192"),
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd00:ec2::23"), netip.MustParseAddr("fd20:ce::254"),
}

// Loopback is what a development server allows besides public addresses: the
// handlers of whoever develops run on the same machine.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Options say what a Guard lets through besides public addresses.
type Options struct {
	// Allow lists networks that may be reached although they are not public.
	Allow []netip.Prefix
	// Ports are those that URLs may reach, DatabasePorts those of databases; nil is
	// any port.
	Ports, DatabasePorts Ports
	// UnixSockets lists folders whose sockets may be dialled; nil is none.
	UnixSockets []string
	// Resolver answers names; nil is the system's resolver.
	Resolver *net.Resolver
}

// Guard decides which addresses may be reached. It is safe for concurrent use
// and never changes after New.
type Guard struct {
	guardian      *ssrf.Guardian
	allowed       []netip.Prefix
	webPorts      Ports
	databasePorts Ports
	dialer        *net.Dialer
	resolver      *net.Resolver
	sockets       []string
	transport     *http.Transport
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
			ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(v4...),
			ssrf.WithAllowedV6Prefixes(v6...),
		),
		allowed:  opts.Allow,
		webPorts: opts.Ports, databasePorts: opts.DatabasePorts,
		resolver: opts.Resolver,
	}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	for _, folder := range opts.UnixSockets {
		g.sockets = append(g.sockets, filepath.Clean(folder))
	}
	g.dialer = &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	g.transport = g.newTransport(&tls.Config{})
	return g
}

// newTransport makes connections with TLS as config says; it takes the config.
func (g *Guard) newTransport(config *tls.Config) *http.Transport {
	config.MinVersion = tls.VersionTLS12
	return &http.Transport{
		// A proxy taken from the environment would be the address that is
		// checked, instead of the tenant's.
		Proxy:               nil,
		DialContext:         g.DialContext,
		TLSClientConfig:     config,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 64,
		// Below what common handlers keep a connection (5 s): a call sent on one
		// that the handler is just closing would fail.
		IdleConnTimeout:        4 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// HTTP returns a client whose every connection passes the guard. It uses no
// proxy and does not follow redirects: the caller sees the 3xx answer itself.
// The timeout covers a whole exchange, reading the body included; 0 leaves the
// bound to the request's context. All clients that it returns share connections.
func (g *Guard) HTTP(timeout time.Duration) *http.Client { return client(g.transport, timeout) }

// HTTPWith is HTTP with authorities and certificates of a tenant's own: its
// connections are its own as well, so that no other tenant's request goes over one
// that a certificate has opened. The caller closes them when it is done with the
// client.
func (g *Guard) HTTPWith(config *tls.Config, timeout time.Duration) *http.Client {
	return client(g.newTransport(config), timeout)
}

func client(transport *http.Transport, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: transport,
		Timeout:   timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// CloseIdle closes connections that nobody uses at the moment.
func (g *Guard) CloseIdle() { g.transport.CloseIdleConnections() }

// DialContext connects to addr, or returns an *errcode.Error with code
// blocked-egress. It fits http.Transport.DialContext.
func (g *Guard) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dial(ctx, network, addr, g.webPorts)
}

// DialDatabase is DialContext for databases, which have ports of their own. It
// fits pgconn.Config.DialFunc.
func (g *Guard) DialDatabase(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dial(ctx, network, addr, g.databasePorts)
}

func (g *Guard) dial(ctx context.Context, network, addr string, ports Ports) (net.Conn, error) {
	switch network {
	case "unix":
		return g.dialSocket(ctx, addr)
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, blocked(errNetwork)
	}
	targets, err := g.resolve(ctx, network, addr, ports)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, target := range targets {
		conn, err := g.dialer.DialContext(ctx, network, target.String())
		if err == nil {
			return rawconn.Wrap(conn), nil
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
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return blocked(err)
	}
	return g.checkAddr(target.Addr())
}

// blocked is the one public text of a violation: it tells nothing about what a
// name resolved to. Operators find the reason in the cause.
func blocked(cause error) *errcode.Error {
	return errcode.New(errcode.BlockedEgress, "the address may not be reached from here").Because(cause)
}
