package control_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTablesAreTrackedWithTheirRelationships(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	list := s.want(200, owner, "GET", p+"/tables?limit=2", "")
	if list.at(t, "items.0.schema") != "od.d" || list.at(t, "items.1.name") != "product" || list.at(t, "items.1.tracked") != false ||
		list.at(t, "items.1.suggested_relationships.0.name") != "reviews" {
		t.Errorf("tables: %s", list.text)
	}
	rest := s.want(200, owner, "GET", p+"/tables?limit=2&cursor="+list.str(t, "next_cursor"), "")
	if rest.at(t, "items.0.name") != "review" || rest.at(t, "next_cursor") != nil {
		t.Errorf("second page: %s", rest.text)
	}
	some := s.want(200, owner, "POST", p+"/tables:track", `{"tables":["product",{"schema":"public","name":"nothing"}],"relationships":true}`)
	if some.at(t, "tracked") != 1.0 || some.at(t, "relationships") != 0.0 || some.at(t, "skipped.0.table") != "public.nothing" {
		t.Errorf("tracked some: %s", some.text)
	}
	all := s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all","relationships":true}`)
	if all.at(t, "tracked") != 2.0 || all.at(t, "relationships") != 2.0 {
		t.Errorf("tracked all: %s", all.text)
	}
	again := s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all","relationships":true}`)
	if again.at(t, "tracked") != 0.0 || again.at(t, "relationships") != 0.0 {
		t.Errorf("tracked again: %s", again.text)
	}
	schema := s.want(200, owner, "GET", p+"/schema.graphql?role=admin", "").text
	if !strings.Contains(schema, "reviews(") || !strings.Contains(schema, "type review ") {
		t.Errorf("schema: %.400s", schema)
	}
	s.want(422, owner, "POST", p+"/tables:track", `{"tables":7}`)

	// A name that GraphQL can't show, with dots in schema and name: tracked, and
	// named later.
	s.want(200, owner, "GET", p+"/tables/od%2Ed.a.b", "")
	s.want(200, owner, "PUT", p+"/tables/od%2Ed.a.b", `{"configuration":{"custom_name":"odd"}}`)
	s.want(200, owner, "GET", p+"/tables/od%2Ed.a.b", "")
	review := s.want(200, owner, "GET", p+"/tables/public.review", "")
	if review.at(t, "object_relationships.0.name") != "product" {
		t.Errorf("review: %s", review.text)
	}
	body := `{"object_relationships":[{"name":"product","using":{"foreign_key_constraint_on":"product_id"}}],
		"select_permissions":[{"role":"user","permission":{"columns":["id","stars"],"filter":{}}}]}`
	put := s.want(200, owner, "PUT", p+"/tables/public.review", body, "If-Match", review.header.Get("ETag"))
	if put.header.Get("ETag") == review.header.Get("ETag") {
		t.Error("the version did not change")
	}
	s.want(412, owner, "PUT", p+"/tables/public.review", body, "If-Match", review.header.Get("ETag"))
	wrong := s.want(422, owner, "PUT", p+"/tables/public.review", `{"select_permissions":[{"role":"user","permission":{"columns":["nope"],"filter":{}}}]}`)
	if got := wrong.places(t); len(got) == 0 || !strings.HasPrefix(got[0], "/select_permissions/0") {
		t.Errorf("mistakes at %v: %s", got, wrong.text)
	}
	if got := s.want(422, owner, "PUT", p+"/tables/public.review", `{"colour":1,"is_enum":"x"}`).places(t); !slices.Equal(got, []string{"/colour", "/is_enum"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(404, owner, "GET", p+"/tables/public.nothing", "")
}

func TestMetadataIsReplacedRolledBackAndChecked(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	first := s.want(200, owner, "GET", p+"/metadata", "")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":["product"]}`)
	second := s.want(200, owner, "GET", p+"/metadata", "")
	if first.header.Get("ETag") != `"1"` || second.header.Get("ETag") != `"2"` {
		t.Errorf("versions %s and %s", first.header.Get("ETag"), second.header.Get("ETag"))
	}
	s.want(412, owner, "PUT", p+"/metadata", first.text, "If-Match", `"1"`)
	bad := strings.Replace(second.text, `"name":"product"`, `"name":"gone"`, 1)
	if got := s.want(422, owner, "PUT", p+"/metadata", bad).places(t); len(got) != 1 || !strings.HasPrefix(got[0], "/sources/0/tables/0") {
		t.Errorf("mistakes at %v", got)
	}
	dry := s.want(200, owner, "PUT", p+"/metadata?dry_run=true", bad)
	if dry.at(t, "is_consistent") != false || dry.at(t, "inconsistent_objects.0.type") != "table" {
		t.Errorf("dry run: %s", dry.text)
	}
	if dry.at(t, "impact.schema_changes.0.role") != "admin" {
		t.Errorf("the impact of a dry run: %s", dry.text)
	}
	if got := s.want(422, owner, "PUT", p+"/metadata", `{"version":3,"sources":[],"nope":1,"actions":[{"name":1}]}`).places(t); !slices.Contains(got, "/nope") || len(got) < 3 {
		t.Errorf("mistakes at %v", got)
	}
	kept := s.want(200, owner, "PUT", p+"/metadata?allow_inconsistent=true", bad)
	if kept.at(t, "resource_version") != 3.0 || kept.at(t, "is_consistent") != false {
		t.Errorf("kept: %s", kept.text)
	}
	back := s.want(200, owner, "POST", p+"/metadata:rollback", `{"revision":2}`)
	if back.at(t, "resource_version") != 4.0 || s.want(200, owner, "GET", p+"/metadata", "").text != second.text {
		t.Errorf("rolled back: %s", back.text)
	}
	if got := s.want(422, owner, "POST", p+"/metadata:rollback", `{"revision":99}`).places(t); !slices.Equal(got, []string{"/revision"}) {
		t.Errorf("mistakes at %v", got)
	}
	revisions := s.want(200, owner, "GET", p+"/metadata/revisions", "")
	if revisions.at(t, "items.0.revision") != 4.0 || revisions.at(t, "items.3.author.kind") != "tenant_key" {
		t.Errorf("revisions: %s", revisions.text)
	}
	address := strings.Replace(second.text, `{"from_env":"PROJECT_DATABASE_URL"}`, `"postgres://canary@h/d"`, 1)
	if a := s.want(422, owner, "PUT", p+"/metadata", address); strings.Contains(a.text, "canary") {
		t.Errorf("an address in the metadata: %s", a.text)
	}
}

const placeOrder = `{"name":"placeOrder",
	"definition":"type Mutation { placeOrder(items: [OrderItem!]!, note: String): PlacedOrder } input OrderItem { product_id: Int! quantity: Int! } type PlacedOrder { product_id: Int! total: String }",
	"handler":"{{HANDLER_BASE}}/place-order", "kind":"synchronous", "timeout":10, "forward_client_headers":false,
	"headers":[{"name":"X-Api-Key","value_from_env":"HANDLER_KEY"}], "permissions":["user"],
	"relationships":[{"type":"PlacedOrder","name":"product","kind":"object","table":"product","mapping":{"product_id":"id"}}]}`

func TestActionsAreRegisteredAsSDL(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all"}`)
	s.want(200, owner, "PUT", p+"/variables/HANDLER_BASE", `{"value":"http://127.0.0.1:9","secret":false}`)

	made := s.want(201, owner, "POST", p+"/actions", placeOrder)
	if made.at(t, "name") != "placeOrder" || !strings.Contains(made.str(t, "sdl"), "placeOrder(") || made.at(t, "permissions.0") != "user" ||
		made.at(t, "relationships.0.mapping.product_id") != "id" || made.at(t, "timeout") != 10.0 {
		t.Errorf("made %s", made.text)
	}
	if doc := s.want(200, owner, "GET", p+"/metadata", ""); doc.at(t, "actions.0.definition.handler") != "{{HANDLER_BASE}}/place-order" ||
		doc.at(t, "custom_types.objects.0.relationships.0.name") != "product" {
		t.Errorf("metadata %s", doc.text)
	}
	s.want(409, owner, "POST", p+"/actions", placeOrder)
	if got := s.want(200, owner, "PUT", p+"/actions/placeOrder", placeOrder, "If-Match", made.header.Get("ETag")).at(t, "name"); got != "placeOrder" {
		t.Errorf("replaced %v", got)
	}
	calls := `"idempotency":true,"max_concurrency":7,"retry":{"max_attempts":2,"on":["503"]},"forward_response_headers":["x-a"],"expose_5xx_message":true`
	kept := s.want(200, owner, "PUT", p+"/actions/placeOrder", strings.Replace(placeOrder, `"permissions":`, calls+`,"permissions":`, 1))
	if kept.at(t, "max_concurrency") != 7.0 || kept.at(t, "retry.on.0") != "503" || kept.at(t, "idempotency") != true ||
		s.want(200, owner, "GET", p+"/metadata", "").at(t, "actions.0.definition.forward_response_headers.0") != "x-a" {
		t.Errorf("how the handler is called: %s", kept.text)
	}
	transforms := `"request_transform":{"version":2,"template_engine":"Kriti","url":"{{$base_url}}/<{{$body.action.name}}>","query_params":{"a":null,"b":"1"},"body":{"action":"remove"}},
		"response_transform":{"body":"{{$body.inner}}","error_when":"$body == null"}`
	rewritten := s.want(200, owner, "PUT", p+"/actions/placeOrder", strings.Replace(placeOrder, `"permissions":`, transforms+`,"permissions":`, 1))
	if stored := s.want(200, owner, "GET", p+"/metadata", ""); rewritten.at(t, "request_transform.url") != "{{$base_url}}/<{{$body.action.name}}>" ||
		rewritten.at(t, "request_transform.body.action") != "remove" || rewritten.at(t, "response_transform.body") != "{{$body.inner}}" ||
		!reflect.DeepEqual(stored.at(t, "actions.0.definition.request_transform"), rewritten.at(t, "request_transform")) ||
		!reflect.DeepEqual(stored.at(t, "actions.0.definition.response_transform"), rewritten.at(t, "response_transform")) {
		t.Errorf("transforms: %s\nstored: %s", rewritten.text, stored.text)
	} else if s.want(200, owner, "PUT", p+"/actions/placeOrder", rewritten.text); s.want(200, owner, "GET", p+"/metadata", "").text != stored.text {
		t.Error("an answer that is sent back changes the action")
	}
	shown := s.want(200, owner, "GET", p+"/actions/placeOrder", "")
	if shown.at(t, "definition") != made.at(t, "definition") {
		t.Errorf("shown %s", shown.text)
	}

	// The metadata's own names, and a type that two actions share.
	check := `{"name":"check","definition":"type Query { check(item: OrderItem!): Checked } input OrderItem { product_id: Int! quantity: Int! } type Checked { id: Int }",
		"handler":"http://127.0.0.1:9/check","type":"query","permissions":[{"role":"user","comment":"c"}],
		"relationships":[{"name":"product","type":"object","remote_table":{"schema":"public","name":"product"},"field_mapping":{"id":"id"}}]}`
	commented, before := s.want(201, owner, "POST", p+"/actions", check), s.want(200, owner, "GET", p+"/metadata", "").text
	if commented.at(t, "permissions.0.role") != "user" || commented.at(t, "permissions.0.comment") != "c" ||
		s.want(200, owner, "GET", p+"/actions", "").at(t, "items.0.permissions.0.comment") != "c" {
		t.Errorf("the comment of a permission: %s", commented.text)
	}
	if s.want(200, owner, "PUT", p+"/actions/check", commented.text); s.want(200, owner, "GET", p+"/metadata", "").text != before {
		t.Error("an answer that is sent back changes the comment of a permission")
	}
	other := `{"name":"other","definition":"type Query { other(item: OrderItem!): Int } input OrderItem { x: Int }","handler":"http://127.0.0.1:9/"}`
	if conflict := s.want(409, owner, "POST", p+"/actions", other); !strings.Contains(conflict.text, "placeOrder") || !strings.Contains(conflict.text, "other") {
		t.Errorf("conflict: %s", conflict.text)
	}
	s.want(204, owner, "DELETE", p+"/actions/placeOrder", "")
	s.want(404, owner, "DELETE", p+"/actions/placeOrder", "")
	if doc := s.want(200, owner, "GET", p+"/metadata", "").text; strings.Contains(doc, "PlacedOrder") || !strings.Contains(doc, "OrderItem") {
		t.Errorf("types after the deletion: %s", doc)
	}
	s.want(204, owner, "DELETE", p+"/actions/check", "")
	if doc := s.want(200, owner, "GET", p+"/metadata", "").text; strings.Contains(doc, "custom_types") {
		t.Errorf("types that nobody uses stay: %s", doc)
	}
}

func TestAllMistakesOfAnActionAreToldAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all"}`)
	for _, test := range []struct {
		body string
		want []string
	}{
		{strings.NewReplacer(`"product_id":"id"`, `"product_id":"nope"`, "{{HANDLER_BASE}}", "http://10.0.0.1", `"permissions":["user"]`, `"permissions":["user","user"]`).Replace(placeOrder),
			[]string{"/permissions/1", "/handler", "/relationships/0/mapping/product_id"}},
		{strings.Replace(placeOrder, `"table":"product"`, `"table":"gone"`, 1), []string{"/relationships/0/table"}},
		{strings.Replace(placeOrder, `note: String`, `note: Missing`, 1), []string{"/definition"}},
		{strings.NewReplacer(`"kind":"object",`, "", `"mapping":{`, `"colour":{`).Replace(placeOrder), []string{"/relationships/0/colour"}},
		{strings.NewReplacer(`"kind":"object",`, "").Replace(placeOrder), []string{"/relationships/0/kind"}},
		{strings.Replace(placeOrder, `"type":"PlacedOrder","name"`, `"type":"Nothing","name"`, 1), []string{"/relationships/0/type"}},
		{strings.Replace(placeOrder, `"permissions":`, `"retry":{"on":["5xx"],"backoff":99},"forward_response_headers":["x-a","date"],"permissions":`, 1),
			[]string{"/forward_response_headers/1", "/retry", "/retry/backoff", "/retry/on/0"}},
		{strings.Replace(placeOrder, `"permissions":`, `"request_transform":{"version":2,"methd":"GET","query_params":5},"response_transform":{"body":{"action":1}},"permissions":`, 1),
			[]string{"/request_transform/methd", "/request_transform/query_params", "/response_transform/body/action"}},
		{strings.Replace(placeOrder, `"permissions":`, `"request_transform":{"version":3,"url":"{{"},"response_transform":{"version":2,"body":{"action":"transform","template":"{{nope()}}"}},"permissions":`, 1),
			[]string{"/request_transform/version", "/request_transform/url", "/response_transform/body/template"}},
		{strings.Replace(placeOrder, `"permissions":`, `"max_age_seconds":60,"idempotency":true,"retry":{"max_attempts":0},"permissions":`, 1),
			[]string{"/max_age_seconds", "/retry/max_attempts"}},
		{`{"name":"a b","definition":"type","handler":"x"}`, []string{"/name", "/definition", "/handler"}},
	} {
		a := s.want(422, owner, "POST", p+"/actions", test.body)
		if got := a.places(t); !slices.Equal(got, test.want) {
			t.Errorf("%s\ngot %v: %s", test.body, got, a.text)
		}
	}
	if a := s.want(200, owner, "GET", p+"/actions", ""); len(a.at(t, "items").([]any)) != 0 {
		t.Errorf("a refused action was kept: %s", a.text)
	}
}

func TestPoliciesCompileBeforeTheyAreKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	rego := "package authz\n\nallow if input.session.role == \"user\"\n"
	s.want(200, owner, "PUT", p+"/policies/main", rego, "Content-Type", "text/plain")
	if got := s.want(200, owner, "GET", p+"/policies/main", ""); got.text != rego || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %q as %s", got.text, got.header.Get("Content-Type"))
	}
	s.want(200, owner, "PUT", p+"/policies/main", fmt.Sprintf(`{"text":%q}`, rego))
	bad := s.want(422, owner, "PUT", p+"/policies/main", "package authz\n\nallow if nothing(1)\n", "Content-Type", "text/plain")
	if bad.at(t, "errors.0.line") == nil || bad.at(t, "errors.0.column") == nil {
		t.Errorf("bad Rego: %s", bad.text)
	}
	s.want(200, owner, "PUT", p+"/policy-data", `{"limits":{"gold":7}}`)
	if got := s.want(200, owner, "GET", p+"/policy-data", ""); got.text != `{"limits":{"gold":7}}`+"\n" && got.text != `{"limits":{"gold":7}}` {
		t.Errorf("data %q", got.text)
	}
	s.want(422, owner, "PUT", p+"/policy-data", `[1]`)
	if list := s.want(200, owner, "GET", p+"/policies", ""); list.at(t, "items.0.name") != "main" {
		t.Errorf("list %s", list.text)
	}
	s.want(204, owner, "DELETE", p+"/policies/main", "")
	s.want(404, owner, "GET", p+"/policies/main", "")
}

