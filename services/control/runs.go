package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"tenantry/api/errcode"
	"tenantry/ops/audit"
	"tenantry/policy/authz"
	"tenantry/tenants/model"
	"tenantry/tenants/store"
)

func (s *service) registerRuns() {
	tag, path := "Actions", "/projects/{project}/actions/{name}/runs"
	register(s, endpoint{id: "listActionRuns", method: http.MethodGet, path: path, class: authz.ClassRead, tag: tag,
		summary: "Runs of an asynchronous action, newest first"}, s.listRuns)
	register(s, endpoint{id: "purgeActionRuns", method: http.MethodPost, path: path + ":purge", class: authz.ClassWrite, tag: tag,
		summary: "Delete runs of an asynchronous action, also of one that is gone"}, s.purgeRuns)
	register(s, endpoint{id: "cancelActionRun", method: http.MethodPost, path: path + "/{run}:cancel", class: authz.ClassWrite, tag: tag,
		summary: "End a run that is open; a delivery under way is broken off"}, s.cancelRun)
	register(s, endpoint{id: "retryActionRun", method: http.MethodPost, path: path + "/{run}:retry", class: authz.ClassWrite, tag: tag,
		summary: "Deliver a failed or cancelled run anew, without forwarded headers"}, s.retryRun)
}

type runView struct {
	ID         string            `json:"id"`
	Action     string            `json:"action"`
	Status     string            `json:"status" enum:"queued,running,pending,completed,failed,cancelled"`
	Role       string            `json:"role"`
	Identity   map[string]string `json:"identity" nullable:"false" doc:"The session variables that say whose run it is."`
	CreatedAt  time.Time         `json:"created_at"`
	Deadline   time.Time         `json:"deadline" doc:"After it nothing is delivered any more."`
	FinishedAt *time.Time        `json:"finished_at"`
	Deliveries int               `json:"deliveries" doc:"How often the handler was called or was about to be."`
	Attempts   []runAttemptView  `json:"attempts" nullable:"false" doc:"Deliveries that came to an end."`
	Errors     any               `json:"errors" doc:"What the creator sees."`
}

type runAttemptView struct {
	At     time.Time `json:"at"`
	Millis int64     `json:"ms"`
	Status int       `json:"status" doc:"Of the handler's answer; 0 for none."`
	Code   string    `json:"code,omitempty"`
}

func viewRun(r store.Run) runView {
	v := runView{
		ID: r.ID, Action: r.Action, Status: string(r.State), Role: r.Role, Identity: r.Identity, CreatedAt: r.CreatedAt, Deadline: r.Deadline,
		FinishedAt: r.FinishedAt, Deliveries: r.Deliveries, Attempts: []runAttemptView{},
	}
	for _, a := range r.Attempts {
		v.Attempts = append(v.Attempts, runAttemptView(a))
	}
	if r.Errors != nil {
		_ = json.Unmarshal(r.Errors, &v.Errors) // Postgres keeps only JSON
	}
	return v
}

type listRunsInput struct {
	ActionPath
	PageInput
	Status string    `query:"status" enum:"queued,running,pending,completed,failed,cancelled" doc:"Runs in this state alone."`
	User   string    `query:"user" maxLength:"256" doc:"Runs of this x-hasura-user-id alone."`
	Since  time.Time `query:"since" doc:"Runs created then or later."`
	Before time.Time `query:"before" doc:"Runs created earlier."`
}

func (s *service) listRuns(ctx context.Context, c *call, in *listRunsInput) (*page[runView], error) {
	items, next, err := s.Store.Runs(ctx, c.project.ID, store.RunFilter{
		Action: in.Name, State: store.RunState(in.Status), User: in.User, Since: in.Since, Before: in.Before,
	}, in.page())
	if err == nil && len(items) == 0 {
		err = s.findAction(ctx, c, in.Name)
	}
	if err != nil {
		return nil, err
	}
	return pageOf(items, next, viewRun), nil
}

// findAction refuses the name of an action that is not there. One that is gone may
// have left runs, so that it is asked for where there are none.
func (s *service) findAction(ctx context.Context, c *call, name string) error {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return err
	}
	if _, ok := current.Document.Action(name); !ok {
		return errNotFound
	}
	return nil
}

type purgeRunsInput struct {
	ActionPath
	Body struct {
		Before time.Time `json:"before,omitempty" doc:"Runs created earlier alone."`
		Open   bool      `json:"open,omitempty" doc:"Also runs that have not ended; deliveries under way are broken off."`
	}
}

type purgeRunsOutput struct {
	Body struct {
		Deleted int64 `json:"deleted"`
	}
}

func (s *service) purgeRuns(ctx context.Context, c *call, in *purgeRunsInput) (*purgeRunsOutput, error) {
	out := &purgeRunsOutput{}
	err := s.Store.Change(ctx, nil, func(ctx context.Context, tx *store.Tx) (err error) {
		out.Body.Deleted, err = tx.DeleteRuns(ctx, c.project.ID, store.RunPurge{Action: in.Name, Before: in.Body.Before, Open: in.Body.Open})
		if err == nil && out.Body.Deleted == 0 {
			err = s.findAction(ctx, c, in.Name)
		}
		tx.Record(c.event("action.run.purge", c.in("actions", in.Name, "runs"), map[string]any{"deleted": out.Body.Deleted}))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RunPath are the parameters of paths of one run.
type RunPath struct {
	ActionPath
	Run string `path:"run" maxLength:"36" doc:"Id of the run."`
}

type runOutput struct{ Body runView }

func (s *service) cancelRun(ctx context.Context, c *call, in *RunPath) (*runOutput, error) {
	return s.changeRun(ctx, c, in, "action.run.cancel", "the run has ended already", func(ctx context.Context, tx *store.Tx) (bool, error) {
		return tx.CancelRun(ctx, c.project.ID, in.Run)
	})
}

func (s *service) retryRun(ctx context.Context, c *call, in *RunPath) (*runOutput, error) {
	current, err := s.Revisions.Current(ctx, c.project.ID)
	if err != nil {
		return nil, err
	}
	maxAge := model.DefaultMaxAge
	if a, ok := current.Document.Action(in.Name); ok && a.Definition.MaxAgeSeconds > 0 {
		maxAge = time.Duration(a.Definition.MaxAgeSeconds) * time.Second
	}
	return s.changeRun(ctx, c, in, "action.run.retry", "only a failed or cancelled run is delivered anew", func(ctx context.Context, tx *store.Tx) (bool, error) {
		return tx.RequeueRun(ctx, c.project.ID, in.Run, maxAge)
	})
}

// changeRun changes a run of the action that the path names, if its state allows,
// and leaves an event.
func (s *service) changeRun(ctx context.Context, c *call, in *RunPath, action, refused string, change func(context.Context, *store.Tx) (bool, error)) (*runOutput, error) {
	run, err := s.Store.Run(ctx, c.project.ID, in.Run)
	if err != nil {
		return nil, err
	}
	if run.Action != in.Name {
		return nil, errNotFound
	}
	event := c.event(action, c.in("actions", in.Name, "runs", run.ID), nil)
	err = s.Store.Change(ctx, []audit.Event{event}, func(ctx context.Context, tx *store.Tx) error {
		changed, err := change(ctx, tx)
		if err == nil && !changed {
			err = problem(http.StatusConflict, errcode.Conflict, refused)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	run, err = s.Store.Run(ctx, c.project.ID, in.Run)
	return &runOutput{Body: viewRun(run)}, err
}
