package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants/vault"
)

// RunState is where a run of an asynchronous action is.
type RunState string

// The states of a run. Queued, running and pending runs are open.
const (
	RunQueued    RunState = "queued"    // to be delivered, now or later
	RunRunning   RunState = "running"   // a worker has leased it and delivers it
	RunPending   RunState = "pending"   // the handler took it and will report its result
	RunCompleted RunState = "completed" // there is an output
	RunFailed    RunState = "failed"    // there are errors
	RunCancelled RunState = "cancelled"
)

// Open reports whether a run may still go on.
func (s RunState) Open() bool { return s == RunQueued || s == RunRunning || s == RunPending }

// NewRun is a run to be queued.
type NewRun struct {
	ID, ProjectID, Action string
	// Role and Identity say whose run it is.
	Role     string
	Identity map[string]string
	// Request is what the worker needs to deliver the run, and Headers what of it
	// is dropped with the run's end. Both are sealed.
	Request, Headers []byte
	// Token proves that who reports the result is the handler.
	Token vault.Secret
	// MaxAge bounds how long the run may wait for its result.
	MaxAge time.Duration
}

// Run is a run without what the client sent.
type Run struct {
	ID, ProjectID, Action string
	State                 RunState
	Role                  string
	Identity              map[string]string
	// Attempt counts deliveries that came to an end, Deliveries all that began.
	Attempt, Deliveries int
	Attempts            []RunAttempt
	CreatedAt, Deadline time.Time
	AvailableAt         time.Time // of a queued run: not before
	FinishedAt          *time.Time
	HeartbeatAt         *time.Time
	Output, Errors      json.RawMessage // JSON; nil for none
	Worker              string          // who delivers it; empty for nobody
	TokenHash           []byte
}

// RunAttempt tells of one delivery that came to an end.
type RunAttempt struct {
	At     time.Time `json:"at"`
	Millis int64     `json:"ms"`
	// Status of the handler's answer, 0 for none, and the code of the error, if any.
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
}

// runChannel carries the ids of runs that were ended from outside, and runsQueued
// when there are new ones.
const (
	runChannel = "tenantry_runs"
	runsQueued = "queued"
)

func runContext(projectID, id, what string) string { return "run:" + projectID + ":" + id + ":" + what }

// AddRun queues a run: when it returns nil, the run survives whatever happens. A run
// that is there already stays as it is.
func (s *Store) AddRun(ctx context.Context, r NewRun) error {
	request, err := s.vault.Seal(r.Request, runContext(r.ProjectID, r.ID, "request"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	headers, err := s.vault.Seal(r.Headers, runContext(r.ProjectID, r.ID, "headers"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	identity, err := json.Marshal(r.Identity)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = s.pool.Exec(ctx, `WITH added AS (
		INSERT INTO tenantry.action_runs (id, project_id, action, role, identity, request, headers, token_hash, deadline)
		VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, now() + $9::interval)
		ON CONFLICT (id) DO NOTHING RETURNING id)
		SELECT pg_notify($10, $11) FROM added`,
		r.ID, r.ProjectID, r.Action, r.Role, string(identity), request, headers, vault.Hash(r.Token.Reveal()), r.MaxAge, runChannel, runsQueued)
	return wrap("queue run", err)
}

const runColumns = `id::text, project_id::text, action, state, role, identity, attempt, deliveries, attempts, created_at, deadline, available_at,
	finished_at, heartbeat_at, output::text, errors::text, coalesce(worker::text, ''), token_hash`

func scanRun(row pgx.CollectableRow) (r Run, err error) {
	var output, errors *string
	err = row.Scan(&r.ID, &r.ProjectID, &r.Action, &r.State, &r.Role, &r.Identity, &r.Attempt, &r.Deliveries, &r.Attempts, &r.CreatedAt,
		&r.Deadline, &r.AvailableAt, &r.FinishedAt, &r.HeartbeatAt, &output, &errors, &r.Worker, &r.TokenHash)
	if output != nil {
		r.Output = json.RawMessage(*output)
	}
	if errors != nil {
		r.Errors = json.RawMessage(*errors)
	}
	return r, err
}

// Run finds a run of a project; ErrNotFound when there is none.
func (s *Store) Run(ctx context.Context, projectID, id string) (Run, error) {
	if !isID(projectID) || !isID(id) {
		return Run{}, ErrNotFound
	}
	rows, err := s.pool.Query(ctx, "SELECT "+runColumns+" FROM tenantry.action_runs WHERE project_id = $1 AND id = $2", projectID, id)
	if err != nil {
		return Run{}, wrap("read run", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRun)
	return r, wrap("read run", err)
}

// RunFilter chooses runs of a project; empty members choose all.
type RunFilter struct {
	Action string
	State  RunState
	User   string // value of x-hasura-user-id
	// Since and Before bound the time of creation.
	Since, Before time.Time
}

// Runs lists runs of a project, newest first.
func (s *Store) Runs(ctx context.Context, projectID string, f RunFilter, p Page) (items []Run, next string, err error) {
	if !isID(projectID) {
		return nil, "", ErrNotFound
	}
	after, err := p.parts(2)
	if err != nil {
		return nil, "", err
	}
	var before *time.Time
	var beforeID *string
	if after != nil {
		at, err := time.Parse(time.RFC3339Nano, after[0])
		if err != nil || !isID(after[1]) {
			return nil, "", ErrBadCursor
		}
		before, beforeID = &at, &after[1]
	}
	rows, err := s.pool.Query(ctx, `SELECT `+runColumns+` FROM tenantry.action_runs
		WHERE project_id = $1 AND ($2 = '' OR action = $2) AND ($3 = '' OR state = $3) AND ($4 = '' OR identity ->> 'x-hasura-user-id' = $4)
		  AND ($5::timestamptz IS NULL OR created_at >= $5) AND ($6::timestamptz IS NULL OR created_at < $6)
		  AND ($7::timestamptz IS NULL OR (created_at, id) < ($7, $8::text::uuid))
		ORDER BY created_at DESC, id DESC LIMIT $9`,
		projectID, f.Action, string(f.State), f.User, moment(f.Since), moment(f.Before), before, beforeID, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list runs", err)
	}
	items, err = pgx.CollectRows(rows, scanRun)
	items, next = part(items, p.limit(), func(r Run) []string { return []string{r.CreatedAt.Format(time.RFC3339Nano), r.ID} })
	return items, next, wrap("list runs", err)
}

// moment is a time as a parameter; nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