func TestPoliciesAreTranslatedBeforeTheyAreKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all","relationships":true}`)
	put := func(status int, path, text string) answer {
		t.Helper()
		return s.want(status, owner, "PUT", p+"/policies/"+path, "package authz\n"+text, "Content-Type", "text/plain")
	}
	bad := put(422, "main", "filter if {\n\tregex.match(\"a\", input.row.name)\n}")
	if bad.at(t, "errors.0.line") != 3.0 || bad.at(t, "errors.0.column") != 2.0 || !strings.Contains(bad.text, "main: regex.match over columns") {
		t.Errorf("a filter without SQL: %s", bad.text)
	}
	if bad := put(422, "main", "filter if input.row.nothing == 1"); bad.at(t, "errors.0.line") != 2.0 || !strings.Contains(bad.text, "no tracked table") {
		t.Errorf("a column that no table has: %s", bad.text)
	}
	s.want(404, owner, "GET", p+"/policies/main", "")
	first := put(200, "main", "filter if input.row.id == input.row.id")
	version := strings.Trim(first.header.Get("ETag"), `"`)
	put(200, "main", "filter if true")
	put(200, "main?mode=shadow", "allow := false")
	if list := s.want(200, owner, "GET", p+"/policies", ""); list.at(t, "items.0.mode") != "enforce" || list.at(t, "items.1.mode") != "shadow" {
		t.Errorf("list %s", list.text)
	}
	if items := s.want(200, owner, "GET", p+"/policy-revisions", "").at(t, "items").([]any); len(items) < 3 {
		t.Errorf("%d revisions", len(items))
	}
	s.want(200, owner, "POST", p+"/policies:rollback", `{"revision":`+version+`}`)
	if got := s.want(200, owner, "GET", p+"/policies/main", ""); !strings.Contains(got.text, "input.row.id") {
		t.Errorf("after the rollback: %s", got.text)
	}
	s.want(404, owner, "GET", p+"/policies/main?mode=shadow", "")
	s.want(422, owner, "POST", p+"/policies:rollback", `{"revision":9999}`)
}

