package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/policy/allowlist"
	"tenantry/services/control"
)

func TestManifestsBecomePersistedDocuments(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	const apollo = `{"format":"apollo-persisted-query-manifest","version":1,"operations":[
		{"id":"a1","name":"A","type":"query","body":"query A { product { id } }"},{"id":"a2","name":"B","type":"query","body":"query B { review { id } }"}]}`
	for _, test := range []struct {
		name, query, body                string
		added, unchanged, removed, total float64
	}{
		{"Apollo's", "", apollo, 2, 0, 0, 2},
		{"the same again", "", apollo, 0, 2, 0, 2},
		{"Relay's", "", `{"0f3c":"query C { product { id } }"}`, 1, 0, 0, 3},
		{"for roles", "?roles=user,editor", `{"a1":"query A { product { id } }"}`, 1, 0, 0, 4},
		{"in place of the others", "?replace=true", `{"0f3c":"query C { product { id } }"}`, 0, 1, 2, 2},
	} {
		got := s.want(200, owner, "POST", p+"/allowlist:import"+test.query, test.body)
		if got.at(t, "added") != test.added || got.at(t, "unchanged") != test.unchanged || got.at(t, "removed") != test.removed || got.at(t, "total") != test.total {
			t.Errorf("%s: %s", test.name, got.text)
		}
	}
	if list := s.want(200, owner, "GET", p+"/allowlist", ""); list.at(t, "collections.0") != "tenantry_documents" || list.at(t, "collections.1") != "tenantry_documents:editor,user" {
		t.Errorf("list %s", list.text)
	}
	for body, places := range map[string][]string{
		`{"0f3c":"query D { product { id } }"}`: {""},
		`{"x":"{","y":7}`:                       {"/x", "/y"},
		`{"format":"other","version":1}`:        {"/format"},
		`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"","body":"{a}"},{"id":"b","body":"{a}"},{"id":"b","body":"{a}"}]}`: {"/operations/0", "/operations/2"},
	} {
		if got := s.want(422, owner, "POST", p+"/allowlist:import", body).places(t); !slices.Equal(got, places) {
			t.Errorf("%s: mistakes at %v", body, got)
		}
	}
}

func TestACollectionIsSuggestedFromTraffic(t *testing.T) {
	t.Parallel()
	traffic := allowlist.NewTraffic()
	s := start(t, func(d *control.Deps) {
		d.Traffic = func(_ string, since time.Time) []allowlist.Operation { return traffic.Since(since) }
	})
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	note := func(hash, name, text string) {
		traffic.Note(allowlist.Operation{Hash: strings.Repeat(hash, 64), Name: name, Type: "query", Text: text}, "user", time.Now()).Again(time.Now())
	}
	note("a", "A", `query A{product{id}}`)
	note("b", "A", `query A{review{id}}`)
	note("c", "", `{review{id}}`)
	got := s.want(200, owner, "POST", p+"/allowlist:suggest", "")
	if len(got.at(t, "operations").([]any)) != 3 || got.at(t, "operations.0.name") != "A" || got.at(t, "operations.1.name") != "A_bbbbbbbbbbbb" ||
		got.at(t, "collection.definition.queries.2.name") != "cccccccccccc" || got.at(t, "operations.0.roles.0") != "user" {
		t.Errorf("%s", got.text)
	}
	if later := s.want(200, owner, "POST", p+"/allowlist:suggest", `{"since":"2100-01-01T00:00:00Z"}`); len(later.at(t, "operations").([]any)) != 0 {
		t.Errorf("%s", later.text)
	}
}
