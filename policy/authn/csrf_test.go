package authn_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/policy/authn"
	"tenantry/tenants/settings"
)

func TestACookieCountsOnlyWhereThePageMeantToSendIt(t *testing.T) {
	t.Parallel()
	token := sign(t, jwt.SigningMethodHS256, []byte(shared), claims(nil))
	tokens := authenticator(t, hs(func(j *settings.JWT) { j.Header = &settings.JWTHeader{Type: "Cookie", Name: "sid"} }))
	server, calls := countingHook(t, func(*http.Request) (int, string) { return 200, `{"X-Hasura-Role":"user"}` })
	hook := authenticator(t, authn.Config{Auth: settings.Auth{UnauthorizedRole: "anonymous", Webhook: &settings.WebhookAuth{URL: server.URL, DisableCache: true}}})
	for _, test := range []struct {
		name    string
		h       headers
		checked bool
		pass    bool
	}{
		{name: "nothing", h: headers{}},
		{name: "a form", h: headers{"Content-Type": "application/x-www-form-urlencoded"}},
		{name: "a form with parameters", h: headers{"Content-Type": "Multipart/Form-Data; boundary=x"}},
		{name: "text", h: headers{"Content-Type": "text/plain; charset=utf-8"}},
		{name: "text that looks like JSON", h: headers{"Content-Type": "text/plain; application/json"}},
		{name: "no media type", h: headers{"Content-Type": ";;"}},
		{name: "another site", h: headers{"Sec-Fetch-Site": "cross-site"}},
		{name: "the same site, another origin", h: headers{"Sec-Fetch-Site": "same-site"}},
		{name: "a header that proxies add", h: headers{"X-Forwarded-For": "192.0.2.1"}},
		{name: "a password that the browser repeats", h: headers{"Authorization": "Basic eDp5"}},
		{name: "JSON", h: headers{"Content-Type": "application/json"}, pass: true},
		{name: "JSON with a charset", h: headers{"content-type": "application/json; charset=utf-8"}, pass: true},
		{name: "a header of scripts", h: headers{"X-Requested-With": ""}, pass: true},
		{name: "a session variable", h: headers{"X-Hasura-Role": "user"}, pass: true},
		{name: "the same origin", h: headers{"Sec-Fetch-Site": "same-origin"}, pass: true},
		{name: "the address bar", h: headers{"Sec-Fetch-Site": "none"}, pass: true},
		{name: "an origin that the edge knows", h: headers{}, checked: true, pass: true},
	} {
		h := maps.Clone(test.h)
		h["Cookie"] = "sid=" + token
		_, err := tokens.AuthenticateCall(t.Context(), authn.Call{Headers: h, OriginChecked: test.checked})
		if (err == nil) != test.pass || err != nil && !strings.Contains(err.Error(), "X-Requested-With") {
			t.Errorf("token: %s: %v", test.name, err)
		}
		before := calls.Load()
		_, err = hook.AuthenticateCall(t.Context(), authn.Call{Headers: h, OriginChecked: test.checked})
		if (err == nil) != test.pass || calls.Load() > before != test.pass {
			t.Errorf("webhook: %s: %v", test.name, err)
		}
	}
	// Without a cookie there is nothing to forge.
	if _, err := hook.Authenticate(t.Context(), headers{"Content-Type": "text/plain"}, "", authn.GraphQL); err != nil {
		t.Error(err)
	}
	if _, err := hook.Authenticate(t.Context(), headers{"Cookie": "theme=dark", "Authorization": "Bearer x"}, "", authn.GraphQL); err != nil {
		t.Error(err)
	}
}
