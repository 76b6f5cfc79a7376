-- +goose Up

-- A request that runs holds a lease; when it ran out, the same request may run
-- again. delivery stays the same then, so that handlers recognise what they did.
ALTER TABLE tenantry.idempotent_answers
    ADD COLUMN leased_until timestamptz NOT NULL DEFAULT now() + interval '2 minutes',
    ADD COLUMN delivery uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose Down

ALTER TABLE tenantry.idempotent_answers DROP COLUMN leased_until, DROP COLUMN delivery;
