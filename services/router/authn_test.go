package router_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tenantry/policy/authn"
	"tenantry/services/revision"
	"tenantry/services/router/socket"
	"tenantry/tenants"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

// post sends a GraphQL query with headers, as pairs.
func (s *server) post(query string, headers ...string) (text string, answer *http.Response) {
	s.t.Helper()
	return s.postBody(fmt.Sprintf(`{"query": %q}`, query), headers...)
}

func (s *server) postBody(body string, headers ...string) (text string, answer *http.Response) {
	s.t.Helper()
	r := must(http.NewRequest(http.MethodPost, "http://"+s.address+"/p/shop/v1/graphql", strings.NewReader(body)))(s.t)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer = must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	read, _ := io.ReadAll(answer.Body)
	return string(read), answer
}

// tokenOf signs one for a user.
func tokenOf(t testing.TB, user string, extra ...any) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(-time.Minute).Unix(), settings.DefaultNamespace: map[string]any{
		"x-hasura-allowed-roles": []string{"user"}, "x-hasura-default-role": "user", "x-hasura-user-id": user,
	}}
	for i := 0; i < len(extra); i += 2 {
		claims[extra[i].(string)] = extra[i+1]
	}
	return must(jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey)))(t)
}

func byToken(at *settings.JWTHeader) func(*settings.Settings) {
	return func(set *settings.Settings) {
		set.Auth.JWT = []settings.JWT{{Type: "HS256", Key: vault.NewSecret(jwtKey), Header: at}}
		set.Auth.CORS.Origins = []string{"https://app.example.com"}
	}
}

const notesOfAnn = `{"data":{"notes":[{"text":"one"}]}}`

