package control_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// tried is a handler that is tried out, as its author might have written it.
type tried struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	mode   string
	seen   []string // probes, as the signed body names them
}

func (h *tried) become(mode string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode, h.seen = mode, nil
}

func (h *tried) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var payload struct {
		Input   map[string]any    `json:"input"`
		Session map[string]string `json:"session_variables"`
	}
	_ = json.Unmarshal(body, &payload)
	if r.Header.Get("x-tenantry-probe") != payload.Session["x-hasura-tenantry-probe"] || r.Header.Get("x-delegation-token") != "" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	h.seen = append(h.seen, payload.Session["x-hasura-tenantry-probe"])
	reference, err := standardwebhooks.NewWebhook(h.secret)
	if err == nil {
		err = reference.Verify(body, r.Header)
	}
	if err != nil && h.mode != "trusting" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message": "the signature is not valid"}`)
		return
	}
	switch h.mode {
	case "echoing":
		w.WriteHeader(http.StatusOK)
		fmt.Fprintf(w, `{"product_id": %q}`, r.Header.Get("X-Api-Key"))
	case "failing":
		w.WriteHeader(http.StatusInternalServerError)
	case "refusing":
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"message": "no such product"}`)
	case "counting":
		fmt.Fprintf(w, `{"product_id": 1, "total": "%d"}`, len(h.seen))
	default:
		fmt.Fprint(w, `{"product_id": 1, "total": "9.50"}`)
	}
}

func TestAHandlerIsTriedOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	slug, owner := s.tenant("Shop")
	p := s.project(slug, owner, "shop-tried")
	h := &tried{}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	h.secret = s.want(200, owner, "GET", p+"/signing-secrets?reveal=true", "").str(t, "items.0.secret")
	s.want(200, owner, "POST", p+"/tables:track", `{"tables":"all"}`)
	s.want(200, owner, "PUT", p+"/variables/HANDLER_BASE", fmt.Sprintf(`{"value":%q,"secret":false}`, h.URL))
	s.want(200, owner, "PUT", p+"/variables/HANDLER_KEY", `{"value":"canary-of-the-handler","secret":true}`)
	s.want(201, owner, "POST", p+"/actions", placeOrder)
	path := p + "/actions/placeOrder:verify-handler"

	for mode, want := range map[string]map[string]string{
		"good":     {"full": "", "minimal": "", "unsigned": "", "forged": "", "stale": "", "repeated": ""},
		"refusing": {"full": "", "minimal": "", "unsigned": "", "forged": "", "stale": "", "repeated": ""},
		"counting": {"full": "", "minimal": "", "unsigned": "", "forged": "", "stale": "", "repeated": ""},
		"trusting": {"full": "", "minimal": "", "unsigned": "has to be refused", "forged": "has to be refused", "stale": "has to be refused", "repeated": ""},
		"failing":  {"full": "found 500", "minimal": "found 500", "unsigned": "", "forged": "", "stale": "", "repeated": "found 500"},
		"echoing":  {"full": "expecting Int", "minimal": "expecting Int", "unsigned": "", "forged": "", "stale": "", "repeated": "expecting Int"},
	} {
		h.become(mode)
		a := s.want(200, owner, "POST", path, `{}`)
		var got struct {
			Passed  bool
			Results []struct {
				Probe, Wrong, Note string
				Passed, Fits       bool
				Status             int
				Milliseconds       float64
			}
		}
		if err := json.Unmarshal([]byte(a.text), &got); err != nil {
			t.Fatal(err)
		}
		all := len(got.Results) == len(want)
		for _, r := range got.Results {
			wrong, known := want[r.Probe]
			if !known || r.Passed != (wrong == "") || !strings.Contains(r.Wrong, wrong) || r.Status == 0 || r.Milliseconds <= 0 {
				t.Errorf("%s: %s: %+v", mode, r.Probe, r)
			}
			if r.Probe == "repeated" && mode == "counting" && !strings.Contains(r.Note, "differs") {
				t.Errorf("nothing is said of a second answer that differs: %+v", r)
			}
			all = all && r.Passed
		}
		if got.Passed != all {
			t.Errorf("%s: passed is %v: %s", mode, got.Passed, a.text)
		}
		if strings.Contains(a.text, "canary") || strings.Contains(a.text, h.secret) {
			t.Errorf("%s: a secret is told: %s", mode, a.text)
		}
		if len(h.seen) != len(want) {
			t.Errorf("%s: the handler knew %v as probes", mode, h.seen)
		}
	}

	h.become("good")
	one := s.want(200, owner, "POST", path, `{"probes": ["minimal"], "role": "user", "session_variables": {"X-Hasura-User-Id": "7"}}`)
	if got := one.at(t, "results").([]any); len(got) != 1 {
		t.Errorf("one probe was wanted: %s", one.text)
	}
	audited := func() string { return s.want(200, owner, "GET", p+"/audit?limit=100", "").text }
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(audited(), `"action.verify"`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no verification is audited")
		}
	}
	s.want(422, owner, "POST", path, `{"session_variables": {"role": "x"}}`)
	s.want(422, owner, "POST", path, `{"probes": ["all"]}`)
	s.want(200, owner, "POST", path, `{"input": {"items": [{"product_id": 1, "quantity": 2}], "note": null}}`)
	mistaken := s.want(422, owner, "POST", path, `{"input": {"items": [{"product_id": true, "count": 2}, 7], "noet": "x", "note": 5}}`)
	for _, pointer := range []string{"/input/items/0/product_id", "/input/items/0/count", "/input/items/0/quantity", "/input/items/1", "/input/noet", "/input/note"} {
		if !strings.Contains(mistaken.text, `"`+pointer+`"`) {
			t.Errorf("%s is not said to be wrong: %s", pointer, mistaken.text)
		}
	}
	s.want(404, owner, "POST", p+"/actions/nope:verify-handler", `{}`)
	s.want(403, s.key(slug, owner, "viewer"), "POST", path, `{}`)

	h.Close()
	gone := s.want(200, owner, "POST", path, `{"probes": ["full", "forged"]}`)
	if gone.at(t, "passed") != false || gone.at(t, "results.0.status") != 0.0 || !strings.Contains(gone.str(t, "results.1.wrong"), "connection refused") {
		t.Errorf("a handler that is gone: %s", gone.text)
	}
}
