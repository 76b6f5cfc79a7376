package egress_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/policy/egress"
)

var loopback = egress.Loopback()

// forbidden holds hosts that must never be reached, whatever they look like.
var forbidden = []string{
	"127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254",
	"192.168.0.1", "100.64.0.1", "100.127.255.254", "100.100.100.200", "169.254.169.254", "192.0.0.192", "192.0.2.1",
	"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
	"::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
	"2130706433", "0177.0.0.1", "3232235777", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518", "00000177.1", "1.1.1.1.0x7f",
	"0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:ffff:7f00:0001", "::ffff:a9fe:a9fe", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe",
	"64:ff9b:1:ffff::a00:1", "2002:c0a8:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "ff05::1:3", "100::1", "3fff::1", "5f00::1", "::ffff:0:0",
	"0x7f.0.0.1", "0x7f000001", "127.1", "127.0.1", "017700000001", "0x7F.1", "127.0.0.1.", "127.0.0.01",
	"localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata.google.internal", "Metadata.Google.Internal.", "metadata", "METADATA.", "metadata.goog", "instance-data", "instance-data.ec2.internal",
}

func ports(t *testing.T, list string) egress.Ports {
	t.Helper()
	p, err := egress.ReadPorts(strings.Split(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refused(t *testing.T, err error) *errcode.Error {
	t.Helper()
	if err == nil {
		t.Fatal("expected a refusal")
	}
	var e *errcode.Error
	if !errors.As(err, &e) || e.Code != errcode.BlockedEgress {
		t.Fatalf("expected code blocked-egress, got %v", err)
	}
	return e
}

func TestForbiddenAddressesAreRefusedWithoutAConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

	guard := egress.New(egress.Options{})
	client := guard.HTTP(5 * time.Second)
	for _, host := range forbidden {
		target := net.JoinHostPort(host, port)
		_, err := guard.DialContext(t.Context(), "tcp", target)
		e := refused(t, err)
		if errors.Unwrap(e) == nil {
			t.Errorf("%s: the operator is not told why", host)
		}
		address := strings.ReplaceAll("http://"+target+"/", "%", "%25")
		refused(t, guard.Check(address))
		_, err = client.Get(address)
		refused(t, err)
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections were made", n)
	}
}

func TestCheckAcceptsPublicURLsAndRefusesOtherSchemes(t *testing.T) {
	t.Parallel()
	guard := egress.New(egress.Options{Ports: ports(t, egress.WebPorts)})
	for _, u := range []string{"https://example.com", "HTTP://example.com/x?y=1", "https://1.1.1.1:443/", "https://[2606:4700::1111]/", "https://a1.example.c0m"} {
		if err := guard.Check(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"file:///etc/passwd", "gopher://example.com/", "ftp://example.com", "unix:///tmp/x", "/relative", "", "https://example.com:22/", "https://example.com:0/", "https://1.1.1.1:8443/"} {
		if err := guard.Check(u); err == nil {
			t.Errorf("%s was accepted", u)
		}
	}
}

func TestAnAllowedNetworkIsReachedAndOthersStayRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	guard := egress.New(egress.Options{Allow: loopback})
	if err := guard.Check(server.URL); err != nil {
		t.Fatal(err)
	}
	answer, err := guard.HTTP(5 * time.Second).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if string(body) != "hello" {
		t.Fatalf("got %q", body)
	}
	for _, host := range []string{"10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "2130706433", "127.1", "64:ff9b::7f00:1"} {
		_, err := guard.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "80"))
		refused(t, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inside" {
			reached.Store(true)
			return
		}
		http.Redirect(w, r, "/inside", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	answer, err := egress.New(egress.Options{Allow: loopback}).HTTP(5 * time.Second).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusFound || reached.Load() {
		t.Fatalf("status %d, inside reached: %v", answer.StatusCode, reached.Load())
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := egress.New(egress.Options{Allow: loopback}).HTTP(5 * time.Second).Get(server.URL)
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Fatalf("expected a refusal of the protocol version, got %v", err)
	}
}

func TestANameIsRefusedWhenAnyOfItsAddressesIsPrivate(t *testing.T) {
	t.Parallel()
	names := nameServer(t)
	guard := egress.New(egress.Options{Resolver: names.resolver})
	for _, answers := range [][]string{
		{"10.0.0.1"}, {"169.254.169.254"}, {"1.1.1.1", "127.0.0.1"}, {"127.0.0.1", "1.1.1.1"},
	} {
		names.answer(answers...)
		_, err := guard.DialContext(t.Context(), "tcp4", "webhook.example.com:443")
		if e := refused(t, err); strings.ContainsAny(e.Error(), "0123456789") {
			t.Errorf("the public text names an address: %s", e)
		}
	}
}

func TestANameIsResolvedOnceForEachConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	names := nameServer(t)
	names.answer("127.0.0.1")
	guard := egress.New(egress.Options{Allow: loopback, Resolver: names.resolver})
	port := listener.Addr().(*net.TCPAddr).Port
	conn, err := guard.DialContext(t.Context(), "tcp4", net.JoinHostPort("webhook.example.com", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if n := names.asked.Load(); n != 1 {
		t.Fatalf("the name was resolved %d times: the second answer is not the checked one", n)
	}
}

func TestUnixSocketsAreReachedOnlyInAllowedFolders(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "eg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	inside := filepath.Join(folder, "in")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	socket, outside := filepath.Join(inside, "s"), filepath.Join(folder, "o")
	for _, path := range []string{socket, outside} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
	}
	guard := egress.New(egress.Options{UnixSockets: []string{inside}})
	conn, err := guard.DialContext(context.Background(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	for _, path := range []string{outside, inside + "/../o", "@abstract", "relative"} {
		_, err := guard.DialContext(t.Context(), "unix", path)
		refused(t, err)
	}
	_, err = egress.New(egress.Options{}).DialContext(t.Context(), "unix", socket)
	refused(t, err)
}

func TestURLsAndDatabasesHavePortsOfTheirOwn(t *testing.T) {
	t.Parallel()
	listener, connections := countedListener(t, "127.0.0.1")
	address := listener.Addr().String()
	guard := egress.New(egress.Options{Allow: loopback, Ports: ports(t, egress.WebPorts), DatabasePorts: ports(t, egress.DatabasePorts)})
	_, err := guard.DialContext(t.Context(), "tcp", address)
	refused(t, err)
	refused(t, guard.Check("http://"+address))
	_, err = guard.HTTP(time.Second).Get("http://" + address)
	refused(t, err)
	for _, low := range []string{"22", "25", "443", "1023"} {
		_, err := guard.DialDatabase(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", low))
		refused(t, err)
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections were made", n)
	}
	conn, err := guard.DialDatabase(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := egress.ReadPorts([]string{"0", "443", "9-8", "1-65536", "http"}); err == nil || strings.Count(err.Error(), "expected ports") != 4 {
		t.Errorf("mistakes: %v", err)
	}
}

// countedListener counts connections to an address of this machine.
func countedListener(t *testing.T, host string) (net.Listener, *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp4", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var connections atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}()
	return listener, &connections
}

// TestANameThatIsReboundNeverReachesAForbiddenAddress plays 127.0.0.2, which is
// allowed, for a public address, and 127.0.0.1 for what must not be reached.
func TestANameThatIsReboundNeverReachesAForbiddenAddress(t *testing.T) {
	t.Parallel()
	inside, reached := countedListener(t, "127.0.0.1")
	port := inside.Addr().(*net.TCPAddr).Port
	public, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.2", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	var served atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.Header().Set("Connection", "close")
	})}
	go func() { _ = server.Serve(public) }()
	t.Cleanup(func() { _ = server.Close() })

	names := nameServer(t)
	guard := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Resolver: names.resolver})
	address := net.JoinHostPort("rebind.example.com", strconv.Itoa(port))
	client, url := guard.HTTP(5*time.Second), "http://"+address+"/"
	for name, answers := range map[string][][]string{
		"public first, private later":   {{"127.0.0.2"}, {"127.0.0.1"}},
		"private first, public later":   {{"127.0.0.1"}, {"127.0.0.2"}},
		"public, then both":             {{"127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}},
		"private, once in three":        {{"127.0.0.2"}, {"127.0.0.2"}, {"127.0.0.1"}},
		"the cloud's metadata in turns": {{"127.0.0.2"}, {"169.254.169.254"}},
	} {
		names.rebind(answers...)
		passed, refusals := 0, 0
		for range 12 {
			if err := guard.Check(url); err != nil {
				t.Fatal(err)
			}
			if answer, err := client.Get(url); err == nil {
				_ = answer.Body.Close()
				passed++
			} else {
				refused(t, err)
				refusals++
			}
		}
		for range 12 {
			conn, err := guard.DialDatabase(t.Context(), "tcp", address)
			if err == nil {
				_ = conn.Close()
				passed++
			} else {
				refused(t, err)
				refusals++
			}
		}
		if passed == 0 || refusals == 0 {
			t.Errorf("%s: %d passed, %d were refused: the name did not change", name, passed, refusals)
		}
	}
	if n := reached.Load(); n != 0 || served.Load() == 0 {
		t.Fatalf("%d connections to the forbidden address, %d to the allowed one", n, served.Load())
	}
}

func TestAnAllowedNetworkOpensNoMetadataService(t *testing.T) {
	t.Parallel()
	networks := []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fd00::/8")}
	guard := egress.New(egress.Options{Allow: networks})
	for _, host := range []string{"169.254.169.254", "169.254.170.2", "100.100.100.200", "[fd00:ec2::254]", "metadata.google.internal"} {
		refused(t, guard.Check("http://"+host+"/latest"))
	}
	for _, host := range []string{"169.254.1.1", "100.64.1.1", "[fd00::1]"} {
		if err := guard.Check("http://" + host + "/"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	exactly := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}})
	if err := exactly.Check("http://169.254.169.254/"); err != nil {
		t.Errorf("named by the operator: %v", err)
	}
}