func TestCookiesThatAWebhookSetsReachTheClient(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "sid=2; Path=/; HttpOnly")
		w.Header().Add("Set-Cookie", "lang=en")
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"X-Hasura-Role":"user","X-Hasura-User-Id":"ann"}`)
	}))
	t.Cleanup(hook.Close)
	s := start(t, socket.Limits{}, func(set *settings.Settings) { set.Auth.Webhook = &settings.WebhookAuth{URL: hook.URL} })
	want := []string{"sid=2; Path=/; HttpOnly", "lang=en"}
	text, answer := s.post(`{notes{text}}`, "Authorization", "Bearer x")
	if text != notesOfAnn || !slices.Equal(answer.Header.Values("Set-Cookie"), want) {
		t.Errorf("%s %q", text, answer.Header.Values("Set-Cookie"))
	}
	text, answer = s.post(`{notes{text}}`)
	if !strings.Contains(text, "Authentication hook unauthorized this request") || !slices.Equal(answer.Header.Values("Set-Cookie"), want) {
		t.Errorf("%s %q", text, answer.Header.Values("Set-Cookie"))
	}
	if text, answer := s.post(`{notes{text}}`, "X-Hasura-Admin-Secret", s.secret); answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("without the webhook: %s %q", text, answer.Header.Values("Set-Cookie"))
	}
}

func TestAFormOfAnotherOriginIsNotSentWithTheCookiesOfItsReader(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(&settings.JWTHeader{Type: "Cookie", Name: "sid"}))
	cookie := "sid=" + tokenOf(t, "ann")
	for _, test := range []struct {
		headers []string
		pass    bool
	}{
		{[]string{"Content-Type", "text/plain"}, false},
		{[]string{"Content-Type", "text/plain", "Origin", "https://evil.example"}, false},
		{[]string{"Content-Type", "text/plain", "Origin", "https://app.example.com"}, true},
		{[]string{"Content-Type", "text/plain", "Origin", "http://" + s.address}, true},
		{[]string{"Content-Type", "application/json"}, true},
	} {
		text, _ := s.post(`{notes{text}}`, append(test.headers, "Cookie", cookie)...)
		if (text == notesOfAnn) != test.pass || !test.pass && !strings.Contains(text, "X-Requested-With") {
			t.Errorf("%q: %s", test.headers, text)
		}
	}
	if got := s.metric(`tenantry_auth_failures_total{credential="forgery"}`); got != "2" {
		t.Errorf("counted %q", got)
	}
	if text, answer := s.get("/api/rest/none", "Cookie", cookie); answer.StatusCode == 404 || !strings.Contains(text, "X-Requested-With") {
		t.Errorf("a link: %d %s", answer.StatusCode, text)
	}
}

func (s *server) get(path string, headers ...string) (text string, answer *http.Response) {
	s.t.Helper()
	r := must(http.NewRequest(http.MethodGet, "http://"+s.address+"/p/shop"+path, nil))(s.t)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer = must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body), answer
}

// pairs are headers for a node that is asked without HTTP.
type pairs map[string]string

func (p pairs) Lookup(name string) (string, bool) {
	for k, v := range p {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

func (p pairs) All(f func(name, value string)) {
	for k, v := range p {
		f(k, v)
	}
}

func TestWhatIsRevokedOnOneNodeCountsNoLongerOnAnotherWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	other := s.another()
	ctx := context.Background()
	var key tenants.Key
	var second tenants.AdminSecret
	s.change(func(ctx context.Context, tx *store.Tx) (err error) {
		if key, err = tx.CreateKey(ctx, tenants.Key{TenantID: s.project.TenantID, ProjectID: s.project.ID, Scopes: []string{"graphql:role=user"}}, vault.Hash("pk_of-the-test")); err != nil {
			return err
		}
		second, err = tx.CreateAdminSecret(ctx, s.project.ID, "second", "as_", vault.Hash("the second secret"))
		return err
	})
	revoke := func(r settings.Revocation) func() {
		return func() {
			must(s.revisions.Apply(ctx, s.project.ID, revision.Change{Action: "sessions.revoke", Settings: func(set settings.Settings) (settings.Settings, error) {
				set, _ = set.WithRevocation(r)
				return set, nil
			}}))(t)
		}
	}
	remove := func(f func(ctx context.Context, tx *store.Tx) error) func() { return func() { s.change(f) } }
	for _, test := range []struct {
		name   string
		h      pairs
		revoke func()
	}{
		{"an admin secret", pairs{"x-hasura-admin-secret": "the second secret"}, remove(func(ctx context.Context, tx *store.Tx) error {
			return tx.DeleteAdminSecret(ctx, s.project.ID, second.ID)
		})},
		{"a key", pairs{"authorization": "Bearer pk_of-the-test"}, remove(func(ctx context.Context, tx *store.Tx) error {
			return tx.DeleteProjectKey(ctx, s.project.ID, key.ID)
		})},
		{"a user's tokens", pairs{"authorization": "Bearer " + tokenOf(t, "bob")}, revoke(settings.Revocation{User: "bob", At: time.Now()})},
		{"one token", pairs{"authorization": "Bearer " + tokenOf(t, "ann", "jti", "t1")}, revoke(settings.Revocation{TokenID: "t1", At: time.Now()})},
		{"a signing key", pairs{"authorization": "Bearer " + tokenOf(t, "eve")}, func() {
			s.configure(func(set *settings.Settings) { set.Auth.JWT[0].Key = vault.NewSecret(strings.Repeat("another key ", 4)) })
		}},
	} {
		admitted := func() error {
			entry, err := other.Get(ctx, "shop")
			if err == nil {
				_, err = entry.Current().Authn.Authenticate(ctx, test.h, "192.0.2.1", authn.GraphQL)
			}
			return err
		}
		eventually(t, test.name+" works", func() bool { return admitted() == nil })
		test.revoke()
		begin := time.Now()
		eventually(t, test.name+" is refused elsewhere", func() bool { return admitted() != nil })
		t.Logf("%s: %s", test.name, time.Since(begin))
	}
}

func TestARevokedTokenEndsItsSocketAndNoOther(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	var peers []*peer
	for _, user := range []string{"ann", "bob"} {
		p := s.dial(newer, "/v1/graphql")
		p.send(initWith(map[string]string{"Authorization": "Bearer " + tokenOf(t, user)}))
		p.want(`{"type":"connection_ack"}`)
		peers = append(peers, p)
	}
	s.configure(func(set *settings.Settings) {
		*set, _ = set.WithRevocation(settings.Revocation{User: "ann", At: time.Now()})
	})
	if got := peers[0].next(); !strings.HasPrefix(got, "close 4403") && !strings.HasPrefix(got, "close 4401") {
		t.Errorf("the revoked one: %s", got)
	}
	peers[1].send(`{"id":"1","type":"subscribe","payload":{"query":"{notes{text}}"}}`)
	peers[1].want(`{"type":"next","id":"1","payload":{"data":{"notes":[{"text":"two"}]}}}`)
}
