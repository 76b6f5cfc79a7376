package authn_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/policy/authn"
	"tenantry/tenants/settings"
)

func TestAnAuthenticationWebhookDecidesTheSession(t *testing.T) {
	t.Parallel()
	var got http.Header
	var body []byte
	status, answer := 200, `{"X-Hasura-Role":"user","X-Hasura-User-Id":"7","Cache-Control":"max-age=60"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	config := func(mode string) authn.Config {
		return authn.Config{Auth: settings.Auth{UnauthorizedRole: "anonymous", Webhook: &settings.WebhookAuth{URL: server.URL, Mode: mode, DisableCache: true}}}
	}
	h := headers{"Cookie": "sid=1", "Content-Type": "application/json", "X-Hasura-Role": "admin"}

	s, err := authenticator(t, config("")).Authenticate(t.Context(), h, "", authn.GraphQL)
	if err != nil || s.Role != "user" || s.Auth != session.AuthWebhook || !maps.Equal(s.Variables, map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "7"}) {
		t.Fatalf("%+v %v", s, err)
	}
	if got.Get("Cookie") != "sid=1" || got.Get("Content-Type") != "" {
		t.Errorf("headers of the GET call: %v", got)
	}

	post := authenticator(t, config("POST"))
	if _, err := post.AuthenticateCall(t.Context(), authn.Call{Headers: h, Request: []byte(`{"query":"{a}"}`)}); err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Headers map[string]string `json:"headers"`
		Request struct {
			Query string `json:"query"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &sent); err != nil || sent.Headers["Cookie"] != "sid=1" || sent.Request.Query != "{a}" {
		t.Errorf("body of the POST call: %s", body)
	}

	now := time.Now()
	for text, want := range map[string]time.Duration{
		`"Cache-Control":"private, max-age=60"`: time.Minute, `"cache-control":"no-store"`: 0, `"Expires":"soon"`: 0,
		`"Expires":"` + now.Add(time.Hour).UTC().Format(http.TimeFormat) + `"`: time.Hour,
	} {
		answer = `{"X-Hasura-Role":"user",` + text + `}`
		s, err := post.Authenticate(t.Context(), h, "", authn.GraphQL)
		if err != nil || want == 0 != s.Expires.IsZero() || want > 0 && s.Expires.Sub(now.Add(want)).Abs() > 5*time.Second {
			t.Errorf("%s: the session ends at %s, %v", text, s.Expires, err)
		}
	}

	for _, test := range []struct {
		status  int
		answer  string
		code    errcode.Code
		message string
	}{
		{401, ``, errcode.AccessDenied, "Authentication hook unauthorized this request"},
		{500, `{}`, errcode.Unexpected, "Invalid response from authorization hook"},
		{302, ``, errcode.Unexpected, "Invalid response from authorization hook"},
		{200, `{"X-Hasura-User-Id":"7"}`, errcode.Unexpected, "Invalid response from authorization hook"},
		{200, `{"X-Hasura-Role":"user","X-Hasura-User-Id":7}`, errcode.Unexpected, "Invalid response from authorization hook"},
		{200, `[`, errcode.Unexpected, "Invalid response from authorization hook"},
	} {
		status, answer = test.status, test.answer
		_, err := post.Authenticate(t.Context(), h, "", authn.GraphQL)
		refused(t, test.answer, err, test.code, test.message)
	}
	server.Close()
	_, err = post.Authenticate(t.Context(), h, "", authn.GraphQL)
	refused(t, "unreachable", err, errcode.Unexpected, "webhook authentication request failed")
}

func TestOfTwoNamesOfAVariableAWebhookAlwaysSetsTheSame(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"x-hasura-role":"user","X-Hasura-Role":"admin","X-HASURA-ROLE":"editor"}`)
	}))
	t.Cleanup(server.Close)
	a := authenticator(t, authn.Config{Auth: settings.Auth{Webhook: &settings.WebhookAuth{URL: server.URL, DisableCache: true}}})
	for range 50 {
		if s, err := a.Authenticate(t.Context(), headers{"Authorization": "Bearer t"}, "", authn.GraphQL); err != nil || s.Role != "user" {
			t.Fatalf("%+v %v", s, err)
		}
	}
}
