package router_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/ops/timetest"
	"tenantry/services/router/socket"
	"tenantry/tenants/settings"
)

// raw posts a body as it is; headers are pairs, and a name may come twice.
func (s *server) raw(path, body string, headers ...string) (text string, status int) {
	s.t.Helper()
	r := must(http.NewRequest(http.MethodPost, "http://"+s.address+"/p/shop"+path, strings.NewReader(body)))(s.t)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer := must(http.DefaultClient.Do(r))(s.t)
	defer answer.Body.Close()
	read, _ := io.ReadAll(answer.Body)
	return string(read), answer.StatusCode
}

// A service that looks at the operation must see the one that runs, and is not sent
// what no client may send.
func TestAnAuthenticationWebhookSeesTheOperationThatRuns(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte(`"query":"{ __typename }"`)) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"X-Hasura-Role":"user","X-Hasura-User-Id":"ann"}`)
	}))
	t.Cleanup(hook.Close)
	s := start(t, socket.Limits{}, func(set *settings.Settings) {
		set.Auth.Webhook = &settings.WebhookAuth{URL: hook.URL, Mode: "POST"}
	})
	const harmless, notes = `"query":"{ __typename }"`, `"{notes{text}}"`
	for _, test := range []struct{ name, body, want string }{
		{"what was looked at", `{` + harmless + `}`, `{"data":{"__typename":"query_root"}}`},
		{"a name in another case is none", `{` + harmless + `,"Query":` + notes + `}`, `{"data":{"__typename":"query_root"}}`},
		{"a name that comes twice", `{` + harmless + `,"query":` + notes + `}`, `{"errors":[{"message":"key \"query\" is given twice","extensions":{"code":"parse-failed","path":"$"}}]}`},
		{"twice in a batch", `[{"query":` + notes + `,` + harmless + `}]`, `{"errors":[{"message":"key \"query\" is given twice","extensions":{"code":"parse-failed","path":"$"}}]}`},
	} {
		if got, _ := s.raw("/v1/graphql", test.body); got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
	before := asked.Load()
	padding := strings.Repeat(" ", 2<<20)
	if got, _ := s.raw("/v1/graphql", `{`+harmless+padding+`}`); !strings.Contains(got, "a GraphQL request may have 1048576") {
		t.Errorf("a large body: %.200s", got)
	}
	if got, status := s.raw("/api/rest/none", `{`+padding+`}`); status != http.StatusBadRequest || !strings.Contains(got, "a GraphQL request may have 1048576") {
		t.Errorf("a large body of a saved operation: %d %.200s", status, got)
	}
	if asked.Load() != before {
		t.Error("the service was sent a body that is too large")
	}
	got, status := s.raw("/v1/query", `{"type":"select","args":{"table":"notes","columns":["text"]}`+padding+`}`)
	if status == http.StatusOK || strings.Contains(got, "one") {
		t.Errorf("a large command of no admin: %d %.200s", status, got)
	}
	got, status = s.raw("/v1/query", `{"type":"select","args":{"table":"notes","columns":["text"],"order_by":"id"}`+padding+`}`, "X-Hasura-Admin-Secret", s.secret)
	if status != http.StatusOK || !strings.Contains(got, "one") {
		t.Errorf("a large command of an admin: %d %.200s", status, got)
	}
}

func TestAHeaderThatSaysWhoAsksMayNotComeTwice(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, byToken(nil))
	bearer := "Bearer " + tokenOf(t, "ann")
	for name, headers := range map[string][]string{
		"tokens":        {"Authorization", bearer, "Authorization", "Bearer other"},
		"roles":         {"Authorization", bearer, "X-Hasura-Role", "user", "X-Hasura-Role", "admin"},
		"admin secrets": {"X-Hasura-Admin-Secret", s.secret, "X-Hasura-Admin-Secret", "wrong"},
		"variables":     {"X-Hasura-Admin-Secret", s.secret, "X-Hasura-Role", "user", "X-Hasura-User-Id", "ann", "X-Hasura-User-Id", "bob"},
	} {
		if got, _ := s.raw("/v1/graphql", `{"query":"{notes{text}}"}`, headers...); !strings.Contains(got, "is there twice") || !strings.Contains(got, "invalid-headers") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got, _ := s.raw("/v1/graphql", `{"query":"{notes{text}}"}`, "Authorization", bearer, "Accept", "a/b", "Accept", "c/d"); got != notesOfAnn {
		t.Errorf("other headers: %s", got)
	}
	p := s.dial(newer, "/v1/graphql")
	p.send(`{"type":"connection_init","payload":{"headers":{"Authorization":"` + bearer + `","authorization":"Bearer other"}}}`)
	p.want("close 4403 Forbidden")
}

func TestBulksInOneAnotherCostNobodyMuch(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	nested := func(n int, padding string) string {
		return strings.Repeat(`{"type":"bulk","args":[`, n) + `{"type":"select","args":{"table":"notes","columns":["id"],"order_by":"id","limit":1}` + padding + `}` + strings.Repeat(`]}`, n)
	}
	began := time.Now()
	got, status := s.raw("/v1/query", nested(3000, strings.Repeat(" ", 300<<10)))
	if status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d %.200s", status, got)
	}
	if took := time.Since(began); took > timetest.Slowed(3*time.Second, 5) { // it took a minute when all of it was read for each bulk
		t.Errorf("a stranger's bulks took %s", took)
	}
	if got, _ := s.raw("/v1/query", nested(3, ""), "X-Hasura-Admin-Secret", s.secret); got != `[[[[{"id":1}]]]]` {
		t.Errorf("a few: %s", got)
	}
	if got, status := s.raw("/v1/query", nested(6, ""), "X-Hasura-Admin-Secret", s.secret); status != http.StatusBadRequest || !strings.Contains(got, "nested deeper than 4") {
		t.Errorf("too many: %d %s", status, got)
	}
	where := strings.Repeat(`{"$not":`, 100) + `{"id":1}` + strings.Repeat(`}`, 100)
	got, status = s.raw("/v1/query", `{"type":"select","args":{"table":"notes","columns":["id"],"where":`+where+`}}`, "X-Hasura-Admin-Secret", s.secret)
	if status != http.StatusBadRequest || !strings.Contains(got, "deeper than 64 levels") {
		t.Errorf("a deep condition: %d %.200s", status, got)
	}
}

func TestASocketsHeadersAreNoLongerThanThoseOfARequest(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{})
	p := s.dial(newer, "/v1/graphql")
	p.send(s.init("X-Hasura-Long", strings.Repeat("x", 64<<10)))
	p.want("close 4400 4400: connection_init: expected at most 65536 bytes")
}

func TestAWildcardOriginIsOneLabelOfAHost(t *testing.T) {
	t.Parallel()
	s := start(t, socket.Limits{}, func(set *settings.Settings) { set.Auth.CORS.Origins = []string{"https://*.good.example"} })
	for origin, want := range map[string]string{
		"https://app.good.example": "https://app.good.example", "https://APP-1.good.example": "https://APP-1.good.example",
		"https://good.example": "", "https://a.b.good.example": "", "https://evilgood.example": "", "https://app.good.example.evil.example": "",
		"https://evil.example/.good.example": "", "https://evil/.good.example": "", "https://user@.good.example": "", "http://app.good.example": "", "null": "",
	} {
		_, answer := s.get("/healthz", "Origin", origin)
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", origin, got)
		}
	}
}

// A body that says that it is compressed is not decoded anywhere: a small one can
// become larger than the memory.
// It runs beside no other test: it measures memory.
func TestNoBodyIsDecompressed(t *testing.T) {
	s := start(t, socket.Limits{})
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	must(w.Write([]byte(`{"query":"{ __typename }","type":"export_metadata","args":{},"padding":"` + strings.Repeat("x", 64<<20) + `"}`)))(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/v1/graphql", "/v1beta1/relay", "/v1/metadata", "/v1/query", "/v1/graphql/explain", "/api/rest/x", "/v1alpha1/pg_dump", "/v1/actions/00000000-0000-0000-0000-000000000000/complete"} {
		got, status := s.raw(path, packed.String(), "Content-Encoding", "gzip", "X-Hasura-Admin-Secret", s.secret)
		if !strings.Contains(got, `"code"`) || strings.Contains(got, "query_root") || strings.Contains(got, "resource_version") {
			t.Errorf("%s: %d %.200s", path, status, got)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 48<<20 {
		t.Errorf("%d MiB were allocated", grown>>20)
	}
}
