package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// small allows reading for everybody and the action buy to those who buy little.
const small = `package authz

allow if input.point == "root_field"

allow if {
	input.point == "action"
	input.resource.name == "buy"
	input.args.order.quantity <= to_number(input.session.variables["x-hasura-most"])
}

reason contains "more than ten" if input.args.order.quantity > 10
`

func TestAPolicyDecidesAboutAnActionByItsArguments(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := newProject(t, s, managed)
	p.library()
	var called atomic.Int64
	base := webhooks(t, func(w http.ResponseWriter, _ *http.Request) { called.Add(1); _, _ = w.Write([]byte(`{"book_id":1}`)) })
	p.control(201, http.MethodPost, "/actions", map[string]any{
		"name": "buy", "handler": base, "permissions": []string{"reader"},
		"definition":    `type Mutation { buy(order: Order!): Bought } input Order { quantity: Int! } type Bought { book_id: Int! }`,
		"relationships": []any{map[string]any{"type": "Bought", "name": "book", "kind": "object", "table": "books", "mapping": map[string]any{"book_id": "id"}}},
	})
	bad := must(t, 422, http.MethodPut, s.PublicURL+"/api/v1/projects/"+p.Slug+"/policies/main", p.owner.with("Content-Type", "text/plain"), "package authz\n\nallow if input.nonsense(1)\n")
	if bad.at("errors", 0, "line") != 3.0 {
		t.Errorf("Rego that does not compile: %s", bad.Text)
	}
	must(t, 200, http.MethodPut, s.PublicURL+"/api/v1/projects/"+p.Slug+"/policies/main", p.owner.with("Content-Type", "text/plain"), small)

	buy := func(most string, quantity int) answer {
		return p.ask(p.as("reader", "X-Hasura-Most", most), fmt.Sprintf(`mutation { buy(order: {quantity: %d}) { book { title } } }`, quantity))
	}
	if a := buy("20", 15); a.at("data", "buy", "book", "title") != "The Dispossessed" {
		t.Errorf("allowed: %s", a.Text)
	}
	calls := called.Load()
	a := buy("20", 21)
	refusal{"permission-denied", "=not permitted"}.check(t, a)
	decision, _ := a.at("errors", 0, "extensions", "decision_id").(string)
	if decision == "" || strings.Contains(a.Text, "more than ten") {
		t.Errorf("a denial: %s", a.Text)
	}
	refusal{"permission-denied", "=not permitted"}.check(t, buy("none", 1))                                                              // an error while deciding
	refusal{"permission-denied", "=not permitted"}.check(t, p.ask(p.as("reader"), `mutation { buy(order: {quantity: 1}) { book_id } }`)) // undefined
	if called.Load() != calls {
		t.Errorf("the handler was called for what was denied")
	}
	data(t, p.url("/v1/graphql"), p.as("reader"), `{ books { title } }`, nil)
	if a := p.ask(p.admin, `mutation { buy(order: {quantity: 1000}) { book_id } }`); a.at("errors") != nil {
		t.Errorf("an admin is not asked: %s", a.Text)
	}
	within(t, time.Second, "the audit tells of the denial, with its reason for the owner", func() bool {
		for _, event := range list(p.control(200, http.MethodGet, "/audit?kind=denial", nil), "items") {
			if event.at("detail", "decision_id") == decision {
				return event.at("code") == "permission-denied" && event.at("role") == "reader" && event.at("outcome") == "denied" && event.at("detail", "reasons", 0) == "more than ten"
			}
		}
		return false
	})
}
