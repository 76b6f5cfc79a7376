package action

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
)

// ProjectCalls is how many calls of a project's actions run at a time on each node.
const ProjectCalls = 1000

// Traffic is what a project's calls have in common: how many run, and how its
// handlers did of late. It outlives the Callers of single revisions. Safe for
// concurrent use.
type Traffic struct {
	running  atomic.Int64
	actions  sync.Map // name → *atomic.Int64: calls that run
	mu       sync.Mutex
	breakers map[origin]*breaker
	circuit  func(opened bool)
	now      func() time.Time
}

// NewTraffic makes one without any calls. circuit hears when calls of an origin
// stop and when they go on; it may be nil.
func NewTraffic(circuit func(opened bool)) *Traffic {
	if circuit == nil {
		circuit = func(bool) {}
	}
	return &Traffic{breakers: map[origin]*breaker{}, circuit: circuit, now: time.Now}
}

// Tenant is asked whether one more call may run for the tenant on this node; a
// call that was let in leaves when it ended.
type Tenant interface {
	EnterCall() bool
	LeaveCall()
}

// enter counts a call that begins, if the caps of its action, the project and the
// tenant let it; leave must be called when it ended. Nobody waits: whoever finds
// no room is told at once, so that a slow handler holds up no more than its share.
func (c *Caller) enter(name string, most int) (leave func(), err *errcode.Error) {
	t := c.Traffic
	var own *atomic.Int64
	if most > 0 {
		found, ok := t.actions.Load(name)
		if !ok {
			found, _ = t.actions.LoadOrStore(name, new(atomic.Int64))
		}
		own = found.(*atomic.Int64)
		if own.Add(1) > int64(most) {
			own.Add(-1)
			return nil, overloaded("the action runs as often as it may at a time: %d", most)
		}
	}
	release := func() {
		t.running.Add(-1)
		if own != nil {
			own.Add(-1)
		}
	}
	if t.running.Add(1) > ProjectCalls {
		release()
		return nil, overloaded("the project's actions run as often as they may at a time: %d", ProjectCalls)
	}
	if c.Tenant == nil {
		return release, nil
	}
	if !c.Tenant.EnterCall() {
		release()
		return nil, overloaded("the plan's number of calls at a time is reached")
	}
	return func() { c.Tenant.LeaveCall(); release() }, nil
}

func overloaded(format string, args ...any) *errcode.Error {
	return errcode.New(errcode.ActionOverloaded, format, args...)
}

// maxOrigins bounds the breakers of a project: transforms may make origins of what
// clients send.
const maxOrigins = 256

// breaker is that of a handler's origin; nil when there are too many.
func (t *Traffic) breaker(u *url.URL) *breaker {
	at := originOf(u)
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.breakers[at]
	if ok {
		return b
	}
	if len(t.breakers) >= maxOrigins {
		now := t.now()
		for key, old := range t.breakers {
			idle, open := old.idle(now)
			if idle {
				delete(t.breakers, key)
			}
			if idle && open {
				t.circuit(false)
			}
		}
	}
	if len(t.breakers) >= maxOrigins {
		return nil
	}
	b = &breaker{}
	t.breakers[origin{strings.Clone(at.scheme), strings.Clone(at.host)}] = b
	return b
}

// origin is scheme, host and port, in one spelling.
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin {
	port := ":80"
	if u.Scheme == "https" {
		port = ":443"
	}
	return origin{u.Scheme, strings.TrimSuffix(strings.ToLower(u.Host), port)}
}

// verdict is what a call tells of its handler.
type verdict uint8

const (
	unknown verdict = iota // the call ended for a reason of its own
	healthy
	failing
)

// judge tells how the handler did by an exchange: what it answers is its own affair
// as long as it is no 5xx.
func judge(status int, err *errcode.Error) verdict {
	switch {
	case err == nil && status < http.StatusInternalServerError:
		return healthy
	case err == nil, err.Code == errcode.ActionTimeout, err.Code == errcode.ActionUnreachable:
		return failing
	}
	return unknown
}
