package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tenantry/tenants"
)

const projectColumns = "p.id, p.tenant_id, p.slug, p.name, p.plan, p.status, p.managed, p.created_at, coalesce(p.run_retention_days, 0)"

// visible is true for projects that are there: neither they nor their tenant
// are deleted.
const visible = "p.status <> 'deleted' AND EXISTS (SELECT FROM tenantry.tenants t WHERE t.id = p.tenant_id AND t.status <> 'deleted')"

// scanProject reads projectColumns.
func scanProject(row pgx.CollectableRow) (p tenants.Project, err error) {
	err = row.Scan(&p.ID, &p.TenantID, &p.Slug, &p.Name, &p.Plan, &p.Status, &p.Managed, &p.CreatedAt, &p.RunRetention)
	return p, err
}

// Project finds a project by id or slug, whoever owns it: callers compare its
// TenantID with who asks. A deleted one, or one of a deleted tenant, is
// ErrNotFound.
func (s *Store) Project(ctx context.Context, slugOrID string) (tenants.Project, error) {
	return findProject(ctx, s.pool, slugOrID)
}

// Project is Store.Project as the change sees it.
func (tx *Tx) Project(ctx context.Context, slugOrID string) (tenants.Project, error) {
	return findProject(ctx, tx.tx, slugOrID)
}

func findProject(ctx context.Context, q querier, slugOrID string) (tenants.Project, error) {
	column, err := identifiedBy(slugOrID)
	if err != nil {
		return tenants.Project{}, err
	}
	rows, err := q.Query(ctx, "SELECT "+projectColumns+" FROM tenantry.projects p WHERE p."+
		column+" = $1 AND "+visible, slugOrID)
	if err != nil {
		return tenants.Project{}, wrap("find project", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProject)
	return p, wrap("find project", err)
}

// Projects lists a tenant's projects, oldest first, without deleted ones.
func (s *Store) Projects(ctx context.Context, tenantID string, p Page) (items []tenants.Project, next string, err error) {
	after, err := p.afterID()
	if err != nil {
		return nil, "", err
	}
	if !isID(tenantID) {
		return nil, "", ErrNotFound
	}
	rows, err := s.pool.Query(ctx, "SELECT "+projectColumns+` FROM tenantry.projects p
		WHERE p.tenant_id = $1 AND p.id > $2 AND `+visible+" ORDER BY p.id LIMIT $3", tenantID, after, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list projects", err)
	}
	items, err = pgx.CollectRows(rows, scanProject)
	items, next = part(items, p.limit(), func(p tenants.Project) []string { return []string{p.ID} })
	return items, next, wrap("list projects", err)
}

// NewProject is what is known of a project before its first revisions.
type NewProject struct {
	TenantID string
	Slug     string // empty: derived from Name, with a suffix where that is taken
	Name     string
	Plan     string
	Managed  bool
}

// CreateProject makes a project without metadata and settings (their versions
// are 0); PutMetadata and PutSettings in the same change give it both. A given
// slug that is taken is ErrSlugTaken, one of the wrong form ErrBadSlug.
func (tx *Tx) CreateProject(ctx context.Context, n NewProject) (tenants.Project, error) {
	if n.Slug != "" && !ValidSlug(n.Slug) {
		return tenants.Project{}, ErrBadSlug
	}
	if _, err := tx.Tenant(ctx, n.TenantID); err != nil {
		return tenants.Project{}, err
	}
	id := uuid.Must(uuid.NewV7()).String()
	for slug := range slugs(n.Slug, n.Name, "project") {
		rows, err := tx.tx.Query(ctx, `INSERT INTO tenantry.projects AS p (id, tenant_id, slug, name, plan, managed)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (slug) DO NOTHING RETURNING `+projectColumns,
			id, n.TenantID, slug, n.Name, n.Plan, n.Managed)
		if err != nil {
			return tenants.Project{}, wrap("create project", err)
		}
		p, err := pgx.CollectExactlyOneRow(rows, scanProject)
		if !errors.Is(err, pgx.ErrNoRows) {
			return p, wrap("create project", err)
		}
	}
	return tenants.Project{}, ErrSlugTaken
}

// ProjectEdit changes the fields that are not nil.
type ProjectEdit struct {
	Name, Plan *string
	Managed    *bool // after a move to another database
	// RunRetention is in days; 0 is the default's.
	RunRetention *int
}

// UpdateProject changes a project that is not deleted.
func (tx *Tx) UpdateProject(ctx context.Context, id string, e ProjectEdit) (tenants.Project, error) {
	return tx.editProject(ctx, `UPDATE tenantry.projects p SET name = coalesce($2, name), plan = coalesce($3, plan), managed = coalesce($4, managed),
			run_retention_days = nullif(coalesce($5, run_retention_days), 0)
		WHERE p.id = $1 AND p.status <> 'deleted' RETURNING `+projectColumns, id, e.Name, e.Plan, e.Managed, e.RunRetention)
}

// SetProjectStatus suspends, resumes or (softly) deletes a project.
func (tx *Tx) SetProjectStatus(ctx context.Context, id string, status tenants.Status) (tenants.Project, error) {
	return tx.editProject(ctx, `UPDATE tenantry.projects p SET status = $2, deleted_at = CASE WHEN $2 = 'deleted' THEN now() END
		WHERE p.id = $1 AND p.status <> 'deleted' RETURNING `+projectColumns, id, string(status))
}

// DeletedProject finds a project that can still be restored, for the question
// who owns it.
func (s *Store) DeletedProject(ctx context.Context, slugOrID string) (tenants.Project, error) {
	column, err := identifiedBy(slugOrID)
	if err != nil {
		return tenants.Project{}, err
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf("SELECT "+projectColumns+` FROM tenantry.projects p
		WHERE p.%s = $1 AND p.status = 'deleted' AND p.deleted_at > now() - %s`, column, keptDeleted), slugOrID)
	if err != nil {
		return tenants.Project{}, wrap("find deleted project", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProject)
	return p, wrap("find deleted project", err)
}

// RestoreProject brings a deleted project back, active, within seven days.
func (tx *Tx) RestoreProject(ctx context.Context, id string) (tenants.Project, error) {
	return tx.editProject(ctx, `UPDATE tenantry.projects p SET status = 'active', deleted_at = NULL
		WHERE p.id = $1 AND p.status = 'deleted' AND p.deleted_at > now() - `+keptDeleted+` RETURNING `+projectColumns, id)
}

func (tx *Tx) editProject(ctx context.Context, sql, id string, args ...any) (tenants.Project, error) {
	if !isID(id) {
		return tenants.Project{}, ErrNotFound
	}
	rows, err := tx.tx.Query(ctx, sql, append([]any{id}, args...)...)
	if err != nil {
		return tenants.Project{}, wrap("change project", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProject)
	if err != nil {
		return p, wrap("change project", err)
	}
	return p, tx.Touch(ctx, p.ID)
}
