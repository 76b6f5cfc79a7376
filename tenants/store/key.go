package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tenantry/tenants"
)

const keyColumns = "k.id, k.tenant_id, coalesce(k.project_id::text, ''), k.name, k.role, k.scopes, k.prefix, k.created_at, k.expires_at, k.last_used"

// scanKey reads keyColumns.
func scanKey(row pgx.CollectableRow) (k tenants.Key, err error) {
	err = row.Scan(&k.ID, &k.TenantID, &k.ProjectID, &k.Name, &k.Role, &k.Scopes, &k.Prefix, &k.CreatedAt, &k.ExpiresAt, &k.LastUsed)
	return k, err
}

// KeyOwner is a key found by its hash, with whose it is.
type KeyOwner struct {
	Key     tenants.Key
	Tenant  tenants.Tenant
	Project *tenants.Project // nil for a tenant's key
}

// FindKey finds a key that has not expired by the vault.Hash of its secret. Keys
// of deleted tenants and projects are ErrNotFound; the status of suspended ones
// is the caller's to judge.
func (s *Store) FindKey(ctx context.Context, hash []byte) (KeyOwner, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+keyColumns+", "+tenantColumns+` FROM tenantry.keys k
		JOIN tenantry.tenants t ON t.id = k.tenant_id AND t.status <> 'deleted'
		WHERE k.hash = $1 AND (k.expires_at IS NULL OR k.expires_at > now())`, hash)
	if err != nil {
		return KeyOwner{}, wrap("find key", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (o KeyOwner, err error) {
		k, t := &o.Key, &o.Tenant
		err = row.Scan(&k.ID, &k.TenantID, &k.ProjectID, &k.Name, &k.Role, &k.Scopes, &k.Prefix, &k.CreatedAt, &k.ExpiresAt, &k.LastUsed,
			&t.ID, &t.Slug, &t.Name, &t.Email, &t.Plan, &t.PlanBounds, &t.Quota, &t.Status, &t.CreatedAt)
		return o, err
	})
	if err != nil {
		return KeyOwner{}, wrap("find key", err)
	}
	if found.Key.ProjectID != "" {
		p, err := s.Project(ctx, found.Key.ProjectID)
		if err != nil {
			return KeyOwner{}, err
		}
		found.Project = &p
	}
	return found, nil
}

// TenantKeys lists the keys of a tenant itself, oldest first.
func (s *Store) TenantKeys(ctx context.Context, tenantID string, p Page) ([]tenants.Key, string, error) {
	return s.listKeys(ctx, "k.tenant_id = $1 AND k.project_id IS NULL", tenantID, p)
}

// ProjectKeys lists the keys of a project, oldest first.
func (s *Store) ProjectKeys(ctx context.Context, projectID string, p Page) ([]tenants.Key, string, error) {
	return s.listKeys(ctx, "k.project_id = $1", projectID, p)
}

func (s *Store) listKeys(ctx context.Context, whose, owner string, p Page) (items []tenants.Key, next string, err error) {
	after, err := p.afterID()
	if err != nil {
		return nil, "", err
	}
	if !isID(owner) {
		return nil, "", ErrNotFound
	}
	rows, err := s.pool.Query(ctx, "SELECT "+keyColumns+" FROM tenantry.keys k WHERE "+whose+
		" AND k.id > $2 ORDER BY k.id LIMIT $3", owner, after, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list keys", err)
	}
	items, err = pgx.CollectRows(rows, scanKey)
	items, next = part(items, p.limit(), func(k tenants.Key) []string { return []string{k.ID} })
	return items, next, wrap("list keys", err)
}

// CreateKey keeps a key by the hash of its secret. Id and time are made here;
// with a ProjectID the project must be the tenant's own.
func (tx *Tx) CreateKey(ctx context.Context, k tenants.Key, hash []byte) (tenants.Key, error) {
	if !isID(k.TenantID) {
		return tenants.Key{}, ErrNotFound
	}
	if k.ProjectID != "" {
		p, err := tx.Project(ctx, k.ProjectID)
		if err != nil {
			return tenants.Key{}, err
		}
		if p.TenantID != k.TenantID {
			return tenants.Key{}, ErrNotFound
		}
	}
	if k.Scopes == nil {
		k.Scopes = []string{}
	}
	rows, err := tx.tx.Query(ctx, `INSERT INTO tenantry.keys AS k (id, tenant_id, project_id, name, role, scopes, prefix, hash, expires_at)
		VALUES ($1, $2, nullif($3, '')::uuid, $4, $5, $6, $7, $8, $9) RETURNING `+keyColumns,
		uuid.Must(uuid.NewV7()).String(), k.TenantID, k.ProjectID, k.Name, string(k.Role), k.Scopes, k.Prefix, hash, k.ExpiresAt)
	if err != nil {
		return tenants.Key{}, wrap("create key", err)
	}
	made, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if err != nil {
		return tenants.Key{}, wrap("create key", err)
	}
	return made, tx.touchKey(ctx, made)
}

// DeleteTenantKey revokes a key of the tenant itself.
func (tx *Tx) DeleteTenantKey(ctx context.Context, tenantID, id string) error {
	return tx.deleteKey(ctx, "k.tenant_id = $1 AND k.project_id IS NULL", tenantID, id)
}

// DeleteProjectKey revokes a key of the project.
func (tx *Tx) DeleteProjectKey(ctx context.Context, projectID, id string) error {
	return tx.deleteKey(ctx, "k.project_id = $1", projectID, id)
}

func (tx *Tx) deleteKey(ctx context.Context, whose, owner, id string) error {
	if !isID(owner) || !isID(id) {
		return ErrNotFound
	}
	rows, err := tx.tx.Query(ctx, "DELETE FROM tenantry.keys k WHERE "+whose+" AND k.id = $2 RETURNING "+keyColumns, owner, id)
	if err != nil {
		return wrap("delete key", err)
	}
	k, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if err != nil {
		return wrap("delete key", err)
	}
	return tx.touchKey(ctx, k)
}

// touchKey tells of the projects that know the key.
func (tx *Tx) touchKey(ctx context.Context, k tenants.Key) error {
	if k.ProjectID != "" {
		return tx.Touch(ctx, k.ProjectID)
	}
	return tx.touchTenant(ctx, k.TenantID)
}
