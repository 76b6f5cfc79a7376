// Package socket speaks GraphQL over WebSocket: graphql-transport-ws, and the
// older graphql-ws. It knows messages, ids, keep-alives and close codes. Who a
// client is and what an operation answers it asks its Edge, and it knows neither
// the HTTP server nor the engine.
//
// A socket has one goroutine that reads, one that writes, and one for each
// running operation and each subscription. All messages go through the writer's bounded queue, so that
// a client that reads slowly holds up its own operations, and is cut when it
// stops reading.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
)

// Conn is what a socket needs of a WebSocket connection: the methods of the
// usual libraries. Reads and writes are each done by one goroutine at a time.
type Conn interface {
	ReadMessage() (kind int, data []byte, err error)
	WriteMessage(kind int, data []byte) error
	WriteControl(kind int, data []byte, deadline time.Time) error
	SetReadLimit(bytes int64)
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	SetPongHandler(func(string) error)
	// NetConn is the connection below, whose deadlines may be set at any time.
	NetConn() net.Conn
}

// Edge is what a socket asks of the HTTP edge that opened it.
type Edge interface {
	// Authenticate finds who the client is from the headers of connection_init,
	// which come on top of those of the upgrade. The error is for the client.
	Authenticate(ctx context.Context, headers []graphqlhttp.Header) (Session, error)
	// Refusal encodes an error of the protocol in the form of the path.
	Refusal(*errcode.Error) Refusal
}

// Refusal is an error that ended an operation before it ran, as JSON.
type Refusal struct {
	// Error is the error alone.
	Error []byte
	// Document is the answer that holds it where results are documents.
	Document []byte
	// Ended, when set, says why the session counts no longer; the socket ends with it.
	Ended error
}

// Session is a client that was let in. Its methods are called by several
// goroutines at a time.
type Session interface {
	// Expires is when the session ends; zero when it does not end by itself.
	Expires() time.Time
	// Check returns an error when the session counts no longer: its credential was
	// withdrawn, or its project serves nobody. It is called before every operation
	// and every Limits.Look, so it is cheap while nothing changed.
	Check(ctx context.Context) error
	// Run runs one operation and hands its result to send. A refusal is an error
	// from before the operation ran; other errors are results. Of what a client
	// subscribes to it sends nothing, and returns what does.
	Run(ctx context.Context, o Operation, send Send) (Subscription, *Refusal)
}

// Send hands a result to the client. It may block, and owns its argument.
type Send func(result []byte)

// Subscription sends the results of what a client subscribes to, the present one
// first, until ctx ends or there will be no more. A refusal ends it with an error.
type Subscription func(ctx context.Context, send Send) *Refusal

// Operation is one operation that a client started.
type Operation struct {
	// Number counts the operations of the socket, from 1.
	Number int
	// Payload is a JSON object: {query, variables, operationName}.
	Payload json.RawMessage
}

// socket is one open socket.
type socket struct {
	Opening
	protocol protocol
	limits   Limits
	// ctx is that of everything that the socket does; it ends with the socket.
	ctx     context.Context
	cancel  context.CancelFunc
	session Session // nil before connection_init; set by the reader
	out     chan frame
	work    sync.WaitGroup // the writer and the operations
	looking atomic.Bool    // a look at the session is under way

	mu         sync.Mutex
	ready      bool // connection_init was acknowledged
	leaving    bool // the end has been told, or the writer is gone
	draining   bool // it ends when its operations have
	parting    bool // the client is about to close it
	count      int  // operations started so far
	running    int  // operations that have not ended, stopped ones too, but for
	following  int  // subscriptions
	operations map[string]*operation
}

// frame is a message on its way to the client, or the end of the socket.
type frame struct {
	text []byte
	of   *operation // nil: the socket's own
	end  *closing
}

// queued is how many messages may wait for the client.
const queued = 16

func newSocket(ctx context.Context, o Opening, l Limits) *socket {
	s := &socket{Opening: o, protocol: legacy, limits: l, out: make(chan frame, queued), operations: map[string]*operation{}}
	if o.Modern {
		s.protocol = modern
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// serve runs the socket until it has ended.
func (s *socket) serve() {
	s.Conn.SetReadLimit(s.limits.MaxFrame)
	s.Conn.SetPongHandler(func(string) error { s.heard(); return nil })
	s.heard()
	s.work.Add(1)
	context.AfterFunc(s.ctx, s.hurry)
	s.work.Go(s.write)
	patience := time.AfterFunc(s.limits.Init, s.initTimeout)
	expiry := s.read()
	patience.Stop()
	if expiry != nil {
		expiry.Stop()
	}
	s.cancel()
	s.work.Wait()
}

// hurry ends a write that the client does not take, once the socket has ended.
func (s *socket) hurry() {
	defer s.work.Done()
	_ = s.Conn.NetConn().SetWriteDeadline(time.Now().Add(farewell)) // a broken connection holds up nothing
}

func (s *socket) initTimeout() {
	s.mu.Lock()
	late := !s.ready
	s.mu.Unlock()
	if late {
		s.close(closeInitTimeout)
	}
}

// heard lets the silence begin anew, unless the socket is about to end.
func (s *socket) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leaving {
		_ = s.Conn.SetReadDeadline(time.Now().Add(s.limits.Silence)) // a broken connection shows when it is read
	}
}

var errNotText = errors.New("expected text messages")

// read follows the client until the connection ends. The timer is that of the
// session's end.
func (s *socket) read() (expiry *time.Timer) {
	defer func() {
		if cause := recover(); cause != nil {
			s.Panicked(cause)
		}
	}()
	for {
		kind, text, err := s.Conn.ReadMessage()
		if err != nil {
			return expiry
		}
		s.heard()
		s.Metrics.SocketReceived(len(text))
		if s.left() {
			continue // only the client's own close frame is waited for
		}
		m, err := s.protocol.read(text)
		if kind != textMessage {
			err = errNotText
		}
		switch {
		case err != nil:
			s.close(closeBadMessage(err))
		case m.kind == initialise && s.session != nil:
			s.close(closeTooManyInits)
		case m.kind == initialise:
			expiry = s.initialise(m)
		default:
			s.handle(m)
		}
	}
}

// initialise lets the client in, or not. It is done before the next message is
// read, so that a client need not wait for the acknowledgement.
func (s *socket) initialise(m message) *time.Timer {
	session, err := s.Edge.Authenticate(s.ctx, m.headers)
	if err != nil {
		s.close(s.protocol.closeRefused(err))
		return nil
	}
	s.session = session
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.push(frame{text: acknowledge})
	if s.protocol.greets {
		s.push(frame{text: s.protocol.keepAlive})
	}
	if end := session.Expires(); !end.IsZero() {
		return time.AfterFunc(time.Until(end), func() { s.close(closeEnded(errExpired)) })
	}
	return nil
}

// handle does what a message other than connection_init asks for.
func (s *socket) handle(m message) {
	switch m.kind {
	case start:
		s.start(m)
	case stop:
		s.stop(m.id)
	case terminate:
		s.part()
	case ping:
		s.push(frame{text: s.protocol.pong(m.payload)})
	case pong: // heard
	}
}

// left reports whether the end of the socket has been told.
func (s *socket) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}
