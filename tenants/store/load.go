package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"tenantry/tenants"
	"tenantry/tenants/catalog"
	"tenantry/tenants/settings"
)

// ProjectState is everything that a node needs to serve a project, as it was at
// one moment. Its owner may keep and change it.
type ProjectState struct {
	Project         tenants.Project
	Tenant          tenants.Tenant
	ResourceVersion int64
	Document        []byte // metadata, JSON; nil before the first revision
	SettingsVersion int64
	Settings        settings.Settings
	Catalogs        map[string]*catalog.Catalog // by source
	AdminSecrets    []SecretHash
	Keys            []KeyHash // of the project, and of its tenant (those have no ProjectID)
}

// SecretHash recognises an admin secret.
type SecretHash struct {
	ID   string
	Hash []byte // vault.Hash of the secret
}

// KeyHash recognises a key.
type KeyHash struct {
	Key  tenants.Key
	Hash []byte // vault.Hash of the secret
}

// loadKey is a key as the statement below gives it.
type loadKey struct {
	ID, TenantID, ProjectID, Name, Role, Prefix, Hash string

	Scopes    []string
	CreatedAt time.Time
	ExpiresAt *time.Time
	LastUsed  *time.Time
}

const loadSQL = `
SELECT ` + projectColumns + `, ` + tenantColumns + `,
	p.resource_version, m.document::text, p.settings_version, s.sealed,
	(SELECT json_object_agg(c.source, c.catalog) FROM tenantry.catalogs c WHERE c.project_id = p.id),
	(SELECT json_agg(json_build_object('ID', a.id, 'Hash', encode(a.hash, 'hex')) ORDER BY a.id)
		FROM tenantry.admin_secrets a WHERE a.project_id = p.id),
	(SELECT json_agg(json_build_object('ID', k.id, 'TenantID', k.tenant_id, 'ProjectID', coalesce(k.project_id::text, ''),
			'Name', k.name, 'Role', k.role, 'Scopes', k.scopes, 'Prefix', k.prefix, 'Hash', encode(k.hash, 'hex'),
			'CreatedAt', k.created_at, 'ExpiresAt', k.expires_at, 'LastUsed', k.last_used) ORDER BY k.id)
		FROM tenantry.keys k
		WHERE k.tenant_id = p.tenant_id AND (k.project_id = p.id OR k.project_id IS NULL)
			AND (k.expires_at IS NULL OR k.expires_at > now()))
FROM tenantry.projects p
JOIN tenantry.tenants t ON t.id = p.tenant_id AND t.status <> 'deleted'
LEFT JOIN tenantry.metadata_revisions m ON m.project_id = p.id AND m.resource_version = p.resource_version
LEFT JOIN tenantry.settings_revisions s ON s.project_id = p.id AND s.version = p.settings_version
WHERE p.status <> 'deleted' AND p.`

// LoadProject reads a project by slug or id in one statement, so that all parts
// fit each other. A deleted project, or one of a deleted tenant, is ErrNotFound;
// the status of a suspended one is the caller's to look at.
func (s *Store) LoadProject(ctx context.Context, slugOrID string) (ProjectState, error) {
	column, err := identifiedBy(slugOrID)
	if err != nil {
		return ProjectState{}, err
	}
	var state ProjectState
	var document *string
	var sealed, catalogs, secrets, keys []byte
	p, t := &state.Project, &state.Tenant
	err = s.pool.QueryRow(ctx, loadSQL+column+" = $1", slugOrID).Scan(
		&p.ID, &p.TenantID, &p.Slug, &p.Name, &p.Plan, &p.Status, &p.Managed, &p.CreatedAt, &p.RunRetention,
		&t.ID, &t.Slug, &t.Name, &t.Email, &t.Plan, &t.PlanBounds, &t.Quota, &t.Status, &t.CreatedAt,
		&state.ResourceVersion, &document, &state.SettingsVersion, &sealed, &catalogs, &secrets, &keys)
	if err != nil {
		return ProjectState{}, wrap("load project", err)
	}
	if document != nil {
		state.Document = []byte(*document)
	}
	if state.Settings, err = openSettings(s.vault, p.ID, sealed); err != nil {
		return ProjectState{}, err
	}
	state.Catalogs = map[string]*catalog.Catalog{}
	if err := decodeInto(&state.Catalogs, catalogs); err != nil {
		return ProjectState{}, fmt.Errorf("store: catalogs of project %s: %w", p.ID, err)
	}
	if err := state.addCredentials(secrets, keys); err != nil {
		return ProjectState{}, fmt.Errorf("store: credentials of project %s: %w", p.ID, err)
	}
	return state, nil
}

