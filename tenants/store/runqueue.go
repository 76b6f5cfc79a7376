package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/api/errcode"
	"tenantry/tenants"
)

// Lease is how long a worker may be silent before its runs are taken over.
const Lease = 15 * time.Second

// Delivery is a run that a worker has claimed.
type Delivery struct {
	Run
	// Request and Headers are what AddRun sealed.
	Request, Headers []byte
	// Broken says why they can't be opened; such a run can only fail.
	Broken error
}

// DueProjects are the projects that are served and have runs to deliver now, in
// no order. It costs one look into an index for each project with queued runs,
// however many they are.
func (s *Store) DueProjects(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, `WITH RECURSIVE waiting(project_id) AS (
			(SELECT project_id FROM tenantry.action_runs WHERE state = 'queued' ORDER BY project_id LIMIT 1)
			UNION ALL
			SELECT (SELECT r.project_id FROM tenantry.action_runs r WHERE r.state = 'queued' AND r.project_id > w.project_id ORDER BY r.project_id LIMIT 1)
			FROM waiting w WHERE w.project_id IS NOT NULL)
		SELECT w.project_id::text FROM waiting w JOIN tenantry.projects p ON p.id = w.project_id JOIN tenantry.tenants t ON t.id = p.tenant_id
		WHERE p.status = 'active' AND t.status = 'active' AND EXISTS (
			SELECT FROM tenantry.action_runs r WHERE r.state = 'queued' AND r.project_id = w.project_id AND r.available_at <= now())`)
	if err != nil {
		return nil, wrap("find due runs", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, wrap("find due runs", err)
}

// ClaimRuns leases up to so many due runs of each project to the worker. No two
// workers get the same run.
func (s *Store) ClaimRuns(ctx context.Context, worker string, most map[string]int) ([]Delivery, error) {
	projects, counts := make([]string, 0, len(most)), make([]int, 0, len(most))
	for id, n := range most {
		projects, counts = append(projects, id), append(counts, n)
	}
	rows, err := s.pool.Query(ctx, `WITH picked AS (
			SELECT d.id FROM unnest($2::text[]::uuid[], $3::int[]) AS w(project_id, most) CROSS JOIN LATERAL (
				SELECT r.id FROM tenantry.action_runs r
				WHERE r.state = 'queued' AND r.project_id = w.project_id AND r.available_at <= now() AND r.deadline > now()
				ORDER BY r.available_at LIMIT w.most FOR UPDATE SKIP LOCKED) d)
		UPDATE tenantry.action_runs SET state = 'running', worker = $1, heartbeat_at = now(), lease_until = now() + $4::interval, deliveries = deliveries + 1
		WHERE id IN (SELECT id FROM picked) RETURNING `+runColumns+`, request, headers`, worker, projects, counts, Lease)
	if err != nil {
		return nil, wrap("claim runs", err)
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Delivery, error) {
		var d Delivery
		var err error
		var request, headers []byte
		d.Run, err = scanRun(wider{row, []any{&request, &headers}})
		if err == nil {
			d.Request, d.Headers, d.Broken = s.openRun(d.Run, request, headers)
		}
		return d, err
	})
	return claimed, wrap("claim runs", err)
}

// wider is a row with more columns than its reader asks for.
type wider struct {
	pgx.CollectableRow
	more []any
}

func (w wider) Scan(into ...any) error { return w.CollectableRow.Scan(append(into, w.more...)...) }

func (s *Store) openRun(r Run, request, headers []byte) (openRequest, openHeaders []byte, err error) {
	if openRequest, err = s.vault.Unseal(request, runContext(r.ProjectID, r.ID, "request")); err != nil {
		return nil, nil, fmt.Errorf("store: run: %w", err)
	}
	if headers == nil { // dropped: the run had ended and was queued again
		return openRequest, nil, nil
	}
	if openHeaders, err = s.vault.Unseal(headers, runContext(r.ProjectID, r.ID, "headers")); err != nil {
		return nil, nil, fmt.Errorf("store: run: %w", err)
	}
	return openRequest, openHeaders, nil
}

