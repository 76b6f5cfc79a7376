package control

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tenantry/api/errcode"
)

// maxAddresses bounds what is remembered of addresses that signed up.
const maxAddresses = 10_000

// signups limits sign-ups per address. Safe for concurrent use.
type signups struct {
	perHour int

	mu   sync.Mutex
	seen map[string]*rate.Limiter
}

func newSignups(perHour int) *signups {
	return &signups{perHour: perHour, seen: map[string]*rate.Limiter{}}
}

// take counts a sign-up. It returns how long to wait, 0 when it may go on.
func (l *signups) take(address string, now time.Time) time.Duration {
	key := network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.seen[key]
	if limiter == nil {
		l.makeRoom(now)
		limiter = rate.NewLimiter(rate.Limit(float64(l.perHour)/time.Hour.Seconds()), l.perHour)
		l.seen[key] = limiter
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - limiter.TokensAt(now)
	return time.Duration(missing / float64(limiter.Limit()) * float64(time.Second))
}

// makeRoom forgets addresses that have their whole allowance again and, if none
// has, any one: under such an attack the limit is not what protects.
func (l *signups) makeRoom(now time.Time) {
	if len(l.seen) < maxAddresses {
		return
	}
	for key, limiter := range l.seen {
		if limiter.TokensAt(now) >= float64(l.perHour) {
			delete(l.seen, key)
		}
	}
	for key := range l.seen {
		if len(l.seen) < maxAddresses {
			return
		}
		delete(l.seen, key)
	}
}

// network is what counts as one address: of IPv6 the half that a site chooses
// freely is left out.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap()
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

func tooManySignups(wait time.Duration) *Problem {
	p := problem(http.StatusTooManyRequests, errcode.RateLimitExceeded, "too many sign-ups from this address; try again later")
	p.retryAfter = max(1, int(wait.Seconds()))
	return p
}
