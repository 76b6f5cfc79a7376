package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/services/control"
)

func TestATenantSignsUpAndWorksWithItsKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	a := s.want(201, "", "POST", "/api/v1/tenants", `{"name":"Acme Inc","email":"a@acme.example"}`)
	if a.at(t, "tenant.slug") != "acme-inc" || a.at(t, "key.role") != "owner" || !strings.HasPrefix(a.str(t, "key.secret"), "tk_") {
		t.Errorf("sign-up answered %s", a.text)
	}
	key := a.str(t, "key.secret")
	if again := s.want(201, "", "POST", "/api/v1/tenants", `{"name":"Acme Inc","email":"b@acme.example"}`); again.at(t, "tenant.slug") != "acme-inc-2" {
		t.Errorf("a derived slug that is taken: %s", again.text)
	}
	s.want(409, "", "POST", "/api/v1/tenants", `{"name":"x","slug":"acme-inc","email":"b@acme.example"}`)

	me := s.want(200, key, "GET", "/api/v1/me", "")
	if me.at(t, "kind") != "tenant_key" || me.at(t, "tenant.slug") != "acme-inc" || me.at(t, "role") != "owner" {
		t.Errorf("me: %s", me.text)
	}
	if got := s.want(200, key, "PATCH", "/api/v1/tenants/acme-inc", `{"name":"Acme"}`).at(t, "name"); got != "Acme" {
		t.Errorf("renamed to %v", got)
	}
	id := a.str(t, "tenant.id")
	s.want(200, key, "GET", "/api/v1/tenants/"+id, "")
	s.want(403, key, "POST", "/api/v1/tenants/acme-inc:suspend", "")
	s.want(200, operatorKey, "POST", "/api/v1/tenants/acme-inc:suspend", "")
	s.want(200, operatorKey, "POST", "/api/v1/tenants/acme-inc:resume", "")
	if got := s.want(200, operatorKey, "PUT", "/api/v1/tenants/acme-inc/plan", `{"plan":"pro"}`).at(t, "plan"); got != "pro" {
		t.Errorf("plan %v", got)
	}
	s.want(204, key, "DELETE", "/api/v1/tenants/acme-inc", "")
	s.want(401, key, "GET", "/api/v1/me", "")
	s.want(200, operatorKey, "POST", "/api/v1/tenants/acme-inc:restore", "")
	s.want(200, key, "GET", "/api/v1/tenants/acme-inc", "")
}

func TestListsArePagedByCursor(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i := range 5 {
		s.tenant(fmt.Sprintf("tenant %d", i))
	}
	var slugs []string
	for path := "/api/v1/tenants?limit=2"; path != ""; {
		a := s.want(200, operatorKey, "GET", path, "")
		for _, item := range a.at(t, "items").([]any) {
			slugs = append(slugs, item.(map[string]any)["slug"].(string))
		}
		path = ""
		if next, ok := a.at(t, "next_cursor").(string); ok {
			path = "/api/v1/tenants?limit=2&cursor=" + next
		}
	}
	if want := []string{"tenant-0", "tenant-1", "tenant-2", "tenant-3", "tenant-4"}; !slices.Equal(slugs, want) {
		t.Errorf("got %v", slugs)
	}
	s.want(400, operatorKey, "GET", "/api/v1/tenants?cursor=nonsense", "")
	if got := s.want(422, operatorKey, "GET", "/api/v1/tenants?limit=0&colour=red", "").places(t); !slices.Contains(got, "colour") {
		t.Errorf("mistakes at %v", got)
	}
}