// RenewRuns prolongs the leases of a worker and returns the ids of those runs
// that are still its own: others were cancelled, completed or taken over.
func (s *Store) RenewRuns(ctx context.Context, worker string, ids []string) ([]string, error) {
	rows, err := s.pool.Query(ctx, `WITH own AS (
			SELECT id FROM tenantry.action_runs WHERE id = ANY($2::text[]::uuid[]) AND state = 'running' AND worker = $1 ORDER BY id FOR UPDATE)
		UPDATE tenantry.action_runs SET heartbeat_at = now(), lease_until = now() + $3::interval WHERE id IN (SELECT id FROM own) RETURNING id::text`, worker, ids, Lease)
	if err != nil {
		return nil, wrap("renew leases", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return held, wrap("renew leases", err)
}

// TakeOverRuns queues the runs of workers that have died, and returns how many.
// They keep their places in the queue, before those that have not been tried yet.
// The worker that asks lives: the runs that it holds stay its own, although it could
// not renew their leases while Postgres was away.
func (s *Store) TakeOverRuns(ctx context.Context, worker string, holds []string) (int64, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = 'queued', `+released+`
		WHERE state = 'running' AND lease_until < now() AND NOT (worker = $1 AND id = ANY(coalesce($2::text[], '{}')::uuid[]))`, worker, holds)
	return tag.RowsAffected(), wrap("take over runs", err)
}

const released = "worker = NULL, lease_until = NULL, heartbeat_at = NULL"

// ReleaseRuns queues runs that their worker will not finish: it stops. They keep
// their places as well.
func (s *Store) ReleaseRuns(ctx context.Context, worker string, ids ...string) error {
	_, err := s.pool.Exec(ctx, `WITH given AS (
			UPDATE tenantry.action_runs SET state = 'queued', `+released+`
			WHERE id = ANY($2::text[]::uuid[]) AND state = 'running' AND worker = $1 RETURNING id)
		SELECT pg_notify($3, $4) FROM given LIMIT 1`, worker, ids, runChannel, runsQueued)
	return wrap("release runs", err)
}

// RunResult is how a run ended.
type RunResult struct {
	State          RunState // completed or failed
	Output, Errors json.RawMessage
}

// FinishRun ends a run that the worker holds. False means that it is the worker's
// no more, and nothing was changed.
func (s *Store) FinishRun(ctx context.Context, worker, id string, result RunResult, a RunAttempt) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = $3, output = $4::text::json, errors = $5::text::json, finished_at = now(), headers = NULL,
		attempt = attempt + 1, attempts = attempts || $6::text::jsonb, `+released+`
		WHERE id = $2 AND state = 'running' AND worker = $1 RETURNING `+tellEnd, worker, id, string(result.State), nullable(result.Output), nullable(result.Errors), attemptList(a))
	return tag.RowsAffected() == 1, wrap("finish run", err)
}

// RetryRun queues a run that the worker holds for another delivery after a while.
func (s *Store) RetryRun(ctx context.Context, worker, id string, after time.Duration, a RunAttempt) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = 'queued', available_at = now() + $3::interval,
		attempt = attempt + 1, attempts = attempts || $4::text::jsonb, `+released+`
		WHERE id = $2 AND state = 'running' AND worker = $1`, worker, id, after, attemptList(a))
	return tag.RowsAffected() == 1, wrap("queue run again", err)
}

// DeferRun queues a run that the worker holds for later, as if it had not been
// tried: its handler was not called.
func (s *Store) DeferRun(ctx context.Context, worker, id string, after time.Duration) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = 'queued', available_at = now() + $3::interval, `+released+`
		WHERE id = $2 AND state = 'running' AND worker = $1`, worker, id, after)
	return tag.RowsAffected() == 1, wrap("queue run for later", err)
}