func TestLimitsAndTheAllowlistAreViewsOfTheMetadata(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	limits := `{"rate_limit":{"global":{"max_reqs_per_min":60,"unique_params":"IP"}},"depth_limit":{"global":5}}`
	s.want(200, owner, "PUT", p+"/limits", limits)
	if doc := s.want(200, owner, "GET", p+"/metadata", ""); doc.at(t, "api_limits.depth_limit.global") != 5.0 {
		t.Errorf("metadata %s", doc.text)
	}
	if got := s.want(200, owner, "GET", p+"/limits", ""); got.at(t, "rate_limit.global.unique_params") != "IP" {
		t.Errorf("limits %s", got.text)
	}
	if got := s.want(422, owner, "PUT", p+"/limits", `{"depth_limit":{"global":"x"},"nope":1}`).places(t); !slices.Equal(got, []string{"/depth_limit/global", "/nope"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(200, owner, "PUT", p+"/limits", `{}`)
	if doc := s.want(200, owner, "GET", p+"/metadata", ""); doc.at(t, "api_limits") != nil {
		t.Errorf("metadata %s", doc.text)
	}

	list := `{"mode":"enforce","operations":[{"name":"a","query":"query a { product { id } }"},{"name":"b","query":"{ review { id } }","roles":["user"]}]}`
	set := s.want(200, owner, "PUT", p+"/allowlist", list)
	if set.at(t, "mode") != "enforce" || set.at(t, "operations.1.roles.0") != "user" {
		t.Errorf("set %s", set.text)
	}
	if doc := s.want(200, owner, "GET", p+"/metadata", ""); len(doc.at(t, "allowlist").([]any)) != 2 {
		t.Errorf("metadata %s", doc.text)
	}
	bad := `{"mode":"enforce","operations":[{"name":"a","query":"{"},{"name":"a","query":"{ a }"}]}`
	if got := s.want(422, owner, "PUT", p+"/allowlist", bad).places(t); !slices.Equal(got, []string{"/operations/0/query", "/operations/1/name"}) {
		t.Errorf("mistakes at %v", got)
	}
	s.want(422, owner, "PUT", p+"/allowlist", `{"mode":"enforce","collections":["none"]}`)
	if got := s.want(422, owner, "PUT", p+"/allowlist", `{"mode":"audit","roles":{"admin":"enforce","user":"strict"}}`).places(t); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"/roles/admin", "/roles/user"}) {
		t.Errorf("places %v", got)
	}
	s.want(200, owner, "PUT", p+"/allowlist", `{"mode":"disabled","roles":{"partner":"ids_only"}}`, "If-Match", set.header.Get("ETag"))
	if got := s.want(200, owner, "GET", p+"/allowlist", "").at(t, "roles.partner"); got != "ids_only" {
		t.Errorf("the mode of the role partner: %v", got)
	}
	s.want(412, owner, "PUT", p+"/allowlist", `{"mode":"audit"}`, "If-Match", set.header.Get("ETag"))

	// What breaks an operation of the list needs force.
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all","relationships":true}`)
	readable := `{"select_permissions":[{"role":"user","permission":{"columns":["id"],"filter":{}}}]}`
	s.want(200, owner, "PUT", p+"/tables/public.review", readable)
	s.want(200, owner, "PUT", p+"/allowlist", list)
	refused := s.want(422, owner, "PUT", p+"/tables/public.review", `{}`)
	if refused.at(t, "code") != "dependency-error" || !slices.Equal(refused.places(t), []string{"/allowlist/tenantry_allowlist:user/b"}) {
		t.Errorf("a table that an operation needs: %s", refused.text)
	}
	doc := s.want(200, owner, "GET", p+"/metadata", "").text
	less := strings.Replace(doc, `"columns":["id"]`, `"columns":[]`, 1)
	if refused := s.want(422, owner, "PUT", p+"/metadata", less); less == doc || refused.at(t, "code") != "dependency-error" {
		t.Errorf("a document that breaks one: %s", refused.text)
	}
	s.want(200, owner, "PUT", p+"/tables/public.review?force=true", `{}`)
	back := s.want(200, owner, "GET", p+"/metadata/revisions", "").at(t, "items.1.revision").(float64)
	s.want(200, owner, "POST", p+"/metadata:rollback", fmt.Sprintf(`{"revision":%.0f}`, back))
	last := s.want(200, owner, "GET", p+"/metadata/revisions", "").at(t, "items.1.revision").(float64)
	s.want(422, owner, "POST", p+"/metadata:rollback", fmt.Sprintf(`{"revision":%.0f}`, last))
	s.want(200, owner, "POST", p+"/metadata:rollback?force=true", fmt.Sprintf(`{"revision":%.0f}`, last))
}

func TestSecretsOfAProjectAreNotGivenBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	viewer := s.key(tenant, owner, "viewer")

	const canary = "canary-0123456789-0123456789-0123456789"
	s.want(200, owner, "PUT", p+"/auth", `{"jwt":[{"type":"HS256","key":"`+canary+`"}],"unauthorized_role":"anonymous","cors":{"origins":["*"]}}`)
	auth := s.want(200, owner, "GET", p+"/auth", "")
	if strings.Contains(auth.text, canary) || auth.at(t, "jwt.0.key") != "***" || auth.at(t, "unauthorized_role") != "anonymous" {
		t.Errorf("auth %s", auth.text)
	}
	// What GET gave can be put again: the key stays.
	s.want(200, owner, "PUT", p+"/auth", auth.text, "If-Match", auth.header.Get("ETag"))
	state, err := s.store.LoadProject(t.Context(), "shop")
	if err != nil || state.Settings.Auth.JWT[0].Key.Reveal() != canary {
		t.Errorf("the key after a round trip is another one (%v)", err)
	}
	// A key of another kind does not: what verifies for one may be public for the other.
	s.want(422, owner, "PUT", p+"/auth", `{"jwt":[{"type":"HS384","key":"***"}]}`)
	if a := s.want(422, owner, "PUT", p+"/auth", `{"jwt":[{"type":"HS256","key":"canary"},{"jwk_url":"http://169.254.169.254/"}],"canary":"canary"}`); strings.Contains(a.text, `"canary"`) {
		t.Errorf("refused with %s", a.text)
	}
	s.want(403, viewer, "PUT", p+"/auth", `{}`)

	s.want(200, owner, "PUT", p+"/variables/OPEN", `{"value":"`+canary+`","secret":false}`)
	s.want(200, owner, "PUT", p+"/variables/HIDDEN", `{"value":"hidden-canary"}`)
	if a := s.want(200, owner, "GET", p+"/variables", ""); !strings.Contains(a.text, canary) || strings.Contains(a.text, "hidden-canary") {
		t.Errorf("variables %s", a.text)
	}
	if a := s.want(200, viewer, "GET", p+"/variables/OPEN", ""); strings.Contains(a.text, canary) {
		t.Errorf("a viewer sees %s", a.text)
	}
	s.want(422, owner, "PUT", p+"/variables/HASURA_GRAPHQL_X", `{"value":"x"}`)
	s.want(204, owner, "DELETE", p+"/variables/OPEN", "")
	s.want(404, owner, "GET", p+"/variables/OPEN", "")

	signing := s.want(200, owner, "GET", p+"/signing-secrets", "")
	if strings.Contains(signing.text, "whsec_") {
		t.Errorf("shown without being asked: %s", signing.text)
	}
	second := s.want(201, owner, "POST", p+"/signing-secrets", "")
	if !strings.HasPrefix(second.str(t, "secret"), "whsec_") || second.at(t, "expires_at") != nil {
		t.Errorf("made %s", second.text)
	}
	s.want(409, owner, "POST", p+"/signing-secrets", "")
	if a := s.want(200, owner, "GET", p+"/signing-secrets?reveal=true", ""); a.at(t, "items.1.secret") != second.str(t, "secret") {
		t.Errorf("revealed %s", a.text)
	}
	s.want(403, viewer, "GET", p+"/signing-secrets?reveal=true", "")
	s.want(204, owner, "DELETE", p+"/signing-secrets/"+signing.str(t, "items.0.id"), "")
	s.want(409, owner, "DELETE", p+"/signing-secrets/"+second.str(t, "id"), "")
	audited := s.want(200, owner, "GET", p+"/audit?kind=admin", "")
	if audited.at(t, "items.0.action") != "signing_secret.reveal" {
		t.Errorf("audit %s", audited.text)
	}
	if whole := s.want(200, owner, "GET", p+"/audit", "").text + s.logs.String(); strings.Contains(whole, "canary") || strings.Contains(whole, "whsec_") {
		t.Error("audit or logs hold a secret")
	}
}

