package router_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"tenantry/services/router/socket"
	"tenantry/tenants/store"
)

func TestThePlanOfATenantBoundsItsAdminsToo(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	ask := func() (*http.Response, string) {
		r := must(http.NewRequest(http.MethodPost, "http://"+s.address+"/p/shop/v1/graphql", strings.NewReader(`{"query": "{ notes { id } }"}`)))(t)
		r.Header.Set("X-Hasura-Admin-Secret", s.secret)
		answer := must(http.DefaultClient.Do(r))(t)
		defer answer.Body.Close()
		return answer, string(must(io.ReadAll(answer.Body))(t))
	}
	for range 10 {
		if _, body := ask(); !strings.HasPrefix(body, `{"data"`) {
			t.Fatal(body)
		}
	}
	if got := s.metric("tenantry_pool_connections_limit"); got != "8" {
		t.Errorf("without a plan the pool may have %s connections", got)
	}
	tight := "tight"
	s.change(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.UpdateTenant(ctx, s.project.TenantID, store.TenantEdit{Plan: &tight})
		return err
	})
	passed := 0
	for range 10 {
		answer, body := ask()
		if strings.HasPrefix(body, `{"data"`) {
			passed++
			continue
		}
		if !strings.Contains(body, `"quota-exceeded"`) || !strings.Contains(body, "2 operations per second") || answer.Header.Get("Retry-After") != "1" ||
			answer.Header.Get("RateLimit-Limit") != "2" || answer.Header.Get("RateLimit-Remaining") != "0" {
			t.Fatalf("%s %v", body, answer.Header)
		}
	}
	if passed < 2 || passed == 10 || s.metric("tenantry_quota_refusals_total") == "" {
		t.Errorf("%d of 10 passed; refused: %s", passed, s.metric("tenantry_quota_refusals_total"))
	}
	if got := s.metric("tenantry_pool_connections_limit"); got != "3" {
		t.Errorf("with the plan the pool may have %s connections", got)
	}
}
