package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tenantry/ops/audit"
	"tenantry/tenants/settings"
	"tenantry/tenants/vault"
)

// Revision is one version of a project's metadata or settings, without its
// content.
type Revision struct {
	Version int64
	Author  audit.Actor
	At      time.Time
}

// Metadata returns a project's current metadata document (JSON) and its
// resource version; nil and 0 before the first.
func (s *Store) Metadata(ctx context.Context, projectID string) (document []byte, version int64, err error) {
	return readMetadata(ctx, s.pool, projectID)
}

// Metadata is Store.Metadata as the change sees it.
func (tx *Tx) Metadata(ctx context.Context, projectID string) (document []byte, version int64, err error) {
	return readMetadata(ctx, tx.tx, projectID)
}

func readMetadata(ctx context.Context, q querier, projectID string) (document []byte, version int64, err error) {
	if !isID(projectID) {
		return nil, 0, ErrNotFound
	}
	err = q.QueryRow(ctx, `SELECT p.resource_version, m.document::text FROM tenantry.projects p
		LEFT JOIN tenantry.metadata_revisions m ON m.project_id = p.id AND m.resource_version = p.resource_version
		WHERE p.id = $1 AND `+visible, projectID).Scan(&version, &document)
	return document, version, wrap("read metadata", err)
}

// MetadataRevision returns the document of one version.
func (s *Store) MetadataRevision(ctx context.Context, projectID string, version int64) (document []byte, r Revision, err error) {
	if !isID(projectID) {
		return nil, r, ErrNotFound
	}
	err = s.pool.QueryRow(ctx, `SELECT document::text, resource_version, author_kind, author_id, at
		FROM tenantry.metadata_revisions WHERE project_id = $1 AND resource_version = $2`, projectID, version).
		Scan(&document, &r.Version, &r.Author.Kind, &r.Author.ID, &r.At)
	return document, r, wrap("read metadata revision", err)
}

// MetadataRevisions lists the versions of a project's metadata, newest first.
func (s *Store) MetadataRevisions(ctx context.Context, projectID string, p Page) ([]Revision, string, error) {
	return s.listRevisions(ctx, "metadata_revisions", "resource_version", projectID, p)
}

// SettingsRevision returns the settings of one version.
func (s *Store) SettingsRevision(ctx context.Context, projectID string, version int64) (settings.Settings, error) {
	if !isID(projectID) {
		return settings.Settings{}, ErrNotFound
	}
	var sealed []byte
	err := s.pool.QueryRow(ctx, `SELECT sealed FROM tenantry.settings_revisions WHERE project_id = $1 AND version = $2`, projectID, version).Scan(&sealed)
	if err != nil {
		return settings.Settings{}, wrap("read settings revision", err)
	}
	return openSettings(s.vault, projectID, sealed)
}

// SettingsRevisions lists the versions of a project's settings, newest first.
func (s *Store) SettingsRevisions(ctx context.Context, projectID string, p Page) ([]Revision, string, error) {
	return s.listRevisions(ctx, "settings_revisions", "version", projectID, p)
}

