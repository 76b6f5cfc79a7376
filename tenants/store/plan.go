package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants"
)

const planColumns = "name, bounds, updated_at"

func scanPlan(row pgx.CollectableRow) (p tenants.Plan, err error) {
	err = row.Scan(&p.Name, &p.Bounds, &p.UpdatedAt)
	return p, err
}

// Plans lists the plans that the operator stored, by name.
func (s *Store) Plans(ctx context.Context) ([]tenants.Plan, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+planColumns+" FROM tenantry.plans ORDER BY name")
	if err != nil {
		return nil, wrap("list plans", err)
	}
	plans, err := pgx.CollectRows(rows, scanPlan)
	return plans, wrap("list plans", err)
}

// PutPlan stores a plan. All nodes hear of it for the projects of its tenants.
func (tx *Tx) PutPlan(ctx context.Context, name string, bounds map[string]int) (tenants.Plan, error) {
	rows, err := tx.tx.Query(ctx, `INSERT INTO tenantry.plans (name, bounds) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET bounds = excluded.bounds, updated_at = now() RETURNING `+planColumns, name, bounds)
	if err != nil {
		return tenants.Plan{}, wrap("store plan", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPlan)
	if err != nil {
		return p, wrap("store plan", err)
	}
	return p, tx.touchPlan(ctx, name)
}

// DeletePlan forgets a plan; its tenants keep the name, and what the configuration
// says of it counts again.
func (tx *Tx) DeletePlan(ctx context.Context, name string) error {
	tag, err := tx.tx.Exec(ctx, "DELETE FROM tenantry.plans WHERE name = $1", name)
	if err != nil {
		return wrap("delete plan", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return tx.touchPlan(ctx, name)
}
