-- +goose Up

-- One row for each run of an asynchronous action. What the client sent is
-- sealed; its headers are dropped when the run has ended.
CREATE TABLE tenantry.action_runs (
    id             uuid PRIMARY KEY,
    project_id     uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    action         text NOT NULL,
    state          text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'pending', 'completed', 'failed', 'cancelled')),
    -- Whose run it is: nobody else but admins sees the result.
    role           text NOT NULL,
    identity       jsonb NOT NULL,
    request        bytea NOT NULL,            -- sealed: input, session, text of the operation, completion token
    headers        bytea,                     -- sealed: what may be forwarded
    token_hash     bytea NOT NULL,            -- of the completion token
    attempt        integer NOT NULL DEFAULT 0, -- deliveries that the handler answered or that failed
    deliveries     integer NOT NULL DEFAULT 0, -- attempts, and deliveries whose worker died or stopped
    attempts       jsonb NOT NULL DEFAULT '[]',
    available_at   timestamptz NOT NULL DEFAULT now(), -- of a queued run: not before
    worker         uuid,                      -- who holds the lease of a running run
    heartbeat_at   timestamptz,
    lease_until    timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    deadline       timestamptz NOT NULL,      -- after it nothing is delivered any more
    finished_at    timestamptz,
    output         json,
    errors         json,
    CHECK ((state = 'running') = (worker IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
) WITH (fillfactor = 80);

-- The claim goes from project to project and takes the first due runs of each.
CREATE INDEX action_runs_queued ON tenantry.action_runs (project_id, available_at) WHERE state = 'queued';
CREATE INDEX action_runs_leased ON tenantry.action_runs (lease_until) WHERE state = 'running';
CREATE INDEX action_runs_open ON tenantry.action_runs (deadline) WHERE state IN ('queued', 'pending');
CREATE INDEX action_runs_finished ON tenantry.action_runs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX action_runs_listed ON tenantry.action_runs (project_id, action, created_at DESC, id DESC);

-- +goose Down

DROP TABLE tenantry.action_runs;
