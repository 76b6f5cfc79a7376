package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/audit"
	"tenantry/tenants/vault"
)

// Tx is a change in progress. It must not be used after the function that got
// it has returned, nor by two goroutines.
type Tx struct {
	tx     pgx.Tx
	vault  *vault.Vault
	now    time.Time
	events []audit.Event
}

// Now is the time of the change, by Postgres.
func (tx *Tx) Now() time.Time { return tx.now }

// Record adds an audit event to the change: for what is only known inside, such
// as the id of a new project.
func (tx *Tx) Record(e audit.Event) { tx.events = append(tx.events, e) }

// channel carries the ids of changed projects to all nodes.
const channel = "tenantry_projects"

// Touch tells all nodes, when the change commits, that the project must be
// loaded anew. The writes below do so themselves.
func (tx *Tx) Touch(ctx context.Context, projectID string) error {
	_, err := tx.tx.Exec(ctx, "SELECT pg_notify($1, $2)", channel, projectID)
	return wrap("notify", err)
}

// touchTenant tells of all projects of a tenant.
func (tx *Tx) touchTenant(ctx context.Context, tenantID string) error {
	_, err := tx.tx.Exec(ctx,
		"SELECT pg_notify($1, id::text) FROM tenantry.projects WHERE tenant_id = $2", channel, tenantID)
	return wrap("notify", err)
}

// touchPlan does so for the projects of all tenants of a plan.
func (tx *Tx) touchPlan(ctx context.Context, plan string) error {
	_, err := tx.tx.Exec(ctx, `SELECT pg_notify($1, p.id::text) FROM tenantry.projects p
		JOIN tenantry.tenants t ON t.id = p.tenant_id WHERE t.plan = $2`, channel, plan)
	return wrap("notify", err)
}

// errUnaudited is a mistake of the caller's: every change leaves an event.
var errUnaudited = errors.New("store: a change without an audit event")

// Change runs f in one transaction and commits it together with its audit
// events, those given and those that f records: either all is kept or nothing.
// A change without an event is refused. When f returns an error nothing is
// changed and the error is returned as it is.
func (s *Store) Change(ctx context.Context, events []audit.Event, f func(ctx context.Context, tx *Tx) error) error {
	var refused error // what f said, apart from what the transaction says
	err := pgx.BeginFunc(ctx, s.pool, func(t pgx.Tx) error {
		tx := &Tx{tx: t, vault: s.vault}
		if err := t.QueryRow(ctx, "SELECT now()").Scan(&tx.now); err != nil {
			return err
		}
		if refused = f(ctx, tx); refused != nil {
			return refused
		}
		all := append(append([]audit.Event(nil), events...), tx.events...)
		if len(all) == 0 {
			refused = errUnaudited
			return refused
		}
		// Last, because it locks the ends of chains that others append to.
		return appendEvents(ctx, t, all)
	})
	if refused != nil {
		return refused
	}
	return wrap("change", err)
}