// AwaitRun leaves a run that the worker holds to its handler, which will report.
func (s *Store) AwaitRun(ctx context.Context, worker, id string, a RunAttempt) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = 'pending', attempt = attempt + 1, attempts = attempts || $3::text::jsonb, `+released+`
		WHERE id = $2 AND state = 'running' AND worker = $1`, worker, id, attemptList(a))
	return tag.RowsAffected() == 1, wrap("leave run to its handler", err)
}

// CompleteRun ends an open run with what its handler reported; false when it has
// ended already.
func (s *Store) CompleteRun(ctx context.Context, projectID, id string, result RunResult) (bool, error) {
	return endRun(ctx, s.pool, projectID, id, result)
}

// cancelled is what the creator of a cancelled run sees, in the form of all errors of
// runs.
var cancelled = json.RawMessage(`{"code":"` + string(errcode.ActionCancelled) + `","error":"the run was cancelled","path":"$"}`)

// CancelRun ends an open run; false when it has ended already. A delivery under
// way is broken off, which the handler may be too far to notice.
func (tx *Tx) CancelRun(ctx context.Context, projectID, id string) (bool, error) {
	return endRun(ctx, tx.tx, projectID, id, RunResult{State: RunCancelled, Errors: cancelled})
}

func endRun(ctx context.Context, q querier, projectID, id string, result RunResult) (bool, error) {
	if !isID(projectID) || !isID(id) {
		return false, ErrNotFound
	}
	tag, err := q.Exec(ctx, `WITH ended AS (
			UPDATE tenantry.action_runs SET state = $3, output = $4::text::json, errors = $5::text::json, finished_at = now(), headers = NULL, `+released+`
			WHERE project_id = $1 AND id = $2 AND state IN ('queued', 'running', 'pending') RETURNING id, watched)
		SELECT pg_notify($6, id::text), `+tellEnd+` FROM ended`, projectID, id, string(result.State), nullable(result.Output), nullable(result.Errors), runChannel)
	return tag.RowsAffected() == 1, wrap("end run", err)
}

// RequeueRun delivers an ended run anew, with its id and without the headers that
// were forwarded; false when it is still open.
func (tx *Tx) RequeueRun(ctx context.Context, projectID, id string, maxAge time.Duration) (bool, error) {
	if !isID(projectID) || !isID(id) {
		return false, ErrNotFound
	}
	tag, err := tx.tx.Exec(ctx, `WITH queued AS (
			UPDATE tenantry.action_runs SET state = 'queued', available_at = now(), deadline = now() + $3::interval, finished_at = NULL,
				output = NULL, errors = NULL, attempt = 0, `+released+`
			WHERE project_id = $1 AND id = $2 AND state IN ('failed', 'cancelled') RETURNING id)
		SELECT pg_notify($4, $5) FROM queued`, projectID, id, maxAge, runChannel, runsQueued)
	return tag.RowsAffected() == 1, wrap("queue run anew", err)
}

// ExpireRuns ends the runs that waited longer than they may.
func (s *Store) ExpireRuns(ctx context.Context, errors json.RawMessage) (int64, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET state = 'failed', errors = $1::text::json, finished_at = now(), headers = NULL
		WHERE id IN (SELECT id FROM tenantry.action_runs WHERE state IN ('queued', 'pending') AND deadline <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED)
		RETURNING `+tellEnd, nullable(errors))
	return tag.RowsAffected(), wrap("expire runs", err)
}

// How many days runs are kept after they have ended: where the project says nothing
// else, and at most, where the operator says nothing else.
const (
	RunRetention     = 14
	MostRunRetention = 90
)

// KeepsRuns is how many days a project keeps runs that have ended, of so many that
// it may.
func KeepsRuns(p tenants.Project, mostDays int) int {
	return min(cmp.Or(p.RunRetention, RunRetention), mostDays)
}

