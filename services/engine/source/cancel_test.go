package source_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"tenantry/ops/postgres/pgtest"
	"tenantry/services/engine/source"
)

// A cancellation that Postgres carries out late must not reach the statement of the
// connection's next request.
func TestALateCancellationReachesNoOtherStatement(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{
		"while it is waited for":        300 * time.Millisecond,
		"after it is not waited for":    2500 * time.Millisecond,
		"as soon as the statement ends": 0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, dialer, withLateCancellations(t, pgtest.Database(t), late), source.Options{MaxConnections: 1})
			sleep := func(ctx context.Context, seconds string) error {
				_, err := src.Alone(ctx, source.Bound{SQL: "SELECT to_json($1::text) FROM (SELECT pg_sleep($1::float8)) AS slept", Args: [][]byte{[]byte(seconds)}})
				return err
			}
			must(t, sleep(t.Context(), "0"))
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				_ = sleep(ctx, "0.05") // it may be in time
				cancel()
				if err := sleep(t.Context(), "0.8"); err != nil {
					t.Fatalf("the next request got %v (%v)", err, cause(err))
				}
			}
		})
	}
}

// withLateCancellations is a way to the database of an address on which cancellations
// take a while, whatever becomes of who sent them.
func withLateCancellations(t *testing.T, address string, late time.Duration) string {
	t.Helper()
	target, err := url.Parse(address)
	must(t, err)
	network, to := "tcp", target.Host
	if socket := target.Query().Get("host"); socket != "" {
		network, to = "unix", socket+"/.s.PGSQL."+target.Query().Get("port")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go passOn(client, network, to, late)
		}
	}()
	target.Host, target.RawQuery = listener.Addr().String(), "sslmode=disable"
	return target.String()
}

func passOn(client net.Conn, network, to string, late time.Duration) {
	const cancellation = 80877102 // of the protocol
	defer client.Close()
	begin := make([]byte, 8)
	if _, err := io.ReadFull(client, begin); err != nil {
		return
	}
	cancels := binary.BigEndian.Uint32(begin[4:]) == cancellation
	if cancels {
		rest := make([]byte, binary.BigEndian.Uint32(begin)-8)
		if _, err := io.ReadFull(client, rest); err != nil {
			return
		}
		begin = slices.Concat(begin, rest)
		time.Sleep(late)
	}
	server, err := net.Dial(network, to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, io.MultiReader(bytes.NewReader(begin), client))
		if !cancels {
			server.Close()
		}
	}()
	_, _ = io.Copy(client, server)
}
