package authn_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/policy/authn"
	"tenantry/tenants/settings"
)

// countingHook answers with the text that answer gives, and counts its calls.
func countingHook(t *testing.T, answer func(r *http.Request) (status int, text string)) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		w.Header().Add("Set-Cookie", fmt.Sprintf("sid=%d; HttpOnly", n))
		w.Header().Add("Set-Cookie", "lang=en")
		status, text := answer(r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server, &calls
}

func TestWhatAWebhookAnsweredIsKeptAsLongAsItSays(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Now()}
	const role = `{"X-Hasura-Role":"user"`
	a, other := headers{"Authorization": "Bearer a"}, headers{"Authorization": "Bearer b"}
	for _, test := range []struct {
		name, mode string
		status     int
		answer     string
		off        bool
		first      headers
		then       headers
		body       string // of the second request in POST mode
		wait       time.Duration
		calls      int64
	}{
		{name: "max-age", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: a, wait: 59 * time.Second, calls: 1},
		{name: "max-age that is over", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: a, wait: 61 * time.Second, calls: 2},
		{name: "expires", status: 200, answer: role + `,"Expires":"` + c.at.Add(time.Hour).UTC().Format(http.TimeFormat) + `"}`, first: a, then: a, wait: time.Minute, calls: 1},
		{name: "no time", status: 200, answer: role + `}`, first: a, then: a, calls: 2},
		{name: "max-age 0", status: 200, answer: role + `,"Cache-Control":"max-age=0"}`, first: a, then: a, calls: 2},
		{name: "another header", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: other, calls: 2},
		{name: "a header that is not sent on", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: headers{"Authorization": "Bearer a", "User-Agent": "x"}, calls: 1},
		{name: "the same body", mode: "POST", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: a, body: `{"query":"{a}"}`, calls: 1},
		{name: "another body", mode: "POST", status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: a, body: `{"query":"{b}"}`, calls: 2},
		{name: "a refusal, at once", status: 401, answer: ``, first: a, then: a, calls: 1},
		{name: "a refusal, later", status: 401, answer: ``, first: a, then: a, wait: 2 * time.Second, calls: 2},
		{name: "a failure", status: 500, answer: ``, first: a, then: a, calls: 2},
		{name: "switched off", off: true, status: 200, answer: role + `,"Cache-Control":"max-age=60"}`, first: a, then: a, calls: 2},
	} {
		server, calls := countingHook(t, func(*http.Request) (int, string) { return test.status, test.answer })
		c := &clock{at: c.at}
		auth := authenticator(t, authn.Config{Now: c.now, Auth: settings.Auth{Webhook: &settings.WebhookAuth{URL: server.URL, Mode: test.mode, DisableCache: test.off}}})
		one, errOne := auth.AuthenticateCall(t.Context(), authn.Call{Headers: test.first, Request: []byte(`{"query":"{a}"}`)})
		c.pass(test.wait)
		two, errTwo := auth.AuthenticateCall(t.Context(), authn.Call{Headers: test.then, Request: []byte(test.body)})
		if n := calls.Load(); n != test.calls {
			t.Errorf("%s: %d calls, expected %d", test.name, n, test.calls)
		}
		if one.Role != two.Role || (errOne == nil) != (errTwo == nil) || (errOne == nil) != (test.status == 200) {
			t.Errorf("%s: %+v %v, then %+v %v", test.name, one, errOne, two, errTwo)
		}
	}
}

func TestEqualRequestsAtOnceShareOneCall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server, calls := countingHook(t, func(*http.Request) (int, string) { <-release; return 200, `{"X-Hasura-Role":"user"}` })
	a := authenticator(t, authn.Config{Auth: settings.Auth{Webhook: &settings.WebhookAuth{URL: server.URL}}})
	var work sync.WaitGroup
	var in atomic.Int64
	for range 20 {
		work.Go(func() {
			in.Add(1)
			if s, err := a.Authenticate(t.Context(), headers{"Authorization": "Bearer a"}, "", authn.GraphQL); err != nil || s.Role != "user" {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
	for in.Load() < 20 || calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	close(release)
	work.Wait()
	if n := calls.Load(); n > 2 {
		t.Errorf("%d calls", n)
	}
}

func TestCookiesOfAWebhookGoToTheClientThatCausedTheCall(t *testing.T) {
	t.Parallel()
	status := 200
	server, _ := countingHook(t, func(*http.Request) (int, string) {
		return status, `{"X-Hasura-Role":"user","Cache-Control":"max-age=60"}`
	})
	a := authenticator(t, authn.Config{Auth: settings.Auth{Webhook: &settings.WebhookAuth{URL: server.URL}}})
	ask := func(token string) (cookies []string) {
		_, _ = a.AuthenticateCall(t.Context(), authn.Call{
			Headers: headers{"Authorization": "Bearer " + token}, SetCookie: func(v string) { cookies = append(cookies, v) },
		})
		return cookies
	}
	if got := ask("a"); !slices.Equal(got, []string{"sid=1; HttpOnly", "lang=en"}) {
		t.Errorf("first: %q", got)
	}
	if got := ask("a"); got != nil {
		t.Errorf("a kept answer set %q", got)
	}
	status = 401
	if got := ask("b"); !slices.Equal(got, []string{"sid=2; HttpOnly", "lang=en"}) {
		t.Errorf("with a refusal: %q", got)
	}
}
