package router

import (
	"context"

	"tenantry/api/errcode"
	"tenantry/services/engine/instance"
	"tenantry/services/livequery"
	"tenantry/services/router/socket"
)

// subscription is one of a client. It goes on over changes of the project, as long
// as the session counts and the operation is allowed.
type subscription struct {
	*client
	exchange exchange // on the generation of live
	request  instance.Request
	live     *instance.Subscription
	refused  *socket.Refusal // why it ended
}

// follow sends the first result, and each that differs.
func (s *subscription) follow(ctx context.Context, first instance.Reading, result []byte, send socket.Send) *socket.Refusal {
	send(result)
	if first.Missing {
		return nil
	}
	q := livequery.Query{
		Project: s.project.ID, Metrics: s.exchange.generation.Instance.Metrics(), Read: s.read, Outdated: s.outdated, Send: send,
	}
	if first.Run != "" {
		q.Watch = func(wake func()) func() { return s.router.Runs.Watch(first.Run, wake) }
	}
	err := s.router.Subscriptions.Follow(ctx, q, s.answer(first))
	if err != nil && s.refused == nil {
		refusal := s.refusal(errcode.From(err), false)
		s.refused = &refusal
	}
	return s.refused
}

// outdated reports that the project has changed since the answer was read.
func (s *subscription) outdated(ctx context.Context) bool {
	entry, err := s.router.Live.Get(ctx, s.project.ID)
	return err != nil || entry.Current() != s.exchange.generation
}

// read reads the answer on the generation that serves.
func (s *subscription) read(ctx context.Context) (livequery.Answer, error) {
	var none livequery.Answer
	if err := s.Check(ctx); err != nil {
		s.refused = &socket.Refusal{Ended: err}
		return none, err
	}
	if g := s.current(); g != s.exchange.generation {
		s.exchange.generation = g
		live, trail := g.Instance.Resume(s.session, s.request)
		if live == nil {
			s.refused = s.refuse(s.exchange, trail)
			return none, trail.Err
		}
		s.live = live
	}
	reading, trail := s.live.Read(ctx)
	if !trail.Executed {
		s.refused = s.refuse(s.exchange, trail)
		return none, trail.Err
	}
	return s.answer(reading), nil
}

// answer is a reading as the client is sent it, but for what it cost.
func (s *subscription) answer(of instance.Reading) livequery.Answer {
	body := of.Body
	if of.Err != nil {
		body = s.failure(s.exchange, of.Response)
	}
	return livequery.Answer{Body: body, Failed: of.Err != nil, Lasts: of.Lasts, Last: of.Missing}
}
