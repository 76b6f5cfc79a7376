//go:build linux && (amd64 || arm64)

package rawconn_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"tenantry/ops/rawconn"
)

// pair are both ends of a connection, wrapped.
func pair(t testing.TB, network, address string) (client, server net.Conn) {
	t.Helper()
	plain, err := net.Listen(network, address)
	must(t, err)
	l := rawconn.Listener(plain)
	defer l.Close()
	client, err = rawconn.Dialer((&net.Dialer{}).DialContext)(context.Background(), network, l.Addr().String())
	must(t, err)
	server, err = l.Accept()
	must(t, err)
	return client, server
}

func TestAConnectionDoesAllThatOthersDo(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": ""} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				if network == "unix" {
					address = filepath.Join(t.TempDir(), "s")
				}
				c1, c2 = pair(t, network, address)
				return c1, c2, func() { _ = c1.Close(); _ = c2.Close() }, nil
			})
		})
	}
}

func TestWhatHasNoSocketOfItsOwnIsLeftAlone(t *testing.T) {
	t.Parallel()
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if rawconn.Wrap(one) != one {
		t.Error("a pipe was wrapped")
	}
}

func deferring(t *testing.T) (client rawconn.Deferring, server net.Conn) {
	t.Helper()
	conn, server := pair(t, "tcp", "127.0.0.1:0")
	t.Cleanup(func() { _ = conn.Close(); _ = server.Close() })
	return conn.(rawconn.Deferring), server
}

// A server that answers at once, late, or in pieces: whenever the answer comes, the
// read that sent the question finds it.
func TestADeferredWriteIsAnswered(t *testing.T) {
	t.Parallel()
	client, server := deferring(t)
	go func() {
		buf := make([]byte, 64)
		for n := 0; ; n++ {
			m, err := server.Read(buf)
			if err != nil {
				return
			}
			if n%7 == 0 {
				time.Sleep(time.Duration(n%3) * time.Millisecond)
			}
			_, _ = server.Write(buf[:1])
			if n%5 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			_, _ = server.Write(buf[1:m])
		}
	}()
	must(t, client.SetDeadline(time.Now().Add(time.Minute)))
	question, answer := make([]byte, 40), make([]byte, 40)
	for range 3000 {
		_, _ = rand.Read(question)
		client.DeferWrite()
		n, err := client.Write(question)
		if n != len(question) || err != nil {
			t.Fatalf("%d %v", n, err)
		}
		_, err = io.ReadFull(client, answer)
		must(t, err)
		if !bytes.Equal(answer, question) {
			t.Fatal("another answer")
		}
	}
}

func TestADeferredWriteIsSentByTheRead(t *testing.T) {
	t.Parallel()
	client, server := deferring(t)
	client.DeferWrite()
	_, err := client.Write([]byte("later"))
	must(t, err)
	must(t, server.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if n, err := server.Read(make([]byte, 8)); n > 0 || err == nil {
		t.Fatalf("%d bytes were sent before anybody read (%v)", n, err)
	}
	must(t, client.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	var timeout net.Error
	if _, err := client.Read(make([]byte, 8)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("no answer: %v", err)
	}
	must(t, server.SetReadDeadline(time.Time{}))
	got := make([]byte, 5)
	_, err = io.ReadFull(server, got)
	must(t, err)
	must(t, client.SetReadDeadline(time.Time{}))
	_, err = client.Write([]byte("now")) // only one write is put off
	must(t, err)
	_, err = io.ReadFull(server, got[:3])
	must(t, err)
}

// A driver may have begun to read before it writes: the answer that it waits for must
// be asked for.
func TestAWriteBesideAReaderIsNotDeferred(t *testing.T) {
	t.Parallel()
	client, server := deferring(t)
	go func() { _, _ = io.Copy(server, server) }()
	for round := range 60 {
		answer := make(chan string)
		go func() {
			buf := make([]byte, 8)
			n, _ := client.Read(buf)
			answer <- string(buf[:n])
		}()
		time.Sleep(time.Duration(round%3) * time.Millisecond) // before or after the reader
		client.DeferWrite()
		_, err := client.Write([]byte("hello"))
		must(t, err)
		select {
		case got := <-answer:
			if got != "hello" {
				t.Fatalf("got %q", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the question was never sent")
		}
	}
}

// What the socket has no room for is written when the peer has read.
func TestALargeDeferredWrite(t *testing.T) {
	t.Parallel()
	client, server := deferring(t)
	large := make([]byte, 32<<20)
	_, _ = rand.Read(large)
	var work sync.WaitGroup
	work.Go(func() {
		got := make([]byte, len(large))
		time.Sleep(20 * time.Millisecond)
		if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, large) {
			t.Errorf("it did not arrive as it was: %v", err)
		}
		_, _ = server.Write([]byte("ok"))
	})
	client.DeferWrite()
	_, err := client.Write(large)
	must(t, err)
	answer := make([]byte, 2)
	_, err = io.ReadFull(client, answer)
	must(t, err)
	work.Wait()
}

// A peer that is gone: the error says whether anything was written.
func TestADeferredWriteToNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	client := rawconn.Wrap(plain).(rawconn.Deferring)
	defer client.Close()
	server, err := l.Accept()
	must(t, err)
	must(t, server.(*net.TCPConn).SetLinger(0)) // it ends with a reset
	must(t, server.Close())
	time.Sleep(50 * time.Millisecond)
	client.DeferWrite()
	_, err = client.Write([]byte("hello"))
	must(t, err)
	_, err = client.Read(make([]byte, 8))
	var retry interface{ SafeToRetry() bool }
	if err == nil || errors.As(err, &retry) && !retry.SafeToRetry() {
		t.Errorf("got %v", err)
	}
	if n, err := client.Write([]byte("again")); err == nil { // and no signal ends the program
		t.Errorf("%d bytes were written to nobody", n)
	}
	var network net.Error
	if _, err := client.Write([]byte("again")); !errors.As(err, &network) {
		t.Errorf("got %T", err)
	}
}

func TestACallAllocatesNothing(t *testing.T) {
	client, server := pair(t, "tcp", "127.0.0.1:0")
	defer client.Close()
	defer server.Close()
	text, buf := []byte("a request"), make([]byte, 64)
	allocations := testing.AllocsPerRun(200, func() {
		if _, err := client.Write(text); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(buf); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 {
		t.Errorf("%.1f allocations", allocations)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
