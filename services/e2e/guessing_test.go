package e2e

import (
	"net/http"
	"strings"
	"testing"

	"tenantry/ops/postgres/pgtest"
)

func TestGuessingIsSlowedByTheAddressThatTheProxyTells(t *testing.T) {
	t.Parallel()
	const key = "the-operator-key-of-guesses"
	s, err := launch([]string{"serve"}, "TENANTRY_DATABASE_URL="+pgtest.Database(t), "TENANTRY_MANAGED_URL="+pgtest.AdminURL(t),
		"TENANTRY_OPERATOR_KEY="+key, "TENANTRY_DATA_DIR="+dataDir(t), "TENANTRY_TRUSTED_PROXIES=127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.end(9) })
	s.OperatorKey = key
	p := newProject(t, s, managed)
	t.Cleanup(func() { send(t, http.MethodDelete, s.PublicURL+"/api/v1/projects/"+p.Slug, p.owner, nil) })
	try := func(from, secret string) string {
		h := headers{"X-Hasura-Admin-Secret": secret}
		if from != "" {
			h["X-Forwarded-For"] = from
		}
		code, _ := p.ask(h, `{ __typename }`).at("errors", 0, "extensions", "code").(string)
		return code
	}
	right := p.admin["X-Hasura-Admin-Secret"]
	for _, thief := range []string{"203.0.113.7", "198.51.100.9, 203.0.113.8", ""} { // "" is the proxy itself
		slowed := false
		for range 30 {
			switch code := try(thief, "guess"); code {
			case "rate-limit-exceeded":
				slowed = true
			case "access-denied":
			default:
				t.Fatalf("from %q: %q", thief, code)
			}
		}
		if !slowed {
			t.Errorf("30 guesses from %q were not slowed", thief)
		}
	}
	// What the client itself puts in front is not believed, nor does it cost others.
	// Of two guesses one may come just when a thief's wait has ended, but not both.
	for from, want := range map[string]string{"198.51.100.9": "access-denied access-denied", "192.0.2.77, 203.0.113.7": "rate-limit-exceeded"} {
		if got := try(from, "guess") + " " + try(from, "guess"); !strings.HasSuffix(got, want) {
			t.Errorf("from %s: %q, expected %q", from, got, want)
		}
	}
	if got := try("198.51.100.10", right); got != "" {
		t.Errorf("the right secret from elsewhere: %q", got)
	}
	if text := must(t, 200, http.MethodGet, s.OperatorURL+"/metrics", nil, nil).Text; !strings.Contains(text, `tenantry_auth_failures_total{credential="waiting"`) {
		t.Error("the metrics do not count who has to wait")
	}
}
