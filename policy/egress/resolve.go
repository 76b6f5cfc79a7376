package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tenantry/api/errcode"
)

var (
	errNetwork  = errors.New("egress: network is not tcp")
	errSocket   = errors.New("egress: unix socket outside the allowed folders")
	errNumeric  = errors.New("egress: number that some resolvers read as an address")
	errMetadata = errors.New("egress: name or address of a cloud's metadata service")
	errScheme   = errors.New("egress: scheme is neither http nor https")
)

// metadataNames are names under which clouds answer with machine credentials.
// They resolve to blocked ranges almost everywhere; a private network that is
// allowed must not open them again.
var metadataNames = map[string]bool{
	"metadata":                   true,
	"metadata.google.internal":   true,
	"metadata.goog":              true,
	"instance-data":              true,
	"instance-data.ec2.internal": true,
}

// Check tells whether a URL can be refused when it is saved: another scheme
// than http and https, a literal address or port that the guard refuses, or a
// form of address that only some programs understand. It resolves nothing; a
// URL that passes may still be refused when it is called. Errors are
// *errcode.Error: invalid-params for what is no URL, else blocked-egress.
func (g *Guard) Check(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return errcode.New(errcode.InvalidParams, "expected an absolute URL such as https://example.com/path")
	}
	var port uint16
	switch strings.ToLower(u.Scheme) {
	case "http":
		port = 80
	case "https":
		port = 443
	default:
		return blocked(errScheme)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return errcode.New(errcode.InvalidParams, "expected a port between 1 and 65535")
		}
		port = uint16(n)
	}
	return g.checkHost(u.Hostname(), port, g.webPorts)
}

// checkHost refuses what needs no resolver to be refused.
func (g *Guard) checkHost(host string, port uint16, ports Ports) error {
	if err := ports.check(port); err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(ip)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case endsInNumber(name):
		return blocked(fmt.Errorf("%w: %q", errNumeric, host))
	case metadataNames[name]:
		return blocked(errMetadata)
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		v4, v6 := g.checkAddr(netip.AddrFrom4([4]byte{127, 0, 0, 1})), g.checkAddr(netip.IPv6Loopback())
		if v4 != nil && v6 != nil {
			return v4
		}
	}
	return nil
}

func (g *Guard) checkAddr(ip netip.Addr) error {
	if slices.Contains(metadataAddresses, ip) && !slices.Contains(g.allowed, netip.PrefixFrom(ip, ip.BitLen())) {
		return blocked(fmt.Errorf("%w: %s", errMetadata, ip))
	}
	if err := g.guardian.SafeAddr(ip); err != nil {
		return blocked(err)
	}
	return nil
}

// endsInNumber reports whether the last label of a name is a number, decimal,
// octal or hexadecimal: "2130706433", "0177.0.0.1", "127.1", "0x7f000001". No
// public name ends so, and C libraries turn these into addresses.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last = hex
		return strings.Trim(last, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// resolve turns host:port into addresses that all passed the check. One bad
// address refuses the name: trying the good ones would let a name probe.
func (g *Guard) resolve(ctx context.Context, network, addr string, ports Ports) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, blocked(err)
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, blocked(err)
	}
	port := uint16(number)
	if err := g.checkHost(host, port, ports); err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, port)}, nil
	}
	ips, err := g.resolver.LookupNetIP(ctx, "ip"+strings.TrimPrefix(network, "tcp"), host)
	if err != nil {
		return nil, err
	}
	targets := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		// Resolvers hand out IPv4 in its IPv6-mapped form as well.
		ip = ip.Unmap()
		if err := g.checkAddr(ip); err != nil {
			return nil, err
		}
		targets = append(targets, netip.AddrPortFrom(ip, port))
	}
	return targets, nil
}

func (g *Guard) dialSocket(ctx context.Context, path string) (net.Conn, error) {
	clean := filepath.Clean(path)
	for _, folder := range g.sockets {
		if strings.HasPrefix(clean, strings.TrimSuffix(folder, "/")+"/") {
			return g.dialer.DialContext(ctx, "unix", clean)
		}
	}
	return nil, blocked(errSocket)
}

// hide unwraps a violation found on the socket: the error around it prints the
// address.
func hide(err error) error {
	var violation *errcode.Error
	if errors.As(err, &violation) {
		return violation
	}
	return err
}
