package control_test

import (
	"sync/atomic"
	"testing"
	"time"

	"tenantry/policy/authn"
	"tenantry/services/control"
)

func TestWhoGuessesKeysOfTheControlAPIIsSlowedDown(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s := start(t, func(d *control.Deps) {
		d.Loopback = authn.LoopbackClient
		d.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	_, used := s.tenant("acme")
	_, fresh := s.tenant("other")
	s.want(200, used, "GET", "/api/v1/me", "")
	for range 40 { // each wait is over when the next one comes, and the last are half a minute
		s.want(401, "tk_guess", "GET", "/api/v1/me", "")
		ahead.Add(int64(31 * time.Second))
	}
	s.want(401, "tk_guess", "GET", "/api/v1/me", "")
	for _, key := range []string{"tk_guess", operatorKey, fresh} {
		if a := s.want(429, key, "GET", "/api/v1/me", ""); a.at(t, "code") != "rate-limit-exceeded" {
			t.Errorf("while it waits: %s", a.text)
		}
	}
	s.want(200, used, "GET", "/api/v1/me", "")
	s.want(401, "", "GET", "/api/v1/me", "")
	ahead.Add(int64(31 * time.Second))
	s.want(200, operatorKey, "GET", "/api/v1/me", "")
	s.want(200, fresh, "GET", "/api/v1/me", "")
}
