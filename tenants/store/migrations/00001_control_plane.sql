-- +goose Up

CREATE TABLE tenantry.tenants (
    id          uuid PRIMARY KEY,
    -- A slug that reads as a uuid could stand for another tenant's id.
    slug        text NOT NULL UNIQUE CHECK (slug ~ '^[a-z][a-z0-9-]{1,38}$' AND slug !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
    name        text NOT NULL,
    email       text NOT NULL,
    plan        text NOT NULL DEFAULT '',
    status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz CHECK ((deleted_at IS NOT NULL) = (status = 'deleted'))
);

CREATE TABLE tenantry.projects (
    id                uuid PRIMARY KEY,
    tenant_id         uuid NOT NULL REFERENCES tenantry.tenants ON DELETE CASCADE,
    slug              text NOT NULL UNIQUE CHECK (slug ~ '^[a-z][a-z0-9-]{1,38}$' AND slug !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
    name              text NOT NULL,
    plan              text NOT NULL DEFAULT '',
    status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
    managed           boolean NOT NULL DEFAULT false,
    -- The current revisions; 0 before the first.
    resource_version  bigint NOT NULL DEFAULT 0,
    settings_version  bigint NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz CHECK ((deleted_at IS NOT NULL) = (status = 'deleted'))
);
CREATE INDEX ON tenantry.projects (tenant_id, id);

CREATE TABLE tenantry.keys (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES tenantry.tenants ON DELETE CASCADE,
    project_id  uuid REFERENCES tenantry.projects ON DELETE CASCADE, -- NULL: a key of the tenant
    name        text NOT NULL DEFAULT '',
    role        text NOT NULL DEFAULT '',
    scopes      text[] NOT NULL DEFAULT '{}',
    prefix      text NOT NULL,
    hash        bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    last_used   timestamptz
);
CREATE INDEX ON tenantry.keys (tenant_id, id);
CREATE INDEX ON tenantry.keys (project_id, id) WHERE project_id IS NOT NULL;

CREATE TABLE tenantry.admin_secrets (
    id          uuid PRIMARY KEY,
    project_id  uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    name        text NOT NULL DEFAULT '',
    prefix      text NOT NULL,
    hash        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    last_used   timestamptz,
    UNIQUE (project_id, hash)
);

CREATE TABLE tenantry.metadata_revisions (
    project_id        uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    resource_version  bigint NOT NULL,
    document          json NOT NULL, -- json, not jsonb: kept as it was written
    author_kind       text NOT NULL,
    author_id         text NOT NULL,
    at                timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, resource_version)
);

CREATE TABLE tenantry.settings_revisions (
    project_id   uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    version      bigint NOT NULL,
    sealed       bytea NOT NULL,
    author_kind  text NOT NULL,
    author_id    text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, version)
);

CREATE TABLE tenantry.catalogs (
    project_id   uuid NOT NULL REFERENCES tenantry.projects ON DELETE CASCADE,
    source       text NOT NULL,
    catalog      json NOT NULL,
    fingerprint  text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, source)
);

-- The newest event of each chain. Whoever appends locks its row, so that
-- numbers have no gaps and every hash has one predecessor.
CREATE TABLE tenantry.audit_heads (
    chain  text PRIMARY KEY, -- a project's id, a tenant's, or "installation"
    seq    bigint NOT NULL,
    hash   text NOT NULL
);

-- No foreign keys: the audit outlives what it tells of.
CREATE TABLE tenantry.audit_events (
    chain       text NOT NULL,
    seq         bigint NOT NULL,
    id          uuid NOT NULL UNIQUE,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    tenant_id   text NOT NULL,
    project_id  text NOT NULL,
    actor_kind  text NOT NULL,
    actor_id    text NOT NULL,
    role        text NOT NULL,
    action      text NOT NULL,
    target      text NOT NULL,
    outcome     text NOT NULL,
    code        text NOT NULL,
    request_id  text NOT NULL,
    ip          text NOT NULL,
    detail      json NOT NULL, -- json, not jsonb: the hash is over its text
    hash        text NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX ON tenantry.audit_events (tenant_id, at DESC, id DESC);

CREATE TABLE tenantry.idempotent_answers (
    scope         text NOT NULL,
    key           text NOT NULL,
    request_hash  bytea NOT NULL,
    claim         uuid NOT NULL,            -- who runs the request; the answer must come from the same
    claimed_at    timestamptz NOT NULL DEFAULT now(),
    answer        bytea,                    -- sealed: it may hold a new key; NULL while running
    PRIMARY KEY (scope, key)
);
CREATE INDEX ON tenantry.idempotent_answers (claimed_at);

-- +goose Down

DROP TABLE tenantry.idempotent_answers, tenantry.audit_events, tenantry.audit_heads, tenantry.catalogs,
    tenantry.settings_revisions, tenantry.metadata_revisions, tenantry.admin_secrets, tenantry.keys,
    tenantry.projects, tenantry.tenants;
