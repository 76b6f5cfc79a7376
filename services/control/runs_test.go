package control_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/tenants/store"
	"tenantry/tenants/vault"
)

const countAction = `{"name": "%s", "handler": "http://127.0.0.1:9/", "kind": "asynchronous", "max_age_seconds": 7200, "permissions": ["user"],
	"definition": "type Mutation { %s(n: Int!): Counted } type Counted { n: Int! }"}`

// runsOf makes a project with the action count, and runs of it that a worker has left:
// by name, oldest first.
func runsOf(t *testing.T) (s *server, actions, owner string, ids map[string]string) {
	t.Helper()
	s = start(t)
	tenant, owner := s.tenant("acme")
	path := s.project(tenant, owner, "shop")
	project := s.want(http.StatusOK, owner, http.MethodGet, path, "").str(t, "id")
	actions = path + "/actions"
	s.want(http.StatusCreated, owner, http.MethodPost, actions, fmt.Sprintf(countAction, "count", "count"))
	ctx, worker := context.Background(), uuid.NewString()
	ids = map[string]string{}
	for _, name := range []string{"completed", "failed", "running", "queued"} {
		ids[name] = uuid.NewString()
		user := map[string]string{"queued": "2"}[name]
		if user == "" {
			user = "1"
		}
		if err := s.store.AddRun(ctx, store.NewRun{ID: ids[name], ProjectID: project, Action: "count", Role: "user", Identity: map[string]string{"x-hasura-user-id": user},
			Request: []byte("{}"), Headers: []byte("[]"), Token: vault.NewSecret("t"), MaxAge: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if name == "queued" {
			continue
		}
		must(s.store.ClaimRuns(ctx, worker, map[string]int{project: 1}))(t)
		switch name {
		case "completed":
			must(s.store.FinishRun(ctx, worker, ids[name], store.RunResult{State: store.RunCompleted, Output: []byte(`{"n": 1}`)}, store.RunAttempt{At: time.Now(), Status: 200}))(t)
		case "failed":
			must(s.store.RetryRun(ctx, worker, ids[name], 0, store.RunAttempt{At: time.Now(), Millis: 7, Status: 503, Code: "unexpected"}))(t)
			must(s.store.ClaimRuns(ctx, worker, map[string]int{project: 1}))(t)
			must(s.store.FinishRun(ctx, worker, ids[name], store.RunResult{State: store.RunFailed, Errors: []byte(`{"code": "gone"}`)}, store.RunAttempt{At: time.Now(), Status: 410, Code: "gone"}))(t)
		}
	}
	return s, actions, owner, ids
}

// listed are the ids of all parts of a list.
func (s *server) listed(owner, path string) (ids []string) {
	s.t.Helper()
	for cursor := ""; ; {
		a := s.want(http.StatusOK, owner, http.MethodGet, path+"&limit=1&cursor="+cursor, "")
		items, _ := a.at(s.t, "items").([]any)
		for i := range items {
			ids = append(ids, a.str(s.t, fmt.Sprintf("items.%d.id", i)))
		}
		if cursor, _ = a.at(s.t, "next_cursor").(string); cursor == "" {
			return ids
		}
	}
}

func TestRunsAreFoundByStatusUserAndTime(t *testing.T) {
	t.Parallel()
	s, actions, owner, ids := runsOf(t)
	created := s.want(http.StatusOK, owner, http.MethodGet, actions+"/count/runs?status=running", "").str(t, "items.0.created_at")
	at := url.QueryEscape(created)
	for filter, want := range map[string][]string{
		"":                              {"queued", "running", "failed", "completed"},
		"status=failed":                 {"failed"},
		"status=pending":                nil,
		"user=1":                        {"running", "failed", "completed"},
		"user=2":                        {"queued"},
		"user=3":                        nil,
		"since=" + at:                   {"queued", "running"},
		"before=" + at:                  {"failed", "completed"},
		"before=" + at + "&user=2":      nil,
		"user=1&status=completed":       {"completed"},
		"since=" + at + "&before=" + at: nil,
	} {
		got := s.listed(owner, actions+"/count/runs?"+filter)
		var wanted []string
		for _, name := range want {
			wanted = append(wanted, ids[name])
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("%q finds %v, expected %v: %v", filter, got, want, wanted)
		}
	}
	failed := s.want(http.StatusOK, owner, http.MethodGet, actions+"/count/runs?status=failed", "")
	for path, want := range map[string]any{
		"items.0.attempts.0.status": 503.0, "items.0.attempts.0.code": "unexpected", "items.0.attempts.0.ms": 7.0, "items.0.attempts.1.status": 410.0,
		"items.0.attempts.1.code": "gone", "items.0.deliveries": 2.0, "items.0.errors.code": "gone", "items.0.identity.x-hasura-user-id": "1",
	} {
		if got := failed.at(t, path); got != want {
			t.Errorf("%s is %v, expected %v", path, got, want)
		}
	}
	for _, wrong := range []string{"status=lost", "since=yesterday", "cursor=x"} {
		if a := s.call(owner, http.MethodGet, actions+"/count/runs?"+wrong, ""); a.status/100 != 4 {
			t.Errorf("%s: %d %s", wrong, a.status, a.text)
		}
	}
	s.want(http.StatusNotFound, owner, http.MethodGet, actions+"/nothing/runs", "")
}

func TestRunsArePurgedByAgeAndOpenOnesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s, actions, owner, ids := runsOf(t)
	at := s.want(http.StatusOK, owner, http.MethodGet, actions+"/count/runs?status=failed", "").str(t, "items.0.created_at")
	for _, step := range []struct {
		body    string
		deleted float64
		left    []string
	}{
		{`{"before": "2020-01-01T00:00:00Z"}`, 0, []string{"queued", "running", "failed", "completed"}},
		{`{"before": "` + at + `", "open": true}`, 1, []string{"queued", "running", "failed"}},
		{`{}`, 1, []string{"queued", "running"}},
		{`{"open": true}`, 2, nil},
	} {
		if got := s.want(http.StatusOK, owner, http.MethodPost, actions+"/count/runs:purge", step.body).at(t, "deleted"); got != step.deleted {
			t.Errorf("%s deleted %v, expected %v", step.body, got, step.deleted)
		}
		var left []string
		for _, name := range step.left {
			left = append(left, ids[name])
		}
		if got := s.listed(owner, actions+"/count/runs?"); !slices.Equal(got, left) {
			t.Errorf("%s left %v, expected %v", step.body, got, step.left)
		}
	}
	events := s.want(http.StatusOK, owner, http.MethodGet, "/api/v1/projects/shop/audit?kind=change&limit=1", "")
	if events.at(t, "items.0.action") != "action.run.purge" || events.at(t, "items.0.detail.deleted") != 2.0 || events.str(t, "items.0.target") != "shop/actions/count/runs" {
		t.Errorf("the audit tells %s", events.text)
	}
	s.want(http.StatusNotFound, owner, http.MethodPost, actions+"/nothing/runs:purge", `{}`)
	if a := s.call(owner, http.MethodPost, actions+"/count/runs:purge", `{"befor": "x"}`); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a misspelt member: %d %s", a.status, a.text)
	}
}

