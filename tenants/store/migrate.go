package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	versionTable = "tenantry.schema_version"
	// lockID is the advisory lock of migrations: "tenantry" in ASCII.
	lockID = 0x74656e616e747279
)

// Migrate brings the schema "tenantry" of the database to this program's
// version. Several programs may call it at once: one works, the others wait.
// The URL must lead to Postgres itself or to a pooler in session mode, because
// the lock belongs to a session.
func Migrate(ctx context.Context, url string) error {
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }()
	if err := createSchema(ctx, db); err != nil {
		return wrap("create the schema", err)
	}
	// Waiters ask once a second, for at most five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	provider, err := newProvider(db, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	// provider.Close would close db, which is ours.
	if _, err := provider.Up(ctx); err != nil {
		return wrap("migrate", err)
	}
	return nil
}

func newProvider(db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	options = append(options, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	return goose.NewProvider(goose.DialectPostgres, db, files, options...)
}

// createSchema makes the place for the version table. "IF NOT EXISTS" alone
// fails for all but one of several racing callers.
func createSchema(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockID)+1); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS tenantry"); err != nil {
		return err
	}
	return tx.Commit()
}

// target is the version that this program's migrations lead to.
func target() (int64, error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, f := range files {
		version, err := goose.NumericComponent(f.Name())
		if err != nil {
			return 0, err
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// ErrOldSchema is for a database whose schema this program can't work with before
// Migrate has run.
var ErrOldSchema = errors.New("the control plane's database has schema version")

// CheckVersion reports whether the database has at least the schema that this
// program needs, with ErrOldSchema. A newer one is accepted: migrations only add while the program
// of the version before still runs.
func (s *Store) CheckVersion(ctx context.Context) error {
	want, err := target()
	if err != nil {
		return err
	}
	var exists bool
	// Unprepared: each start asks once.
	err = s.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", pgx.QueryExecModeExec, versionTable).Scan(&exists)
	if err != nil {
		return wrap("read the schema's version", err)
	}
	var have int64
	if exists {
		err := s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied", pgx.QueryExecModeExec).Scan(&have)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return wrap("read the schema's version", err)
		}
	}
	if have < want {
		return fmt.Errorf("%w %d, this program needs %d: run \"tenantry migrate\"", ErrOldSchema, have, want)
	}
	return nil
}
