package action

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tenantry/api/errcode"
	"tenantry/api/graphqlhttp"
	"tenantry/api/session"
	"tenantry/api/webhook"
	"tenantry/tenants/metadata"
	"tenantry/tenants/model"
)

// handler starts a real server and closes it with the test.
func handler(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

// answers is a handler that always says the same.
func answers(t *testing.T, status int, body string) *httptest.Server {
	return handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// options has a client of its own, so that no test waits for another's
// connections, and the variables given.
func options(t *testing.T, variables map[string]string) Options {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return Options{
		Client:    &http.Client{Transport: transport},
		Variables: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
		Expand: func(text string) (string, []string) {
			var missing []string
			for _, name := range templateNames(text) {
				value, ok := variables[name]
				if !ok {
					missing = append(missing, name)
				}
				text = strings.ReplaceAll(text, "{{"+name+"}}", value)
			}
			return text, missing
		},
		Version: "1.2.3",
	}
}

func typeRef(t *testing.T, text string) model.TypeRef {
	t.Helper()
	ref, err := model.ParseTypeRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// call is a call of an action at url that promises to answer with output.
func call(t *testing.T, url, output string) Call {
	t.Helper()
	return Call{
		Action: &model.Action{
			Name:     "placeOrder",
			Output:   typeRef(t, output),
			Metadata: &metadata.Action{Name: "placeOrder", Definition: metadata.ActionDefinition{Handler: url, OutputType: output}},
		},
		Types:   types(t),
		Session: session.Session{Role: "user", Variables: map[string]string{"x-hasura-role": "user", "x-hasura-user-id": "423"}},
		Query:   "mutation { placeOrder { order_id } }",
	}
}

func public(t *testing.T, err error) *errcode.Error {
	t.Helper()
	var e *errcode.Error
	if !errors.As(err, &e) {
		t.Fatalf("expected an *errcode.Error, got %T: %v", err, err)
	}
	return e
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheHandlerGetsExactlyThePayloadOfTheContract(t *testing.T) {
	t.Parallel()
	var body []byte
	var request *http.Request
	s := handler(t, func(w http.ResponseWriter, r *http.Request) {
		request = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"order_id":"7","extra":12345678901234567890}`)
	})
	keys := []webhook.SigningKey{{Key: []byte(strings.Repeat("k", 24))}, {Key: []byte(strings.Repeat("o", 32))}}
	o := options(t, nil)
	o.SigningKeys = keys
	c := call(t, s.URL+"/place?x=1", "Order")
	c.Input = map[string]any{"note": nil, "qty": json.Number("12345678901234567890"), "text": "<a>&\"é"}
	c.Query = "mutation {\n  placeOrder(note: null) { order_id } # \"<&>\"\n}"
	c.RequestID, c.TraceParent = "req-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

	result, err := New(o).Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"action":{"name":"placeOrder"},"input":{"note":null,"qty":12345678901234567890,"text":"<a>&\"é"},` +
		`"session_variables":{"x-hasura-role":"user","x-hasura-user-id":"423"},` +
		`"request_query":"mutation {\n  placeOrder(note: null) { order_id } # \"<&>\"\n}"}`
	if string(body) != want {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
	if request.Method != "POST" || request.URL.String() != "/place?x=1" {
		t.Errorf("got %s %s", request.Method, request.URL)
	}
	for name, pattern := range map[string]string{
		"Content-Type":      `^application/json$`,
		"User-Agent":        `^Tenantry/1\.2\.3$`,
		"X-Request-Id":      `^req-1$`,
		"Traceparent":       `^00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01$`,
		"Webhook-Id":        `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-`,
		"Webhook-Timestamp": `^\d{10}$`,
		"Webhook-Signature": `^v1,\S{44} v1,\S{44}$`,
	} {
		if value := request.Header.Get(name); !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("header %s is %q, want %s", name, value, pattern)
		}
	}
	for _, key := range keys {
		reference, _ := standardwebhooks.NewWebhookRaw(key.Key)
		if err := reference.Verify(body, request.Header); err != nil {
			t.Errorf("the reference library refuses the signature: %v", err)
		}
		if err := reference.Verify(append(body, ' '), request.Header); err == nil {
			t.Error("the reference library accepts another body")
		}
	}
	wantOutput := map[string]any{"order_id": "7", "extra": json.Number("12345678901234567890")}
	if !reflect.DeepEqual(result.Output, wantOutput) || result.Status != 200 || result.Duration <= 0 {
		t.Errorf("got %+v", result)
	}
}

func TestASecretThatIsRotatedOutSignsUntilItsEnd(t *testing.T) {
	t.Parallel()
	var body []byte
	var header http.Header
	s := handler(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `null`)
	})
	now := time.Now()
	older, newer := []byte(strings.Repeat("o", 24)), []byte(strings.Repeat("n", 32))
	o := options(t, nil)
	o.SigningKeys = []webhook.SigningKey{{Key: older, Until: now}, {Key: newer}}
	for _, c := range []struct {
		at         time.Time
		signatures int
		older      bool
	}{{now.Add(-time.Second), 2, true}, {now, 1, false}, {now.Add(time.Minute), 1, false}} {
		o.Now = func() time.Time { return c.at }
		if _, err := New(o).Call(t.Context(), call(t, s.URL, "Order")); err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Fields(header.Get("Webhook-Signature"))); got != c.signatures {
			t.Errorf("%v from the end: %d signatures, want %d", c.at.Sub(now), got, c.signatures)
		}
		for key, wanted := range map[string]bool{string(older): c.older, string(newer): true} {
			reference, _ := standardwebhooks.NewWebhookRaw([]byte(key))
			if err := reference.Verify(body, header); (err == nil) != wanted {
				t.Errorf("%v from the end, %c…: %v", c.at.Sub(now), key[0], err)
			}
		}
	}
}

func TestACallWithoutIdentificationGetsSomeAndKeepsAGivenID(t *testing.T) {
	t.Parallel()
	var header http.Header
	s := handler(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		header = r.Header
		header.Set("body", string(body))
		_, _ = io.WriteString(w, `null`)
	})
	c := call(t, s.URL, "Order")
	c.ID = "delivery-9"
	c.Session = session.Session{Role: "admin"}
	c.TraceParent = "bad\r\nx-injected: 1"
	if _, err := New(options(t, nil)).Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if header.Get("Webhook-Id") != "delivery-9" {
		t.Errorf("webhook-id %q", header.Get("Webhook-Id"))
	}
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`).MatchString(header.Get("Traceparent")) || header.Get("X-Request-Id") == "" {
		t.Errorf("got %v", header)
	}
	if header.Get("X-Injected") != "" || header.Get("Webhook-Signature") != "" {
		t.Errorf("got %v", header)
	}
	want := `{"action":{"name":"placeOrder"},"input":{},"session_variables":{"x-hasura-role":"admin"},"request_query":"mutation { placeOrder { order_id } }"}`
	if header.Get("body") != want {
		t.Errorf("body %s", header.Get("body"))
	}
}

func TestSetCookieGoesToTheClientAndNothingElse(t *testing.T) {
	t.Parallel()
	s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "a=1; HttpOnly")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("X-Other", "x")
		_, _ = io.WriteString(w, `null`)
	})
	result, err := New(options(t, nil)).Call(t.Context(), call(t, s.URL, "Order"))
	want := []graphqlhttp.Header{{Name: "Set-Cookie", Value: "a=1; HttpOnly"}, {Name: "Set-Cookie", Value: "b=2"}}
	if err != nil || !reflect.DeepEqual(result.Headers, want) {
		t.Errorf("got %v, %v", result.Headers, err)
	}
}

func TestTheTimeoutIsTheActionsOwnCappedByThePlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own       int
		cap, want time.Duration
	}{
		{0, 0, 30 * time.Second},
		{2, 0, 2 * time.Second},
		{500, 0, 120 * time.Second},
		{500, time.Hour, 120 * time.Second},
		{1 << 62, 0, 120 * time.Second},
		{0, 10 * time.Second, 10 * time.Second},
		{1, 200 * time.Millisecond, 200 * time.Millisecond},
	} {
		o := options(t, nil)
		o.MaxTimeout = c.cap
		a := &model.Action{Metadata: &metadata.Action{Definition: metadata.ActionDefinition{Timeout: c.own}}}
		if got := New(o).timeout(a); got != c.want {
			t.Errorf("timeout %d with cap %v is %v, want %v", c.own, c.cap, got, c.want)
		}
	}
}

func TestAClientThatGoesAwayIsNoFailureOfTheHandler(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 2)
	s := handler(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	caller := New(options(t, nil))

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := caller.Call(ctx, call(t, s.URL, "Order"))
	if e := public(t, err); !errors.Is(err, context.Canceled) || strings.HasPrefix(string(e.Code), "action-") || e.Internal != nil {
		t.Errorf("canceled: got %s %q", e.Code, e.Message)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = caller.Call(ctx, call(t, s.URL, "Order"))
	if e := public(t, err); e.Code != errcode.TimeLimitExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("time limit: got %s %q", e.Code, e.Message)
	}
}
