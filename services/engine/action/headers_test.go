package action

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/webhook"
	"tenantry/policy/delegation"
	"tenantry/tenants/metadata"
	"tenantry/tenants/settings"
)

// received calls an action once and returns the headers that its handler saw.
func received(t *testing.T, configuredFirst bool, change func(*metadata.ActionDefinition), client ...graphqlhttp.Header) http.Header {
	t.Helper()
	var header http.Header
	s := handler(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		header.Set("Host", r.Host)
		_, _ = io.WriteString(w, `null`)
	})
	o := options(t, map[string]string{"KEY": "k-1", "NAME": "tenant"})
	o.ConfiguredFirst = configuredFirst
	o.SigningKeys = []webhook.SigningKey{{Key: []byte(strings.Repeat("k", 24))}}
	c := call(t, s.URL, "Order")
	change(&c.Action.Metadata.Definition)
	c.ClientHeaders = client
	c.RequestID = "req-1"
	if _, err := New(o).Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return header
}

func TestHeadersArePrecededByTheOrderOfTheProject(t *testing.T) {
	t.Parallel()
	define := func(d *metadata.ActionDefinition) {
		d.ForwardClientHeaders = true
		d.Headers = []metadata.Header{
			{Name: "X-Api-Key", ValueFromEnv: "KEY"}, {Name: "X-Greeting", Value: "hi {{NAME}}"},
			{Name: "user-agent", Value: "configured"}, {Name: "Webhook-Id", Value: "forged"},
		}
	}
	client := []graphqlhttp.Header{
		{Name: "x-api-key", Value: "client"}, {Name: "X-Request-ID", Value: "client"}, {Name: "x-mine", Value: "1"}, {Name: "X-Mine", Value: "2"},
	}
	for configuredFirst, want := range map[bool]map[string]string{
		true:  {"X-Api-Key": "k-1", "X-Greeting": "hi tenant", "User-Agent": "configured", "X-Request-Id": "req-1", "X-Mine": "1,2"},
		false: {"X-Api-Key": "client", "X-Greeting": "hi tenant", "User-Agent": "Tenantry/1.2.3", "X-Request-Id": "client", "X-Mine": "1,2"},
	} {
		got := received(t, configuredFirst, define, client...)
		for name, value := range want {
			if strings.Join(got.Values(name), ",") != value {
				t.Errorf("configured first %v: %s is %q, want %q", configuredFirst, name, got.Values(name), value)
			}
		}
		if got.Get("Webhook-Id") == "forged" {
			t.Error("a configured header replaced webhook-id")
		}
	}
}

func TestForwardedClientHeaders(t *testing.T) {
	t.Parallel()
	client := []graphqlhttp.Header{
		{Name: "Authorization", Value: "Bearer t"}, {Name: "X-Custom", Value: "c"}, {Name: "Accept-Language", Value: "fr"},
		{Name: "Origin", Value: "o"}, {Name: "Referer", Value: "r"}, {Name: "Dnt", Value: "1"}, {Name: "Content-MD5", Value: "m"},
		{Name: "Cache-Control", Value: "c"}, {Name: "Accept", Value: "a"}, {Name: "Accept-Datetime", Value: "d"},
		{Name: "User-Agent", Value: "browser"}, {Name: "Content-Type", Value: "text/plain"}, {Name: "Host", Value: "evil"},
		{Name: "Content-Length", Value: "3"}, {Name: "Connection", Value: "close"}, {Name: "Accept-Encoding", Value: "br"},
		{Name: "x-hasura-role", Value: "admin"}, {Name: "X-Hasura-Admin-Secret", Value: "s"}, {Name: "X_Hasura_Role", Value: "admin"},
		{Name: "webhook-signature", Value: "v1,forged"}, {Name: "X-Delegation-Token", Value: "forged"},
		{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "bad name", Value: "x"},
	}
	never := []string{"X-Hasura-Role", "X-Hasura-Admin-Secret", "X_hasura_role", "X-Delegation-Token", "Transfer-Encoding", "Bad Name", "Connection"}
	defaults := []string{"Accept-Language", "Origin", "Referer", "Dnt", "Content-Md5", "Cache-Control", "Accept", "Accept-Datetime"}
	for name, c := range map[string]struct {
		change       func(*metadata.ActionDefinition)
		want, absent []string
	}{
		"not asked for": {func(*metadata.ActionDefinition) {}, nil, append([]string{"Authorization", "X-Custom"}, defaults...)},
		"the defaults are left out": {func(d *metadata.ActionDefinition) { d.ForwardClientHeaders = true },
			[]string{"Authorization", "X-Custom"}, defaults},
		"an own list replaces them": {func(d *metadata.ActionDefinition) {
			d.ForwardClientHeaders, d.IgnoredClientHeaders = true, []string{"authorization"}
		}, append([]string{"X-Custom"}, defaults...), []string{"Authorization"}},
		"an empty list forwards all": {func(d *metadata.ActionDefinition) {
			d.ForwardClientHeaders, d.IgnoredClientHeaders = true, []string{}
		}, append([]string{"Authorization", "X-Custom"}, defaults...), nil},
	} {
		got := received(t, true, c.change, client...)
		for _, h := range c.want {
			if got.Get(h) == "" {
				t.Errorf("%s: %s is missing", name, h)
			}
		}
		for _, h := range append(c.absent, never...) {
			if len(got[h]) > 0 {
				t.Errorf("%s: %s reached the handler: %q", name, h, got[h])
			}
		}
		if got.Get("User-Agent") != "Tenantry/1.2.3" || got.Get("Content-Type") != "application/json" ||
			got.Get("Host") == "evil" || got.Get("Accept-Encoding") != "gzip" || strings.Contains(got.Get("Webhook-Signature"), "forged") {
			t.Errorf("%s: a client replaced what is the engine's: %v", name, got)
		}
	}
}

