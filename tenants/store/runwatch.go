package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// runResults carries the ids of watched runs that ended.
const runResults = "tenantry_run_results"

// tellEnd tells those who watch the run that a statement has ended. Notices of all
// runs would cost: transactions that notify commit one after the other.
const tellEnd = `CASE WHEN watched THEN pg_notify('` + runResults + `', id::text)::text END`

// RunVersions tells how far runs are: a text for each that changes whenever its result
// does, and none for a run that is not there. With mark, their ends will be told to
// WatchRunResults; that is written once for each run.
func (s *Store) RunVersions(ctx context.Context, ids []string, mark bool) (map[string]string, error) {
	if mark {
		if _, err := s.pool.Exec(ctx, `UPDATE tenantry.action_runs SET watched = true WHERE id IN (
			SELECT id FROM tenantry.action_runs WHERE id = ANY($1::text[]::uuid[]) AND NOT watched ORDER BY id FOR UPDATE)`, ids); err != nil {
			return nil, wrap("watch runs", err)
		}
	}
	rows, err := s.pool.Query(ctx, `SELECT id::text, coalesce(finished_at::text, 'open') FROM tenantry.action_runs WHERE id = ANY($1::text[]::uuid[])`, ids)
	if err != nil {
		return nil, wrap("look at runs", err)
	}
	versions := make(map[string]string, len(ids))
	var id, version string
	_, err = pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		versions[id] = version
		return nil
	})
	return versions, wrap("look at runs", err)
}

// WatchRunResults calls ended with the id of every watched run that ended, and with
// "" when any may have, until ctx ends; as Watch does.
func (s *Store) WatchRunResults(ctx context.Context, ended func(id string)) {
	s.watch(ctx, runResults, ended)
}
