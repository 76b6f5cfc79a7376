package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAMutationThatAKillCutRunsAgainAsTheSameDelivery kills the program while a
// handler works for a mutation with a key. The next program lets the same request
// run again, and the handler can tell that it is the same.
func TestAMutationThatAKillCutRunsAgainAsTheSameDelivery(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ids []string
	arrived := make(chan struct{}, 1)
	base := webhooks(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		ids = append(ids, r.Header.Get("webhook-id")+" "+r.Header.Get("Idempotency-Key"))
		first := len(ids) == 1
		mu.Unlock()
		if first {
			arrived <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`7`))
	})
	dir := dataDir(t)
	s := startDev(t, dir)
	admin := headers{"X-Hasura-Admin-Secret": s.Demo.Project.AdminSecret}
	must(t, 200, http.MethodPost, s.Demo.Project.URL+"/v1/metadata", admin,
		`{"type": "create_action", "args": {"name": "charge", "definition": {"handler": "`+base+`", "output_type": "Int"}}}`)
	const body = `{"query": "mutation { charge }"}`
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err := http.NewRequest(http.MethodPost, s.Demo.Project.GraphQLURL, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("X-Hasura-Admin-Secret", admin["X-Hasura-Admin-Secret"])
		r.Header.Set("Idempotency-Key", "k-1")
		if answer, err := http.DefaultClient.Do(r); err == nil { // the program is killed meanwhile
			answer.Body.Close()
		}
	}()
	<-arrived
	s.kill(t)
	<-ended

	again := startDev(t, dir)
	keyed := admin.with("Idempotency-Key", "k-1")
	within(t, 40*time.Second, "the same request runs again", func() bool {
		a := send(t, http.MethodPost, again.Demo.Project.GraphQLURL, keyed, body)
		if a.at("data", "charge") == nil && !strings.Contains(a.Text, "idempotency-in-progress") {
			t.Fatalf("meanwhile: %s", a.Text)
		}
		return a.at("data", "charge") != nil
	})
	a := send(t, http.MethodPost, again.Demo.Project.GraphQLURL, keyed, body)
	if a.Text != `{"data":{"charge":7}}` || a.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("afterwards: %s %v", a.Text, a.Header)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 2 || ids[0] != ids[1] || !strings.HasSuffix(ids[0], " k-1") || len(ids[0]) < 30 {
		t.Errorf("the handler got %v", ids)
	}
	again.stop(t)
}