func TestTheOlderSigningSecretExpires(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop") + "/signing-secrets"
	ends := func() time.Duration {
		t.Helper()
		list := s.want(200, owner, "GET", p, "")
		if list.at(t, "items.1.expires_at") != nil {
			t.Errorf("the newest one ends: %s", list.text)
		}
		end, err := time.Parse(time.RFC3339Nano, list.str(t, "items.0.expires_at"))
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(end).Round(time.Hour)
	}
	for _, c := range []struct {
		body string
		want time.Duration
	}{{"", 24 * time.Hour}, {`{}`, 24 * time.Hour}, {`{"overlap_hours": 720}`, 720 * time.Hour}} {
		made := s.want(201, owner, "POST", p, c.body)
		if got := ends(); got != c.want {
			t.Errorf("%s: ends in %v", c.body, got)
		}
		// The older one is all that is left, so it has no end any more.
		s.want(204, owner, "DELETE", p+"/"+made.str(t, "id"), "")
		if list := s.want(200, owner, "GET", p, ""); list.at(t, "items.0.expires_at") != nil {
			t.Errorf("left %s", list.text)
		}
	}
	s.want(422, owner, "POST", p, `{"overlap_hours": 721}`)
	s.want(422, owner, "POST", p, `{"overlap_hours": -1}`)
	only := s.want(201, owner, "POST", p, `{"overlap_hours": 0}`).str(t, "id")
	if list := s.want(200, owner, "GET", p, ""); list.at(t, "items.0.id") != only || strings.Count(list.text, `"id"`) != 1 {
		t.Errorf("without overlap %s", list.text)
	}
}