// decodeInto reads an aggregate, which is NULL when there was nothing to join.
func decodeInto(v any, text []byte) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}

func (state *ProjectState) addCredentials(secrets, keys []byte) error {
	var loadedSecrets []struct{ ID, Hash string }
	var loadedKeys []loadKey
	if err := decodeInto(&loadedSecrets, secrets); err != nil {
		return err
	}
	if err := decodeInto(&loadedKeys, keys); err != nil {
		return err
	}
	for _, a := range loadedSecrets {
		hash, err := hex.DecodeString(a.Hash)
		if err != nil {
			return err
		}
		state.AdminSecrets = append(state.AdminSecrets, SecretHash{a.ID, hash})
	}
	for _, k := range loadedKeys {
		hash, err := hex.DecodeString(k.Hash)
		if err != nil {
			return err
		}
		state.Keys = append(state.Keys, KeyHash{Hash: hash, Key: tenants.Key{
			ID: k.ID, TenantID: k.TenantID, ProjectID: k.ProjectID, Name: k.Name, Role: tenants.Role(k.Role), Scopes: k.Scopes,
			Prefix: k.Prefix, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsed: k.LastUsed,
		}})
	}
	return nil
}

// Catalog returns the stored catalog of one source and when it was read.
func (s *Store) Catalog(ctx context.Context, projectID, source string) (*catalog.Catalog, time.Time, error) {
	if !isID(projectID) {
		return nil, time.Time{}, ErrNotFound
	}
	var text []byte
	var at time.Time
	err := s.pool.QueryRow(ctx, "SELECT catalog, at FROM tenantry.catalogs WHERE project_id = $1 AND source = $2",
		projectID, source).Scan(&text, &at)
	if err != nil {
		return nil, at, wrap("read catalog", err)
	}
	var c catalog.Catalog
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, at, fmt.Errorf("store: catalog of project %s: %w", projectID, err)
	}
	return &c, at, nil
}

// PutCatalog keeps what a source's database has.
func (tx *Tx) PutCatalog(ctx context.Context, projectID, source string, c *catalog.Catalog) error {
	return putCatalog(ctx, tx.tx, projectID, source, c)
}

// PutCatalog is Tx.PutCatalog outside of a change: a catalog is what was seen,
// not what someone decided, so it needs no audit event. Other nodes are told.
func (s *Store) PutCatalog(ctx context.Context, projectID, source string, c *catalog.Catalog) error {
	return putCatalog(ctx, s.pool, projectID, source, c)
}

func putCatalog(ctx context.Context, q querier, projectID, source string, c *catalog.Catalog) error {
	if !isID(projectID) {
		return ErrNotFound
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: encode catalog: %w", err)
	}
	// Nobody is told of a catalog that is as it was.
	_, err = q.Exec(ctx, `WITH changed AS (
			INSERT INTO tenantry.catalogs AS c (project_id, source, catalog, fingerprint) VALUES ($1, $2, $3::text::json, $4)
			ON CONFLICT (project_id, source) DO UPDATE SET catalog = excluded.catalog, fingerprint = excluded.fingerprint, at = now()
			WHERE c.fingerprint <> excluded.fingerprint RETURNING c.project_id)
		SELECT pg_notify($5, project_id::text) FROM changed`, projectID, source, string(text), c.Fingerprint(), channel)
	return wrap("write catalog", err)
}

// DeleteCatalog forgets a source's catalog.
func (tx *Tx) DeleteCatalog(ctx context.Context, projectID, source string) error {
	if !isID(projectID) {
		return ErrNotFound
	}
	if _, err := tx.tx.Exec(ctx, "DELETE FROM tenantry.catalogs WHERE project_id = $1 AND source = $2", projectID, source); err != nil {
		return wrap("delete catalog", err)
	}
	return tx.Touch(ctx, projectID)
}