// PrunedAtOnce is how many runs one call of PruneRuns deletes at most.
const PrunedAtOnce = 10_000

// PruneRuns deletes runs that ended longer ago than their project keeps them, which
// is at most so many days, and returns how many.
func (s *Store) PruneRuns(ctx context.Context, mostDays int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `WITH old AS (
			SELECT d.id FROM tenantry.projects p CROSS JOIN LATERAL (
				SELECT r.id FROM tenantry.action_runs r
				WHERE r.project_id = p.id AND r.finished_at < now() - make_interval(days => least(coalesce(p.run_retention_days, $1), $2))
				ORDER BY r.finished_at LIMIT $3 FOR UPDATE SKIP LOCKED) d LIMIT $3)
		DELETE FROM tenantry.action_runs WHERE id IN (SELECT id FROM old)`, RunRetention, mostDays, PrunedAtOnce)
	return tag.RowsAffected(), wrap("prune runs", err)
}

// RunPurge chooses runs of one action to be deleted.
type RunPurge struct {
	Action string
	// Before bounds the time of creation; the zero time does not.
	Before time.Time
	// Open deletes also runs that have not ended.
	Open bool
}

// DeleteRuns deletes runs of a project and returns how many. A delivery of one of
// them is broken off when the change commits.
func (tx *Tx) DeleteRuns(ctx context.Context, projectID string, p RunPurge) (deleted int64, err error) {
	// In the order in which workers renew their leases, so that neither waits for the
	// other.
	err = tx.tx.QueryRow(ctx, `WITH chosen AS (
			SELECT id FROM tenantry.action_runs
			WHERE project_id = $1 AND action = $2 AND ($3::timestamptz IS NULL OR created_at < $3) AND ($4 OR finished_at IS NOT NULL)
			ORDER BY id FOR UPDATE),
		gone AS (DELETE FROM tenantry.action_runs WHERE id IN (SELECT id FROM chosen) RETURNING id, worker)
		SELECT count(*), count(CASE WHEN worker IS NOT NULL THEN pg_notify($5, id::text)::text END) FROM gone`,
		projectID, p.Action, moment(p.Before), p.Open, runChannel).Scan(&deleted, nil)
	return deleted, wrap("delete runs", err)
}

// RunCounts are the numbers of open runs of all projects.
type RunCounts struct {
	Queued, Running, Pending int64
	// Oldest is how long the due run that waits longest has been waiting.
	Oldest time.Duration
}

// CountRuns counts the open runs.
func (s *Store) CountRuns(ctx context.Context) (c RunCounts, err error) {
	var oldest float64
	err = s.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM tenantry.action_runs WHERE state = 'queued'),
		(SELECT count(*) FROM tenantry.action_runs WHERE state = 'running'), (SELECT count(*) FROM tenantry.action_runs WHERE state = 'pending'),
		(SELECT greatest(0, coalesce(extract(epoch FROM now() - min(available_at)), 0))::float8 FROM tenantry.action_runs WHERE state = 'queued')`).Scan(&c.Queued, &c.Running, &c.Pending, &oldest)
	c.Oldest = time.Duration(oldest * float64(time.Second))
	return c, wrap("count runs", err)
}

// WatchRuns calls changed with the id of every run that was ended from outside,
// and with "" when there are new ones or may be, until ctx ends; as Watch does.
func (s *Store) WatchRuns(ctx context.Context, changed func(id string)) {
	s.watch(ctx, runChannel, func(payload string) {
		if payload == runsQueued {
			payload = ""
		}
		changed(payload)
	})
}

func nullable(j json.RawMessage) *string {
	if j == nil {
		return nil
	}
	s := string(j)
	return &s
}

func attemptList(a RunAttempt) string {
	out, _ := json.Marshal([]RunAttempt{a}) // plain fields
	return string(out)
}
