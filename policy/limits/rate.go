package limits

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/metadata"
)

const (
	window  = 60 // seconds
	maxKeys = 10_000
)

// Limiter counts requests in memory. It belongs to a project's live entry and
// outlives revisions, so that a change of metadata does not give everybody a
// fresh minute.
//
// Requests are counted by the second, and one counts for at least 60 and less
// than 61 seconds: no 60 seconds ever see more than the limit. The number of
// keys is bounded; when clients bring more, the new ones share one count until
// others have gone quiet.
type Limiter struct {
	seed maphash.Seed

	mu    sync.Mutex
	keys  map[uint64]*counter
	swept int64 // second of the last sweep
}

// Decision is what the response headers say about a request.
type Decision struct {
	// Applies is false when no rate limit concerns the session; the other
	// fields are then zero.
	Applies   bool
	Limit     int // requests per minute
	Remaining int
	// Reset is when the next place comes free.
	Reset time.Duration
}

// NewLimiter returns a limiter that has counted nothing.
func NewLimiter() *Limiter {
	return &Limiter{seed: maphash.MakeSeed(), keys: map[uint64]*counter{}}
}

// Allow counts one request against the rate limit of its session. A refused
// request is not counted. The error is an *errcode.Error that names the limit
// and the actual number.
func (l *Limiter) Allow(now time.Time, cfg *metadata.APILimits, s session.Session) (Decision, error) {
	if exempt(cfg, s) || cfg.RateLimit == nil {
		return Decision{}, nil
	}
	rule, ok := cfg.RateLimit.PerRole[s.Role]
	if !ok {
		rule = cfg.RateLimit.Global
	}
	limit := rule.MaxRequestsPerMinute
	key := l.key(rule, s)

	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counter(key, now.Unix())
	used := c.used(now.Unix())
	d := Decision{Applies: true, Limit: limit}
	if used >= limit {
		d.Reset = c.reset(now)
		return d, errcode.New(errcode.RateLimitExceeded, "rate limit exceeded: the limit is %d requests per minute, this is request %d", limit, used+1)
	}
	c.add(now.Unix())
	d.Remaining, d.Reset = limit-used-1, c.reset(now)
	return d, nil
}

// key is the role with what the rule counts apart: the address, or the values
// of session variables. An IPv6 client owns a whole /64.
func (l *Limiter) key(rule metadata.RateRule, s session.Session) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	part := func(text string) {
		_, _ = h.WriteString(text)
		_ = h.WriteByte(0)
	}
	part(s.Role)
	for _, name := range rule.UniqueParams {
		part(name)
		if name == "IP" {
			part(network(s.IP))
			continue
		}
		if value, ok := s.Lookup(name); ok {
			part("=" + value)
		} else {
			part("")
		}
	}
	return h.Sum64()
}

func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr().String()
		}
	}
	return addr.String()
}

// counter finds or makes the counter of a key. Key 0 is the one that latecomers
// share.
func (l *Limiter) counter(key uint64, second int64) *counter {
	if c, ok := l.keys[key]; ok {
		return c
	}
	if len(l.keys) >= maxKeys && second != l.swept {
		l.swept = second
		for k, c := range l.keys {
			if c.used(second) == 0 {
				delete(l.keys, k)
			}
		}
	}
	if len(l.keys) >= maxKeys {
		if c, ok := l.keys[0]; ok {
			return c
		}
		key = 0
	}
	c := &counter{}
	l.keys[key] = c
	return c
}

// counter holds the seconds of the last minute that saw requests, oldest first:
// at most 61 of them.
type counter struct {
	seconds []second
	total   int
}

type second struct {
	at    int64 // unix
	count int
}

// used forgets what is older than the window and returns the rest.
func (c *counter) used(now int64) int {
	old := 0
	for old < len(c.seconds) && c.seconds[old].at < now-window {
		c.total -= c.seconds[old].count
		old++
	}
	if old > 0 {
		c.seconds = append(c.seconds[:0], c.seconds[old:]...)
	}
	return c.total
}

func (c *counter) add(now int64) {
	c.total++
	// A clock that steps back counts in the newest second.
	if n := len(c.seconds); n > 0 && c.seconds[n-1].at >= now {
		c.seconds[n-1].count++
		return
	}
	c.seconds = append(c.seconds, second{now, 1})
}

// reset is when the oldest second leaves the window.
func (c *counter) reset(now time.Time) time.Duration {
	if len(c.seconds) == 0 {
		return window * time.Second
	}
	return time.Unix(c.seconds[0].at+window+1, 0).Sub(now)
}
