package action

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/api/errcode"
	"tenantry/tenants/metadata"
)

// flaky fails n times in a way and then answers; ids are the webhook-ids it saw.
type flaky struct {
	mu   sync.Mutex
	ids  []string
	fail func(w http.ResponseWriter, r *http.Request)
	n    int
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	f.mu.Lock()
	f.ids = append(f.ids, r.Header.Get("Webhook-Id"))
	failing := len(f.ids) <= f.n
	f.mu.Unlock()
	if failing {
		f.fail(w, r)
		return
	}
	_, _ = io.WriteString(w, `{"order_id":1}`)
}

func (f *flaky) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ids)
}

func TestASynchronousCallIsMadeAgainAsItsRetrySays(t *testing.T) {
	t.Parallel()
	status := func(n int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n); _, _ = io.WriteString(w, body) }
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	reset := func(w http.ResponseWriter, _ *http.Request) {
		connection, _, _ := w.(http.Hijacker).Hijack()
		_ = connection.Close()
	}
	for name, c := range map[string]struct {
		fail  func(http.ResponseWriter, *http.Request)
		n     int
		retry *metadata.ActionRetry
		calls int
		code  errcode.Code // empty: it succeeds
	}{
		"without a retry once":               {fail: status(503, ""), n: 1, calls: 1, code: errcode.Unexpected},
		"by default three times":             {fail: status(503, ""), n: 9, retry: &metadata.ActionRetry{}, calls: 3, code: errcode.Unexpected},
		"until the handler answers":          {fail: status(502, ""), n: 1, retry: &metadata.ActionRetry{}, calls: 2},
		"after a reset":                      {fail: reset, n: 1, retry: &metadata.ActionRetry{On: []string{"connect"}}, calls: 2},
		"not after what is not named":        {fail: status(504, ""), n: 1, retry: &metadata.ActionRetry{On: []string{"connect", "502"}}, calls: 1, code: errcode.Unexpected},
		"not after another 5xx":              {fail: status(500, ""), n: 1, retry: &metadata.ActionRetry{}, calls: 1, code: errcode.Unexpected},
		"not after a refusal":                {fail: status(400, `{"message":"no","code":"action-timeout"}`), n: 1, retry: &metadata.ActionRetry{}, calls: 1, code: "action-timeout"},
		"after a timeout, with time left":    {fail: hang, n: 1, retry: &metadata.ActionRetry{MaxAttempts: new(2), On: []string{"timeout"}}, calls: 2},
		"within the timeout of all together": {fail: status(503, ""), n: 9, retry: &metadata.ActionRetry{MaxAttempts: new(10), Backoff: 60}, calls: 1, code: errcode.Unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &flaky{fail: c.fail, n: c.n}
			s := httptest.NewServer(f)
			t.Cleanup(s.Close)
			o := options(t, nil)
			o.MaxTimeout = 2 * time.Second
			if name == "within the timeout of all together" {
				o.MaxTimeout = 10 * time.Second // a tenth of it for the first try
			}
			made := call(t, s.URL, "Order")
			made.Action.Metadata.Definition.Retry = c.retry
			started := time.Now()
			result, err := New(o).Call(t.Context(), made)
			if took := time.Since(started); took > o.MaxTimeout+2*time.Second { // ten tries take ten minutes
				t.Errorf("it took %v with a timeout of %v", took, o.MaxTimeout)
			}
			switch {
			case c.code == "" && err != nil:
				t.Error(err)
			case c.code != "" && (err == nil || public(t, err).Code != c.code):
				t.Errorf("got %v (%v) after %s, want %s", err, errors.Unwrap(err), time.Since(started), c.code)
			}
			ids := f.seen()
			if len(ids) != c.calls || result.Attempts != c.calls {
				t.Errorf("%d calls, %d told, want %d", len(ids), result.Attempts, c.calls)
			}
			if slices.ContainsFunc(ids, func(id string) bool { return id == "" || id != ids[0] }) {
				t.Errorf("attempts of one delivery have the ids %v", ids)
			}
		})
	}
}

func TestAMessageOfA5xxIsShownWhereTheActionSaysSo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"out of stock","code":"stock"}`: "stock out of stock",
		`{"error":"canary"}`:                        "unexpected internal error",
		`canary`:                                    "unexpected internal error",
	} {
		c := call(t, answers(t, 500, body).URL, "Order")
		c.Action.Metadata.Definition.Expose5xxMessage = true
		_, err := New(options(t, nil)).Call(t.Context(), c)
		if e := public(t, err); string(e.Code)+" "+e.Message != want {
			t.Errorf("%s: got %s %q", body, e.Code, e.Message)
		}
	}
}

func TestChosenHeadersOfTheHandlerGoToTheClient(t *testing.T) {
	t.Parallel()
	s := handler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Total", "1")
		w.Header().Add("X-Total", "2")
		w.Header().Set("X-Other", "canary")
		w.Header().Set("Set-Cookie", "a=1")
		_, _ = io.WriteString(w, `null`)
	})
	c := call(t, s.URL, "Order")
	c.Action.Metadata.Definition.ForwardResponseHeaders = []string{"x-total", "x-absent", "set-cookie"}
	result, err := New(options(t, nil)).Call(t.Context(), c)
	if got := toJSON(t, result.Headers); err != nil || got != `[{"Name":"Set-Cookie","Value":"a=1"},{"Name":"x-total","Value":"1"},{"Name":"x-total","Value":"2"}]` {
		t.Errorf("%v, %s", err, got)
	}
}

func TestArgumentsAreBoundedInSizeAndDepth(t *testing.T) {
	t.Parallel()
	nested := func(depth int) any {
		var v any = "x"
		for n := range depth {
			if n%2 == 0 {
				v = []any{v}
			} else {
				v = map[string]any{"a": v}
			}
		}
		return v
	}
	for name, c := range map[string]struct {
		input map[string]any
		want  string
	}{
		"nothing":               {nil, ""},
		"31 within the input":   {map[string]any{"a": nested(31)}, ""},
		"32 within the input":   {map[string]any{"a": nested(32)}, "nested deeper than 32 levels"},
		"far too deep":          {map[string]any{"a": nested(100_000)}, "nested deeper than 32 levels"},
		"a MiB to the byte":     {map[string]any{"a": strings.Repeat("x", MaxInput-len(`{"a":""}`))}, ""},
		"a byte more":           {map[string]any{"a": strings.Repeat("x", MaxInput-len(`{"a":""}`)+1)}, "1048577 bytes as JSON, at most 1048576"},
		"what is long as JSON":  {map[string]any{"a": strings.Repeat("\x00", MaxInput/5)}, "at most 1048576"},
		"many small values":     {map[string]any{"a": slices.Repeat([]any{nil, true}, MaxInput/8)}, "at most 1048576"},
		"what is of other kind": {map[string]any{"a": 7}, ""},
	} {
		err := CheckInput(c.input)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || public(t, err).Code != errcode.ValidationFailed):
			t.Errorf("%s: %v", name, err)
		}
	}
}
