-- +goose Up

-- What tools keep with a project, as they gave it: which migrations have run.
CREATE TABLE tenantry.tool_states (
    project_id  uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    tool        text NOT NULL CHECK (tool IN ('cli', 'console')),
    state       json NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, tool)
);

-- +goose Down

DROP TABLE tenantry.tool_states;
