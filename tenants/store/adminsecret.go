package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tenantry/tenants"
)

const secretColumns = "a.id, a.project_id, a.name, a.prefix, a.created_at, a.last_used"

// scanSecret reads secretColumns.
func scanSecret(row pgx.CollectableRow) (a tenants.AdminSecret, err error) {
	err = row.Scan(&a.ID, &a.ProjectID, &a.Name, &a.Prefix, &a.CreatedAt, &a.LastUsed)
	return a, err
}

// AdminSecrets lists a project's admin secrets, oldest first.
func (s *Store) AdminSecrets(ctx context.Context, projectID string, p Page) (items []tenants.AdminSecret, next string, err error) {
	after, err := p.afterID()
	if err != nil {
		return nil, "", err
	}
	if !isID(projectID) {
		return nil, "", ErrNotFound
	}
	rows, err := s.pool.Query(ctx, "SELECT "+secretColumns+` FROM tenantry.admin_secrets a
		WHERE a.project_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3`, projectID, after, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list admin secrets", err)
	}
	items, err = pgx.CollectRows(rows, scanSecret)
	items, next = part(items, p.limit(), func(a tenants.AdminSecret) []string { return []string{a.ID} })
	return items, next, wrap("list admin secrets", err)
}

// MaxAdminSecrets is how many a project may have: enough to rotate those of a few
// programs, few enough to know them all.
const MaxAdminSecrets = 5

// CreateAdminSecret keeps an admin secret of the project by its vault.Hash. It is
// ErrTooManySecrets when the project has MaxAdminSecrets.
func (tx *Tx) CreateAdminSecret(ctx context.Context, projectID, name, prefix string, hash []byte) (tenants.AdminSecret, error) {
	if _, err := tx.Project(ctx, projectID); err != nil {
		return tenants.AdminSecret{}, err
	}
	var count int
	// The lock keeps two that are made at once from counting the same.
	if _, err := tx.tx.Exec(ctx, "SELECT 1 FROM tenantry.projects WHERE id = $1 FOR NO KEY UPDATE", projectID); err != nil {
		return tenants.AdminSecret{}, wrap("create admin secret", err)
	}
	err := tx.tx.QueryRow(ctx, "SELECT count(*) FROM tenantry.admin_secrets WHERE project_id = $1", projectID).Scan(&count)
	if err != nil {
		return tenants.AdminSecret{}, wrap("create admin secret", err)
	}
	if count >= MaxAdminSecrets {
		return tenants.AdminSecret{}, ErrTooManySecrets
	}
	rows, err := tx.tx.Query(ctx, `INSERT INTO tenantry.admin_secrets AS a (id, project_id, name, prefix, hash)
		VALUES ($1, $2, $3, $4, $5) RETURNING `+secretColumns, uuid.Must(uuid.NewV7()).String(), projectID, name, prefix, hash)
	if err != nil {
		return tenants.AdminSecret{}, wrap("create admin secret", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanSecret)
	if err != nil {
		return a, wrap("create admin secret", err)
	}
	return a, tx.Touch(ctx, projectID)
}

// DeleteAdminSecret revokes an admin secret of the project.
func (tx *Tx) DeleteAdminSecret(ctx context.Context, projectID, id string) error {
	if !isID(projectID) || !isID(id) {
		return ErrNotFound
	}
	tag, err := tx.tx.Exec(ctx, "DELETE FROM tenantry.admin_secrets WHERE project_id = $1 AND id = $2", projectID, id)
	if err != nil {
		return wrap("delete admin secret", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return tx.Touch(ctx, projectID)
}
