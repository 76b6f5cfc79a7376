package authn_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authn"
)

// guesser tries secrets and keys from addresses.
type guesser struct {
	t      *testing.T
	a      *authn.Authenticator
	clock  *clock
	counts map[string]int
}

func newGuesser(t *testing.T) *guesser {
	g := &guesser{t: t, clock: &clock{at: time.Now()}, counts: map[string]int{}}
	cfg := keyed()
	cfg.Now, cfg.Failures, cfg.Failed = g.clock.now, authn.NewFailures(), func(what string) { g.counts[what]++ }
	g.a = authenticator(t, cfg)
	return g
}

// try gives in, wrong or wait.
func (g *guesser) try(ip, secret string) string {
	g.t.Helper()
	h := headers{"x-hasura-admin-secret": secret}
	if strings.HasPrefix(secret, "pk_") {
		h = headers{"authorization": "Bearer " + secret}
	}
	_, err := g.a.Authenticate(g.t.Context(), h, ip, authn.GraphQL)
	switch e := errcode.From(err); {
	case e == nil:
		return "in"
	case e.Code == errcode.RateLimitExceeded:
		return "wait"
	}
	return "wrong"
}

func (g *guesser) want(want, ip, secret string) {
	g.t.Helper()
	if got := g.try(ip, secret); got != want {
		g.t.Errorf("%s from %s: %s, expected %s", secret, ip, got, want)
	}
}

func TestWhoGuessesSecretsIsSlowedDown(t *testing.T) {
	t.Parallel()
	const thief, owner = "192.0.2.1", "198.51.100.7"
	g := newGuesser(t)
	for range 11 {
		g.want("wrong", thief, "guess")
	}
	g.want("wait", thief, "guess")
	g.want("wait", thief, "pk_guess") // whatever it guesses
	g.want("wait", thief, "first")    // a right one tells nothing
	g.want("in", owner, "first")      // others are not touched
	g.clock.pass(101 * time.Millisecond)
	g.want("wrong", thief, "guess")
	g.clock.pass(101 * time.Millisecond)
	g.want("wait", thief, "guess") // twice as long
	g.clock.pass(100 * time.Millisecond)
	g.want("wrong", thief, "guess")

	// An hour of guessing as fast as it can be done.
	tries := 0
	for end := g.clock.now().Add(time.Hour); g.clock.now().Before(end); g.clock.pass(10 * time.Millisecond) {
		if g.try(thief, "guess") == "wrong" {
			tries++
		}
	}
	if tries < 100 || tries > 140 {
		t.Errorf("%d tries in an hour", tries)
	}
	g.clock.pass(31 * time.Second)
	g.want("in", thief, "first") // nobody is locked out for longer
	g.clock.pass(11 * time.Minute)
	for range 11 {
		g.want("wrong", thief, "guess") // forgotten
	}
	if g.counts[authn.FailedAdminSecret] == 0 || g.counts[authn.FailedWaiting] == 0 {
		t.Errorf("counted %v", g.counts)
	}
}

func TestACredentialThatWasRightFromAnAddressIsNotLockedOutByItsNeighbours(t *testing.T) {
	t.Parallel()
	g := newGuesser(t)
	const shared = "192.0.2.1"
	g.want("in", shared, "second")
	g.want("in", shared, "pk_user")
	for range 11 {
		g.want("wrong", shared, "guess")
	}
	g.want("in", shared, "second")
	g.want("in", shared, "pk_user")
	g.want("wait", shared, "first") // not seen from there yet
}

func TestOneNetworkOfIPv6IsOneAddress(t *testing.T) {
	t.Parallel()
	g := newGuesser(t)
	for i := range 11 {
		g.want("wrong", fmt.Sprintf("2001:db8:1:2::%x", i), "guess")
	}
	g.want("wait", "2001:db8:1:2:ffff::1", "guess")
	g.want("wrong", "2001:db8:1:3::1", "guess")
	g.want("wrong", "not an address", "guess")
}

func TestALoopbackAddressIsSlowedWhereItIsAClients(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		loopback authn.Loopback
		ip       string
		header   string
		slowed   bool
	}{
		"nobody named a proxy, in dev":    {authn.LoopbackUnnamed, "127.0.0.1", "", false},
		"a client of its own":             {authn.LoopbackDirect, "127.0.0.1", "", true},
		"a proxy that nobody named":       {authn.LoopbackDirect, "127.0.0.1", "x-forwarded-for", false},
		"another one":                     {authn.LoopbackDirect, "::1", "forwarded", false},
		"the proxies are named":           {authn.LoopbackClient, "::1", "x-forwarded-for", true},
		"an address that is not loopback": {authn.LoopbackUnnamed, "192.0.2.1", "x-forwarded-for", true},
	} {
		c := &clock{at: time.Now()}
		cfg := keyed()
		cfg.Now, cfg.Loopback, cfg.Failures = c.now, test.loopback, authn.NewFailures()
		a, slowed := authenticator(t, cfg), false
		for range 12 {
			h := headers{"x-hasura-admin-secret": "guess"}
			if test.header != "" {
				h[test.header] = "203.0.113.7"
			}
			_, err := a.Authenticate(t.Context(), h, test.ip, authn.GraphQL)
			slowed = slowed || errcode.From(err).Code == errcode.RateLimitExceeded
		}
		if slowed != test.slowed {
			t.Errorf("%s: slowed %v", name, slowed)
		}
	}
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	g := newGuesser(t)
	size := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := size()
	for i := range 100_000 {
		ip := fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)
		g.want("wrong", ip, "guess")
		g.want("in", ip, "first")
	}
	if grown := int64(size()) - int64(before); grown > 8<<20 {
		t.Errorf("%d bytes", grown)
	}
}

func TestUsesOfSecretsAndKeysAreNoted(t *testing.T) {
	t.Parallel()
	var used []string
	cfg := keyed()
	cfg.Used = func(auth session.Auth, id string) { used = append(used, string(auth)+" "+id) }
	a := authenticator(t, cfg)
	for _, h := range []headers{{"x-hasura-admin-secret": "second"}, {"authorization": "Bearer pk_user"}, {"x-hasura-admin-secret": "wrong"}} {
		_, _ = a.Authenticate(t.Context(), h, "", authn.GraphQL)
	}
	if fmt.Sprint(used) != "[admin_secret s2 api_key k1]" {
		t.Errorf("%q", used)
	}
}

func TestAKeyMayBeBoundToNetworks(t *testing.T) {
	t.Parallel()
	bound := []string{"graphql:role=user", "ip=192.0.2.0/24", "ip=2001:db8::/32"}
	for _, test := range []struct {
		scopes []string
		ip     string
		want   bool
	}{
		{bound, "192.0.2.200", true}, {bound, "::ffff:192.0.2.1", true}, {bound, "2001:db8::7", true},
		{bound, "198.51.100.1", false}, {bound, "", false}, {[]string{"ip=nonsense"}, "192.0.2.1", false}, {nil, "", true},
	} {
		if got := authn.AllowedFrom(test.scopes, test.ip); got != test.want {
			t.Errorf("%v from %q: %v", test.scopes, test.ip, got)
		}
	}
	cfg := keyed()
	cfg.Keys[0].Scopes = bound
	_, err := authenticator(t, cfg).Authenticate(t.Context(), headers{"authorization": "Bearer pk_user"}, "198.51.100.1", authn.GraphQL)
	refused(t, "elsewhere", err, errcode.AccessDenied, "the API key is not accepted from this address")
}
