-- +goose Up

-- What the operator grants: to the tenants of a plan, and to one alone. By name
-- of the bound; 0 is none.
CREATE TABLE tenantry.plans (
    name       text PRIMARY KEY,
    bounds     jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE tenantry.tenants ADD COLUMN quota jsonb;

-- +goose Down

ALTER TABLE tenantry.tenants DROP COLUMN quota;
DROP TABLE tenantry.plans;