func (s *Store) listRevisions(ctx context.Context, table, column, projectID string, p Page) (items []Revision, next string, err error) {
	before, err := p.beforeSeq()
	if err != nil {
		return nil, "", err
	}
	if !isID(projectID) {
		return nil, "", ErrNotFound
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT %[2]s, author_kind, author_id, at FROM tenantry.%[1]s
		WHERE project_id = $1 AND %[2]s < $2 ORDER BY %[2]s DESC LIMIT $3`, table, column), projectID, before, p.limit()+1)
	if err != nil {
		return nil, "", wrap("list revisions", err)
	}
	items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Revision, err error) {
		err = row.Scan(&r.Version, &r.Author.Kind, &r.Author.ID, &r.At)
		return r, err
	})
	items, next = part(items, p.limit(), func(r Revision) []string { return []string{strconv.FormatInt(r.Version, 10)} })
	return items, next, wrap("list revisions", err)
}

// PutMetadata makes document (JSON) the project's metadata and returns the new
// resource version, expected+1. It is ErrConflict when the current version is
// not expected.
func (tx *Tx) PutMetadata(ctx context.Context, projectID string, expected int64, document []byte, author audit.Actor) (version int64, err error) {
	if err := tx.advance(ctx, "resource_version", projectID, expected); err != nil {
		return 0, err
	}
	version = expected + 1
	_, err = tx.tx.Exec(ctx, `INSERT INTO tenantry.metadata_revisions (project_id, resource_version, document, author_kind, author_id)
		VALUES ($1, $2, $3::text::json, $4, $5)`, projectID, version, string(document), author.Kind, author.ID)
	if err != nil {
		return 0, wrap("write metadata", err)
	}
	return version, tx.Touch(ctx, projectID)
}

// advance raises a version of the project from expected by one, and thereby
// locks the project until the change ends.
func (tx *Tx) advance(ctx context.Context, column, projectID string, expected int64) error {
	if !isID(projectID) {
		return ErrNotFound
	}
	tag, err := tx.tx.Exec(ctx, fmt.Sprintf(`UPDATE tenantry.projects p SET %[1]s = %[1]s + 1
		WHERE p.id = $1 AND p.%[1]s = $2 AND `+visible, column), projectID, expected)
	if err != nil {
		return wrap("write revision", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	if _, err := tx.Project(ctx, projectID); err != nil {
		return err
	}
	return ErrConflict
}

// settingsContext binds sealed settings to their project.
func settingsContext(projectID string) string { return "settings:" + projectID }

// Settings returns a project's current settings and their version; zero and 0
// before the first.
func (s *Store) Settings(ctx context.Context, projectID string) (settings.Settings, int64, error) {
	return readSettings(ctx, s.pool, s.vault, projectID)
}

// Settings is Store.Settings as the change sees it.
func (tx *Tx) Settings(ctx context.Context, projectID string) (settings.Settings, int64, error) {
	return readSettings(ctx, tx.tx, tx.vault, projectID)
}

func readSettings(ctx context.Context, q querier, v *vault.Vault, projectID string) (s settings.Settings, version int64, err error) {
	if !isID(projectID) {
		return s, 0, ErrNotFound
	}
	var sealed []byte
	err = q.QueryRow(ctx, `SELECT p.settings_version, r.sealed FROM tenantry.projects p
		LEFT JOIN tenantry.settings_revisions r ON r.project_id = p.id AND r.version = p.settings_version
		WHERE p.id = $1 AND `+visible, projectID).Scan(&version, &sealed)
	if err != nil {
		return s, 0, wrap("read settings", err)
	}
	s, err = openSettings(v, projectID, sealed)
	return s, version, err
}

// CheckKeyring opens one of the sealed settings, if there are any: that the
// keyring is not the one that sealed this database must be found out at the
// start, before anything is sealed with it. The error is vault's, or the database's.
func (s *Store) CheckKeyring(ctx context.Context) error {
	var projectID string
	var sealed []byte
	err := s.pool.QueryRow(ctx, `SELECT project_id::text, sealed FROM tenantry.settings_revisions LIMIT 1`, pgx.QueryExecModeExec).Scan(&projectID, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return wrap("read settings", err)
	}
	_, err = openSettings(s.vault, projectID, sealed)
	return err
}

func openSettings(v *vault.Vault, projectID string, sealed []byte) (settings.Settings, error) {
	if sealed == nil {
		return settings.Settings{}, nil
	}
	text, err := v.Unseal(sealed, settingsContext(projectID))
	if err != nil {
		return settings.Settings{}, fmt.Errorf("store: settings of project %s: %w", projectID, err)
	}
	return settings.Decode(text)
}

// PutSettings makes s the project's settings, sealed, and returns the new
// version, expected+1. It is ErrConflict when the current version is not
// expected.
func (tx *Tx) PutSettings(ctx context.Context, projectID string, expected int64, s settings.Settings, author audit.Actor) (version int64, err error) {
	text, err := settings.Encode(s)
	if err != nil {
		return 0, err
	}
	sealed, err := tx.vault.Seal(text, settingsContext(projectID))
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	if err := tx.advance(ctx, "settings_version", projectID, expected); err != nil {
		return 0, err
	}
	version = expected + 1
	_, err = tx.tx.Exec(ctx, `INSERT INTO tenantry.settings_revisions (project_id, version, sealed, author_kind, author_id)
		VALUES ($1, $2, $3, $4, $5)`, projectID, version, sealed, author.Kind, author.ID)
	if err != nil {
		return 0, wrap("write settings", err)
	}
	return version, tx.Touch(ctx, projectID)
}