func TestSignUpIsLimitedPerAddressAndCanBeTheOperatorsAlone(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *control.Deps) { d.SignupsPerHour = 2 })
	s.tenant("one")
	s.tenant("two")
	a := s.want(429, "", "POST", "/api/v1/tenants", `{"name":"three","email":"a@b"}`)
	if a.header.Get("Retry-After") == "" || a.at(t, "code") != "rate-limit-exceeded" {
		t.Errorf("refused with %v %s", a.header, a.text)
	}
	s.want(201, operatorKey, "POST", "/api/v1/tenants", `{"name":"three","email":"a@b"}`)

	closed := start(t, func(d *control.Deps) { d.Signup = control.SignupOperator })
	closed.want(401, "", "POST", "/api/v1/tenants", `{"name":"three","email":"a@b"}`)
	key := closed.want(201, operatorKey, "POST", "/api/v1/tenants", `{"name":"three","email":"a@b"}`).str(t, "key.secret")
	closed.want(403, key, "POST", "/api/v1/tenants", `{"name":"four","email":"a@b"}`)
}

func TestKeysAreShownOnceExpireAndAreRevoked(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	keys := "/api/v1/tenants/" + tenant + "/keys"
	made := s.want(201, owner, "POST", keys, `{"name":"ci","role":"developer"}`)
	ci := made.str(t, "secret")
	if list := s.want(200, owner, "GET", keys, ""); strings.Contains(list.text, ci) || !strings.Contains(list.text, made.str(t, "prefix")) {
		t.Errorf("list shows %s", list.text)
	}
	s.want(200, ci, "GET", "/api/v1/me", "")
	s.want(204, owner, "DELETE", keys+"/"+made.str(t, "id"), "")
	s.want(401, ci, "GET", "/api/v1/me", "")
	s.want(404, owner, "DELETE", keys+"/"+made.str(t, "id"), "")
	if got := s.want(422, owner, "POST", keys, `{"role":"viewer","expires_at":"2001-01-01T00:00:00Z"}`).places(t); !slices.Equal(got, []string{"/expires_at"}) {
		t.Errorf("mistakes at %v", got)
	}
	short := s.want(201, owner, "POST", keys, fmt.Sprintf(`{"role":"viewer","expires_at":%q}`, time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano))).str(t, "secret")
	s.want(200, short, "GET", "/api/v1/me", "")
	time.Sleep(1100 * time.Millisecond)
	s.want(401, short, "GET", "/api/v1/me", "")

	// An admin makes no owner, and takes none away.
	admin := s.key(tenant, owner, "admin")
	s.want(403, admin, "POST", keys, `{"role":"owner"}`)
	s.want(201, admin, "POST", keys, `{"role":"admin"}`)
	first := s.want(200, owner, "GET", keys, "").str(t, "items.0.id")
	s.want(403, admin, "DELETE", keys+"/"+first, "")
}

func TestIdempotentPostsAreRunOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	keys := "/api/v1/tenants/" + tenant + "/keys"
	first := s.want(201, owner, "POST", keys, `{"role":"viewer"}`, "Idempotency-Key", "abc")
	again := s.want(201, owner, "POST", keys, `{"role":"viewer"}`, "Idempotency-Key", "abc")
	if first.text != again.text || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("got %s and %s", first.text, again.text)
	}
	if again.header.Get("x-request-id") == first.header.Get("x-request-id") {
		t.Error("the replay has the first request's id")
	}
	if a := s.want(409, owner, "POST", keys, `{"role":"admin"}`, "Idempotency-Key", "abc"); a.at(t, "code") != "idempotency-conflict" {
		t.Errorf("another body: %s", a.text)
	}
	if n := len(s.want(200, owner, "GET", keys, "").at(t, "items").([]any)); n != 2 {
		t.Errorf("%d keys", n)
	}
	// Someone else's key of the same name is another one.
	other, otherOwner := s.tenant("other")
	s.want(201, otherOwner, "POST", "/api/v1/tenants/"+other+"/keys", `{"role":"admin"}`, "Idempotency-Key", "abc")
	// A refusal is no answer to keep.
	s.want(422, owner, "POST", keys, `{"role":"king"}`, "Idempotency-Key", "def")
	s.want(201, owner, "POST", keys, `{"role":"viewer"}`, "Idempotency-Key", "def")
}
