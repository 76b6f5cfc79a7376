// Package introspect asks a tenant's Postgres what it has and fills a
// catalog.Catalog. services/revision calls it when a project gets a database
// and whenever its tables may have changed; the catalog is then stored, so that
// serving requests never waits for it.
package introspect

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tenantry/tenants/catalog"
)

//go:embed sql/catalog.sql
var catalogSQL string

// withoutJIT holds for the one transaction that a batch is. The planner takes the
// statement for far dearer than it is, and compiling it would take several times
// as long as running it.
const withoutJIT = `SELECT pg_catalog.set_config('jit', 'off', true)`

// Querier is what Read needs of a connection, a pool or a transaction of pgx.
type Querier interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// Read asks db for its tables, views, types and constraints, all as they are at
// one moment.
//
// Left out are the system's schemas, temporary tables, hdb_catalog and tables
// that belong to an extension. The order is fixed, so that an unchanged
// database gives an equal catalog with an equal fingerprint. Errors are those of
// pgx, wrapped; the caller owns the catalog.
func Read(ctx context.Context, db Querier) (*catalog.Catalog, error) {
	text, err := askFor(ctx, db, catalogSQL)
	if err != nil {
		return nil, fmt.Errorf("read the database's catalog: %w", err)
	}
	read := &catalog.Catalog{}
	if err := json.Unmarshal(text, read); err != nil {
		return nil, fmt.Errorf("read the database's catalog: %w", err)
	}
	return read, nil
}

func askFor(ctx context.Context, db Querier, sql string) (text []byte, err error) {
	batch := &pgx.Batch{}
	batch.Queue(withoutJIT)
	batch.Queue(sql)
	results := db.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	err = results.QueryRow().Scan(&text)
	return text, err
}
