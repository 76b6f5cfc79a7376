package socket

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
)

// operation is one that was started and has not ended.
type operation struct {
	id     string
	cancel context.CancelFunc
	// stopped says that the client wants nothing more of it: its messages that
	// still wait are not sent, because the id may be another operation's by then.
	stopped atomic.Bool
	// follows says that it is a subscription that began; guarded by the socket.
	follows bool
}

// start begins an operation, or tells why not.
func (s *socket) start(m message) {
	if s.session == nil {
		if !s.protocol.tells {
			s.close(closeUnauthorized)
			return
		}
		s.push(frame{text: s.protocol.wrong(m.id, s.Edge.Refusal(errcode.New(errcode.StartFailed, startTooEarlyText)).Error)})
		return
	}
	s.mu.Lock()
	switch {
	case s.draining || s.parting: // the close frame tells the client to begin again elsewhere
		s.mu.Unlock()
	case s.operations[m.id] != nil:
		s.mu.Unlock()
		s.close(closeDuplicate(m.id))
	case s.running >= s.limits.Operations:
		s.mu.Unlock()
		e := errcode.New(errcode.Busy, "the socket runs %d operations, at most %d are allowed at a time", s.limits.Operations, s.limits.Operations)
		s.push(frame{text: s.protocol.refusal(m.id, s.Edge.Refusal(e))})
	default:
		s.begin(m)
		s.mu.Unlock()
	}
}

// begin starts the operation's goroutine; the caller holds the lock.
func (s *socket) begin(m message) {
	ctx, cancel := context.WithCancel(s.ctx)
	op := &operation{id: m.id, cancel: cancel}
	s.operations[m.id] = op
	s.running++
	s.count++
	number := s.count
	s.spawn(func() {
		defer s.ended(op)
		s.perform(ctx, op, number, m.payload)
	})
}

// perform runs an operation and sends what it answers. Its id is free before its
// end is told: a client may use it again at once.
func (s *socket) perform(ctx context.Context, op *operation, number int, payload json.RawMessage) {
	if err := s.session.Check(ctx); err != nil {
		if ctx.Err() == nil {
			s.close(closeEnded(err))
		}
		return
	}
	send := func(result []byte) { s.push(frame{text: s.protocol.data(op.id, result), of: op}) }
	subscription, refusal := s.session.Run(ctx, Operation{Number: number, Payload: payload}, send)
	if subscription != nil {
		if refusal = s.follow(op); refusal == nil {
			refusal = subscription(ctx, send)
		}
	}
	s.forget(op)
	switch {
	case refusal == nil:
		s.push(frame{text: s.protocol.complete(op.id), of: op})
	case refusal.Ended != nil:
		s.close(closeEnded(refusal.Ended))
	default:
		s.push(frame{text: s.protocol.refusal(op.id, *refusal), of: op})
		if subscription != nil && s.protocol.tells {
			s.push(frame{text: s.protocol.complete(op.id), of: op})
		}
	}
}

// follow makes an operation a subscription: from then on it is bounded apart from
// operations that end by themselves, and nobody waits for its end.
func (s *socket) follow(op *operation) *Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.following >= s.limits.Subscriptions {
		e := errcode.New(errcode.Busy, "the socket has %d subscriptions, at most %d are allowed", s.following, s.limits.Subscriptions)
		refusal := s.Edge.Refusal(e)
		return &refusal
	}
	op.follows = true
	s.following++
	s.leaveRunning()
	return nil
}

// stop ends an operation for the client's sake; one that has ended is no mistake.
func (s *socket) stop(id string) {
	s.mu.Lock()
	op := s.operations[id]
	delete(s.operations, id)
	s.mu.Unlock()
	if op != nil {
		op.stopped.Store(true)
		op.cancel()
	}
}

// part ends all operations of a client that says that it will close the socket,
// and closes it if the client doesn't.
func (s *socket) part() {
	s.mu.Lock()
	s.parting = true
	ids := slices.Collect(maps.Keys(s.operations))
	s.mu.Unlock()
	for _, id := range ids {
		s.stop(id)
	}
	time.AfterFunc(s.limits.KeepAlive, func() { s.close(closeNormal) })
}

func (s *socket) forget(op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[op.id] == op {
		delete(s.operations, op.id)
	}
}

// ended frees what the operation held; the last one lets a drained socket go.
func (s *socket) ended(op *operation) {
	op.cancel()
	s.forget(op)
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.follows {
		s.following--
		return
	}
	s.leaveRunning()
}

// leaveRunning takes an operation out of those that a drained socket waits for; the
// caller holds the lock.
func (s *socket) leaveRunning() {
	if s.running--; s.draining && s.running == 0 {
		s.spawn(func() { s.close(closeRestart) })
	}
}

// drain closes the socket as soon as no operation runs.
func (s *socket) drain() {
	s.mu.Lock()
	s.draining = true
	idle := s.running == 0
	s.mu.Unlock()
	if idle {
		s.close(closeRestart)
	}
}

// spawn runs f beside the socket, which ends if f panics.
func (s *socket) spawn(f func()) {
	s.work.Go(func() {
		defer func() {
			if cause := recover(); cause != nil {
				s.Panicked(cause)
				s.close(closeFailed)
			}
		}()
		f()
	})
}
