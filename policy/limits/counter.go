package limits

import (
	"time"

	"tenantry/tenants/metadata"
)

const window = 60 // seconds

// bound is how much may pass, in the terms of counting.
type bound struct {
	limit  int // per period
	period time.Duration
	bucket bool // else a sliding window of 60 seconds
	burst  int  // of a bucket
	// units are what one request counts for; 0 is 1.
	units int
	// done says that it has happened: it counts, whatever is left.
	done bool
}

func (b bound) n() int { return max(b.units, 1) }

func boundOf(rule metadata.RateRule) bound {
	b := bound{limit: rule.MaxRequestsPerMinute, period: time.Minute, bucket: rule.Algorithm == metadata.TokenBucket, burst: rule.Burst}
	if b.burst == 0 {
		b.burst = b.limit
	}
	return b
}

// interval is the pace of a bucket; limit is not 0.
func (b bound) interval() time.Duration {
	return max(b.period/time.Duration(b.limit), time.Microsecond)
}

// verdict is what counting one request against a bound gave.
type verdict struct {
	refused   bool
	used      int // of a window, before this request
	remaining int
	reset     time.Duration // until the next place comes free
}

// counter counts for one key: the seconds of the last minute that saw requests,
// oldest first and at most 61 of them, or the time at which a bucket is full.
type counter struct {
	seconds []second
	total   int
	full    time.Time
}

type second struct {
	at    int64 // unix
	count int
}

// take counts one request, unless it is refused.
func (c *counter) take(now time.Time, b bound) verdict {
	if b.bucket {
		return c.takeToken(now, b)
	}
	used := c.used(now.Unix())
	if used+b.n() > b.limit && !b.done {
		return verdict{refused: true, used: used, remaining: max(b.limit-used, 0), reset: c.reset(now)}
	}
	c.add(now.Unix(), b.n())
	return verdict{used: used, remaining: max(b.limit-used-b.n(), 0), reset: c.reset(now)}
}

// takeToken keeps one moment instead of a number of tokens: the time at which
// the bucket is full again lies an interval further for each request.
func (c *counter) takeToken(now time.Time, b bound) verdict {
	if b.limit == 0 {
		return verdict{refused: true, reset: b.period}
	}
	interval := b.interval()
	full := c.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(interval * time.Duration(b.n()))
	room := interval*time.Duration(b.burst) - full.Sub(now)
	if room < 0 && !b.done {
		return verdict{refused: true, reset: -room}
	}
	c.full = full
	return verdict{remaining: max(int(room/interval), 0), reset: interval - room%interval}
}

// idle reports whether the counter is as good as a new one.
func (c *counter) idle(now time.Time) bool { return c.used(now.Unix()) == 0 && !c.full.After(now) }

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

func (c *counter) add(now int64, units int) {
	c.total += units
	// A clock that steps back counts in the newest second.
	if n := len(c.seconds); n > 0 && c.seconds[n-1].at >= now {
		c.seconds[n-1].count += units
		return
	}
	c.seconds = append(c.seconds, second{now, units})
}

// reset is when the oldest second leaves the window.
func (c *counter) reset(now time.Time) time.Duration {
	if len(c.seconds) == 0 {
		return window * time.Second
	}
	return time.Unix(c.seconds[0].at+window+1, 0).Sub(now)
}
