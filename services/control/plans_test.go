package control_test

import (
	"fmt"
	"slices"
	"testing"

	"tenantry/policy/limits"
	"tenantry/services/control"
)

func TestTheOperatorEditsPlansAndBoundsOfSingleTenants(t *testing.T) {
	t.Parallel()
	s := start(t, func(d *control.Deps) {
		d.Plans = map[string]limits.Plan{"free": {Requests: 5, Sockets: 2}, "pro": {Requests: 100}}
	})
	tenant, owner := s.tenant("acme")
	plan := "/api/v1/tenants/" + tenant + "/plan"
	bounds := func(want string) {
		t.Helper()
		for _, key := range []string{operatorKey, owner} { // who is bound may see it
			if got := fmt.Sprint(s.want(200, key, "GET", plan, "").at(t, "bounds")); got != want {
				t.Errorf("bounds %s, expected %s", got, want)
			}
		}
	}
	bounds("map[requests:5 sockets:2]")
	s.want(403, owner, "PUT", plan, `{"plan":"pro"}`)
	s.want(403, owner, "PUT", "/api/v1/plans/free", `{"bounds":{}}`)
	s.want(403, owner, "GET", "/api/v1/plans", "")

	s.want(200, operatorKey, "PUT", plan, `{"plan":"free","quota":{"requests":7,"sockets":0,"egress":1024}}`)
	bounds("map[egress:1024 requests:7]")
	s.want(200, operatorKey, "PUT", "/api/v1/plans/free", `{"bounds":{"requests":50,"actions":60}}`)
	bounds("map[actions:60 egress:1024 requests:7]")
	s.want(200, operatorKey, "PUT", plan, `{"plan":"free"}`)
	bounds("map[actions:60 requests:50]")
	s.want(200, operatorKey, "PATCH", "/api/v1/tenants/"+tenant, `{"name":"Acme & Sons"}`)
	bounds("map[actions:60 requests:50]")

	list := s.want(200, operatorKey, "GET", "/api/v1/plans", "")
	if fmt.Sprintf("%v %v %v", list.at(t, "items.0.name"), list.at(t, "items.0.source"), list.at(t, "items.1.source")) != "free stored configuration" {
		t.Errorf("plans %s", list.text)
	}
	for body, want := range map[string][]string{
		`{"plan":"gold"}`: {"/plan"}, `{"plan":"pro","quota":{"speed":1,"requests":-1}}`: {"/quota/requests", "/quota/speed"}, `{"plan":"Not A Plan"}`: {"/plan"},
		`{"plan":"pro","quota":{"requests":1000001}}`: {"/quota/requests"},
	} {
		if got := s.want(422, operatorKey, "PUT", plan, body).places(t); !slices.Equal(got, want) {
			t.Errorf("%s: mistakes at %v", body, got)
		}
	}
	if got := s.want(422, operatorKey, "PUT", "/api/v1/plans/gold", `{"bounds":{"speed":1}}`).places(t); !slices.Equal(got, []string{"/bounds/speed"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(204, operatorKey, "DELETE", "/api/v1/plans/free", "")
	bounds("map[requests:5 sockets:2]")
	s.want(404, operatorKey, "DELETE", "/api/v1/plans/free", "")
}
