package socket

import (
	"context"
	"sync"
	"time"

	"tenantry/ops/metrics"
)

// Limits bound what sockets may cost; a zero value takes the default.
type Limits struct {
	// MaxFrame is the largest message of a client in bytes; 1 MiB.
	MaxFrame int64
	// PerProject is how many sockets a project may have on this node; 1000.
	PerProject int
	// Total is how many sockets this node has; 10,000.
	Total int
	// Operations is how many operations of one socket may run at a time, and
	// Subscriptions how many subscriptions it may have; 100 each.
	Operations, Subscriptions int
	// Init is how long a client may take to send connection_init; 3 s.
	Init time.Duration
	// KeepAlive is the interval of keep-alive messages; 5 s.
	KeepAlive time.Duration
	// Look is the interval of looks at whether the session still counts; 2 s. With
	// the two that a change may need to reach the node it stays below the five
	// within which a withdrawn credential ends.
	Look time.Duration
	// Silence is how long a client may neither send anything nor answer pings; 60 s.
	Silence time.Duration
	// Write is how long a message may take to be taken by the client, and a second
	// more for each 256 KiB; 10 s.
	Write time.Duration
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.MaxFrame, 1<<20)
	orDefault(&l.PerProject, 1000)
	orDefault(&l.Total, 10_000)
	orDefault(&l.Operations, 100)
	orDefault(&l.Subscriptions, 100)
	orDefault(&l.Init, 3*time.Second)
	orDefault(&l.KeepAlive, 5*time.Second)
	orDefault(&l.Look, 2*time.Second)
	orDefault(&l.Silence, time.Minute)
	orDefault(&l.Write, 10*time.Second)
	return l
}

func orDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// Hub holds the sockets of this node, which the HTTP server has given away and
// does not end by itself. Safe for concurrent use.
type Hub struct {
	limits Limits

	mu       sync.Mutex
	sockets  map[*socket]bool
	projects map[string]int // open sockets by project
	tenants  map[string]int // sockets by tenant
	draining bool
	empty    chan struct{} // closed when a draining hub has no sockets left
}

// NewHub makes a hub without sockets.
func NewHub(l Limits) *Hub {
	return &Hub{limits: l.withDefaults(), sockets: map[*socket]bool{}, projects: map[string]int{}, tenants: map[string]int{}, empty: make(chan struct{})}
}

// Opening is a connection that has just been upgraded.
type Opening struct {
	Conn Conn
	// Project is the id by which sockets are counted.
	Project string
	// Tenant may have TenantSockets on this node, of all its projects; 0 is any number.
	Tenant        string
	TenantSockets int
	// Modern says that the client speaks graphql-transport-ws.
	Modern  bool
	Edge    Edge
	Metrics *metrics.Project
	// Panicked hears of a panic, after which the socket is closed.
	Panicked func(cause any)
}

// Serve speaks the protocol until the socket has ended with all its operations.
// Nothing of it runs any more, and Conn is not used, once Serve has returned.
// The end of ctx cuts the socket.
func (h *Hub) Serve(ctx context.Context, o Opening) {
	s := newSocket(ctx, o, h.limits)
	defer s.cancel()
	if refused, ok := h.add(s); !ok {
		s.turnAway(refused)
		return
	}
	defer h.remove(s)
	defer o.Metrics.SocketOpened()()
	s.serve()
}

func (h *Hub) add(s *socket) (closing, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return closeRestart, false
	case h.projects[s.Project] >= h.limits.PerProject || len(h.sockets) >= h.limits.Total,
		s.TenantSockets > 0 && h.tenants[s.Tenant] >= s.TenantSockets:
		return closeTooMany, false
	}
	h.sockets[s] = true
	h.projects[s.Project]++
	h.tenants[s.Tenant]++
	return closing{}, true
}

func (h *Hub) remove(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sockets, s)
	if h.projects[s.Project]--; h.projects[s.Project] == 0 {
		delete(h.projects, s.Project)
	}
	if h.tenants[s.Tenant]--; h.tenants[s.Tenant] == 0 {
		delete(h.tenants, s.Tenant)
	}
	if h.draining && len(h.sockets) == 0 {
		close(h.empty)
	}
}

// overtime is what sockets get to end in once they have been cut.
const overtime = 3 * time.Second

// Drain ends all sockets with the code for a restart, each as soon as its running
// operations have been answered, subscriptions aside, and takes no more. What still runs when ctx
// ends is cut, and the error is that of ctx. It is called once.
func (h *Hub) Drain(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	if len(h.sockets) == 0 {
		close(h.empty)
	}
	for s := range h.sockets {
		go s.drain()
	}
	h.mu.Unlock()
	select {
	case <-h.empty:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	for s := range h.sockets {
		s.cancel()
	}
	h.mu.Unlock()
	select {
	case <-h.empty:
	case <-time.After(overtime):
	}
	return ctx.Err()
}
