package router_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/api/session"
	"tenantry/services/router/socket"
	"tenantry/tenants/settings"
	"tenantry/tenants/store"
)

// delegated is what the handler of the action pay gets when a user calls it.
func (s *server) delegated(user string) string {
	s.t.Helper()
	entry := must(s.registry.Get(context.Background(), "shop"))(s.t)
	return entry.Current().Instance.Delegation.Token(session.Session{
		Role: "user", Auth: session.AuthJWT, Actor: user, IssuedAt: time.Now().Add(-time.Minute),
		Variables: map[string]string{"x-hasura-role": "user", "x-hasura-user-id": user},
	}, "pay", 20*time.Second)
}

func TestADelegationTokenIsKnownBesideEveryOtherWayToAuthenticate(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(hook.Close)
	s := start(t, socket.Limits{})
	for name, edit := range map[string]func(*settings.Settings){
		"admin secrets alone":     func(*settings.Settings) {},
		"tokens in Authorization": byToken(nil),
		"tokens in a cookie":      byToken(&settings.JWTHeader{Type: "Cookie", Name: "sid"}),
		"tokens in another place": byToken(&settings.JWTHeader{Type: "CustomHeader", Name: "X-Token"}),
		"a webhook":               func(set *settings.Settings) { set.Auth.Webhook = &settings.WebhookAuth{URL: hook.URL} },
		"everybody":               func(set *settings.Settings) { set.Auth.UnauthorizedRole = "anonymous" },
	} {
		s.configure(func(set *settings.Settings) { set.Auth = settings.Auth{}; edit(set) })
		token := s.delegated("ann")
		if text, _ := s.post(`{notes{text}}`, "Authorization", "Bearer "+token); text != notesOfAnn {
			t.Errorf("beside %s: %s", name, text)
		}
		if text, _ := s.post(`{notes{text}}`, "Authorization", "Bearer "+token[:len(token)-6]+"AAAAAA"); !strings.Contains(text, "JWSInvalidSignature") {
			t.Errorf("a forged one beside %s: %s", name, text)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the tenant's webhook was asked about our tokens %d times", asked.Load())
	}
	if got := s.metric(`tenantry_auth_failures_total{credential="delegation"}`); got != "6" {
		t.Errorf("counted %q", got)
	}
}

func TestAHandlerCallsBackOverSocketsAndSavedOperationsToo(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	s.command("create_query_collection", `{"name": "c", "definition": {"queries": [{"name": "mine", "query": "{notes{text}}"}]}}`)
	s.command("create_rest_endpoint", `{"name": "mine", "url": "mine", "methods": ["GET"], "definition": {"query": {"collection_name": "c", "query_name": "mine"}}}`)
	token := s.delegated("ann")
	if text, _ := s.get("/api/rest/mine", "Authorization", "Bearer "+token); text != `{"notes":[{"text":"one"}]}` {
		t.Errorf("a saved operation: %s", text)
	}
	p := s.dial(newer, "/v1/graphql")
	p.send(initWith(map[string]string{"Authorization": "Bearer " + token}))
	p.want(`{"type":"connection_ack"}`)
	p.send(`{"id":"1","type":"subscribe","payload":{"query":"{notes{text}}"}}`)
	p.want(`{"type":"next","id":"1","payload":`+notesOfAnn+`}`, `{"type":"complete","id":"1"}`)
	s.configure(func(set *settings.Settings) { // the key got out
		set.SigningKeys = []settings.SigningKey{settings.NewSigningKey(time.Now())}
	})
	if got := p.next(); !strings.HasPrefix(got, "close 4403") {
		t.Errorf("a socket of a key that is gone: %s", got)
	}
}

func TestPoliciesAndTheAuditKnowWhatWasDelegated(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil), func(set *settings.Settings) {
		set.Policies = []settings.Policy{{Name: "main", Text: "package authz\n\nallow if input.session.auth == \"delegation\"\n"}}
	})
	if text, _ := s.post(`{notes{text}}`, "Authorization", "Bearer "+tokenOf(t, "ann")); !strings.Contains(text, "not permitted") {
		t.Errorf("ann herself: %s", text)
	}
	if text, _ := s.post(`{notes{text}}`, "Authorization", "Bearer "+s.delegated("ann")); text != notesOfAnn {
		t.Errorf("a handler for ann: %s", text)
	}
	eventually(t, "the audit tells of both", func() bool {
		events, _, err := s.store.ProjectAudit(context.Background(), s.project.ID, store.AuditFilter{}, store.Page{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		own, delegated := 0, 0
		for _, e := range events {
			switch {
			case e.Action != "graphql":
			case e.Detail["auth"] == nil && e.Outcome == "denied":
				own++
			case fmt.Sprint(e.Detail["auth"], e.Detail["delegated_by"], e.Detail["depth"]) == "delegationpay1" && e.Actor.ID == "ann" && e.Outcome == "ok":
				delegated++
			}
		}
		return own == 1 && delegated == 1
	})
}
