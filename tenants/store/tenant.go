package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tenantry/tenants"
)

const tenantColumns = `t.id, t.slug, t.name, t.email, t.plan, (SELECT tp.bounds FROM tenantry.plans tp WHERE tp.name = t.plan), t.quota,
	t.status, t.created_at`

// scanTenant reads tenantColumns.
func scanTenant(row pgx.CollectableRow) (t tenants.Tenant, err error) {
	err = row.Scan(&t.ID, &t.Slug, &t.Name, &t.Email, &t.Plan, &t.PlanBounds, &t.Quota, &t.Status, &t.CreatedAt)
	return t, err
}

// Tenant finds a tenant by id or slug; a deleted one is ErrNotFound.
func (s *Store) Tenant(ctx context.Context, slugOrID string) (tenants.Tenant, error) {
	return findTenant(ctx, s.pool, slugOrID)
}

// Tenant is Store.Tenant as the change sees it.
func (tx *Tx) Tenant(ctx context.Context, slugOrID string) (tenants.Tenant, error) {
	return findTenant(ctx, tx.tx, slugOrID)
}

func findTenant(ctx context.Context, q querier, slugOrID string) (tenants.Tenant, error) {
	column, err := identifiedBy(slugOrID)
	if err != nil {
		return tenants.Tenant{}, err
	}
	rows, err := q.Query(ctx, "SELECT "+tenantColumns+" FROM tenantry.tenants t WHERE t."+
		column+" = $1 AND t.status <> 'deleted'", slugOrID)
	if err != nil {
		return tenants.Tenant{}, wrap("find tenant", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanTenant)
	return t, wrap("find tenant", err)
}

// identifiedBy is the column that a slug or id is looked up in. What reads as
// an id never is a slug; what is neither is no row's.
func identifiedBy(slugOrID string) (column string, err error) {
	switch {
	case isID(slugOrID):
		return "id", nil
	case ValidSlug(slugOrID):
		return "slug", nil
	}
	return "", ErrNotFound
}

// Tenants lists the installation's tenants, oldest first, without deleted ones.
func (s *Store) Tenants(ctx context.Context, p Page) (items []tenants.Tenant, next string, err error) {
	after, err := p.afterID()
	if err != nil {
		return nil, "", err
	}
	rows, err := s.pool.Query(ctx, "SELECT "+tenantColumns+` FROM tenantry.tenants t
		WHERE t.id > $1 AND t.status <> 'deleted' ORDER BY t.id LIMIT $2`, after, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list tenants", err)
	}
	items, err = pgx.CollectRows(rows, scanTenant)
	items, next = part(items, p.limit(), func(t tenants.Tenant) []string { return []string{t.ID} })
	return items, next, wrap("list tenants", err)
}

// NewTenant is what a sign-up gives.
type NewTenant struct {
	Slug  string // empty: derived from Name, with a suffix where that is taken
	Name  string
	Email string
	Plan  string
}

// CreateTenant makes a tenant. A given slug that is taken is ErrSlugTaken, one of
// the wrong form ErrBadSlug.
func (tx *Tx) CreateTenant(ctx context.Context, n NewTenant) (tenants.Tenant, error) {
	if n.Slug != "" && !ValidSlug(n.Slug) {
		return tenants.Tenant{}, ErrBadSlug
	}
	id := uuid.Must(uuid.NewV7()).String()
	for slug := range slugs(n.Slug, n.Name, "tenant") {
		rows, err := tx.tx.Query(ctx, `INSERT INTO tenantry.tenants AS t (id, slug, name, email, plan)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (slug) DO NOTHING RETURNING `+tenantColumns, id, slug, n.Name, n.Email, n.Plan)
		if err != nil {
			return tenants.Tenant{}, wrap("create tenant", err)
		}
		t, err := pgx.CollectExactlyOneRow(rows, scanTenant)
		if !errors.Is(err, pgx.ErrNoRows) {
			return t, wrap("create tenant", err)
		}
	}
	return tenants.Tenant{}, ErrSlugTaken
}

// TenantEdit changes the fields that are not nil.
type TenantEdit struct {
	Name, Email, Plan *string
	// Quota replaces the tenant's own bounds; an empty one takes them away, nil leaves
	// them.
	Quota map[string]int
}

// UpdateTenant changes a tenant that is not deleted.
func (tx *Tx) UpdateTenant(ctx context.Context, id string, e TenantEdit) (tenants.Tenant, error) {
	if !isID(id) {
		return tenants.Tenant{}, ErrNotFound
	}
	return tx.editTenant(ctx, `UPDATE tenantry.tenants t SET name = coalesce($2, name), email = coalesce($3, email), plan = coalesce($4, plan),
			quota = CASE WHEN jsonb_typeof($5::jsonb) = 'object' THEN nullif($5::jsonb, '{}') ELSE quota END
		WHERE t.id = $1 AND t.status <> 'deleted' RETURNING `+tenantColumns, id, e.Name, e.Email, e.Plan, e.Quota)
}

// SetTenantStatus suspends, resumes or (softly) deletes a tenant. Its projects
// keep their own status: whoever serves them looks at both.
func (tx *Tx) SetTenantStatus(ctx context.Context, id string, status tenants.Status) (tenants.Tenant, error) {
	if !isID(id) {
		return tenants.Tenant{}, ErrNotFound
	}
	return tx.editTenant(ctx, `UPDATE tenantry.tenants t SET status = $2, deleted_at = CASE WHEN $2 = 'deleted' THEN now() END
		WHERE t.id = $1 AND t.status <> 'deleted' RETURNING `+tenantColumns, id, string(status))
}

// keptDeleted is how long what was deleted can be restored.
const keptDeleted = "interval '7 days'"

// RestoreTenant brings a deleted tenant back, active, within seven days.
func (tx *Tx) RestoreTenant(ctx context.Context, slugOrID string) (tenants.Tenant, error) {
	column, err := identifiedBy(slugOrID)
	if err != nil {
		return tenants.Tenant{}, err
	}
	return tx.editTenant(ctx, fmt.Sprintf(`UPDATE tenantry.tenants t SET status = 'active', deleted_at = NULL
		WHERE t.%s = $1 AND t.status = 'deleted' AND t.deleted_at > now() - %s RETURNING `+tenantColumns,
		column, keptDeleted), slugOrID)
}

func (tx *Tx) editTenant(ctx context.Context, sql, id string, args ...any) (tenants.Tenant, error) {
	rows, err := tx.tx.Query(ctx, sql, append([]any{id}, args...)...)
	if err != nil {
		return tenants.Tenant{}, wrap("change tenant", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanTenant)
	if err != nil {
		return t, wrap("change tenant", err)
	}
	return t, tx.touchTenant(ctx, t.ID)
}