// RFC 9110 §7.6.1: what Connection names is for the next hop, also where an action
// ignores nothing.
func TestHeadersNamedInConnectionAreNotForwarded(t *testing.T) {
	t.Parallel()
	got := received(t, true, func(d *metadata.ActionDefinition) { d.ForwardClientHeaders, d.IgnoredClientHeaders = true, []string{} },
		graphqlhttp.Header{Name: "X-Hop", Value: "1"}, graphqlhttp.Header{Name: "connection", Value: "close , x-hop"},
		graphqlhttp.Header{Name: "Connection", Value: "X-Second,,keep-alive"}, graphqlhttp.Header{Name: "x-second", Value: "2"},
		graphqlhttp.Header{Name: "X-End", Value: "3"}, graphqlhttp.Header{Name: "Close", Value: "4"})
	for _, name := range []string{"X-Hop", "X-Second", "Close", "Connection"} {
		if len(got[name]) > 0 {
			t.Errorf("%s reached the handler: %q", name, got[name])
		}
	}
	if got.Get("X-End") != "3" {
		t.Error("a header that Connection does not name is missing")
	}
}

func TestMissingVariablesAreNamedForAdminsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url     string
		headers []metadata.Header
		want    []string
	}{
		"url":             {"{{BASE}}/{{PATH}}", nil, []string{"BASE", "PATH"}},
		"headers":         {"http://127.0.0.1:1", []metadata.Header{{Name: "A", ValueFromEnv: "ONE"}, {Name: "B", Value: "x {{TWO}}"}}, []string{"ONE", "TWO"}},
		"not a URL":       {"{{SECRET}}", nil, []string{"not an http or https URL"}},
		"another scheme":  {"file:///etc/passwd", nil, []string{"not an http or https URL"}},
		"a line break":    {"http://127.0.0.1:1", []metadata.Header{{Name: "A", ValueFromEnv: "BROKEN"}}, []string{`"A"`, "line break"}},
		"no header name":  {"http://127.0.0.1:1", []metadata.Header{{Name: "a b", Value: "x"}}, []string{`"a b"`}},
		"a control in it": {"http://127.0.0.1:1/{{BROKEN}}", nil, []string{"not an http or https URL"}},
	} {
		call := call(t, c.url, "Order")
		call.Action.Metadata.Definition.Headers = c.headers
		_, err := New(options(t, map[string]string{"SECRET": "canary-1", "BROKEN": "canary-2\r\nX: y"})).Call(t.Context(), call)
		e := public(t, err)
		if e.Code != errcode.Unexpected || e.Message != "internal error" || e.Path != "$" {
			t.Errorf("%s: got %s %q", name, e.Code, e.Message)
		}
		told := toJSON(t, e.Internal)
		for _, want := range c.want {
			if !strings.Contains(strings.ReplaceAll(told, `\"`, `"`), want) {
				t.Errorf("%s: %s does not say %s", name, told, want)
			}
		}
		if strings.Contains(told, "canary") {
			t.Errorf("%s: %s tells a secret", name, told)
		}
	}
}

func TestTheStateOfATraceCountsTheHandlersBefore(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		parent string
		depth  int
		client []graphqlhttp.Header
		want   string
	}{
		"a new trace":           {"", 0, []graphqlhttp.Header{{Name: "tracestate", Value: "other=1"}}, "tenantry=d:1"},
		"no state":              {parent, 0, nil, "tenantry=d:1"},
		"others' members stay":  {parent, 2, []graphqlhttp.Header{{Name: "TraceState", Value: "a=1, tenantry=d:9,b=2"}, {Name: "tracestate", Value: "c=3"}}, "tenantry=d:3,a=1,b=2,c=3"},
		"no more than allowed":  {parent, 0, []graphqlhttp.Header{{Name: "tracestate", Value: strings.Repeat("a=1,", 40)}}, "tenantry=d:1" + strings.Repeat(",a=1", 31)},
		"a line break in state": {parent, 0, []graphqlhttp.Header{{Name: "tracestate", Value: "a=1\r\nX: y"}}, "tenantry=d:1"},
		"a malformed parent":    {"x\n", 0, []graphqlhttp.Header{{Name: "tracestate", Value: "a=1"}}, "tenantry=d:1"},
	} {
		var got string
		s := handler(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Tracestate")
			_, _ = io.WriteString(w, `null`)
		})
		call := call(t, s.URL, "Order")
		call.TraceParent, call.ClientHeaders, call.Session.Depth = c.parent, c.client, c.depth
		_, _ = New(options(t, nil)).Call(t.Context(), call)
		if got != c.want {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
}

func TestAdminsSeeTheIdentifiersOfAFailedCallAndNotItsToken(t *testing.T) {
	t.Parallel()
	call := call(t, answers(t, http.StatusInternalServerError, `{}`).URL, "Order")
	call.ID, call.RequestID = "delivery-1", "request-1"
	o := options(t, nil)
	keys := settings.Settings{SigningKeys: []settings.SigningKey{settings.NewSigningKey(time.Now())}}
	o.Delegation = delegation.New("p1", keys, nil)
	_, err := New(o).Call(t.Context(), call)
	told := toJSON(t, public(t, err).Internal)
	for _, want := range []string{`{"name":"Webhook-Id","value":"delivery-1"}`, `{"name":"X-Request-Id","value":"request-1"}`, `{"name":"Tracestate","value":"tenantry=d:1"}`,
		`{"name":"X-Delegation-Token","value":"***"}`} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is missing: %s", want, told)
		}
	}
}
