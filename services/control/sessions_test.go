package control_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTokensAreTakenBackByUserIDOrTime(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	for _, test := range []struct {
		body   string
		places []string
		count  float64
	}{
		{`{}`, []string{""}, 0},
		{`{"user":"u1","jti":"t1"}`, []string{""}, 0},
		{`{"issued_before":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`, []string{"/issued_before"}, 0},
		{`{"user":"u1"}`, nil, 1},
		{`{"user":"u1"}`, nil, 1},
		{`{"jti":"t1"}`, nil, 2},
		{`{"issued_before":"2020-01-01T00:00:00Z"}`, nil, 3},
		// Everything that was taken back until now was issued before.
		{fmt.Sprintf(`{"issued_before":%q}`, time.Now().Add(10*time.Second).UTC().Format(time.RFC3339)), nil, 1},
	} {
		if test.places != nil {
			if got := s.want(422, owner, "POST", p+"/sessions:revoke", test.body).places(t); !slices.Equal(got, test.places) {
				t.Errorf("%s: mistakes at %v", test.body, got)
			}
			continue
		}
		if got := s.want(200, owner, "POST", p+"/sessions:revoke", test.body); got.at(t, "revocations") != test.count {
			t.Errorf("%s: %s", test.body, got.text)
		}
	}
}

func TestAKeySetThatSignsForManyCustomersNeedsAnAudience(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	const firebase = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
	if got := s.want(422, owner, "PUT", p+"/auth", fmt.Sprintf(`{"jwt":[{"jwk_url":%q}]}`, firebase)).places(t); !slices.Equal(got, []string{"/jwt/0/audience"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(200, owner, "PUT", p+"/auth", fmt.Sprintf(`{"jwt":[{"jwk_url":%q,"audience":"my-project"}]}`, firebase))
	s.want(201, owner, "POST", p+"/keys", `{"scopes":["graphql:role=user","ip=192.0.2.0/24"]}`)
	if got := s.want(422, owner, "POST", p+"/keys", `{"scopes":["graphql:role=user","ip=192.0.2.0/64"]}`).places(t); !slices.Equal(got, []string{"/scopes/1"}) {
		t.Errorf("mistakes at %v", got)
	}
}
