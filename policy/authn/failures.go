package authn

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tenantry/api/errcode"
)

const (
	freeFailures = 10 // of one address, before the next one has to wait
	firstWait    = 100 * time.Millisecond
	longestWait  = 30 * time.Second
	forgetAfter  = 10 * time.Minute // without another failure
	maxAddresses = 5000             // in each of two generations
	ipv6Network  = 64               // bits: who has one IPv6 address has its whole network
)

// Failures slows down who guesses secrets and keys of a project: after ten wrong
// ones from an address, every further one makes it wait twice as long, up to half
// a minute. While it waits, only credentials that were right from there before
// are let in; other addresses are not touched. Tokens are not slowed: a signature
// is not guessed, and many users may share an address.
//
// Memory is bounded. It outlives the settings: whoever guesses must not begin
// anew with every change of the project. Safe for concurrent use.
type Failures struct {
	waiting atomic.Int64 // unix nanoseconds until which some address may have to wait

	mu        sync.RWMutex
	addresses [2]map[netip.Addr]failing // young, old
	known     [2]map[knownCredential]struct{}
}

type failing struct {
	count int
	last  time.Time
	until time.Time
}

// knownCredential is one that was right from an address, by its id.
type knownCredential struct {
	from netip.Addr
	id   string
}

// NewFailures remembers nothing yet.
func NewFailures() *Failures {
	return &Failures{
		addresses: [2]map[netip.Addr]failing{{}, {}},
		known:     [2]map[knownCredential]struct{}{{}, {}},
	}
}

// Loopback says whose address one of this machine is.
type Loopback int

// A proxy on this machine that nobody named stands for all of its clients: the
// wrong ones must not keep the others out.
const (
	// LoopbackUnnamed may be such a proxy always.
	LoopbackUnnamed Loopback = iota
	// LoopbackDirect is a client, unless the request says that a proxy passed it on.
	LoopbackDirect
	// LoopbackClient is a client: the proxies are named.
	LoopbackClient
)

// passedOn are headers with which proxies tell for whom they ask.
var passedOn = [...]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"}

func (l Loopback) client(h Headers) bool {
	if l != LoopbackDirect {
		return l == LoopbackClient
	}
	for _, name := range passedOn {
		if _, present := h.Lookup(name); present {
			return false
		}
	}
	return true
}

// origin is the address that failures count for; false where it is not known, or
// stands for others.
func (l Loopback) origin(h Headers, ip string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return addr, false
	}
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() && !l.client(h) {
		return addr, false
	}
	if addr.Is6() {
		network, _ := addr.Prefix(ipv6Network)
		addr = network.Addr()
	}
	return addr, true
}

// Attempt judges an attempt from an address: id is the credential that was found, ""
// for a wrong one. wait is how long the address has to wait, 0 for an attempt that
// counts.
func (f *Failures) Attempt(l Loopback, h Headers, ip, id string, now time.Time) (wait time.Duration) {
	from, ok := l.origin(h, ip)
	if !ok {
		return 0
	}
	return f.admit(from, id, now)
}

// admit judges an attempt from an address: id is the credential that was found, ""
// for a wrong one. wait is how long the address has to wait, 0 for an attempt that counts. A
// right credential that has to wait looks like a wrong one.
func (f *Failures) admit(from netip.Addr, id string, now time.Time) (wait time.Duration) {
	if wait = f.wait(from, now); wait > 0 && !(id != "" && f.isKnown(knownCredential{from, id})) {
		return wait
	}
	if id == "" {
		f.failed(from, now)
	} else {
		f.succeeded(knownCredential{from, id})
	}
	return 0
}

func (f *Failures) wait(from netip.Addr, now time.Time) time.Duration {
	if now.UnixNano() >= f.waiting.Load() {
		return 0 // as nearly always: nobody has to
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return max(f.at(from).until.Sub(now), 0)
}

func (f *Failures) at(from netip.Addr) failing {
	if found, ok := f.addresses[0][from]; ok {
		return found
	}
	return f.addresses[1][from]
}

func (f *Failures) failed(from netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.at(from)
	if now.Sub(found.last) > forgetAfter {
		found.count = 0
	}
	found.count++
	found.last = now
	if over := found.count - freeFailures; over > 0 {
		found.until = now.Add(min(firstWait<<min(over-1, 20), longestWait))
		if until := found.until.UnixNano(); until > f.waiting.Load() {
			f.waiting.Store(until)
		}
	}
	if len(f.addresses[0]) >= maxAddresses {
		f.addresses[0], f.addresses[1] = map[netip.Addr]failing{}, f.addresses[0]
	}
	f.addresses[0][from] = found
}

func (f *Failures) isKnown(k knownCredential) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, young := f.known[0][k]
	_, old := f.known[1][k]
	return young || old
}

func (f *Failures) succeeded(k knownCredential) {
	f.mu.RLock()
	_, young := f.known[0][k]
	f.mu.RUnlock()
	if young {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known[0]) >= maxAddresses {
		f.known[0], f.known[1] = map[knownCredential]struct{}{}, f.known[0]
	}
	f.known[0][k] = struct{}{}
}

func errWait(wait time.Duration) error {
	return errcode.New(errcode.RateLimitExceeded, "too many failed attempts to authenticate from this address; try again in %d s", int(math.Ceil(wait.Seconds())))
}
