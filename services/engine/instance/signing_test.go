package instance_test

import (
	"strings"
	"testing"
	"time"

	"tenantry/api/graphqlhttp"
	"tenantry/api/webhook"
	"tenantry/services/engine/instance"
	"tenantry/tenants/settings"
)

// An instance is not built anew when a secret ends: it finds that out as it signs.
func TestASigningSecretSignsUntilItExpires(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(2 * time.Second)
	p := newProjectOf(t, ".", func(s *settings.Settings) {
		older, newer := settings.NewSigningSecret(time.Now()), settings.NewSigningSecret(time.Now())
		older.ExpiresAt = ends
		s.SigningSecrets = []settings.SigningSecret{older, newer}
	})
	p.handler.set(`[]`)
	signatures := func() int {
		response, _ := p.Execute(t.Context(), as("admin", nil), instance.Request{Request: graphqlhttp.Request{Query: `{ reports(n: 1) { title } }`}})
		if p.handler.last() == "" {
			t.Fatalf("the handler was not called: %s", response.Body)
		}
		return len(strings.Fields(p.handler.headers.Get(webhook.HeaderSignature)))
	}
	if n := signatures(); n != 2 && time.Now().Before(ends) {
		t.Errorf("during a rotation %d secrets sign", n)
	}
	time.Sleep(time.Until(ends))
	if n := signatures(); n != 1 {
		t.Errorf("after its end %d secrets sign", n)
	}
}
