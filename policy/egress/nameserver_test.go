package egress_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// names is a real name server on loopback that answers A questions with the
// addresses that it was told and every other question with none.
type names struct {
	resolver *net.Resolver
	asked    atomic.Int64 // A questions
	mu       sync.Mutex
	ips      [][]netip.Addr
}

// answer tells the addresses of a name from now on.
func (n *names) answer(ips ...string) { n.rebind(ips) }

// rebind tells what to answer to one question after the other, over and over.
func (n *names) rebind(answers ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ips = nil
	for _, answer := range answers {
		var ips []netip.Addr
		for _, ip := range answer {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		n.ips = append(n.ips, ips)
	}
}

func (n *names) next() (ips []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ips) > 0 {
		ips, n.ips = n.ips[0], append(n.ips[1:], n.ips[0])
	}
	return ips
}

func nameServer(t *testing.T) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	n := &names{}
	n.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	go func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.reply(buf[:size]), from)
		}
	}()
	return n
}

// reply builds a DNS message: the header, the question repeated, then one
// resource record per address that points at the question's name.
func (n *names) reply(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	isA := binary.BigEndian.Uint16(query[end+1:]) == 1

	var ips []netip.Addr
	if isA {
		n.asked.Add(1)
		ips = n.next()
	}
	msg := append([]byte{}, query[:2]...)
	msg = append(msg, 0x81, 0x80, 0, 1, 0, byte(len(ips)), 0, 0, 0, 0)
	msg = append(msg, question...)
	for _, ip := range ips {
		msg = append(msg, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		msg = append(msg, ip.AsSlice()...)
	}
	return msg
}
