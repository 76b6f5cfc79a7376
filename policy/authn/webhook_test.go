package authn_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/session"
	"tenantry/api/webhook"
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

// What contracts §14 wants of every call of a tenant's URL.
func TestCallsOfServicesSayWhoCallsAndAreSigned(t *testing.T) {
	t.Parallel()
	key, later := []byte("key of the project, 24 bytes"), time.Now().Add(time.Hour)
	var mu sync.Mutex
	calls := map[string][]*http.Request{}
	bodies := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		calls[r.Method+r.URL.Path] = append(calls[r.Method+r.URL.Path], r)
		bodies[r.Method+r.URL.Path] = string(body)
		mu.Unlock()
		_, _ = io.WriteString(w, `{"X-Hasura-Role":"user","keys":[]}`)
	}))
	t.Cleanup(server.Close)
	client := headers{"Webhook-Signature": "v1,forged", "Webhook-Id": "forged", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Request-Id": "of the client", "User-Agent": "browser",
		"Authorization": "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.e30.AA"} // of a key that is not known: the set is fetched
	ask := func(path, mode string, keys []webhook.SigningKey) {
		services := map[string]settings.Auth{
			"":      {Webhook: &settings.WebhookAuth{URL: server.URL + path, Mode: mode, DisableCache: true}},
			"/keys": {JWT: []settings.JWT{{JWKURL: server.URL + path + "/keys"}}},
		}
		for _, auth := range services {
			a := authenticator(t, authn.Config{Agent: "Tenantry/1", SigningKeys: keys, Auth: auth})
			_, err := a.AuthenticateCall(t.Context(), authn.Call{Headers: client, RequestID: "as the edge says"})
			if auth.Webhook != nil && err != nil {
				t.Fatal(err)
			}
		}
	}
	keys := []webhook.SigningKey{{Key: key, Until: later}, {Key: []byte("an older key of the project")}}
	ask("/get", "GET", keys)
	ask("/post", "POST", keys)
	ask("/unsigned", "GET", nil)
	trace := client["Traceparent"]
	client["Traceparent"] = "00-\x01" // which HTTP does not allow
	ask("/begun", "POST", keys)
	client["Traceparent"] = trace
	mu.Lock()
	defer mu.Unlock()
	for name, want := range map[string]struct {
		id, trace string
		signed    bool
	}{
		"GET/get": {"as the edge says", client["Traceparent"], true}, "POST/post": {"as the edge says", client["Traceparent"], true},
		"GET/unsigned": {"as the edge says", client["Traceparent"], false}, "POST/begun": {"as the edge says", "", true}, "GET/get/keys": {"", "", true}, "GET/unsigned/keys": {"", "", false},
	} {
		if len(calls[name]) == 0 {
			t.Errorf("%s was not called", name)
			continue
		}
		h := calls[name][0].Header
		id, seconds := h.Get(webhook.HeaderID), h.Get(webhook.HeaderTimestamp)
		at, err := strconv.ParseInt(seconds, 10, 64)
		if h.Get("User-Agent") != "Tenantry/1" || id == "" || id == "forged" || err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
			t.Errorf("%s: %v", name, h)
		}
		signature := ""
		if want.signed {
			signature = webhook.NewSigner(keys).Sign(id, time.Unix(at, 0), []byte(bodies[name]))
		}
		if h.Get(webhook.HeaderSignature) != signature || len(h.Values(webhook.HeaderSignature)) > 1 {
			t.Errorf("%s: the signature is %q, want %q", name, h.Get(webhook.HeaderSignature), signature)
		}
		if got := h.Get(webhook.HeaderRequestID); want.id != "" && got != want.id || got == "" || got == client["X-Request-Id"] {
			t.Errorf("%s: the request's id is %q", name, got)
		}
		if got := h.Get(webhook.HeaderTrace); want.trace != "" && got != want.trace || len(got) != 55 {
			t.Errorf("%s: the trace is %q", name, got)
		}
	}
}