func TestEveryChangeLeavesOneEventInAWholeChain(t *testing.T) {
	t.Parallel()
	s := start(t)
	tenant, owner := s.tenant("acme")
	p := s.project(tenant, owner, "shop")
	changes := []struct{ method, path, body, action string }{
		{"PATCH", p, `{"name":"x"}`, "project.update"},
		{"POST", p + "/tables:track", `{"tables":"all"}`, "table.track"},
		{"PUT", p + "/variables/A", `{"value":"x"}`, "variable.put"},
		{"POST", p + "/actions", placeOrder, "action.create"},
		{"DELETE", p + "/actions/placeOrder", "", "action.delete"},
		{"POST", p + "/keys", `{"scopes":["metadata:read"]}`, "key.create"},
		{"POST", p + "/admin-secrets", `{}`, "admin_secret.create"},
		{"PUT", p + "/limits", `{"depth_limit":{"global":3}}`, "limits.put"},
		{"PUT", p + "/auth", `{"unauthorized_role":"anonymous"}`, "auth.put"},
		{"POST", p + ":suspend", "", "project.suspend"},
		{"POST", p + ":resume", "", "project.resume"},
	}
	for i, change := range changes {
		a := s.call(owner, change.method, change.path, change.body, "x-request-id", fmt.Sprintf("change-%d", i))
		if a.status > 299 {
			t.Fatalf("%s %s: %d %s", change.method, change.path, a.status, a.text)
		}
	}
	items := s.want(200, owner, "GET", p+"/audit?kind=change&limit=200", "").at(t, "items").([]any)
	if len(items) != len(changes)+1 { // and the making of the project
		t.Errorf("%d events for %d changes", len(items), len(changes)+1)
	}
	for i, change := range changes {
		e := items[len(changes)-1-i].(map[string]any)
		if e["action"] != change.action || e["request_id"] != fmt.Sprintf("change-%d", i) || e["outcome"] != "ok" {
			t.Errorf("%s %s left %v", change.method, change.path, e)
		}
	}
	if v := s.want(200, owner, "POST", p+"/audit:verify", ""); v.at(t, "ok") != true || v.at(t, "checked").(float64) < float64(len(items)) {
		t.Errorf("verified: %s", v.text)
	}
	if a := s.want(200, owner, "GET", p+"/metrics", ""); !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("metrics as %s", a.header.Get("Content-Type"))
	}
}
