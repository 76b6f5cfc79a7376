package limits

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/tenants/metadata"
)

const maxKeys = 10_000

// Limiter counts the requests of a project: in memory, or together with other
// nodes. It outlives revisions, so that a change of metadata does not give
// everybody a fresh minute.
//
// In a sliding window requests are counted by the second, and one counts for at
// least 60 and less than 61 seconds: no 60 seconds ever see more than the limit.
// The number of keys in memory is bounded; when clients bring more, the new ones
// share one count until others have gone quiet.
type Limiter struct {
	seed    maphash.Seed
	shared  *Shared // nil: this node counts alone
	project string

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

// And is the tighter of two decisions about the same request.
func (d Decision) And(other Decision) Decision {
	switch {
	case !other.Applies || d.Applies && d.Remaining < other.Remaining:
		return d
	case !d.Applies || other.Remaining < d.Remaining || other.Reset > d.Reset:
		return other
	}
	return d
}

// NewLimiter returns a limiter that has counted nothing and counts in memory.
func NewLimiter() *Limiter {
	return &Limiter{seed: maphash.MakeSeed(), keys: map[uint64]*counter{}}
}

// NewSharedLimiter returns a limiter whose counts are those of all nodes with
// the same store and project; while the store is out of reach it counts in
// memory. A nil store makes it NewLimiter.
func NewSharedLimiter(shared *Shared, project string) *Limiter {
	l := NewLimiter()
	l.shared, l.project = shared, project
	return l
}

// Allow counts one request against the rate limit of its session. A refused
// request is not counted. The error is an *errcode.Error that names the limit
// and the actual number.
func (l *Limiter) Allow(ctx context.Context, now time.Time, cfg *metadata.APILimits, s session.Session) (Decision, error) {
	if exempt(cfg, s) || cfg.RateLimit == nil {
		return Decision{}, nil
	}
	rule, ok := cfg.RateLimit.PerRole[s.Role]
	if !ok {
		rule = cfg.RateLimit.Global
	}
	return l.count(ctx, now, scope{}, rule, s)
}

// AllowOperation counts one operation against the rules of single operations:
// those for its name, for the hash of its text and for the actions that it calls.
// The first rule that refuses decides; what the others counted stays counted.
func (l *Limiter) AllowOperation(ctx context.Context, now time.Time, cfg *metadata.APILimits, s session.Session, o Operation) (Decision, error) {
	var out Decision
	if exempt(cfg, s) || cfg.RateLimit == nil || len(cfg.RateLimit.PerOperation)+len(cfg.RateLimit.PerAction) == 0 {
		return out, nil
	}
	try := func(kind, name string, rules map[string]metadata.RateRule) error {
		rule, ok := rules[name]
		if !ok || name == "" {
			return nil
		}
		d, err := l.count(ctx, now, scope{kind, name}, rule, s)
		out = out.And(d)
		return err
	}
	for _, name := range [...]string{o.Name, o.Hash} {
		if err := try("operation", name, cfg.RateLimit.PerOperation); err != nil {
			return out, err
		}
	}
	for _, name := range o.Actions {
		if err := try("action", name, cfg.RateLimit.PerAction); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Operation is what rules of single operations look at.
type Operation struct {
	Name    string
	Hash    string   // of the normalised text
	Actions []string // by name, as often as they are called
}

// scope is what a rule is about; the zero scope is all requests.
type scope struct{ kind, name string }

func (l *Limiter) count(ctx context.Context, now time.Time, about scope, rule metadata.RateRule, s session.Session) (Decision, error) {
	var room [256]byte
	b := boundOf(rule)
	v := l.takeFor(ctx, now, appendKey(room[:0], about, rule.UniqueParams, s), b)
	d := Decision{Applies: true, Limit: b.limit, Remaining: v.remaining, Reset: v.reset}
	if v.refused {
		return d, exceeded(about, b, v)
	}
	return d, nil
}

// takeFor counts at the store, or in memory when there is none.
func (l *Limiter) takeFor(ctx context.Context, now time.Time, key []byte, b bound) verdict {
	if v, ok := l.shared.take(ctx, l.project, key, b); ok {
		return v
	}
	return l.take(now, maphash.Bytes(l.seed, key), b)
}

// Spend counts what an operation may cost against the budget of its session; one
// that is refused costs nothing. The decision is in objects, not in requests.
func (l *Limiter) Spend(ctx context.Context, now time.Time, cfg *metadata.APILimits, s session.Session, cost int) (Decision, error) {
	rule, ok := Budget(cfg, s)
	if !ok || cost <= 0 {
		return Decision{}, nil
	}
	b := bound{limit: rule.MaxCostPerMinute, period: time.Minute, units: cost}
	var room [256]byte
	v := l.takeFor(ctx, now, appendKey(room[:0], scope{kind: "cost"}, rule.UniqueParams, s), b)
	d := Decision{Applies: true, Limit: b.limit, Remaining: v.remaining, Reset: v.reset}
	if v.refused {
		code := errcode.RateLimitExceeded
		if cost > b.limit {
			code = errcode.CostLimitExceeded // later it is too much as well
		}
		return d, errcode.New(code, "cost budget exceeded: the budget is %d objects per minute, %d are spent, the operation may touch %d", b.limit, v.used, cost)
	}
	return d, nil
}

// Budget is the budget of costs of a session; false when there is none.
func Budget(cfg *metadata.APILimits, s session.Session) (metadata.CostRule, bool) {
	if exempt(cfg, s) || cfg.CostBudget == nil {
		return metadata.CostRule{}, false
	}
	if rule, ok := cfg.CostBudget.PerRole[s.Role]; ok {
		return rule, true
	}
	return cfg.CostBudget.Global, true
}

func exceeded(about scope, b bound, v verdict) *errcode.Error {
	of := ""
	if about.kind != "" {
		of = " of the " + about.kind + " \"" + about.name + "\""
	}
	if b.bucket {
		return errcode.New(errcode.RateLimitExceeded, "rate limit%s exceeded: the limit is %d requests per minute in bursts of %d, the next one may come in %.1f seconds",
			of, b.limit, b.burst, v.reset.Seconds())
	}
	return errcode.New(errcode.RateLimitExceeded, "rate limit%s exceeded: the limit is %d requests per minute, this is request %d", of, b.limit, v.used+1)
}

func (l *Limiter) take(now time.Time, key uint64, b bound) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counter(key, now).take(now, b)
}

// appendKey writes what is counted apart: what the rule is about, the role, and
// the address or the values of session variables. An IPv6 client owns a whole
// /64.
func appendKey(key []byte, about scope, params metadata.UniqueParams, s session.Session) []byte {
	part := func(text string) { key = append(append(key, text...), 0) }
	part(about.kind)
	part(about.name)
	part(s.Role)
	for _, name := range params {
		part(name)
		if name == "IP" {
			part(network(s.IP))
			continue
		}
		value, ok := s.Lookup(name)
		if ok {
			key = append(key, '=')
		}
		part(value)
	}
	return key
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
func (l *Limiter) counter(key uint64, now time.Time) *counter {
	if c, ok := l.keys[key]; ok {
		return c
	}
	if len(l.keys) >= maxKeys && now.Unix() != l.swept {
		l.swept = now.Unix()
		for k, c := range l.keys {
			if c.idle(now) {
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