func TestRunsOutliveTheirActionUnlessItsDataIsCleared(t *testing.T) {
	t.Parallel()
	s, actions, owner, _ := runsOf(t)
	s.want(http.StatusNoContent, owner, http.MethodDelete, actions+"/count", "")
	if got := s.listed(owner, actions+"/count/runs?"); len(got) != 4 {
		t.Errorf("%d runs of an action that is gone, expected 4", len(got))
	}
	s.want(http.StatusCreated, owner, http.MethodPost, actions, fmt.Sprintf(countAction, "count", "count"))
	s.want(http.StatusNoContent, owner, http.MethodDelete, actions+"/count?clear_data=true", "")
	s.want(http.StatusNotFound, owner, http.MethodGet, actions+"/count/runs", "")
}

func TestOpenRunsAreCancelledAndEndedOnesDeliveredAnew(t *testing.T) {
	t.Parallel()
	s, actions, owner, ids := runsOf(t)
	for _, step := range []struct {
		run, verb string
		want      int
		status    string
	}{
		{"queued", "cancel", 200, "cancelled"}, {"running", "cancel", 200, "cancelled"}, {"queued", "cancel", 409, "cancelled"}, {"completed", "cancel", 409, "completed"},
		{"failed", "retry", 200, "queued"}, {"queued", "retry", 200, "queued"}, {"failed", "retry", 409, "queued"}, {"completed", "retry", 409, "completed"},
	} {
		path := actions + "/count/runs/" + ids[step.run] + ":" + step.verb
		s.want(step.want, owner, http.MethodPost, path, "")
		run := must(s.store.Run(context.Background(), s.want(200, owner, http.MethodGet, "/api/v1/projects/shop", "").str(t, "id"), ids[step.run]))(t)
		if string(run.State) != step.status {
			t.Errorf("%s: %s is %s", step.verb, step.run, run.State)
		}
		switch {
		case step.status == "cancelled" && string(run.Errors) != `{"code":"action-cancelled","error":"the run was cancelled","path":"$"}`:
			t.Errorf("the creator sees %s", run.Errors)
		case step.status == "queued" && step.want == 200 && (run.Errors != nil || time.Until(run.Deadline).Round(time.Minute) != 2*time.Hour):
			t.Errorf("delivered anew until %s, errors %s", run.Deadline, run.Errors)
		}
		s.want(404, owner, http.MethodPost, actions+"/other/runs/"+ids[step.run]+":"+step.verb, "")
	}
}
