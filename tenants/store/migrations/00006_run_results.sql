-- +goose Up

-- Somebody waits for the result of the run: its end is told.
ALTER TABLE tenantry.action_runs ADD COLUMN watched boolean NOT NULL DEFAULT false;

-- How long a project keeps runs that have ended; NULL is as long as others.
ALTER TABLE tenantry.projects ADD COLUMN run_retention_days integer CHECK (run_retention_days > 0);

-- Runs are deleted project by project, oldest first.
DROP INDEX tenantry.action_runs_finished;
CREATE INDEX action_runs_finished ON tenantry.action_runs (project_id, finished_at) WHERE finished_at IS NOT NULL;

-- +goose Down

DROP INDEX tenantry.action_runs_finished;
CREATE INDEX action_runs_finished ON tenantry.action_runs (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE tenantry.projects DROP COLUMN run_retention_days;
ALTER TABLE tenantry.action_runs DROP COLUMN watched;
