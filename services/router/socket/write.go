package socket

import "time"

// The kinds of WebSocket messages (RFC 6455 §11.8).
const (
	textMessage  = 1
	closeMessage = 8
	pingMessage  = 9
)

const (
	// farewell is how long a client may take to take the close frame, and how long
	// its own is waited for.
	farewell = 2 * time.Second
	// pace is how much of a large message a client must take each second.
	pace = 256 << 10
	// pings is how many keep-alives come before a ping of the connection, which
	// every client answers, also one that ignores keep-alives.
	pings = 4
)

// push queues a message; it waits while the queue is full.
func (s *socket) push(f frame) {
	select {
	case s.out <- f:
	case <-s.ctx.Done():
	}
}

// close ends the socket after what is queued already.
func (s *socket) close(c closing) { s.push(frame{end: &c}) }

// write sends what is queued, and keep-alives, until the socket ends.
func (s *socket) write() {
	told := false
	defer func() { s.leave(told) }()
	tick := time.NewTicker(s.limits.KeepAlive)
	defer tick.Stop()
	look := time.NewTicker(s.limits.Look)
	defer look.Stop()
	for beats := 1; ; {
		var err error
		select {
		case <-s.ctx.Done():
			told = s.tellEnd(closeRestart) // cut by the program, or nobody hears it
			return
		case f := <-s.out:
			if f.end != nil {
				told = s.end(*f.end)
				return
			}
			if f.of == nil || !f.of.stopped.Load() {
				err = s.send(f.text)
			}
		case <-tick.C:
			err = s.beat(beats)
			beats++
		case <-look.C:
			s.look()
		}
		if err != nil {
			return
		}
	}
}

func (s *socket) send(text []byte) error {
	wait := s.limits.Write + time.Duration(len(text)/pace)*time.Second
	if err := s.Conn.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if err := s.Conn.WriteMessage(textMessage, text); err != nil {
		return err
	}
	s.Metrics.SocketSent(len(text))
	return nil
}

// beat keeps the connection alive.
func (s *socket) beat(n int) error {
	if n%pings == 0 {
		if err := s.Conn.WriteControl(pingMessage, nil, time.Now().Add(s.limits.Write)); err != nil {
			return err
		}
	}
	if !s.letIn() {
		return nil
	}
	return s.send(s.protocol.keepAlive)
}

// look ends the socket if its session counts no longer.
func (s *socket) look() {
	if !s.letIn() || s.looking.Swap(true) {
		return
	}
	s.spawn(func() {
		defer s.looking.Store(false)
		if err := s.session.Check(s.ctx); err != nil && s.ctx.Err() == nil {
			s.close(closeEnded(err))
		}
	})
}

// letIn reports whether the client was acknowledged.
func (s *socket) letIn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// end tells the client why the socket ends.
func (s *socket) end(c closing) bool {
	if s.protocol.tells && c.told != "" {
		if err := s.send(connectionError(c.told)); err != nil {
			return false
		}
	}
	return s.tellEnd(c)
}

func (s *socket) tellEnd(c closing) bool {
	return s.Conn.WriteControl(closeMessage, c.frame(), time.Now().Add(farewell)) == nil
}

// leave ends everything that the socket does. A client that was told the end has
// a moment to say so too; then, or at once, the reader ends.
func (s *socket) leave(told bool) {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	wait := time.Duration(0)
	if told {
		wait = farewell
	}
	_ = s.Conn.SetReadDeadline(time.Now().Add(wait)) // a broken connection ends the reader too
}

// turnAway ends a connection that becomes no socket.
func (s *socket) turnAway(c closing) {
	if s.end(c) {
		_ = s.Conn.SetReadDeadline(time.Now().Add(farewell))
		s.Conn.SetReadLimit(s.limits.MaxFrame)
		for {
			if _, _, err := s.Conn.ReadMessage(); err != nil {
				return
			}
		}
	}
}
