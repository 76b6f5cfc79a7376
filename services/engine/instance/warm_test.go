package instance_test

import (
	"fmt"
	"testing"

	"tenantry/services/engine/instance"
	"tenantry/tenants/settings"
)

// What costs more than running a statement is done once: for a thousand requests
// with other values nothing is validated, planned, prepared or asked of Rego.
func TestWarmQueriesAreNeitherValidatedNorPlannedNorPreparedNorJudged(t *testing.T) {
	t.Parallel()
	p := newProjectOf(t, ".", func(s *settings.Settings) {
		s.Policies = []settings.Policy{{Name: "rows.rego", Text: `package authz

filter if input.row.id >= 0
`}}
	})
	queries := []struct{ role, query string }{
		{"admin", "query ($id: Int!) { authors_by_pk(id: $id) { id name } }"},
		{"admin", "query ($id: Int!) { authors(where: {id: {_gte: $id}}, limit: 5) { id name articles { id title } } articles(where: {author_id: {_eq: $id}}) { id } }"},
		{"reader", "query ($id: Int!) { authors(where: {id: {_gt: $id}}) { id name } }"},
		{"admin", "mutation ($id: Int!) { update_authors(where: {id: {_eq: $id}}, _set: {name: \"Ada\"}) { affected_rows } }"},
	}
	ask := func(id int) {
		for _, q := range queries {
			p.ask(t, as(q.role, map[string]string{"x-hasura-user-id": fmt.Sprint(id % 7)}), q.query, map[string]any{"id": id})
		}
	}
	ask(1)
	before := p.Work()
	for id := range 250 {
		ask(1000 + id)
	}
	if after := p.Work(); after != before {
		t.Errorf("%d warm requests cost %+v, want nothing beyond %+v", 250*len(queries), after, before)
	}
	if (before == instance.Work{}) || before.Validations != int64(len(queries)) || before.Plans != before.Validations || before.Preparations < before.Plans {
		t.Errorf("the first request of each operation is counted as %+v", before)
	}
}
